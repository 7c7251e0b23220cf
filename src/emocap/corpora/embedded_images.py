"""Images whose bytes are in the cells of a table, as Hugging Face `datasets` stores them, written to a folder once."""

import base64
import hashlib
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emocap.corpora.image_names import IMAGE_EXTENSIONS
from emocap.errors import EmocapError
from emocap.files import atomic_file, cache_folder


class EmbeddedImages:
    """Writes the images of cells into one folder, each named by the SHA-256 of its bytes.

    Args:
        folder: where to write; None for `embedded-images` in `$EMOCAP_CACHE`, by default `~/.cache/emocap`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "embedded-images"

    def store(self, cell: Any) -> str:
        """The name, below the folder, of a cell's image; "" for a cell without one. The file is written if absent.

        Raises:
            EmocapError: the cell has a path but no bytes, or the file cannot be written.
        """
        if isinstance(cell, bytes):
            cell = {"bytes": cell, "path": None}
        if cell.get("bytes") is None:
            if cell.get("path"):
                raise EmocapError(f"image {cell['path']!r} is named in the cell but not contained in it")
            return ""
        if isinstance(cell["bytes"], str):
            try:
                cell = cell | {"bytes": base64.b64decode(cell["bytes"], validate=True)}
            except ValueError:
                raise EmocapError("image bytes are text that is not base64, expected the bytes of a file") from None
        extension = PurePosixPath(str(cell.get("path") or "")).suffix.lower()
        name = hashlib.sha256(cell["bytes"]).hexdigest() + (extension if extension in IMAGE_EXTENSIONS else "")
        path = self.folder / name
        if not path.is_file() or path.stat().st_size != len(cell["bytes"]):
            with atomic_file(path) as temporary:
                temporary.write_bytes(cell["bytes"])
        return name


def is_embedded(cell: Any) -> bool:
    """Whether a cell is the bytes of an image, or an object with the bytes and the path of one."""
    return isinstance(cell, bytes) or (isinstance(cell, dict) and cell.keys() <= {"bytes", "path"} and bool(cell))


def contains_images(path: Path, column: str = "image") -> bool:
    """Whether a file is a Parquet table whose cells in a column are images, not names of images."""
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return False
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return False  # the reader says what is wrong with it
    if column not in schema.names:
        return False
    kind = schema.field(column).type
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return is_bytes or (pa.types.is_struct(kind) and {field.name for field in kind} == {"bytes", "path"})
