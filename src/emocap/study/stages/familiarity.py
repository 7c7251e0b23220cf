"""The stage that describes each model's training data, so that unlike images and captions are recognised later.

Its statistics are those of the target's training pairs: an image that only the source resembles is unlike them too.
"""

import io
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path

import numpy as np

from emocap.classifiers.familiarity import (
    MIN_EXAMPLES,
    Familiarity,
    fit_captions,
    fit_images,
    signature,
    write_familiarity,
)
from emocap.classifiers.training_pairs import pair_hashes, write_training_pairs
from emocap.demo.corpora import JPEG_QUALITY
from emocap.demo.drawing import draw_scene
from emocap.demo.scene import sample_scene
from emocap.errors import EmocapError
from emocap.files import write_json
from emocap.regions.describe import describe_source
from emocap.regions.extractors.registry import EXTRACTORS, build_extractor
from emocap.study.training_unit import TrainingUnit
from emocap.training.checkpoint import CARD, read_card

logger = logging.getLogger("emocap")
OUTPUT = "familiarity.json"
N_DRAWN = 48
MODELS_OF_UNIT = ("*/model", "*/*/model", "*/model/*")
MODELS_OF_STUDY = ("models/*/model", "models/*/*/model")


def familiarity(units: Sequence[TrainingUnit]) -> None:
    """Write the statistics and hashes of its training pairs beside the card of every model that learns the target.

    An ensemble over several units gets the statistics of the first one, and the hashes of all.
    """
    study = units[0]
    hashes = [_pair_hashes(unit) for unit in units]
    sizes = [len(_described_images(unit)) for unit in units]
    if 0 < min(sizes) < MIN_EXAMPLES:
        text = "familiarity: %d training images are too few to tell which images are unlike them (at least %d)"
        logger.info(text, min(sizes), MIN_EXAMPLES)
    drawn = lru_cache(1)(partial(drawn_signatures, study))
    written: dict[str, dict[str, float | None]] = {}

    def write(folders: Iterable[Path], statistics: Familiarity, pairs: np.ndarray) -> None:
        for folder in folders:
            if _learns_target(study, folder):
                write_familiarity(folder, statistics)
                write_training_pairs(folder, pairs)
                written[folder.relative_to(study.root).as_posix()] = _limits(statistics)

    for unit, pairs in zip(units, hashes, strict=True):
        statistics = unit_familiarity(unit, drawn)
        write(_found(unit.run, MODELS_OF_UNIT), statistics, pairs)
        if unit is study and len(units) > 1:
            write(_found(study.root, MODELS_OF_STUDY), statistics, np.concatenate(hashes))
    write_json(study.root / OUTPUT, {"models": written})


def _found(root: Path, patterns: Iterable[str]) -> list[Path]:
    return sorted(chain.from_iterable(root.glob(pattern) for pattern in patterns))


def _pair_hashes(study: TrainingUnit) -> np.ndarray:
    """Hashes of the training pairs, and of the validation pairs, which decide settings and the epoch."""
    parts = [study.part(name) for name in ("train", "validation")]
    return np.concatenate([pair_hashes(part.images, part.captions) for part in parts])


def unit_familiarity(study: TrainingUnit, drawn: Callable[[], np.ndarray | None] | None = None) -> Familiarity:
    """The statistics of a unit's training pairs; those of images are None of fewer than `MIN_EXAMPLES`.

    Args:
        drawn: as `drawn_signatures` of the study, which are the same for all units; called only if there are enough
            images. None computes them.
    """
    pairs, store = study.part("train"), study.store("target")
    groups = [study.groups[row] for row in study.rows["train"]]
    captions = fit_captions(pairs.captions, groups)
    known = _described_images(study)
    if store is None or len(known) < MIN_EXAMPLES:
        return Familiarity(None, captions)
    signatures = np.stack([signature(store[image][0]) for image in known])
    return Familiarity(fit_images(signatures, drawn() if drawn else drawn_signatures(study)), captions)


def _described_images(study: TrainingUnit) -> list[str]:
    """The training images that have region features."""
    store = study.store("target")
    return [] if store is None else [image for image in study.part("train").distinct_images() if image in store]


def drawn_signatures(study: TrainingUnit) -> np.ndarray | None:
    """(M, D) mean region features of drawn scenes.

    None if the study's images are drawn themselves, or if the features cannot be computed as those of its images were.
    """
    store = study.store("target")
    if store is None or study.is_synthetic:
        return None
    header = store.header
    if header.extractor not in EXTRACTORS:
        return None
    try:
        extractor = build_extractor(header.extractor, dict(header.settings))
    except EmocapError as error:
        logger.info("familiarity: drawn scenes are not recognised, as the extractor is unavailable (%s)", error)
        return None
    if extractor.weights_hash != header.weights_hash:
        return None
    generator = np.random.default_rng([study.config.seed, 5])
    signatures = []
    for _ in range(N_DRAWN):
        file = io.BytesIO()
        draw_scene(generator, sample_scene(generator).visible).save(file, "JPEG", quality=JPEG_QUALITY)
        signatures.append(signature(describe_source(file.getvalue(), extractor).features))
    return np.stack(signatures)


def _learns_target(study: TrainingUnit, folder: Path) -> bool:
    """Whether a folder holds a model that learns the target's pairs."""
    if not (folder / CARD).is_file():
        return False
    entry = study.models.get(read_card(folder).run)
    return entry is None or "target" in entry.features_from or not entry.features_from


def _limits(statistics: Familiarity) -> dict[str, float | None]:
    images, captions = statistics.images, statistics.captions
    return {
        "image_limit": None if images is None else images.limit,
        "caption_limit": None if captions is None else captions.limit,
    }
