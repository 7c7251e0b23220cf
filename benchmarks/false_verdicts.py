"""How often a study's verdicts are false where models are equally good, and how often they find a true difference.

    python benchmarks/false_verdicts.py                    the table of docs/METRICS.md, about 10 minutes on one core
    python benchmarks/false_verdicts.py --trials 100 --pairs 10 100 --models independent
    python benchmarks/false_verdicts.py --pairs 229 458 --models independent correlated --rarity 8   rare ones

A trial is a study of five emotions with a model, the prior and four baselines, and as many validation pairs as test
pairs. Scores are logits of the frequencies plus normal noise. "Correlated" models share 80% of its variance,
"informative" ones all have 1.5 more for true emotions, and with "three seeds" the model is trained three times, its
runs differing by 0.3 in that number. A trial goes through the product's own functions: the comparison baseline is
chosen on the validation pairs, `compare_models` gives intervals (100 draws) and `decide` the verdict, without the
minimum sample except for "verdict given". The rule of version 0.1 is shown too: the baseline of highest score on the
test pairs, and percentiles shifted by the draws' bias. For power the model has 1.0 more for true emotions than the
baselines.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from emocap.evaluation.calibration import uncalibrated
from emocap.evaluation.metrics import PRIMARY
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.ranking_metrics import mean_average_precision
from emocap.evaluation.significance import compare_models
from emocap.evaluation.statistics import AveragePrecisions
from emocap.evaluation.verdicts import decide
from emocap.study.stages.choices import BEST_BASELINE, comparison_baseline
from emocap.study.stages.held_out import HeldOut, UnitPredictions

FREQUENCIES = np.array([0.4, 0.3, 0.2, 0.1, 0.05])
LABELS = ("a", "b", "c", "d", "e")
BASELINES = ("b1", "b2", "b3", "b4")
SHARED = 0.8
POWER_EFFECT = 1.0
N_BOOTSTRAP = 100
UNCALIBRATED = uncalibrated(5)
KINDS = ("independent", "correlated", "informative", "three seeds")


@dataclass(frozen=True)
class Cell:
    """One row of the table.

    Attributes:
        n_pairs: test pairs, of one image each; validation pairs likewise.
        kind: one of `KINDS`.
        effect: true difference of the model to all others, in logits.
        rarity: what `FREQUENCIES` are divided by.
    """

    n_pairs: int
    kind: str = "independent"
    effect: float = 0.0
    rarity: float = 1.0

    @property
    def frequencies(self) -> np.ndarray:
        """(5,) of the emotions."""
        return FREQUENCIES / self.rarity


def drawn_scores(
    rng: np.random.Generator, frequencies: np.ndarray, targets: np.ndarray, shared: np.ndarray, effect: float = 0.0
) -> np.ndarray:
    """(N, 5) float32 probabilities of noise around the frequencies, of which `shared` (N, 5) is a part."""
    weight = SHARED if shared.any() else 0.0
    noise = np.sqrt(weight) * shared + np.sqrt(1 - weight) * rng.normal(size=targets.shape)
    logits = np.log(frequencies / (1 - frequencies)) + noise + effect * targets
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


def drawn_targets(rng: np.random.Generator, frequencies: np.ndarray, n: int) -> np.ndarray:
    """(n, 5) of 0 and 1, at least one 1."""
    targets = (rng.random((n, 5)) < frequencies).astype(np.float32)
    if not targets.any():
        targets[0, 0] = 1
    return targets


def predictions(probabilities: np.ndarray) -> ModelPredictions:
    half = np.full(probabilities.shape, 0.5, dtype=np.float32)
    return ModelPredictions(np.arange(len(half)), probabilities, probabilities, half[:, 0], half)


def trial(cell: Cell, seed: int) -> dict[str, str]:
    """The verdicts of one study: by the product's rule, without its minimum, for all models, and by the former rule."""
    rng = np.random.default_rng([seed, cell.n_pairs, KINDS.index(cell.kind)])
    frequencies = cell.frequencies
    validation, test = (drawn_targets(rng, frequencies, cell.n_pairs) for _ in range(2))
    is_correlated, known = cell.kind == "correlated", 1.5 if cell.kind == "informative" else 0.0
    shared = [rng.normal(size=targets.shape) * is_correlated for targets in (validation, test)]
    qualities = 0.3 * rng.normal(size=3) if cell.kind == "three seeds" else np.zeros(1)
    models = {
        "model": [
            predictions(drawn_scores(rng, frequencies, test, shared[1], known + cell.effect + each))
            for each in qualities
        ]
    }
    baselines: dict[str, HeldOut] = {}
    for name in ("prior", *BASELINES):
        scores = [
            np.tile(frequencies, (len(targets), 1)).astype(np.float32)
            if name == "prior"
            else drawn_scores(rng, frequencies, targets, common, known)
            for targets, common in zip((validation, test), shared, strict=True)
        ]
        score = mean_average_precision(scores[0], validation)
        baselines[name] = HeldOut([UnitPredictions(0, predictions(scores[1]), score, UNCALIBRATED)])
        models[name] = baselines[name].repeats
    chosen, _, _ = comparison_baseline(baselines)
    assert chosen != BEST_BASELINE, "there is one unit"
    images = [str(row) for row in range(cell.n_pairs)]
    found = compare_models(
        models,
        test,
        images,
        LABELS,
        references=list(dict.fromkeys(["model", chosen, "prior"])),
        metrics=[PRIMARY],
        n_bootstrap=N_BOOTSTRAP,
        seed=seed,
    )
    best = max(BASELINES, key=lambda name: found["models"][name][PRIMARY])
    return {
        "chosen": _verdict(found["differences"][chosen]["model"][PRIMARY]),
        "with minimum": _verdict(found["differences"][chosen]["model"][PRIMARY], found["sample"]["is_enough"]),
        "prior": _verdict(found["differences"]["prior"]["model"][PRIMARY]),
        "any": "false" if any(_is_shown(found["differences"]["model"][name][PRIMARY]) for name in baselines) else "",
        "former": former_verdict(models["model"][0], models[best][0], test, rng),
    }


