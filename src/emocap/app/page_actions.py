"""What the buttons of the page do: call the service, and return HTML.

Inputs come unchecked from the browser, so each action checks its own.
"""

from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

from emocap.app.page_html import error_html, explanation_html, generated_html, results_html
from emocap.app.request_log import log_failure
from emocap.app.service import Service
from emocap.errors import EmocapError

T = TypeVar("T")
N_GENERATED, MAX_CHARACTERS = 5, 10_000


async def predict(
    service: Service, image: Path | None, text: Any, targets: list[str], avoid: list[str]
) -> tuple[str, list[str]]:
    """The predictions as HTML, and the captions in the order shown; an empty one stands for the image alone."""
    captions = caption_lines(text) or ([""] if image is not None and not targets and not avoid else [])
    if not captions:
        raise EmocapError("no captions; write at least one")
    found = await service.rank(_image_bytes(image), captions, targets, avoid)
    html = results_html(service.served, found, targets, avoid)
    return html, [candidate.caption for candidate in found.ranked]


async def explain(service: Service, image: Path | None, caption: Any, emotion: str | None) -> tuple[str]:
    """The explanation as HTML; None explains the most likely emotion or the first rating."""
    if not isinstance(caption, str) or not (caption or image):
        raise EmocapError("no caption to explain; press Predict, then choose one")
    explanation, shown = await service.explain(_image_bytes(image), caption, emotion)
    return (explanation_html(service.served, explanation, caption, shown),)


async def generate(
    service: Service, image: Path | None, targets: list[str], avoid: list[str], style: Any, max_chars: Any
) -> tuple[str, list[str]]:
    """The generated captions as HTML, and as text; a style of None requests none."""
    data = _image_bytes(image)
    if data is None:
        raise EmocapError("no image to generate captions for; upload one")
    if max_chars is not None and not (isinstance(max_chars, int | float) and 1 <= max_chars <= MAX_CHARACTERS):
        raise EmocapError(f"the maximum length must be 1 to {MAX_CHARACTERS:,} characters")
    limit = None if max_chars is None else int(max_chars)
    found = await service.generate(data, targets, N_GENERATED, avoid, limit, style=style)
    return generated_html(service.served, found, targets, style), [candidate.caption for candidate in found.ranked]


async def or_error(action: Awaitable[T], empty: T) -> T:
    """The result of an action; if it fails, the error as HTML with the rest of `empty`."""
    try:
        return await action
    except EmocapError as error:
        message = str(error)
    except Exception as error:  # Gradio would print its message, which may quote the request
        message = f"internal error; the server's log has it under {log_failure(error)}"
    return (error_html(message), *empty[1:])  # type: ignore[return-value, index]


def caption_lines(text: Any) -> list[str]:
    """The captions in a text box, one per line."""
    return [line.removesuffix("\r") for line in text.split("\n") if line.strip()] if isinstance(text, str) else []


def _image_bytes(image: Path | None) -> bytes | None:
    if image is None:
        return None
    try:
        return image.read_bytes()
    except OSError:
        raise EmocapError("the image is no longer stored; upload it again") from None
