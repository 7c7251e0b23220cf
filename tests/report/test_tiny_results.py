"""Whatever a tiny test set gives, the report's reader accepts it: no number is infinite, undefined or huge."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emocap.evaluation.human_agreement import human_ceiling
from emocap.evaluation.metrics import METRICS, varying_metrics
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.reliability import calibration_report
from emocap.evaluation.significance import compare_models
from emocap.report.files.results import Results

LARGEST_SHOWN = 1e6  # no score, difference or skill of this many is of any use to a reader


def predictions(raw, scaled):
    n, n_labels = raw.shape
    thresholds = np.full((n, n_labels), 0.5, np.float32)
    return ModelPredictions(np.arange(n), raw, scaled, np.full(n, 0.5, np.float32), thresholds)


def tiny_study(seed: int, n: int, n_labels: int, n_seeds: int, n_models: int):
    """Targets of rare emotions, and models from one that is nearly the prior to one that is certain."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((n, n_labels)) < rng.random(n_labels) ** 2).astype(np.float32)
    targets[rng.integers(n), rng.integers(n_labels)] = 1
    models = {}
    for number in range(n_models):
        repeats = []
        for _ in range(n_seeds):
            sharpness = 10.0 ** rng.integers(-3, 3)
            logits = rng.normal(size=(n, n_labels)) * sharpness + rng.normal(-2, 4, n_labels)
            if not number:  # the prior, which may know that an emotion never occurs
                logits = np.tile(np.log(rng.random(n_labels) ** 20 + 1e-30), (n, 1))
            raw = (1 / (1 + np.exp(-np.clip(logits, -80, 80)))).astype(np.float32)
            repeats.append(predictions(raw, np.clip(raw**2, 0, 1)))
        models["prior" if not number else f"model {number}"] = repeats
    return targets, models


def results_of(targets, models, n_draws):
    n, n_labels = targets.shape
    labels = [f"emotion {number}" for number in range(n_labels)]
    images = [f"image {row // 2}" for row in range(n)]
    named = [[[int(e) for e in np.flatnonzero(row)], [0], []] for row in targets]
    return {
        "schema": 3, "labels": labels, "vocabulary": "v", "n_test_pairs": n, "n_test_images": len(set(images)),
        "folds": None, "seeds": list(range(len(models["prior"]))), "n_bootstrap": n_draws, "reference": "prior",
        "metrics": {name: {"higher_is_better": METRICS[name].higher_is_better} for name in varying_metrics(n_labels)},
        "kinds": {name: "study" if name != "prior" else "baseline" for name in models},
        **compare_models(models, targets, images, labels, references=list(models), n_bootstrap=n_draws),
        "calibration": {
            name: calibration_report(repeats, models["prior"], targets, labels) for name, repeats in models.items()
        },
        "human": human_ceiling(
            named, models, labels, np.full(n_labels, 0.1), images=images, n_bootstrap=n_draws, n_splits=2
        ),
    }  # fmt: skip


def numbers_in(value):
    if isinstance(value, dict):
        return [number for key, each in value.items() if key != "pairs_needed" for number in numbers_in(each)]
    if isinstance(value, list | tuple):
        return [number for each in value for number in numbers_in(each)]
    return [value] if isinstance(value, float) else []


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 12),
    n_labels=st.integers(2, 6),
    n_seeds=st.integers(1, 3),
    n_models=st.integers(2, 5),
    n_draws=st.sampled_from([1, 2, 3, 50]),
)
def test_reader_accepts_results_of_any_size(seed, n, n_labels, n_seeds, n_models, n_draws):
    value = results_of(*tiny_study(seed, n, n_labels, n_seeds, n_models), n_draws)
    Results.model_validate(value)
    assert all(abs(number) <= LARGEST_SHOWN for number in numbers_in(value))
