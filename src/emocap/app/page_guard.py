"""Checks requests to the page's Gradio routes: only routes, functions and uploaded files that the page itself uses.

Gradio copies any local path or URL in a request into the folder that it serves, so requests are checked before.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

# Gradio's routes that the page uses.
ALLOWED = (
    "/gradio_api/info", "/gradio_api/app_id", "/gradio_api/startup-events", "/gradio_api/file=", "/gradio_api/upload",
    "/gradio_api/upload_progress", "/gradio_api/queue/join", "/gradio_api/queue/data", "/gradio_api/heartbeat/",
    "/gradio_api/cancel", "/gradio_api/reset",
)  # fmt: skip
DENIED = ("/monitoring", "/profiling", "/custom_component/", "/runs", "/run-history", "/mcp", "/dev/", "/vibe")
JOIN, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"
MAX_FILES, MAX_PARTS, MAX_EVENT_BYTES = 500, 4, 2**20
NOT_AN_EVENT = "not a request of this page; use /v1/..."


def build_page_guard(
    folder: Path, image_inputs: Sequence[Sequence[bool]], max_bytes: int
) -> Callable[[str, bytes], None]:
    """A function of path and body that raises HTTPException for requests that the page does not make.

    Args:
        folder: of the uploaded images.
        image_inputs: for each function of the page, which of its inputs are images.
        max_bytes: total size of the uploaded images.
    """

    def check(path: str, body: bytes) -> None:
        if path.startswith(DENIED) or (path.startswith("/gradio_api/") and not path.startswith(ALLOWED)):
            raise HTTPException(404, "Not Found")
        if path.rstrip("/") == UPLOAD:
            _check_upload(body, folder, max_bytes)
        if path.rstrip("/") == JOIN:
            _check_event(body, folder, image_inputs)

    return check


def _check_upload(body: bytes, folder: Path, max_bytes: int) -> None:
    if body.count(b"Content-Disposition") > MAX_PARTS:
        raise HTTPException(400, f"more than {MAX_PARTS} files at once; send one image")
    n_files, size = _stored(folder)
    if n_files >= MAX_FILES or size + len(body) > max_bytes:
        raise HTTPException(429, "too many images are stored; try again in some minutes", {"retry-after": "60"})


def _check_event(body: bytes, folder: Path, image_inputs: Sequence[Sequence[bool]]) -> None:
    """Check a call of one of the page's functions."""
    if len(body) > MAX_EVENT_BYTES:
        raise HTTPException(413, f"more than {MAX_EVENT_BYTES:,} bytes; write fewer or shorter captions")
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "not JSON; use the page, or /v1/...") from None
    number = event.get("fn_index") if isinstance(event, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(image_inputs):
        raise HTTPException(422, NOT_AN_EVENT)
    data = event.get("data")
    if not isinstance(data, list) or len(data) != len(image_inputs[number]):
        raise HTTPException(422, NOT_AN_EVENT)
    for path in _file_paths(data):
        if not isinstance(path, str) or not _is_below(path, folder):
            raise HTTPException(422, "not a file that was uploaded to this page; upload it first")
    for value, is_image in zip(data, image_inputs[number], strict=True):
        if is_image and value is not None and not (isinstance(value, dict) and isinstance(value.get("path"), str)):
            raise HTTPException(422, "not an image that was uploaded to this page; upload it first")


def _file_paths(value: Any) -> Iterator[Any]:
    """Everything that Gradio may take for the path of a file, at any depth."""
    remaining = [value]
    while remaining:
        item = remaining.pop()
        if isinstance(item, dict):
            yield from (item[key] for key in ("path", "video", "image") if key in item)
            remaining += item.values()
        elif isinstance(item, list):
            remaining += item


def _is_below(path: str, folder: Path) -> bool:
    try:
        return Path(path).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):
        return False


def _stored(folder: Path) -> tuple[int, int]:
    """Number and total size of the files below a folder."""
    sizes = []
    for file in folder.rglob("*"):
        with suppress(OSError):  # Gradio may delete it meanwhile
            sizes.append(file.stat().st_size)
    return len(sizes), sum(sizes)
