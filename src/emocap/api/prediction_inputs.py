"""What `EmotionPredictor(...)` takes besides one pair: lists of captions or pairs, and data frames."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emocap.api.caption_checks import check_caption
from emocap.api.images import ImageInput
from emocap.api.prediction_files import rating_column
from emocap.corpora.interop.columns import library, plain
from emocap.corpora.options import ReadOptions, column_of
from emocap.errors import EmocapError
from emocap.progress import logger
from emocap.ratings import Ratings

if TYPE_CHECKING:
    from emocap.api.predictor import EmotionPredictor

BATCH = 256  # rows whose image features are in memory at once
FRAMES = ("pandas", "polars")


def predict_inputs(
    predictor: "EmotionPredictor",
    pairs: Any,
    captions: str | Sequence[str] | None,
    columns: Mapping[str, str] | None,
    images: str | Path | None,
) -> Any:
    """As `EmotionPredictor.__call__`."""
    kind = _kind_of_frame(pairs)
    if kind is not None and captions is None:
        return _predict_frame(predictor, kind, pairs, ReadOptions(columns=columns or {}), images)
    if columns is not None or images is not None:
        raise EmocapError(f"columns and images are of a data frame, found {type(pairs).__name__}; leave them out")
    if captions is not None:
        if isinstance(captions, str):
            return predictor.predict(pairs, captions)
        return _predict_captions(predictor, pairs, list(captions))
    if isinstance(pairs, str):
        return predictor.predict(None, pairs)
    if isinstance(pairs, Path):
        return predictor.predict(pairs)
    if not isinstance(pairs, list | tuple):
        raise EmocapError(
            f"expected an image with captions, a list of captions or of (image, caption), or a data frame, found "
            f"{type(pairs).__name__}"
        )
    return predictor.predict_many([_pair(one, number) for number, one in enumerate(pairs, 1)])


def _pair(one: Any, number: int) -> tuple[ImageInput, str]:
    if isinstance(one, str):
        return None, one
    if isinstance(one, tuple | list) and len(one) == 2 and isinstance(one[1], str):
        return one[0], one[1]
    raise EmocapError(f"item {number} is {type(one).__name__}, expected a caption or (image, caption)")


def _predict_captions(predictor: "EmotionPredictor", image: ImageInput, captions: list[str]) -> list[Any]:
    """The predictions for captions of one image, whose regions are found once."""
    if not captions:
        return []
    (regions,) = predictor.regions([image])
    return predictor.predict_many([(regions, caption) for caption in captions])


def _kind_of_frame(value: Any) -> str | None:
    """The library of a data frame, which is not imported for it; None of anything else."""
    library_name = type(value).__module__.partition(".")[0]
    return library_name if library_name in FRAMES and type(value).__name__ in ("DataFrame", "LazyFrame") else None


def _predict_frame(
    predictor: "EmotionPredictor", kind: str, frame: Any, options: ReadOptions, images: str | Path | None
) -> Any:
    frame = frame.collect() if hasattr(frame, "collect") else frame
    names = {role: _column(frame, role, options) for role in ("caption", "image")}
    if not any(names.values()):
        raise EmocapError(
            f"the data frame has no column caption or image; found {', '.join(map(str, frame.columns))}; give "
            "columns={'caption': NAME}"
        )
    if images is not None and not Path(images).is_dir():
        raise EmocapError(f"{images}: no such folder of images")
    cells = {role: _cells(frame, name) for role, name in names.items()}
    values = _outputs_of_rows(predictor, cells["image"], cells["caption"], None if images is None else Path(images))
    labels = [*predictor.labels, *map(rating_column, predictor.ratings)]
    columns = {label: values[:, place] for place, label in enumerate(labels)}
    if kind == "pandas":
        return library("pandas").DataFrame(columns, index=frame.index)
    return library("polars").DataFrame(columns).fill_nan(None)


def _column(frame: Any, role: str, options: ReadOptions) -> str | None:
    names = list(map(str, frame.columns))
    try:
        name = column_of(role, names, options)
    except EmocapError as error:
        raise EmocapError(f"the data frame {error}") from None
    if name is not None and names.count(name) > 1:
        raise EmocapError(f"the data frame has {names.count(name)} columns {name!r}; rename all but one")
    return name


def _cells(frame: Any, name: str | None) -> list[Any]:
    return [None] * len(frame) if name is None else [plain(value) for value in list(frame[name])]


def _outputs_of_rows(
    predictor: "EmotionPredictor", images: list[Any], captions: list[Any], root: Path | None
) -> np.ndarray:
    """(N, E + R) probabilities and ratings in their own units; NaN in rows that cannot be used, which are counted."""
    n_labels, ratings = len(predictor.labels), Ratings.of({key: list(ends) for key, ends in predictor.ratings.items()})
    values = np.full((len(captions), len(predictor)), np.nan)
    faults: dict[int, str] = {}
    for start in range(0, len(captions), BATCH):
        rows, features = [], []
        for row in range(start, min(start + BATCH, len(captions))):
            try:
                features.append(_features(predictor, images[row], captions[row], root))
                rows.append(row)
            except EmocapError as error:
                faults[row] = str(error)
        if rows:
            outputs = predictor.pair_outputs(features, [captions[row] or "" for row in rows])
            values[rows] = np.hstack([outputs[:, :n_labels], ratings.in_units(outputs[:, n_labels:])])
    if faults:
        row, reason = next(iter(faults.items()))
        if len(faults) == len(captions):
            raise EmocapError(f"no row of the data frame can be used; the first: {reason}")
        logger.warning("%d of %d rows cannot be used; the first is row %d: %s", len(faults), len(captions), row, reason)
    return values


def _features(predictor: "EmotionPredictor", image: Any, caption: Any, root: Path | None) -> np.ndarray | None:
    image = None if isinstance(image, str) and not image else image
    check_caption("" if caption is None else caption, may_be_empty=image is not None)
    if isinstance(image, str) and root is not None:
        image = root / image
    (features,) = predictor.features([image])
    return features
