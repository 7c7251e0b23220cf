"""A model's scores on labelled pairs with their intervals, beside the label frequencies of its training pairs."""

from typing import Any

import numpy as np

from emocap.corpora.pairs import Pairs
from emocap.emotions import Vocabulary
from emocap.evaluation.baselines import prior
from emocap.evaluation.metrics import evaluate
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.rating_ceiling import noise_ceiling
from emocap.evaluation.rating_comparison import compare_ratings
from emocap.evaluation.significance import compare_models
from emocap.ratings import Ratings
from emocap.training.checkpoint import ModelCard

PRIOR = "prior"


def corpus_scores(card: ModelCard, pairs: Pairs, probabilities: np.ndarray, labels: list[str]) -> dict[str, Any]:
    """Scores, intervals, differences and sample of a model and of its prior, as `CorpusEvaluation` has them.

    Args:
        card: of the model.
        pairs: N labelled pairs.
        probabilities: (N, E) of the model's emotions.
        labels: those of the model's emotions that are scored; without any all are empty.
    """
    if not labels:
        return {"scores": {}, "intervals": {}, "differences": {}, "sample": {}}
    columns = [card.labels.index(label) for label in labels]
    targets = Vocabulary(tuple(labels)).encode([named or () for named in pairs.emotions])
    tuned = np.full(len(card.labels), card.threshold) if card.thresholds is None else np.array(card.thresholds)
    given = {card.run: (probabilities[:, columns], card.threshold, tuned[columns])}
    if card.frequencies is not None:
        frequencies = prior(np.array([card.frequencies])[:, columns], len(pairs))
        given = {PRIOR: (frequencies, 0.5, np.full(len(labels), 0.5))} | given
    scores = {
        name: evaluate(values, targets, labels, threshold=threshold, thresholds=np.tile(thresholds, (len(pairs), 1)))
        for name, (values, threshold, thresholds) in given.items()
    }
    images = _units(pairs)
    compared = compare_models(
        {name: [_predictions(*each)] for name, each in given.items()},
        targets,
        images,
        labels,
        references=[name for name in given if name == PRIOR],
    )
    return {
        "scores": scores,
        "intervals": compared["intervals"],
        "differences": compared["differences"].get(PRIOR, {}).get(card.run, {}),
        "sample": compared["sample"],
    }


def rating_scores(name: str, ratings: Ratings, pairs: Pairs, values: np.ndarray) -> dict[str, Any] | None:
    """A model's scores on the ratings of pairs with their intervals and the human ceiling, as in `results.json`.

    Args:
        name: of the model.
        ratings: R ratings.
        pairs: N pairs.
        values: (N, R) predicted ratings from 0 to 1.

    Returns:
        None where the model has no ratings or no pair has one.
    """
    true = pairs.rating_values(ratings.names)
    known = [place for place in range(len(ratings)) if not np.isnan(true[:, place]).all()]
    if not known:
        return None
    scored = Ratings(ratings[place] for place in known)
    n_pairs = len(pairs)
    nothing = np.empty((n_pairs, 0), dtype=np.float32)
    predictions = ModelPredictions(
        np.arange(n_pairs), nothing, nothing, np.full(n_pairs, 0.5), nothing, values[:, known]
    )
    compared = compare_ratings({name: [predictions]}, true[:, known], _units(pairs), scored, references=[])
    columns = (pairs.rating_values(scored.names, key).T for key in ("value", "sd", "n"))
    ceiling = {
        rating.name: noise_ceiling(means, sds, numbers, rating.span)
        for rating, means, sds, numbers in zip(scored, *columns, strict=True)
    }
    return compared | {"ceiling": ceiling}


def _units(pairs: Pairs) -> list[str]:
    """What the bootstrap draws: images; a pair without an image is a unit of its own."""
    return [image or f"\0{number}" for number, image in enumerate(pairs.images)]


def _predictions(probabilities: np.ndarray, threshold: float, thresholds: np.ndarray) -> ModelPredictions:
    n_pairs = len(probabilities)
    return ModelPredictions(
        np.arange(n_pairs),
        probabilities,
        probabilities,
        np.full(n_pairs, threshold),
        np.tile(thresholds, (n_pairs, 1)),
    )
