"""What is unlike the training data: few held-out examples, and most of another kind."""

import numpy as np
import pytest

from emocap.classifiers.familiarity import (
    FILE,
    CaptionStatistics,
    Familiarity,
    fit_captions,
    fit_images,
    read_familiarity,
    signature,
    write_familiarity,
)

WORDS = np.array(["dog", "child", "boat", "runs", "waits", "sea", "night", "red", "quiet", "old", "a", "the"])


def signatures(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """(n, 12) float32 of heavy tails, correlated as features are."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).standard_normal((12, 12))
    return (rng.standard_t(5, (n, 12)) @ mixing + shift * mixing[0]).astype(np.float32)


def captions(n: int, seed: int) -> list[str]:
    return [" ".join(words) for words in np.random.default_rng(seed).choice(WORDS, (n, 6))]


def test_held_out_images_are_mostly_familiar() -> None:
    statistics = fit_images(signatures(400, 0))
    assert statistics is not None
    assert statistics.is_unlike(signatures(1000, 1)).mean() <= 0.02


def test_distance_is_mahalanobis() -> None:
    training = signatures(400, 0)
    statistics = fit_images(training)
    assert statistics is not None
    difference = signatures(5, 1).astype(float) - training.mean(axis=0)
    inverse = np.linalg.inv(np.cov(training.T.astype(float), bias=True))
    expected = np.sqrt(np.einsum("nd,de,ne->n", difference, inverse, difference))
    np.testing.assert_allclose(statistics.scores(signatures(5, 1))[0], expected, rtol=1e-3)


def test_drawn_scenes_are_recognised_within_the_spread() -> None:
    """They are nearer to the mean than the most unusual training images."""
    drawn = 0.3 * signatures(300, 2) + signatures(1, 4, shift=3.0)
    without, with_drawn = fit_images(signatures(400, 0)), fit_images(signatures(400, 0), drawn[:40])
    assert without is not None
    assert with_drawn is not None
    assert with_drawn.is_unlike(drawn[40:]).mean() > without.is_unlike(drawn[40:]).mean() + 0.3
    assert with_drawn.is_unlike(signatures(1000, 1)).mean() <= 0.02


@pytest.mark.parametrize("n", [0, 1, 99])
def test_too_few_examples_give_no_statistics(n: int) -> None:
    assert fit_images(signatures(n, 0).reshape(n, 12)) is None
    assert fit_captions(captions(n, 0), [str(row) for row in range(n)]) is None


def test_mean_surprisal_worked_by_hand() -> None:
    """Of counts 3 and 1: log(7/4) and log(7/2), an unknown word log(7); their mean is that of the captions."""
    statistics = CaptionStatistics({"dog": 3, "runs": 1})
    mean = (3 * np.log(7 / 4) + np.log(7 / 2)) / 4
    expected = [(np.log(7 / 4) + 3 * mean) / 4, (np.log(7 / 2) + np.log(7) + 3 * mean) / 5, mean]
    np.testing.assert_allclose(statistics.distances(["Dog!", "runs away", ""]), expected)


def test_captions_of_other_words_are_unlike() -> None:
    training = captions(400, 0)
    statistics = fit_captions(training, training)
    assert statistics is not None
    assert statistics.is_unlike(captions(1000, 1)).mean() <= 0.02
    assert statistics.is_unlike(["Quarterly revenue fell short of expectations", "一只狗独自在门口等着主人回家"]).all()


def test_captions_of_one_group_are_held_out_together() -> None:
    """Else the words of a training caption's own copies would hide how rare they are."""
    once = [f"word{chr(97 + number // 26)}{chr(97 + number % 26)} only here" for number in range(100)]
    groups = [str(number % 100) for number in range(1000)]
    together, apart = fit_captions(once * 10, groups), fit_captions(once * 10, [str(row) for row in range(1000)])
    assert together is not None
    assert apart is not None
    assert together.limit > apart.limit


@pytest.mark.parametrize(
    "familiarity",
    [
        Familiarity(None, None),
        Familiarity(fit_images(signatures(150, 0)), None),
        Familiarity(
            fit_images(signatures(150, 0), signatures(20, 2)), fit_captions(captions(150, 0), captions(150, 0))
        ),
    ],
)
def test_statistics_survive_their_file(familiarity: Familiarity, tmp_path) -> None:
    write_familiarity(tmp_path, familiarity)
    found = read_familiarity(tmp_path)
    assert (found.images is None, found.captions is None) == (familiarity.images is None, familiarity.captions is None)
    if found.images is not None:
        asked = signatures(500, 3, shift=2.0)
        np.testing.assert_array_equal(found.images.is_unlike(asked), familiarity.images.is_unlike(asked))
    if found.captions is not None:
        assert found.captions.counts == familiarity.captions.counts


def test_damaged_file_is_said_and_compares_nothing(tmp_path, caplog) -> None:
    (tmp_path / FILE).write_bytes(b"damaged")
    assert read_familiarity(tmp_path) == Familiarity(None, None)
    assert "nothing is compared with the training data" in caplog.text


def test_signature_is_the_mean_region() -> None:
    features = np.array([[1, 2], [3, 6]], np.float16)
    assert signature(features).tolist() == [2, 4]
    assert signature(features).dtype == np.float32
