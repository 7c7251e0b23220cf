"""What models of a corpus learn: its vocabulary of emotions, its ratings, or both."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emocap.corpora.pairs import Pairs
from emocap.emotions import Vocabulary, build_vocabulary
from emocap.errors import EmocapError
from emocap.ratings import Ratings

if TYPE_CHECKING:
    from emocap.study.config.study import StudyConfig

logger = logging.getLogger("emocap")


def targets_of(pairs: Pairs, ratings: Ratings, path: Path | str, min_count: int) -> tuple[Pairs, Vocabulary, Ratings]:
    """The pairs of a corpus from which something can be learned, their vocabulary, and their ratings.

    A corpus without emotions has an empty vocabulary if it has ratings, and its pairs without a rating are left out.

    Args:
        pairs: of the corpus.
        ratings: that are asked for.
        path: of the corpus, for messages.
        min_count: least number of pairs that name an emotion of the vocabulary.

    Raises:
        EmocapError: neither emotions nor ratings, a rating that no pair has, or one with the name of an emotion.
    """
    values = pairs.rating_values(ratings.names)
    for name, column in zip(ratings.names, values.T, strict=True):
        if np.isnan(column).all():
            raise EmocapError(f"{path}: no pair has the rating {name!r}; correct its name, or leave it out")
    if ratings and not any(pairs.emotions):
        rated = np.flatnonzero(~np.isnan(values).all(axis=1))
        if len(rated) < len(pairs):
            logger.warning("%s: %d pairs have no rating and are left out", path, len(pairs) - len(rated))
        return replace(pairs, table=pairs.select(rated).table), Vocabulary(()), ratings
    if not pairs.is_labelled:
        hint = "" if ratings else ", or give the ranges of its ratings, such as ratings: {valence: [1, 7]}"
        raise EmocapError(f"{path}: has no emotions; the target must be labelled{hint}")
    vocabulary = build_vocabulary(pairs.emotions, min_count)
    for name in ratings.names:
        if name in vocabulary.labels:
            raise EmocapError(f"{path}: {name!r} is both an emotion and a rating; rename one, as columns allows")
    return pairs, vocabulary, ratings


def rating_fault(pairs: Pairs, ratings: Ratings, rows: Mapping[str, np.ndarray]) -> str | None:
    """Why a rating cannot be learned or measured in a part of a split, None where all can.

    Args:
        pairs: N pairs.
        ratings: of the target.
        rows: part to its row numbers.
    """
    values = pairs.rating_values(ratings.names)
    for part, numbers in rows.items():
        for name, column in zip(ratings.names, values[numbers].T, strict=True):
            known = column[~np.isnan(column)]
            if len(known) < 2 or np.ptp(known) == 0:
                pair = "pair" if len(known) == 1 else "pairs"
                n = f"{len(known)} {pair} with the rating {name!r}" if len(known) < 2 else f"one value of {name!r}"
                return (
                    f"splits: the {part} part has {n} alone, so nothing can be learned or measured there; use more "
                    f"data, a larger share for {part}, or leave the rating out"
                )
    return None


def require_emotions(config: "StudyConfig", vocabulary: Vocabulary) -> None:
    """Check that a study of ratings alone asks for nothing that needs emotions.

    Raises:
        EmocapError: it has a source, whose pseudo-labels are emotions, or a captioner.
    """
    if len(vocabulary):
        return
    for name, needed in (("captioner", config.captioner), ("source", config.source)):
        if needed is not None:
            why = "captions are written for emotions" if name == "captioner" else "pseudo-labels are emotions"
            raise EmocapError(f"{name}: {why}, but the target has ratings alone; leave the {name} out")
