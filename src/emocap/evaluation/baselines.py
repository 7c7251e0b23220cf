"""Baselines: label frequencies, and simple models of a caption, of an image's mean features, or of both.

"tfidf" and "vectors" are one-vs-rest logistic regression on words and word pairs, or on sentence vectors; "neighbours"
is k nearest neighbours among the training captions; "image_probe" is logistic regression on the mean of an image's
region features, and "vectors_image" on that beside the sentence vector. Ratings have ridge regression on the same
inputs, or the neighbours' mean. Each has one setting, which is selected on the validation pairs, on which it is not
fitted. "image_probe_labelled" is as "image_probe", fitted with or without another corpus's pairs, and selects for each
output by itself. scikit-learn fits; `fitted_baselines` predicts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from emocap.errors import EmocapError
from emocap.evaluation.baseline_selection import select_fit, select_rating_fit
from emocap.evaluation.extra_pairs import ExtraPairs, Inputs, fit_each_output, standardised
from emocap.evaluation.fitted_baselines import Embed, FittedBaseline, Frequencies, Model, Neighbours
from emocap.evaluation.image_vectors import ImageVectors, described_rows
from emocap.evaluation.linear_fits import image_logistic_fits, logistic_fits, mean_ratings, ridge_fits, smoothed
from emocap.evaluation.tfidf import Tfidf

NEIGHBOURS = (160, 80, 40, 20, 10, 5)

PredictFunction = Callable[[Sequence[str]], np.ndarray]


def prior(training_targets: np.ndarray, n_pairs: int) -> np.ndarray:
    """(n_pairs, E) float64: the training pairs' label frequencies, the same for every pair.

    >>> prior(np.array([[1, 0], [1, 1]]), 2).tolist()
    [[1.0, 0.5], [1.0, 0.5]]
    """
    return np.tile(np.asarray(training_targets, dtype=np.float64).mean(axis=0), (n_pairs, 1))


@dataclass(frozen=True)
class _Recipe:
    """What a baseline reads of a pair, and how it is fitted to the training pairs' inputs.

    Attributes:
        caption: what it makes of a caption; "vectors or tfidf" depends on whether there are sentence vectors.
        image: whether it reads the mean of the image's region features.
        fit: (inputs, truth (N, E), seed) to the fits to select from, the most regularised first.
        fit_ratings: the same for (inputs, ratings (N, R) with NaN).
        each_output: whether each output has its own fit, with or without extra pairs.
    """

    caption: Literal["nothing", "tfidf", "vectors", "vectors or tfidf"]
    image: bool
    fit: Callable[[Any, np.ndarray, int], list[Model]]
    fit_ratings: Callable[[Any, np.ndarray], list[Model]]
    each_output: bool = False


def fit_baseline(
    name: str,
    captions: Sequence[str],
    targets: np.ndarray,
    validation_captions: Sequence[str],
    validation_targets: np.ndarray,
    *,
    embed: Embed | None = None,
    features: Sequence[np.ndarray | None] | None = None,
    validation_features: Sequence[np.ndarray | None] | None = None,
    ratings: np.ndarray | None = None,
    validation_ratings: np.ndarray | None = None,
    extra: ExtraPairs | None = None,
    seed: int = 0,
) -> FittedBaseline:
    """Fit a baseline on training pairs, its setting selected on validation pairs.

    An emotion that none or all of the training pairs have gets the same probability for every pair,
    (positives + 1) / (pairs + 2). The setting is the one of lowest cross-entropy on the validation pairs among those
    within 0.01 of the best mean average precision: with so few pairs smaller differences in it are noise, and the
    cross-entropy also measures calibration. If no validation pair has an emotion, the most regularised setting is used.
    Ratings have their own setting by the same rule, with Pearson's r and the squared error. "image_probe" is fitted to
    the pairs whose image has features; for any other it predicts the label frequencies and mean ratings. So is
    "image_probe_labelled", which selects by the same rule for each emotion and rating by itself, also whether the extra
    pairs are used.

    Args:
        name: one of `BASELINES`.
        captions: N training captions.
        targets: (N, E); above 0 is positive. E may be 0 where there are ratings.
        validation_captions: V captions.
        validation_targets: (V, E); above 0 is positive.
        embed: n captions to their vectors (n, H); required for "vectors" and "vectors_image"; "neighbours" uses TF-IDF
            without it.
        features: per training pair the (R, D) region features of its image, or None; required by every baseline that
            reads images.
        validation_features: the same of the validation pairs.
        ratings: (N, number of ratings) within 0 to 1, NaN where a pair has none; None where there are no ratings.
        validation_ratings: the same of the validation pairs.
        extra: pairs of another corpus for "image_probe_labelled", whose ratings are given the mean and standard
            deviation of the training pairs'; None leaves them out.
        seed: of the classifiers.

    Returns:
        The arrays that predict, a function from n captions and features to (n, E) float64 probabilities, followed by
        the predicted ratings where there are some.

    Raises:
        EmocapError: unknown name, no pairs, sizes that do not match, no `embed` although it is required, or no image
            with features although they are.
    """
    if name not in BASELINES:
        raise EmocapError(f"baseline is {name!r}, expected one of {', '.join(BASELINES)}")
    if BASELINES[name].caption == "vectors" and embed is None:
        raise EmocapError(f"baseline {name}: needs sentence vectors; give embed, such as sentence_vectors('offline')")
    training = _Pairs.of(captions, targets, features, ratings)
    validation = _Pairs.of(validation_captions, validation_targets, validation_features, validation_ratings)
    if not len(captions) or not training.matches() or not validation.matches(training):
        raise EmocapError(
            f"baseline {name}: {len(captions)} and {len(validation_captions)} captions do not match targets "
            f"{training.truth.shape} and {validation.truth.shape}, expected (N, E) and (V, E) with N above 0, or the "
            "features or ratings, which have one row per caption too"
        )
    n_labels, n_ratings = training.truth.shape[1], training.ratings.shape[1]
    if extra is not None and not extra.matches(n_labels, n_ratings):
        raise EmocapError(
            f"baseline {name}: {len(extra.features)} extra pairs do not match their truth {extra.truth.shape} and "
            f"ratings {extra.ratings.shape}, expected {n_labels} emotions and {n_ratings} ratings per pair"
        )
    if BASELINES[name].each_output:
        return _fit_each_output(name, training, validation, extra, seed)
    return _fit(name, training, validation, embed, seed)


def fit_each(
    name: str, captions: Sequence[str], targets: np.ndarray, *, embed: Embed | None = None, seed: int = 0
) -> list[FittedBaseline]:
    """A baseline of captions fitted with each of its settings, the most regularised first.

    Args:
        name: one of `BASELINES` that reads no image.
        captions: N training captions, at least one.
        targets: (N, E); above 0 is positive.
        embed, seed: as for `fit_baseline`.
    """
    recipe, truth = BASELINES[name], np.asarray(targets) > 0
    fitted = FittedBaseline(name, _reader(recipe, captions, embed), Frequencies(np.empty(0)))
    models = recipe.fit(fitted.inputs(captions, [None] * len(captions)), truth, seed)
    return [replace(fitted, model=model) for model in models]


def _fit(name: str, training: "_Pairs", validation: "_Pairs", embed: Embed | None, seed: int) -> FittedBaseline:
    recipe = BASELINES[name]
    if recipe.image and recipe.caption == "nothing":
        fitted = _image_baseline(name, training)
        training, validation = training.with_image(), validation.with_image()
    else:
        images = ImageVectors.fit(training.features) if recipe.image else None
        reader = _reader(recipe, training.captions, embed)
        fitted = FittedBaseline(name, reader, Frequencies(np.empty(0)), images=images)
    inputs = fitted.inputs(training.captions, training.features)
    models = recipe.fit(inputs, training.truth, seed)
    rating_models = recipe.fit_ratings(inputs, training.ratings) if training.ratings.shape[1] else []
    is_selected = len(validation.captions) > 0 and max(len(models), len(rating_models)) > 1
    held_out = fitted.inputs(validation.captions, validation.features) if is_selected else None
    return replace(
        fitted,
        model=select_fit(models, held_out, validation.truth),
        rating_model=select_rating_fit(rating_models, held_out, validation.ratings) if rating_models else None,
    )


def _image_baseline(name: str, training: "_Pairs") -> FittedBaseline:
    """A baseline of images alone, of which the models are still to be fitted."""
    constant = np.concatenate([smoothed(training.truth), mean_ratings(training.ratings)])
    images = ImageVectors.fit(training.features)
    return FittedBaseline(name, None, Frequencies(np.empty(0)), images=images, without_image=constant)


def _fit_each_output(
    name: str, training: "_Pairs", validation: "_Pairs", extra: ExtraPairs | None, seed: int
) -> FittedBaseline:
    recipe, fitted = BASELINES[name], _image_baseline(name, training)
    training, validation = training.with_image(), validation.with_image()
    truth, ratings = training.truth.astype(np.float64), training.ratings
    others = ExtraPairs([], truth[:0], ratings[:0]) if extra is None else extra.with_image()
    images = fitted.images
    assert images is not None, "it reads images"
    vectors = [images(pairs.features) for pairs in (training, others, validation)]

    def fit(inputs: Any, values: np.ndarray) -> list[Model]:
        return recipe.fit(inputs, values > 0, seed)

    def select(candidates: Sequence[Model], held_out: Any, values: np.ndarray) -> Model:
        return select_fit(candidates, held_out, values > 0)

    emotions = map(Inputs, vectors, (truth, others.truth, validation.truth.astype(np.float64)))
    rated = map(Inputs, vectors, (ratings, standardised(others.ratings, ratings), validation.ratings))
    return replace(
        fitted,
        model=fit_each_output(fit, select, *emotions),
        rating_model=fit_each_output(recipe.fit_ratings, select_rating_fit, *rated) if ratings.shape[1] else None,
    )


@dataclass(frozen=True)
class _Pairs:
    """N pairs: captions, features, (N, E) bool truth, and (N, R) float64 ratings, where R may be 0."""

    captions: Sequence[str]
    truth: np.ndarray
    features: Sequence[np.ndarray | None]
    ratings: np.ndarray

    @classmethod
    def of(
        cls,
        captions: Sequence[str],
        targets: np.ndarray,
        features: Sequence[np.ndarray | None] | None,
        ratings: np.ndarray | None,
    ) -> "_Pairs":
        known = np.empty((len(captions), 0)) if ratings is None else np.asarray(ratings, dtype=np.float64)
        return cls(captions, np.asarray(targets) > 0, [None] * len(captions) if features is None else features, known)

    def matches(self, other: "_Pairs | None" = None) -> bool:
        """Whether everything has one row per caption, and as many columns as in the other pairs."""
        n, same = len(self.captions), other or self
        truth, ratings = (n, *same.truth.shape[1:]), (n, *same.ratings.shape[1:])
        is_table = self.truth.ndim == self.ratings.ndim == 2
        return is_table and (self.truth.shape, self.ratings.shape, len(self.features)) == (truth, ratings, n)

    def with_image(self) -> "_Pairs":
        """The pairs whose image has features."""
        rows = described_rows(self.features)
        captions, features = [self.captions[row] for row in rows], [self.features[row] for row in rows]
        return _Pairs(captions, self.truth[rows], features, self.ratings[rows])


def _reader(recipe: _Recipe, captions: Sequence[str], embed: Embed | None) -> Embed | Tfidf | None:
    """The function from captions to the baseline's inputs; None where it reads none."""
    if recipe.caption == "nothing":
        return None
    return _tfidf(captions) if recipe.caption == "tfidf" or embed is None else embed


