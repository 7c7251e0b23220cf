"""The tables of benchmarks/photographs.py, from the predictions of small runs."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.evaluation.predictions import ModelPredictions, write_predictions
from emocap.files import write_json

ROOT = Path(__file__).parents[2]
N = 60
RESULTS = {"chosen": "teacher", "n_bootstrap": 100, "n_test_pairs": N, "n_test_images": N, "folds": 5, "seeds": [0]}
TRUTH = np.arange(N) % 2


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return import_module("photographs")


def predictions(n_wrong: int, order, n_labels: int = 2) -> ModelPredictions:
    """Two exclusive labels, of which the first `n_wrong` pairs have the wrong one; ratings are off by a tenth there."""
    right = np.where(np.arange(N) < n_wrong, 1 - TRUTH, TRUTH)[order]
    p = np.stack([np.where(right == 0, 0.8, 0.2), np.where(right == 1, 0.8, 0.2)], axis=1)[:, :n_labels]
    half = np.full(p.shape, 0.5)
    rated = (np.linspace(0.1, 0.8, N) + 0.1 * (np.arange(N) < n_wrong))[order]
    return ModelPredictions(np.arange(N), p, p, half[:, 0] if n_labels else np.full(N, 0.5), half, rated[:, None])


def write_run(folder: Path, wrong: dict[str, int], *, order=None, n_labels: int = 2, **changes) -> Path:
    order = np.arange(N) if order is None else order
    write_predictions(
        folder / "predictions.parquet",
        {name: [predictions(n, order, n_labels)] for name, n in wrong.items()},
        pair_ids=[f"p{row}" for row in order],
        images=[f"i{row}" for row in order],
        targets=np.eye(2)[TRUTH[order]][:, :n_labels],
        labels=["negative", "positive"][:n_labels],
        seeds=[0],
        ratings=np.linspace(0.1, 0.8, N)[order, None],
        rating_names=["valence"],
    )
    write_json(folder / "results.json", RESULTS | {"ratings": {"range": {"valence": [1, 7]}}} | changes)
    return folder


def cells_of(text: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {line[0]: line[1:] for line in lines if line[0] not in ("model", "---")}


def test_shows_scores_and_the_own_model_minus_each_row(script, tmp_path) -> None:
    run = write_run(tmp_path / "twitter", {"prior": 30, "image_probe": 12, "teacher": 6})
    text = script.table(run)
    assert text.startswith("twitter: 60 test pairs of 60 images, 5 folds, 1 seed; own model: teacher\n")
    assert "| model | AUC | teacher minus it | accuracy | teacher minus it | r of valence | teacher minus it |" in text
    cells = cells_of(text)
    assert [value.split()[0] for value in cells["image probe"][:4]] == ["0.800", "+0.100", "0.800", "+0.100"]
    assert cells["teacher"][2].startswith("0.900 [")
    assert cells["teacher"][3] == ""
    low, high = (float(end.strip("[],")) for end in cells["image probe"][3].split()[1:])
    assert 0 < low < 0.1 < high


def test_pairs_models_on_grid_by_their_ids(script, tmp_path) -> None:
    run = write_run(tmp_path / "twitter", {"prior": 30, "teacher": 6})
    write_run(tmp_path / "twitter-grid", {"prior": 30, "image_probe": 20, "teacher": 6}, order=np.arange(N)[::-1])
    cells = cells_of(script.table(run))
    assert list(cells) == ["prior", "teacher", "image probe on grid", "teacher on grid"]
    assert cells["teacher on grid"][3] == "+0.000 [+0.000, +0.000]"
    assert cells["image probe on grid"][2].startswith("0.667")


def test_ratings_alone_have_correlations_only(script, tmp_path) -> None:
    run = write_run(tmp_path / "oasis", {"prior": 30, "teacher": 6}, n_labels=0)
    text = script.table(run)
    assert "| model | r of valence | teacher minus it |" in text


def test_refuses_other_pairs_and_unknown_models(script, tmp_path) -> None:
    run = write_run(tmp_path / "a", {"prior": 30, "teacher": 6})
    with pytest.raises(EmocapError, match="has no model 'AnB'; it has prior, teacher"):
        script.table(run, "AnB")
    grid = write_run(tmp_path / "a-grid", {"teacher": 6})
    write_predictions(
        grid / "predictions.parquet",
        {"teacher": [predictions(6, np.arange(N))]},
        pair_ids=[f"other{row}" for row in range(N)],
        images=[f"i{row}" for row in range(N)],
        targets=np.eye(2)[TRUTH],
        labels=["negative", "positive"],
        seeds=[0],
        ratings=np.linspace(0.1, 0.8, N)[:, None],
        rating_names=["valence"],
    )
    with pytest.raises(EmocapError, match="has other pairs, targets or ratings"):
        script.table(run)


def test_refuses_a_grid_run_of_other_ratings(script, tmp_path) -> None:
    run = write_run(tmp_path / "oasis", {"prior": 30, "teacher": 6}, n_labels=0)
    grid = write_run(tmp_path / "oasis-grid", {"teacher": 6}, n_labels=0)
    write_predictions(
        grid / "predictions.parquet",
        {"teacher": [predictions(6, np.arange(N), 0)]},
        pair_ids=[f"p{row}" for row in range(N)],
        images=[f"i{row}" for row in range(N)],
        targets=np.empty((N, 0)),
        labels=[],
        seeds=[0],
        ratings=np.linspace(0.1, 0.8, N)[:, None],
        rating_names=["arousal"],
    )
    with pytest.raises(EmocapError, match="has other pairs, targets or ratings"):
        script.table(run)
