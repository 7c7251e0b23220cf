"""The command line: the Typer app with its commands, and how errors are shown.

Everything heavy is imported by the command that needs it.
"""

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from emocap.cli.captions import caption, rank
from emocap.cli.curve import curve
from emocap.cli.features import extract, store_app
from emocap.cli.inspect import inspect
from emocap.cli.models import models
from emocap.cli.predict import evaluate, explain, label, predict
from emocap.cli.serve import serve
from emocap.cli.signals import Stopped, end_soon, stopped_by_signals
from emocap.cli.study import compare, demo, download, report, run
from emocap.cli.train import train
from emocap.errors import EmocapError
from emocap.progress import set_up_logging

app = typer.Typer(
    name="emocap",
    help="Predict what people will feel about an image with its caption.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
_COMMANDS = (
    demo,
    inspect,
    train,
    run,
    curve,
    label,
    evaluate,
    predict,
    explain,
    report,
    compare,
    download,
    caption,
    rank,
    extract,
    serve,
    models,
)
RESUMED = {"run", "demo", "curve", "extract"}
for command in _COMMANDS:
    app.command()(command)
app.add_typer(store_app, name="store")


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"emocap {version('emocap')}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    set_up_logging(debug)


def main() -> None:
    """Run the command line; an `EmocapError` is one line on standard error and exit status 1, a signal 130 or 143."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        with stopped_by_signals():
            app()
    except EmocapError as error:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"emocap: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    except OSError as error:
        if "--debug" in sys.argv:
            raise
        path = f"{error.filename!s:.200}: " if error.filename else ""
        typer.echo(f"emocap: {path}{error.strerror or error}", err=True)
        sys.exit(1)
    except Stopped as stopped:
        named = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
        hint = "; run the same command again to resume" if named in RESUMED else ""
        typer.echo(f"emocap: {stopped}{hint}", err=True)
        end_soon(stopped.status)
        sys.exit(stopped.status)
