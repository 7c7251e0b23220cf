"""What the page's library would take and the page never asks for: files of this machine, addresses, foreign functions.

Gradio copies whatever path or address stands in a question into the folder that it serves, so that is looked at before.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from emocap.app.gate import Refused

# Those of Gradio's routes that the page uses.
OPEN = (
    "/gradio_api/info", "/gradio_api/app_id", "/gradio_api/startup-events", "/gradio_api/file=", "/gradio_api/upload",
    "/gradio_api/upload_progress", "/gradio_api/queue/join", "/gradio_api/queue/data", "/gradio_api/heartbeat/",
    "/gradio_api/cancel", "/gradio_api/reset",
)  # fmt: skip
SHUT = ("/monitoring", "/profiling", "/custom_component/", "/runs", "/run-history", "/mcp", "/dev/", "/vibe")
JOIN, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"


def page_look(folder: Path, n_functions: int, kept: int) -> Callable[[str, bytes], None]:
    """Refuses what a request to the page must not hold.

    Args:
        folder: where uploaded pictures lie.
        n_functions: of the page.
        kept: bytes that uploaded pictures may take together.
    """

    def look(path: str, body: bytes) -> None:
        if path.startswith(SHUT) or (path.startswith("/gradio_api/") and not path.startswith(OPEN)):
            raise Refused(404, "Not Found")
        if path.rstrip("/") == UPLOAD and _size(folder) + len(body) > kept:
            raise Refused(429, "too many pictures are kept already; try again in some minutes", retry_after=60)
        if path.rstrip("/") == JOIN:
            _look_at_question(body, folder, n_functions)

    return look


def _look_at_question(body: bytes, folder: Path, n_functions: int) -> None:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "no JSON; use the page, or /v1/...") from None
    number = asked.get("fn_index") if isinstance(asked, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < n_functions:
        raise Refused(422, "not a question of this page; use /v1/...")
    for place in _places(asked.get("data")):
        if not isinstance(place, str) or not _is_below(place, folder):
            raise Refused(422, "a file that was not uploaded to this page; upload it first")


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


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
