"""Another corpus's pairs beside few training pairs: each output is fitted with them only where that is better."""

from collections.abc import Sequence

import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.evaluation.baselines import fit_baseline
from emocap.evaluation.extra_pairs import ExtraPairs
from emocap.evaluation.ranking_metrics import mean_average_precision

DIM, N, N_EXTRA = 30, 40, 400
AXES = np.linalg.qr(np.random.default_rng(9).normal(size=(DIM, DIM)))[0][:2]


def images(n: int, seed: int) -> np.ndarray:
    """(n, DIM) mean features of images with one region each."""
    return np.random.default_rng(seed).normal(size=(n, DIM)) + 1


def scores(vectors: np.ndarray, seed: int) -> np.ndarray:
    """(n, 2): what two directions of the features say, with noise."""
    found = (vectors - 1) @ AXES.T
    return found + np.random.default_rng(seed).normal(0, 0.5, found.shape)


def extra(*, sign: float = 1.0, known: tuple[int, ...] = (0, 1), missing: int = 0) -> ExtraPairs:
    """The other corpus: a narrow part of a scale; `sign` of the second output's direction, `known` outputs."""
    vectors = images(N_EXTRA, 7)
    found = scores(vectors, 8) * [1, sign]
    truth, ratings = (found > 0).astype(np.float64), 0.8 + 0.02 * found
    lacking = [output for output in range(2) if output not in known]
    truth[:, lacking] = ratings[:, lacking] = np.nan
    return ExtraPairs([None if row < missing else each[None] for row, each in enumerate(vectors)], truth, ratings)


def predict(
    given: ExtraPairs | None, name: str = "image_probe_labelled", outputs: Sequence[int] = (0, 1)
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true (100, 4) of new images: two emotions, two ratings, or those of `outputs` alone."""
    parts = [images(n, seed) for n, seed in ((N, 1), (100, 2), (100, 3))]
    found = [scores(vectors, seed + 10)[:, outputs] for seed, vectors in enumerate(parts)]
    truth, ratings = [each > 0 for each in found], [np.clip(0.5 + 0.1 * each, 0, 1) for each in found]
    features = [[each[None] for each in vectors] for vectors in parts]
    fitted = fit_baseline(
        name, [""] * N, truth[0], [""] * 100, truth[1], features=features[0], validation_features=features[1],
        ratings=ratings[0], validation_ratings=ratings[1], extra=given,
    )  # fmt: skip
    return fitted([""] * 100, features[2]), np.concatenate([truth[2], ratings[2]], axis=1)


def pearson(predicted: np.ndarray, true: np.ndarray, output: int) -> float:
    return float(np.corrcoef(predicted[:, output], true[:, output])[0, 1])


def test_few_pairs_learn_from_another_corpus() -> None:
    (alone, true), (joined, _) = predict(None), predict(extra())
    for output in (2, 3):
        assert pearson(joined, true, output) > pearson(alone, true, output) + 0.1
        error = np.abs(joined[:, output] - true[:, output]).mean()
        assert error < np.abs(alone[:, output] - true[:, output]).mean(), "the other use of the scale does no harm"
    precision = [mean_average_precision(each[:, :2], true[:, :2]) for each in (alone, joined)]
    assert precision[1] > precision[0] + 0.05


def test_harmful_corpus_is_left_out_per_output() -> None:
    (alone, _), (joined, _), (harmed, _) = predict(None), predict(extra()), predict(extra(sign=-1))
    for useful, harmful in ((0, 1), (2, 3)):
        assert np.array_equal(harmed[:, harmful], alone[:, harmful])
        assert np.array_equal(harmed[:, useful], joined[:, useful])
        assert not np.array_equal(harmed[:, useful], alone[:, useful])


def test_unknown_outputs_and_missing_images_count_not() -> None:
    (alone, _), (one, _), (joined, _) = predict(None), predict(extra(known=(0,))), predict(extra())
    assert np.array_equal(one[:, [1, 3]], alone[:, [1, 3]])
    assert np.array_equal(one[:, [0, 2]], joined[:, [0, 2]])
    assert np.array_equal(predict(extra(missing=N_EXTRA))[0], alone)
    seen = extra()
    part = ExtraPairs(seen.features[50:], seen.truth[50:], seen.ratings[50:])
    assert np.array_equal(predict(extra(missing=50))[0], predict(part)[0])


def test_each_output_is_an_image_probe_of_its_own() -> None:
    """Without extra pairs; `image_probe` selects one penalty for all emotions, and one for all ratings."""
    together, _ = predict(None)
    for output in range(2):
        one, _ = predict(None, "image_probe", outputs=[output])
        assert together[:, [output, 2 + output]] == pytest.approx(one, abs=1e-9)


def test_other_outputs_than_the_training_pairs_are_refused() -> None:
    given = extra()
    with pytest.raises(
        EmocapError, match=r"400 extra pairs do not match their truth \(400, 1\) and .* 2 emotions and 2"
    ):
        predict(ExtraPairs(given.features, given.truth[:, :1], given.ratings))