def _tfidf(captions: Sequence[str]) -> Tfidf:
    try:
        return Tfidf.fit(captions)
    except ValueError:
        raise EmocapError(
            "baseline: no training caption contains a word, so that TF-IDF cannot be fitted; "
            "leave tfidf out of baselines.names"
        ) from None


def _fit_prior(inputs: Any, truth: np.ndarray, seed: int) -> list[Model]:
    return [Frequencies(truth.mean(axis=0, dtype=np.float64))]


def _fit_mean_ratings(inputs: Any, ratings: np.ndarray) -> list[Model]:
    return [Frequencies(mean_ratings(ratings))]


def _fit_neighbours(inputs: Any, truth: np.ndarray, seed: int) -> list[Model]:
    frequencies, settings = smoothed(truth), dict.fromkeys(min(k, len(truth)) for k in NEIGHBOURS)
    return [Neighbours(inputs, truth, frequencies, k) for k in settings]


def _fit_rated_neighbours(inputs: Any, ratings: np.ndarray) -> list[Model]:
    known = ~np.isnan(ratings)
    means, settings = mean_ratings(ratings), dict.fromkeys(min(k, len(ratings)) for k in NEIGHBOURS)
    return [Neighbours(inputs, np.where(known, ratings, 0.0), means, k, known) for k in settings]


BASELINES: dict[str, _Recipe] = {
    "prior": _Recipe("nothing", False, _fit_prior, _fit_mean_ratings),
    "tfidf": _Recipe("tfidf", False, logistic_fits, ridge_fits),
    "vectors": _Recipe("vectors", False, logistic_fits, ridge_fits),
    "neighbours": _Recipe("vectors or tfidf", False, _fit_neighbours, _fit_rated_neighbours),
    "image_probe": _Recipe("nothing", True, image_logistic_fits, ridge_fits),
    "image_probe_labelled": _Recipe("nothing", True, image_logistic_fits, ridge_fits, each_output=True),
    "vectors_image": _Recipe("vectors", True, image_logistic_fits, ridge_fits),
}