def _verdict(difference: dict, is_enough: bool = True) -> str:
    return decide(difference["low"], difference["high"], higher_is_better=True, is_enough=is_enough)


def _is_shown(difference: dict) -> bool:
    low, high = difference["simultaneous"]
    return bool(low > 0 or high < 0)


def former_verdict(
    model: ModelPredictions, baseline: ModelPredictions, targets: np.ndarray, rng: np.random.Generator
) -> str:
    """By the percentiles of the draws, shifted by their bias."""
    statistics = [AveragePrecisions(each.probabilities, targets > 0) for each in (model, baseline)]
    n = len(targets)
    weights = [np.ones((1, n)), rng.multinomial(n, np.full(n, 1 / n), size=N_BOOTSTRAP).astype(float)]
    point, draws = (statistics[0](weight) - statistics[1](weight) for weight in weights)
    low, high = np.nanpercentile(draws, [2.5, 97.5]) - (np.nanmean(draws) - point[0])
    return decide(low, high, higher_is_better=True, is_enough=True)


def rates(cell: Cell, n_trials: int) -> dict[str, float]:
    """Shares of trials by rule and verdict, such as "chosen worse"."""
    counts = Counter(f"{rule} {verdict}" for seed in range(n_trials) for rule, verdict in trial(cell, seed).items())
    return {name: count / n_trials for name, count in counts.items()}


def table(pairs: Sequence[int], kinds: Sequence[str], n_trials: int, rarity: float = 1.0) -> Iterator[str]:
    """The lines of the table, in Markdown."""
    yield (
        "| models | test pairs | worse | better | better than the prior | any of 5, simultaneous | "
        "former rule: worse | former rule: better | verdict given | power |"
    )
    yield "| --- " * 10 + "|"
    for cell in (Cell(n, kind, rarity=rarity) for kind in kinds for n in pairs):
        noise = rates(cell, n_trials)
        power = rates(replace(cell, effect=POWER_EFFECT), max(n_trials // 4, 1))
        is_informative = cell.kind == "informative"  # and so truly better than the prior
        shown = [
            "" if is_informative and name in ("prior better", "any false") else f"{100 * noise.get(name, 0.0):.1f}%"
            for name in ("chosen worse", "chosen better", "prior better", "any false", "former worse", "former better")
        ]
        given = 100 - 100 * noise.get("with minimum cannot tell", 0.0)
        found = 100 * power.get("chosen better", 0.0)
        yield f"| {cell.kind} | {cell.n_pairs} | {' | '.join(shown)} | {given:.0f}% | {found:.0f}% |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000, help="trials per row; a quarter as many for power")
    parser.add_argument("--pairs", type=int, nargs="+", default=[10, 30, 100, 400], help="numbers of test pairs")
    parser.add_argument("--models", nargs="+", choices=KINDS, default=KINDS, help="kinds of models")
    parser.add_argument("--rarity", type=float, default=1.0, help="the emotions' frequencies are divided by this")
    options = parser.parse_args()
    for line in table(options.pairs, options.models, options.trials, options.rarity):
        print(line, flush=True)


if __name__ == "__main__":
    main()
