"""VinVL's features.tsv (Zhang et al. 2021): an image per line, its features in base64, ending in its boxes.

Layouts, of microsoft/Oscar: id and JSON of num_boxes and features (`run_captioning.py`), or id, num_boxes and features
(`oscar_tsv.py`). The last six of the 2,054 features of a region are x0 y0 x1 y1, width and height as fractions of the
image; they remain features, which Oscar's models expect. The size of the image is in another file, which is not read.
"""

import json
from pathlib import Path
from typing import Any

from emocap.errors import EmocapError
from emocap.regions.interop.boxes import fractions_to_pixels
from emocap.regions.interop.dtypes import require_dtype
from emocap.regions.interop.records import Record, Records, feature_bytes, require_text, rows_of_numbers
from emocap.regions.interop.tsv import MAX_LINE_BYTES, columns_of, read_lines

_COLUMNS = ("image_id", "num_boxes", "features")
_N_BOX_FEATURES = 6


def read_vinvl(source: Path, dtype: str | None = None) -> Records:
    """The records of a features.tsv; boxes are fractions of the unknown size.

    Args:
        source: the file.
        dtype: of the features, a name in `DTYPES`; None infers it.

    Raises:
        EmocapError: the file cannot be read, is not text, or the dtype of its features cannot be inferred.
    """
    return read_lines(source, _fields, _parse, dtype)


def is_vinvl(source: Path) -> bool:
    """Whether the first line of a file is one of VinVL's."""
    if not source.is_file():
        return False
    with source.open("rb") as file:
        line = file.readline(MAX_LINE_BYTES)
    try:
        feature_bytes(_fields(line))
    except EmocapError:
        return False
    return True


def _fields(line: bytes) -> dict[str, Any]:
    if line.count(b"\t") != 1:
        return columns_of(line, _COLUMNS)
    columns = columns_of(line, ("image_id", "json"))
    try:
        fields = json.loads(columns["json"])
    except (ValueError, RecursionError) as error:
        raise EmocapError(f"its second column is not JSON ({str(error)[:60]}); truncated?") from error
    if not isinstance(fields, dict):
        raise EmocapError("its second column is not a JSON object")
    return {**fields, "image_id": columns["image_id"]}


def _parse(where: str, fields: dict[str, Any], dtype: str) -> Record:
    number, data = feature_bytes(fields)
    features = rows_of_numbers(data, "features", require_dtype(dtype), number, None)
    id_ = require_text(fields["image_id"], "id")
    if features.shape[1] <= _N_BOX_FEATURES:
        return Record(where, id_, features)
    try:
        boxes, size = fractions_to_pixels(features[:, -_N_BOX_FEATURES:], None)
    except EmocapError:  # features without boxes
        return Record(where, id_, features)
    return Record(where, id_, features, boxes, size)
