"""The stage that splits the target by image, and removes from the source what shares content with held-out pairs."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from emocap.corpora.duplicates import repeated_captions, same_content
from emocap.corpora.groups import Groups
from emocap.corpora.overlap import without_held_out
from emocap.corpora.pairs import Pairs
from emocap.corpora.splits import Split, fold_by_image, own_split, rows_of, size_notes, split_by_image
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import write_array, write_json
from emocap.study.targets import rating_fault
from emocap.study.unit import PARTS, Unit

logger = logging.getLogger("emocap")


def splits(study: Unit) -> None:
    """Split a unit's target by image, and write which source pairs may be used.

    Raises:
        EmocapError: too few images for the parts.
    """
    config, pairs, vocabulary = study.config, study.pairs("target"), study.vocabulary
    groups = Groups.of(pairs, study.same_content, config.splits.stock_captions)
    split = _split(study, groups)
    for note in size_notes(split, groups):
        logger.warning(note)
    rows = rows_of(pairs, split.parts, study.same_content, split.left_out)
    if len(vocabulary):
        _require_emotions(pairs, vocabulary, rows)
    if (fault := rating_fault(pairs, study.ratings, rows)) is not None:
        raise EmocapError(fault)
    sizes = {
        part: {"asked_images": split.asked[part], "images": len(keys), "pairs": len(rows[part])}
        for part, keys in split.parts.items()
    }
    logger.info("splits: %s", ", ".join(f"{part} {size['images']} images" for part, size in sizes.items()))
    repeated = repeated_captions(pairs, rows)
    if repeated["count"]:
        logger.info(
            "splits: %d captions occur in more than one part, such as %s", repeated["count"], repeated["examples"]
        )
    held_out_removed = None
    if config.source is not None:
        source = study.whole("source")
        held_out = pairs.select(np.concatenate([rows["validation"], rows["test"]]))
        shared = study.data("shared_content").get("source")
        kept = without_held_out(source, held_out, "source", shared)
        held_out_removed = len(source) - len(kept)
        if held_out_removed:
            logger.info(
                "source: %d pairs share an image or caption with held-out pairs and are left out", held_out_removed
            )
        if config.captioner is not None:
            unknown = without_held_out(source, pairs, "source", shared)
            kept = _hold_out(study, source, kept, np.intersect1d(kept, unknown))
        write_array(study.run / "source_rows.npy", kept)
    value = {
        "seed": config.seed,
        "fold": study.fold,
        "vocabulary": vocabulary.hash,
        "parts": split.parts,
        "left_out": split.left_out,
        "bound": groups.bound(),
        "sizes": sizes,
        "repeated_captions": repeated,
        "held_out_pairs_removed": held_out_removed,
    }
    write_json(study.run / "splits.json", value)


def _require_emotions(pairs: Pairs, vocabulary: Vocabulary, rows: Mapping[str, np.ndarray]) -> None:
    known = set(vocabulary.labels)
    for part, numbers in rows.items():
        if not any(known.intersection(pairs.emotions[row] or ()) for row in numbers):
            raise EmocapError(
                f"splits: none of the {len(numbers)} {part} pairs has an emotion of the vocabulary, so nothing can be "
                f"learned or measured there; use more data, a larger share for {part}, or target.negatives: drop"
            )


def _split(study: Unit, groups: Groups) -> Split:
    """The unit's parts: the fold that is asked for, else the corpus's own split where it has one, else one drawn."""
    config, pairs, vocabulary = study.config, study.pairs("target"), study.vocabulary
    fractions = {part: getattr(config.splits, part) for part in PARTS}
    has_own = "test" in pairs.splits
    if study.fold is not None:
        if has_own:
            logger.info("splits: the corpus's own split is not used, since the study has %s folds", config.folds)
        return fold_by_image(
            pairs,
            vocabulary,
            n_folds=config.folds or 0,
            fold=study.fold,
            validation=config.splits.validation,
            seed=config.seed,
            groups=groups,
        )
    if config.splits.corpus_split:
        own = own_split(pairs, vocabulary, fractions, config.seed, groups)
        if own is not None:
            logger.info("splits: the corpus's own split is used; splits.corpus_split: false draws one instead")
            if own.left_out:
                logger.warning(
                    "splits: %d pairs are left out, since they have no part or share an image, caption or group with a "
                    "stricter part of the corpus's own split",
                    len(own.left_out),
                )
            return own
        if any(pairs.splits):
            logger.info("splits: the corpus's own split has no training or no test part, so one is drawn")
    return split_by_image(pairs, vocabulary, fractions, config.seed, groups)


def _hold_out(study: Unit, source: Pairs, rows: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Draw the images on which the captioner is tuned and judged, write them down, and return the remaining rows.

    Pairs with a copy of one of these images, or with one of their captions, are left out with them.

    Args:
        rows: row numbers of the source's pairs that may be used.
        unknown: those that share nothing with any pair of the target; the images are drawn from these.

    Raises:
        EmocapError: too few images with two captions or more without a style.
    """
    settings = study.config.captioner
    assert settings is not None, "the study has a captioner"
    names = source.images
    styles = source.styles
    captions = Counter(names[row] for row in unknown if styles[row] is None)  # only these are references
    images = sorted(image for image, count in captions.items() if image and count > 1)
    if len(images) < 2 * settings.held_out_images:
        raise EmocapError(
            f"captioner.held_out_images is {settings.held_out_images}, but the source has {len(images)} images with "
            "two captions or more without a style that are not in the target; hold out less than half"
        )
    drawn = np.random.default_rng([study.seed, 5]).permutation(len(images))[: settings.held_out_images]
    n = len(drawn) // 2 if settings.tuning_images is None else settings.tuning_images
    parts = {"choose": sorted(images[i] for i in drawn[:n]), "judge": sorted(images[i] for i in drawn[n:])}
    write_json(study.run / "caption_images.json", parts)
    removed = {*parts["choose"], *parts["judge"]}
    held_out = source.select([row for row in rows if names[row] in removed])
    copies = copies_of(removed, source.distinct_images(), same_content(source))
    return rows[without_held_out(source.select(rows), held_out, "source", copies)]


def copies_of(removed: Collection[str], images: Iterable[str], first: Mapping[str, str]) -> dict[str, list[str]]:
    """The images with the same bytes as a removed one, each with those removed.

    Args:
        removed: image names.
        images: all image names.
        first: copies of images with the first image that has the same bytes, as `same_content` gives them.

    >>> copies_of(["b"], ["a", "b", "c"], {"b": "a"})
    {'a': ['b'], 'b': ['b']}
    """
    by_content: dict[str, list[str]] = {}
    for image in sorted(removed):
        by_content.setdefault(first.get(image, image), []).append(image)
    return {image: by_content[content] for image in images if (content := first.get(image, image)) in by_content}
