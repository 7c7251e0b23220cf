"""The command that serves a model to people and programs."""

import os
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from emocap.cli.options import OtherFeaturesOption
from emocap.errors import EmocapError

KEY = "EMOCAP_API_KEY"
LEAST_KEY = 16


def serve(
    model: Annotated[
        Path | None, typer.Option("--model", help="Run with or without a captioner, or model folder; else the demo's.")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 for any that is free.")] = 8000,
    page: Annotated[bool, typer.Option("--page/--no-page", help="With the web page, or REST alone.")] = True,
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", help=f"File with the key that callers must bring; or the variable {KEY}."),
    ] = None,
    limits: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="NAME=VALUE", help="Such as waiting=20; docs/SERVE.md has all."),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--host-name", metavar="NAME", help="Name that callers use, where a proxy stands before it."),
    ] = None,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Serve a model as a web page and over REST, until Ctrl-C.

    Example: `emocap serve --model runs/demo/AnB+ --port 8000`, then open http://127.0.0.1:8000
    """
    try:
        from emocap.app.server import serve as run
    except ModuleNotFoundError as error:
        raise EmocapError(f"serve: needs {error.name}; install emocap with its extra serve") from error
    from emocap.app.limits import Limits
    from emocap.app.served_model import load_served
    from emocap.files import read_text

    held = Limits(**dict(_limit(text) for text in limits or []))
    if key_file is not None and not key_file.is_file():
        raise EmocapError(f"{key_file}: not a file; give one that holds the key")
    given = read_text(key_file) if key_file is not None else os.environ.get(KEY)
    key = None if given is None else given.strip()
    if key is not None and len(key) < LEAST_KEY:
        raise EmocapError(f"serve: the key has {len(key)} characters, expected {LEAST_KEY} or more")
    load = partial(load_served, model, allow_other_features=allow_other_features)
    run(load, held, host=host, port=port, page=page, key=key, names=names or ())


def _limit(text: str) -> tuple[str, int]:
    from emocap.app.limits import Limits

    name, _, value = text.partition("=")
    known = [field.name for field in fields(Limits)]
    if name not in known or not (value.isascii() and value.isdecimal()):
        raise EmocapError(f"--limit {text}: expected NAME=NUMBER with a name of {', '.join(known)}")
    return name, int(value)
