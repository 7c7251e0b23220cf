"""Options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

from emocap.corpora.options import ReadOptions, parse_columns
from emocap.errors import EmocapError
from emocap.ratings import Ratings

SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the YAML; may be repeated.")
]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model",
        help="Run, for the model that it recommends; a model of it, such as runs/demo/AnB+; or large or small, the "
        "included models. Default the best included model that is installed.",
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option("--format", help="Name of a reader, such as socratis, coco or table; guessed if not given."),
]
StoreOption = Annotated[
    Path | None, typer.Option("--features", metavar="STORE", help="Feature store of the images, instead of --images.")
]
OtherFeaturesOption = Annotated[
    bool,
    typer.Option("--allow-other-features", help="Accept features with another fingerprint than those of the training."),
]
ImagesOption = Annotated[Path | None, typer.Option("--images", help="Folder of the images that the data name.")]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="ROLE=NAME,...",
        help="Columns of a table under other names: image, caption, emotions, pair_id, group, split, annotator or "
        "style, such as image=file_name,caption=text,emotions=joy+awe+sad.",
    ),
]
LabelSeparator = Annotated[
    str | None,
    typer.Option(
        "--label-separator",
        metavar="TEXT",
        help="What separates the labels of one cell, or none if a cell is one label; detected if not given.",
    ),
]
LabelThreshold = Annotated[
    float | None,
    typer.Option(
        "--label-threshold", metavar="SCORE", help="Least score that counts as named, where labels have scores; 0.5."
    ),
]
RatingsOption = Annotated[
    str | None,
    typer.Option(
        "--ratings",
        metavar="NAME=LOW:HIGH,...",
        help="Ratings of a table and the ends of their scales, such as valence=1:7,arousal=1:7.",
    ),
]
ImageAndCaption = typer.Argument(metavar="[IMAGE] CAPTION", help="The caption, and before it the image, if any.")


def read_options(
    columns: str | None,
    label_separator: str | None = None,
    label_threshold: float | None = None,
    ratings: str | None = None,
) -> ReadOptions:
    """How a corpus is read, of the values of `Columns`, `LabelSeparator`, `LabelThreshold` and `RatingsOption`.

    Raises:
        EmocapError: a value that is not of its form.
    """
    threshold = ReadOptions.label_threshold if label_threshold is None else label_threshold
    marks = {"\\t": "\t", "\\n": "\n"}  # as they are written in a shell
    return ReadOptions(
        parse_columns(columns),
        marks.get(label_separator or "", label_separator),
        threshold,
        ratings=parse_ratings(ratings),
    )


def parse_ratings(text: str | None) -> Ratings:
    """The ratings of a command line, `NAME=LOW:HIGH` joined by commas.

    >>> parse_ratings("valence=1:7").ranges
    {'valence': [1.0, 7.0]}

    Raises:
        EmocapError: not of this form.
    """
    ranges: dict[str, list[float]] = {}
    for part in text.split(",") if text else []:
        name, _, ends = (piece.strip() for piece in part.partition("="))
        try:
            ranges[name] = [float(end) for end in ends.split(":")]
        except ValueError:
            raise EmocapError(f"--ratings {text!r}: {part!r} is not NAME=LOW:HIGH, such as valence=1:7") from None
    if text and len(ranges) < len(text.split(",")):
        raise EmocapError(f"--ratings {text!r}: names a rating twice; give each once")
    return Ratings.of(ranges)
