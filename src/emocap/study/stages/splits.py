"""The stage that draws a unit's parts of the target by image, and what they hold out from the source."""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from emocap.corpora.duplicates import repeated_captions, same_content
from emocap.corpora.pairs import Pairs
from emocap.corpora.splits import fold_by_image, rows_of, split_by_image
from emocap.errors import EmocapError
from emocap.files import write_array, write_json
from emocap.study.artifacts import read_value
from emocap.study.unit import Unit

logger = logging.getLogger("emocap")


_COCO_ID = re.compile(r"(?<!\d)\d{12}(?!\d)")


def splits(study: Unit) -> None:
    """Draw a unit's parts of the target by image, and keep what they hold out from the source.

    Raises:
        EmocapError: too few images for the parts.
    """
    config, pairs, vocabulary = study.config, study.pairs("target"), study.vocabulary
    if study.fold is None:
        parts = split_by_image(pairs, vocabulary, config.splits.model_dump(), config.seed, study.same_content)
    else:
        parts = fold_by_image(
            pairs,
            vocabulary,
            n_folds=config.folds or 0,
            fold=study.fold,
            validation=config.splits.validation,
            seed=config.seed,
            same=study.same_content,
        )
    rows = rows_of(pairs, parts, study.same_content)
    repeated = repeated_captions(pairs, rows)
    if repeated["count"]:
        logger.info(
            "splits: %d captions occur in more than one part, such as %s", repeated["count"], repeated["examples"]
        )
    held_out_removed = None
    if config.source is not None:
        source = study.whole("source")
        held_out = pairs.select(np.concatenate([rows["validation"], rows["test"]]))
        shared = read_value(study.root / "data.json", "shared_content").get("source")
        kept = without_held_out(source, held_out, "source", shared)
        held_out_removed = len(source) - len(kept)
        if held_out_removed:
            logger.info("source: %d pairs show a held-out picture or caption and are left out", held_out_removed)
        if config.captioner is not None:
            unknown = without_held_out(source, pairs, "source", shared)
            kept = _hold_out(study, source, kept, np.intersect1d(kept, unknown))
        write_array(study.run / "source_rows.npy", kept)
    value = {"seed": config.seed, "fold": study.fold, "vocabulary": vocabulary.hash, "parts": parts}
    value |= {"repeated_captions": repeated, "held_out_pairs_removed": held_out_removed}
    write_json(study.run / "splits.json", value)


def _hold_out(study: Unit, source: Pairs, rows: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Draw the images that the captioner is chosen and judged on, write them down, and give the rows that are left.

    Left out with them are pairs with a copy of their pictures or with one of their captions.

    Args:
        rows: numbers of the source's pairs that may be used.
        unknown: those of them that show nothing of the target, its training part included; images are drawn of these.

    Raises:
        EmocapError: too few images with two captions or more.
    """
    settings = study.config.captioner
    assert settings is not None, "the study has a captioner"
    captions = Counter(source.images[row] for row in unknown)
    images = sorted(image for image, count in captions.items() if image and count > 1)
    if len(images) < 2 * settings.held_out_images:
        raise EmocapError(
            f"captioner.held_out_images is {settings.held_out_images}, but the source has {len(images)} images with "
            "two captions or more that the target has not; hold out less than half"
        )
    drawn = np.random.default_rng([study.seed, 5]).permutation(len(images))[: settings.held_out_images]
    half = len(drawn) // 2
    parts = {"choose": sorted(images[i] for i in drawn[:half]), "judge": sorted(images[i] for i in drawn[half:])}
    write_json(study.run / "caption_images.json", parts)
    gone = {*parts["choose"], *parts["judge"]}
    held_out = source.select([row for row in rows if source.images[row] in gone])
    first = same_content(source)
    copies = {image: [other for other in gone if first.get(other, other) == first.get(image, image)] for image in first}
    left = source.select(rows)
    return rows[without_held_out(left, held_out, "source", copies)]


def without_held_out(
    source: Pairs, held_out: Pairs, domain: str, shared: Mapping[str, Sequence[str]] | None = None
) -> np.ndarray:
    """Row numbers of the source's pairs that share neither picture nor caption with held-out pairs of the target.

    Pictures are the same where their file names are, or the twelve-digit COCO number in them, or their bytes; captions
    where they differ in case and spaces only.

    Args:
        shared: images of the source to those of the target with the same bytes.
    """
    images = {image for image in held_out.images if image}
    pictures = {key for image in images for key in _picture_keys(image)}
    copies = {image for image, same in (shared or {}).items() if images.intersection(same)}
    captions = {_plain(caption) for caption in held_out.captions}
    rows = [
        row
        for row, (image, caption) in enumerate(zip(source.images, source.captions, strict=True))
        if _plain(caption) not in captions and image not in copies and not pictures.intersection(_picture_keys(image))
    ]
    if not rows:
        raise EmocapError(f"{domain}: every pair shows a held-out picture or caption of the target; use another source")
    return np.array(rows, dtype=np.int64)


def _picture_keys(image: str) -> set[str]:
    name = Path(image).name.lower()
    return {name, *_COCO_ID.findall(name)} if name else set()


def _plain(caption: str) -> str:
    return " ".join(caption.lower().split())
