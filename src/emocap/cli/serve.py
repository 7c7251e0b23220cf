"""The command that serves a model as a web page and over REST."""

import os
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from emocap.cli.checks import find_ranker
from emocap.cli.models import chosen_model
from emocap.cli.options import ModelOption, OtherFeaturesOption
from emocap.errors import EmocapError

KEY_VARIABLE = "EMOCAP_API_KEY"
MIN_KEY_LENGTH = 16


def serve(
    model: ModelOption = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 for any free port.")] = 8000,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Serve the web page, or REST only.")] = True,
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", help=f"File with the API key; or set the environment variable {KEY_VARIABLE}."),
    ] = None,
    limits: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="NAME=VALUE", help="Such as waiting=20; docs/SERVE.md lists all."),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--host-name", metavar="NAME", help="Allowed host name, where a proxy forwards requests."),
    ] = None,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Serve a model as a web page and over REST, until Ctrl-C.

    Example: `emocap serve --port 8000`, then open http://127.0.0.1:8000
    """
    from emocap.app.limits import Limits

    key, bounds = _key(key_file), Limits(**dict(_limit(text) for text in limits or []))
    folder = find_ranker(chosen_model(model, reads_images=True)).folder
    try:
        from emocap.app.server import serve as run_server
    except ModuleNotFoundError as error:
        raise EmocapError(f"serve: {error.name} is not installed; install emocap with the extra `serve`") from error
    from emocap.app.served_model import load_served

    load = partial(load_served, folder, allow_other_features=allow_other_features)
    run_server(
        load,
        bounds,
        host=host,
        port=port,
        page=page,
        key=key,
        names=names or (),
    )


def _limit(text: str) -> tuple[str, int]:
    from emocap.app.limits import Limits

    name, _, value = text.partition("=")
    known = [field.name for field in fields(Limits)]
    if name not in known or not (value.isascii() and value.isdecimal()):
        raise EmocapError(f"--limit {text}: expected NAME=NUMBER with a name of {', '.join(known)}")
    return name, int(value)


def _key(key_file: Path | None) -> str | None:
    from emocap.files import read_text

    if key_file is not None and not key_file.is_file():
        raise EmocapError(f"{key_file}: not a file; give one that holds the key")
    text = read_text(key_file) if key_file is not None else os.environ.get(KEY_VARIABLE)
    if text is None:
        return None
    key = text.strip()
    if len(key) < MIN_KEY_LENGTH:
        raise EmocapError(f"serve: the key has {len(key)} characters, expected {MIN_KEY_LENGTH} or more")
    return key
