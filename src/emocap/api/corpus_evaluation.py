"""A saved model evaluated on a labelled or rated corpus of the user, beside its training pairs' label frequencies.

Paths, options, the corpus and its labels are checked before torch is imported.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from emocap.api.label_maps import CommonLabels, renamed, require_emotions, restricted
from emocap.api.model_folders import ModelSummary, model_summary
from emocap.api.tables import read_pairs
from emocap.corpora.options import ROLES, ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.read import guess_format
from emocap.errors import EmocapError
from emocap.progress import logger
from emocap.ratings import Ratings

MAX_LABELS = 10


@dataclass(frozen=True)
class CorpusEvaluation:
    """A model's scores on a corpus.

    Attributes:
        model: its name in its study.
        folder: its model folder.
        scores: `prior`, where the model knows its training pairs' label frequencies, and the model; each metric to its
            value.
        intervals: the same, each metric to its 95% interval over images, or None.
        differences: metric to the model minus `prior`: `difference`, `low`, `high` and `deciding_images`.
        sample: size of the corpus, and whether it is enough for a verdict (`emocap.evaluation.verdicts.sample_size`).
        n_pairs: number of pairs.
        n_images: number of distinct images that they name; 0 for captions alone.
        version: of emocap.
        model_hash: SHA-256 of the model folder.
        labels: the emotions that were scored.
        ratings: scores of the ratings, as `ratings` of `results.json`; None where the model or the data have none.
        left_out: the labels that only the model, or only the corpus has, where those in common are scored.
        study: what the model scored in its study (`evaluation.json`); None if unknown.
    """

    model: str
    folder: Path
    scores: dict[str, dict[str, Any]]
    intervals: dict[str, dict[str, list[float] | None]]
    differences: dict[str, dict[str, Any] | None]
    sample: dict[str, Any]
    n_pairs: int
    n_images: int
    version: str
    model_hash: str
    labels: list[str]
    ratings: dict[str, Any] | None = None
    left_out: CommonLabels | None = None
    study: dict[str, Any] | None = field(default=None)


def evaluate_corpus(
    model: Path,
    data: Path,
    *,
    format_: str | None,
    images: Path | None,
    store: Path | None = None,
    allow_other_features: bool = False,
    options: ReadOptions | None = None,
    negatives: Literal["keep", "drop"] = "keep",
    label_map: Mapping[str, str] | None = None,
    labels: Literal["all", "common"] = "all",
) -> CorpusEvaluation:
    """All metrics of a model on labelled pairs, and those of its training pairs' label frequencies (`prior`).

    F1 uses the model's own thresholds, and 0.5 for the prior. The ratings of a model are scored where the data have
    them; a model of ratings alone needs no labels.

    Args:
        options: names of the data's columns, and the notation of its labels.
        negatives: whether pairs with no emotion that the model knows are kept, as pairs that evoke none of them.
        label_map: label of the data to emotion of the model.
        labels: "all" refuses labels that the model does not know; "common" scores only those that both have.

    Raises:
        EmocapError: unlabelled pairs, labels that the model does not know, none that it
            knows, no ratings for a model of ratings alone, or no image of those that are named.
    """
    summary = model_summary(model)
    require_emotions(label_map or {}, summary.labels)
    pairs = _read_targets(data, format_, images, store, options or ReadOptions(), summary)
    is_labelled = any(named is not None for named in pairs.emotions)
    common, scored = None, list(summary.labels) if is_labelled or not summary.ratings else []
    if scored:
        if label_map:
            pairs = renamed(pairs, label_map)
        common = CommonLabels.of(summary.labels, pairs)
        _check_labels(data, pairs, summary.labels, common, labels)
        if labels == "common":
            pairs, scored = restricted(pairs, common.shared), common.shared
        pairs = _with_emotions(data, pairs, common.shared, negatives)
    from emocap.api.corpus_scores import corpus_scores, rating_scores
    from emocap.api.scoring import corpus_outputs, image_features, load_for_corpus
    from emocap.classifiers.evaluation_file import model_hash, read_evaluation

    _warn_of_training_pairs(data, pairs, summary.folder)
    classifier = load_for_corpus(summary.folder)
    with image_features(classifier, pairs, Path(tempfile.gettempdir()), store, allow_other_features) as (features, _):
        outputs = corpus_outputs(classifier, pairs, features)
    compared = corpus_scores(classifier.card, pairs, outputs[:, : len(summary.labels)], scored)
    return CorpusEvaluation(
        model=classifier.card.run,
        folder=classifier.folder,
        n_pairs=len(pairs),
        n_images=len(pairs.distinct_images()),
        version=version("emocap"),
        model_hash=model_hash(classifier.folder),
        labels=scored,
        ratings=rating_scores(classifier.card.run, classifier.ratings, pairs, outputs[:, len(summary.labels) :]),
        left_out=common if labels == "common" and scored else None,
        study=read_evaluation(classifier.folder),
        **compared,
    )


def _read_targets(
    data: Path, format_: str | None, images: Path | None, store: Path | None, options: ReadOptions, model: ModelSummary
) -> Pairs:
    """The pairs with what the model predicts: labels, and ratings where the data have them."""
    options = replace(options, ratings=model.ratings)
    format_ = format_ or guess_format(data, options)
    if not model.labels or not model.ratings:
        return read_pairs(data, format_, images, options, store)
    try:
        return read_pairs(data, format_, images, options, store)
    except EmocapError as error:
        if set(options.columns) - set(ROLES):
            raise  # columns of ratings are named, so that they are meant to be scored
        pairs = read_pairs(data, format_, images, replace(options, ratings=Ratings()), store)
        logger.warning("the ratings are not scored: %s", error)
        return pairs


def _warn_of_training_pairs(data: Path, pairs: Pairs, folder: Path) -> None:
    from emocap.classifiers.training_pairs import count_training_pairs

    known = count_training_pairs(folder, pairs.images, pairs.captions)
    if known:
        text = "%s: %d of %d pairs were in this model's training data; the scores are too high"
        logger.warning(text, data, known, len(pairs))


def _check_labels(data: Path, pairs: Pairs, known: tuple[str, ...], common: CommonLabels, labels: str) -> None:
    """Refuse pairs without labels, and labels that the model does not know, before anything is computed."""
    unlabelled = next((pair for pair, named in zip(pairs.pair_ids, pairs.emotions, strict=True) if named is None), None)
    if unlabelled is not None:
        raise EmocapError(f"{data}: pair {unlabelled}: no emotions; labelled pairs are needed here")
    if labels == "all" and not pairs.open_vocabulary and common.only_data:
        raise EmocapError(
            f"{data}: emotions {_first(common.only_data, repr)} are not in the vocabulary of the model "
            f"({_first(known)}); rename labels with --map LABEL=EMOTION, or score those that both know with "
            "--labels common"
        )
    if not common.shared:
        raise EmocapError(f"{data}: no pair has an emotion that the model knows ({_first(known)})")


def _with_emotions(data: Path, pairs: Pairs, shared: list[str], negatives: str) -> Pairs:
    """The pairs that count; those with no emotion that the model knows are counted, and left out if so asked."""
    known = set(shared)
    positive = [row for row, named in enumerate(pairs.emotions) if known & set(named or ())]
    if len(positive) < len(pairs):
        kept = "counted as evoking none" if negatives == "keep" else "left out"
        count = len(pairs) - len(positive)
        logger.warning("%s: %d of %d pairs have no emotion that the model knows: %s", data, count, len(pairs), kept)
    return pairs.select(positive) if negatives == "drop" else pairs


def _first(names: Any, shown: Any = str) -> str:
    names = list(names)
    return ", ".join(map(shown, names[:MAX_LABELS])) + (" ..." if len(names) > MAX_LABELS else "")
