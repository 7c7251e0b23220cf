"""Mounts the page on the server's application: its theme, its password, and what Gradio does on errors."""

import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from gradio import queueing

from emocap.api.explanation_file import style
from emocap.app.page import build_page
from emocap.app.page_guard import build_page_guard
from emocap.app.request_log import INTERNAL_ERROR, log_failure
from emocap.app.service import Service

USER = "emocap"
BLUE, DARK_BLUE = "#1d4ed8", "#1e3a8a"  # enough contrast to white text in every state
# Gradio's containers do not announce to screen readers that their contents changed.
SCRIPT = """() => {
  for (const id of ["results", "explanation", "generated"])
    document.getElementById(id)?.setAttribute("aria-live", "polite");
}"""


def mount_page(
    app: FastAPI, service: Service, folder: Path, key: str | None
) -> tuple[FastAPI, Callable[[str, bytes], None]]:
    """Mount the page at `/`, for all paths that the application does not handle itself.

    Args:
        folder: for files while the server runs.
        key: password of the page's only user, or None.

    Returns:
        The application, and the function that checks requests to the page.
    """
    examples = folder / "examples"
    examples.mkdir()
    page = build_page(service, examples)
    page.queue(max_size=64, default_concurrency_limit=service.limits.waiting)
    app = gr.mount_gradio_app(
        app,
        page,
        "/",
        auth=None if key is None else (USER, key),
        auth_message=f"The user name is {USER}, the password is the server's key." if key is not None else None,
        theme=_theme(),
        css=(files("emocap.app") / "templates" / "page.css").read_text(encoding="utf-8") + style(),
        js=SCRIPT,
        footer_links=[],
        run_history=False,
        show_error=True,
        ssr_mode=False,
        pwa=False,
        max_file_size=service.limits.bytes,
        allowed_paths=[str(examples)],
    )
    # Gradio checks that a file was uploaded only on pages that it launched itself.
    page.has_launched = True
    mounted: Any = app.routes[-1]
    mounted.app.add_exception_handler(Exception, _gradio_error)
    queueing.traceback = SimpleNamespace(print_exc=_log_current_failure)
    image_inputs = [
        [isinstance(component, gr.Image) for component in page.fns[number].inputs] for number in sorted(page.fns)
    ]
    return app, build_page_guard(folder, image_inputs, service.limits.stored_bytes)


def _theme() -> gr.themes.Base:
    system = ("system-ui", "sans-serif")
    return gr.themes.Base(primary_hue="blue", font=system, font_mono=("ui-monospace", "monospace")).set(
        button_primary_background_fill=BLUE,
        button_primary_background_fill_dark=BLUE,
        button_primary_background_fill_hover=DARK_BLUE,
        button_primary_background_fill_hover_dark=DARK_BLUE,
    )


def _log_current_failure() -> None:
    """In place of Gradio's traceback, which may quote the request."""
    error = sys.exc_info()[1]
    if isinstance(error, Exception):
        log_failure(error)


async def _gradio_error(request: Request, error: Exception) -> Response:
    """An error of Gradio while it reads an upload or a path is the client's."""
    is_client_error = request.url.path.startswith(("/gradio_api/upload", "/gradio_api/file="))
    detail = "the upload or path is invalid; use the page" if is_client_error else INTERNAL_ERROR
    return JSONResponse({"detail": detail}, 400 if is_client_error else 500)
