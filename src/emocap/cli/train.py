"""`emocap train`: a model from one table of labelled pairs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emocap.cli.options import (
    Columns,
    FormatOption,
    ImagesOption,
    LabelSeparator,
    LabelThreshold,
    RatingsOption,
    read_options,
)
from emocap.cli.output import printable, shown_interval, shown_value

if TYPE_CHECKING:
    from emocap.fitting.report import TrainingReport


def train(
    data: Annotated[Path, typer.Argument(metavar="TABLE", help="Any file that emocap inspect understands.")],
    images: ImagesOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the model and the report; default runs/NAME of the table.")
    ] = None,
    format_: FormatOption = None,
    columns: Columns = None,
    label_separator: LabelSeparator = None,
    label_threshold: LabelThreshold = None,
    ratings: RatingsOption = None,
) -> None:
    """Train on a table of captions, images or both: tries what suits its size and keeps what predicts best.

    Candidates are compared by cross-validation, and the best kind is trained again on all rows. The folder that is
    written is a model for predict, rank, explain, serve and evaluate; report.html there has all scores.

    Example: `emocap train pairs.csv --images images`

    Example: `emocap train headlines.csv --columns caption=headline,emotions=reader_emotion --out runs/headlines`
    """
    from emocap.api.output_files import require_writable
    from emocap.corpora.read import check_corpus, guess_format

    options = read_options(columns, label_separator, label_threshold, ratings)
    out = out or Path("runs") / Path(data.name.removesuffix(".gz")).stem
    require_writable(out, is_folder=True)
    found = format_ or guess_format(data, options)
    check_corpus(found, data, images, options)
    from emocap.api.training import read_training_pairs
    from emocap.fitting.run import require_own_output, train_table

    require_own_output(out)
    pairs, source = read_training_pairs(data, images, found, options)
    settings = {"format": found, "images": None if images is None else str(images), "options": repr(options)}
    report = train_table(pairs, out, source=source, settings=settings)
    _print_report(report)
    typer.echo(f"{out}: predict with --model {out}; all scores are in {out / 'report.html'}")


def _print_report(report: "TrainingReport") -> None:
    from rich.console import Console
    from rich.table import Table

    has_accuracy = report.candidates[0]["accuracy"] is not None
    table = Table("model", f"{report.metric} [95%]", *(["accuracy"] if has_accuracy else []))
    for one in report.candidates:
        name = f"{printable(one['name'])}{' (chosen)' if one['name'] == report.chosen else ''}"
        score = shown_value(one["score"]) + shown_interval(one["interval"])
        table.add_row(name, score, *([shown_value(one["accuracy"])] if has_accuracy else []))
    Console().print(table)
    typer.echo(f"{report.chosen}: {report.reason}")
    for remark in report.remarks:
        typer.echo(f"remark: {printable(remark)}")
