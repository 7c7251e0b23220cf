"""How many folds a study has where its configuration leaves it open: cross-validation if there are few images.

One split of a small corpus tests a few dozen images, which decide nothing; folds test every image once.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from emocap.corpora.duplicates import repeated_captions
from emocap.corpora.groups import Groups
from emocap.corpora.pairs import Pairs
from emocap.corpora.splits import fold_by_image, rows_of
from emocap.errors import EmocapError
from emocap.files import read_json, write_json
from emocap.study.artifacts import read_value
from emocap.study.config.study import StudyConfig
from emocap.study.targets import rating_fault
from emocap.study.unit import Study, Unit

logger = logging.getLogger("emocap")
FEW_IMAGES = 500
DEFAULT_FOLDS = 5
FILE = "folds.json"


def with_folds(config: StudyConfig, root: Path) -> StudyConfig:
    """The configuration with `folds` decided, from the target that `prepare` wrote.

    Below 500 images a study has 5 folds, or as many as its groups allow, unless it names `folds` or shares of `splits`,
    has a captioner, or its target has a test part of its own that the study uses. A group of images that no split
    divides counts as one image, and so does a caption without an image. What was decided is in `folds.json`.

    Args:
        config: of the study.
        root: its run directory.

    Returns:
        The same configuration where it leaves nothing open.
    """
    if not config.leaves_folds_open:
        (root / FILE).unlink(missing_ok=True)
        return config
    study = Study(config, root)
    pairs = study.whole("target")
    groups = Groups.of(pairs, study.same_content, config.splits.stock_captions)
    n_images, has_own = len(groups.sizes), config.splits.corpus_split and "test" in pairs.splits
    folds = None if n_images >= FEW_IMAGES or has_own else _most_folds(study, pairs, groups)
    write_json(root / FILE, {"folds": folds, "n_images": n_images, "by_default": True})
    if folds is not None:
        logger.info(
            "folds: the target has %d images, fewer than %d, so the study is cross-validated with %d folds and every "
            "image is tested once; `folds: null` draws one split instead",
            n_images,
            FEW_IMAGES,
            folds,
        )
    elif n_images < FEW_IMAGES and not has_own:
        logger.warning("folds: the target has %d images, too few for cross-validation; one split is drawn", n_images)
    return config.model_copy(update={"folds": folds})


def decided(root: Path) -> dict[str, object] | None:
    """What `with_folds` decided in a run, None where the configuration left nothing open."""
    return read_json(root / FILE) if (root / FILE).is_file() else None


def write_fold_splits(units: Sequence[Unit]) -> None:
    """Write a run's own `splits.json` once all its folds are drawn: the test part of each fold as one part.

    Over folds the units' files have training and validation parts; the run's shows how the target is divided.
    """
    folds = [unit for unit in units if unit.fold is not None and unit.seed == units[0].seed]
    files = [unit.run / "splits.json" for unit in folds]
    if not files or not all(file.is_file() for file in files):
        return
    study, pairs, first = folds[0], folds[0].whole("target"), read_json(files[0])
    parts = {f"fold_{unit.fold}": read_value(file, "parts")["test"] for unit, file in zip(folds, files, strict=True)}
    rows = rows_of(pairs, parts, study.same_content)
    sizes = {part: {"images": len(keys), "pairs": len(rows[part])} for part, keys in parts.items()}
    kept = {key: first[key] for key in ("seed", "vocabulary", "left_out", "bound")}
    value = kept | {"parts": parts, "sizes": sizes, "repeated_captions": repeated_captions(pairs, rows)}
    write_json(study.root / "splits.json", value)


def _most_folds(study: Study, pairs: Pairs, groups: Groups) -> int | None:
    """The most folds, at most 5, whose parts can all be drawn and have what is learnt; None where there are none."""
    return next((n for n in range(DEFAULT_FOLDS, 1, -1) if _can_be_drawn(study, pairs, groups, n)), None)


def _can_be_drawn(study: Study, pairs: Pairs, groups: Groups, n_folds: int) -> bool:
    config, positives = study.config, pairs.targets(study.vocabulary).sum(axis=1)
    for fold in range(n_folds):
        try:
            split = fold_by_image(
                pairs,
                study.vocabulary,
                n_folds=n_folds,
                fold=fold,
                validation=config.splits.validation,
                seed=config.seed,
                groups=groups,
            )
        except EmocapError:
            return False
        rows = rows_of(pairs, split.parts, study.same_content)
        if len(study.vocabulary) and not all(positives[numbers].any() for numbers in rows.values()):
            return False
        if rating_fault(pairs, study.ratings, rows) is not None:
            return False
    return True
