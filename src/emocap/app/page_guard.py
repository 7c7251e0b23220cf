"""What the page's library would take and the page never asks for: files of this machine, addresses, foreign functions.

Gradio copies whatever path or address stands in a question into the folder that it serves, so that is looked at before.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from emocap.app.middleware import Refused

# Those of Gradio's routes that the page uses.
OPEN = (
    "/gradio_api/info", "/gradio_api/app_id", "/gradio_api/startup-events", "/gradio_api/file=", "/gradio_api/upload",
    "/gradio_api/upload_progress", "/gradio_api/queue/join", "/gradio_api/queue/data", "/gradio_api/heartbeat/",
    "/gradio_api/cancel", "/gradio_api/reset",
)  # fmt: skip
SHUT = ("/monitoring", "/profiling", "/custom_component/", "/runs", "/run-history", "/mcp", "/dev/", "/vibe")
JOIN, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"


MOST_FILES, MOST_PARTS, MOST_ASKED = 500, 4, 2**20


def page_look(folder: Path, pictures: Sequence[Sequence[bool]], kept: int) -> Callable[[str, bytes], None]:
    """Refuses what a request to the page must not hold.

    Args:
        folder: where uploaded pictures lie.
        pictures: of each function of the page, which of its inputs are pictures.
        kept: bytes that uploaded pictures may take together.
    """

    def look(path: str, body: bytes) -> None:
        if path.startswith(SHUT) or (path.startswith("/gradio_api/") and not path.startswith(OPEN)):
            raise Refused(404, "Not Found")
        if path.rstrip("/") == UPLOAD:
            if body.count(b"Content-Disposition") > MOST_PARTS:
                raise Refused(400, f"more than {MOST_PARTS} files at once; send one picture")
            files, size = _held(folder)
            if files >= MOST_FILES or size + len(body) > kept:
                raise Refused(429, "too many pictures are kept already; try again in some minutes", retry_after=60)
        if path.rstrip("/") == JOIN:
            _look_at_question(body, folder, pictures)

    return look


def _look_at_question(body: bytes, folder: Path, pictures: Sequence[Sequence[bool]]) -> None:
    if len(body) > MOST_ASKED:
        raise Refused(413, f"more than {MOST_ASKED:,} bytes; write fewer or shorter captions")
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "no JSON; use the page, or /v1/...") from None
    number = asked.get("fn_index") if isinstance(asked, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(pictures):
        raise Refused(422, "not a question of this page; use /v1/...")
    data = asked.get("data")
    if not isinstance(data, list) or len(data) != len(pictures[number]):
        raise Refused(422, "not a question of this page; use /v1/...")
    for place in _places(data):
        if not isinstance(place, str) or not _is_below(place, folder):
            raise Refused(422, "a file that was not uploaded to this page; upload it first")
    for one, is_picture in zip(data, pictures[number], strict=True):
        if is_picture and one is not None and not (isinstance(one, dict) and isinstance(one.get("path"), str)):
            raise Refused(422, "not a picture of this page; upload it first")


def _places(value: Any) -> Iterator[Any]:
    """Whatever stands under the name of a file's place, however deep."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            yield from (one[key] for key in ("path", "video", "image") if key in one)
            left += one.values()
        elif isinstance(one, list):
            left += one


def _is_below(place: str, folder: Path) -> bool:
    try:
        return Path(place).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):
        return False


def _held(folder: Path) -> tuple[int, int]:
    """Files below a folder, and their bytes together."""
    sizes = []
    for file in folder.rglob("*"):
        with suppress(OSError):  # one may be swept away meanwhile
            sizes.append(file.stat().st_size)
    return len(sizes), sum(sizes)
