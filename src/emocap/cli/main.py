"""The command line: parse, call, print. Everything heavy is imported by the command that needs it."""

import os
import shlex
import sys
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from emocap.cli.captions import caption, printable, rank
from emocap.cli.features import extract, store_app
from emocap.cli.options import FormatOption, ImagesOption, ModelOption, OtherFeaturesOption, SetOption, StoreOption
from emocap.cli.serve import serve
from emocap.errors import EmocapError
from emocap.progress import set_up_logging

app = typer.Typer(
    name="emocap",
    help="What people will feel when they see a picture with its caption.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
COLUMNS = {
    "top1_accuracy": "top-1",
    "top2_accuracy": "top-2",
    "top3_accuracy": "top-3",
    "recall_at_3": "recall@3",
    "mean_average_precision": "mAP",
    "bce": "BCE",
    "expected_calibration_error": "ECE",
}


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    set_up_logging(debug)


@app.command()
def demo(
    run_dir: Annotated[
        Path | None,
        typer.Option("--run-dir", help="Folder of the run, else runs/demo; a stopped run goes on."),
    ] = None,
    captions: Annotated[
        bool,
        typer.Option("--captions", help="With a captioner, on more pictures: an hour on two cores."),
    ] = False,
    overrides: SetOption = None,
) -> None:
    """Make the demo corpora and run the whole study on them: a few minutes on two cores.

    Ends with the table of results and the path of the report. With --captions it is in runs/demo-captions.
    """
    from emocap.demo.corpora import write_demo_corpora
    from emocap.study.config.loading import load_config

    name = "demo-captions" if captions else "demo"
    with _preset(name) as path:
        config = load_config(path, overrides)
    draw = partial(write_demo_corpora, seed=config.seed)
    if captions:
        draw = partial(draw, n_target=4800, n_source_images=4000)
    _run(config, run_dir or Path("runs") / name, None, draw=draw)


@app.command()
def run(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY.yaml", help="The study's configuration; docs/STUDY.md has all keys.")
    ],
    overrides: SetOption = None,
    run_dir: Annotated[Path | None, typer.Option("--run-dir", help="Folder of the run; default runs/NAME.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="STAGE", help="The last stage to run.")] = None,
) -> None:
    """Run a study from its YAML, or go on with one that was stopped.

    Stages: prepare, features, splits, baselines, teacher, scores, selection, student, AnB, AnB+, evaluation, report,
    and those of a labelled source, folds, seeds and studies where the YAML asks for them. A study without a `source`
    trains and evaluates the teacher alone.

    Example: `emocap run configs/socratis-text.yaml --set data_root=data --set teacher.epochs=2`
    """
    from emocap.study.config.loading import load_config

    config = load_config(study, overrides)
    _run(config, run_dir or Path("runs") / config.name, until)


@app.command()
def label(
    model: ModelOption,
    data: Annotated[Path, typer.Option("--data", help="Corpus to score.")],
    out: Annotated[Path, typer.Option("--out", help="File to write: .parquet, .csv or .jsonl.")],
    format_: FormatOption = None,
    images: ImagesOption = None,
    store: StoreOption = None,
    allow_other_features: OtherFeaturesOption = False,
    p: Annotated[int | None, typer.Option("--p", min=1, help="Emotions kept a pair; default 4.")] = None,
) -> None:
    """Score every pair of a corpus: its P best emotions and all probabilities.

    Example: `emocap label --model runs/demo/AnB+ --data captions_val2017.json --images val2017 --out out.parquet`
    """
    from emocap.api.tables import label_corpus

    n = label_corpus(
        model,
        data,
        out,
        format_=format_,
        images=images,
        p=p,
        store=store,
        allow_other_features=allow_other_features,
    )
    typer.echo(f"{out}: {n} pairs")


@app.command()
def evaluate(
    model: ModelOption,
    data: Annotated[Path, typer.Option("--data", help="Labelled corpus.")],
    format_: FormatOption = None,
    images: ImagesOption = None,
    store: StoreOption = None,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Measure a model on labelled pairs.

    The pairs are taken as they are: give only such as the model has not seen. Beside it stands `prior`, the label
    frequencies of the model's training pairs.

    Example: `emocap evaluate --model runs/mine/teacher --data more-pairs.csv --images pictures`
    """
    from emocap.api.tables import evaluate_corpus

    rows = evaluate_corpus(
        model, data, format_=format_, images=images, store=store, allow_other_features=allow_other_features
    )
    _print_table(rows)


@app.command()
def predict(
    model: ModelOption,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[IMAGE] CAPTION", help="The caption, before it its picture if any.")
    ] = None,
    top: Annotated[
        int | None, typer.Option("--top", "-n", min=1, help="Emotions shown, default 5; with --input named, 4.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--input", help="Many at once: .csv, .jsonl or .parquet with image and caption.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--output", help="For --input: .parquet, .csv or .jsonl.")] = None,
    images: ImagesOption = None,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Tell what people are likely to feel on seeing a picture with its caption, or a caption alone.

    With --input, rows that cannot be used are set aside in a file beside the output, with the reason.

    Example: `emocap predict --model runs/demo/AnB+ dog.jpg "A dog waits at the door, all alone."`

    Example: `emocap predict --model runs/demo/AnB+ --input pairs.csv --images pictures --output out.parquet`
    """
    if table is not None:
        if words or out is None:
            raise EmocapError("predict --input takes --output and no caption; see emocap predict --help")
        from emocap.api.tables import label_corpus

        aside = out.with_name(f"{out.stem}-aside.csv")
        how: dict[str, Any] = {"format_": "table", "images": images, "aside": aside}
        n = label_corpus(model, table, out, p=top, allow_other_features=allow_other_features, **how)
        typer.echo(f"{out}: {n} pairs")
        return
    if not words or out is not None or images is not None:
        raise EmocapError("predict takes a caption, or --input with --output; see emocap predict --help")
    image, caption = _pair("predict", words)
    from emocap.api.predictor import EmotionPredictor

    predictor = EmotionPredictor.from_pretrained(model, allow_other_features=allow_other_features)
    for found in predictor.predict(image, caption)[: top or 5]:
        typer.echo(f"{found.probability:6.1%}  {found.emotion}")


@app.command()
def explain(
    model: ModelOption,
    words: Annotated[
        list[str], typer.Argument(metavar="[IMAGE] CAPTION", help="The caption, before it its picture if any.")
    ],
    emotion: Annotated[
        str | None, typer.Option("--emotion", "-e", help="The emotion to explain; the likeliest if left out.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the picture and the caption tinted, as .html or .png.")
    ] = None,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Tell which words and regions move an emotion, and what other wordings would do.

    Example: `emocap explain --model runs/demo/AnB+ dog.jpg "A dog waits, all alone." --emotion sad --out why.html`
    """
    image, caption = _pair("explain", words)
    from emocap.api.explanation_file import MOST_CHANGES, check_ending, write_explanation
    from emocap.api.predictor import EmotionPredictor
    from emocap.regions.images import open_image

    if out is not None:
        check_ending(out)
        if image is not None and out.resolve() == image.resolve():
            raise EmocapError(f"{out}: is the picture itself; give --out another name")
    predictor = EmotionPredictor.from_pretrained(model, allow_other_features=allow_other_features)
    found = predictor.explain(image, caption, emotion)
    for remark in predictor.caption_warnings(caption):
        typer.echo(f"emocap: the caption: {remark}", err=True)
    typer.echo(f"{found.probability:6.1%}  {found.emotion}\n")
    for one in found.words:
        typer.echo(f"{one.effect:+7.2f}  {printable(one.word)}")
    if found.regions:
        typer.echo(
            f"{sum(region.effect for region in found.regions):+7.2f}  the picture's {len(found.regions)} regions"
        )
    typer.echo(f"  log-odds {found.log_odds:.2f}, {found.reference:.2f} with nothing to read or see\n")
    for change in found.changes[:MOST_CHANGES]:
        word = printable(change.word)
        instead = f"{change.instead} for {word}" if change.instead else f"without {word}"
        typer.echo(f"{100 * change.moves[found.emotion]:+6.1f} points  {instead}")
    if out is not None:
        write_explanation(found, None if image is None else open_image(image), out)
        typer.echo(f"\n{out}")


def _pair(command: str, words: list[str]) -> tuple[Path | None, str]:
    """A picture, if any, and a caption."""
    if len(words) > 2:
        raise EmocapError(
            f"{command} takes an image and a caption, found {len(words)} words; put the caption in quotes"
        )
    if len(words) == 1 and len(words[0]) < 1000 and Path(words[0]).is_file():
        raise EmocapError(f"{words[0]}: is a file; give {command} a caption behind it")
    return (Path(words[0]) if len(words) == 2 else None), words[-1]


@app.command()
def report(run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]) -> None:
    """Write the report of a run again, from what the run left."""
    from emocap.report.page import write_report

    typer.echo(write_report(run_dir))


@app.command()
def compare(
    run_dirs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN ...", help="Folders of two finished runs or more.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The page to write.")] = Path("compare.html"),
    metric: Annotated[
        str, typer.Option("--metric", help="What rows are chosen and told by, such as macro_f1.")
    ] = "mean_average_precision",
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="Show this model of every run, such as AnB+.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every model of every run.")] = False,
) -> None:
    """Put models of several runs side by side, with intervals and, on the same test pairs, paired differences.

    Shown are each run's best model and the best baseline of the first run; the first row is what the others are held
    against. Runs whose vocabularies differ are refused; runs with other test pairs stand there without a difference.

    Example: `emocap compare runs/text runs/regions --out text-or-regions.html`
    """
    from rich.console import Console

    from emocap.report.compare import compare_runs, terminal_table, write_comparison

    if model is not None and every:
        raise EmocapError("compare: give --model NAME or --all, not both")
    found = compare_runs(run_dirs, metric=metric, model=model, every=every)
    path = write_comparison(found, out)
    Console().print(terminal_table(found))
    for remark in found.remarks:
        typer.echo(remark)
    typer.echo(path)


@app.command()
def download(
    dataset: Annotated[str, typer.Argument(metavar="{socratis|coco}", help="What to fetch.")],
    data_root: Annotated[Path, typer.Option("--data-root", help="Folder to put it in.")] = Path("data"),
) -> None:
    """Fetch an official release, or say what a person must fetch and where to put it."""
    from emocap.corpora.download import download as fetch

    for path in fetch(dataset, data_root):
        typer.echo(path)


def _preset(name: str) -> Any:
    from importlib.resources import as_file

    return as_file(files("emocap.study") / "presets" / f"{name}.yaml")


def _run(config: Any, run_dir: Path, until: str | None, draw: Any = None) -> None:
    from emocap.files import read_json
    from emocap.report.page import write_report
    from emocap.study.run import run_study

    command = shlex.join(["emocap", *sys.argv[1:]])
    try:
        path = run_study(config, run_dir, report=write_report, until=until, command=command, draw=draw)
    except KeyboardInterrupt:
        typer.echo("emocap: stopped; the same command goes on from here", err=True)
        raise typer.Exit(130) from None
    if until in (None, "evaluation", "report"):
        results = read_json(run_dir / "results.json")
        rows = results["models"] | ({"ceiling": results["ceiling"]} if "ceiling" in results else {})
        _print_table(rows)
    typer.echo(path)


def _print_table(rows: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("model", *COLUMNS.values())
    for model, scores in rows.items():
        table.add_row(model, *(f"{scores[name]:.3f}" for name in COLUMNS))
    Console().print(table)


for command in (caption, rank, extract, serve):
    app.command()(command)
app.add_typer(store_app, name="store")


def main() -> None:
    """Run the command line; an error of ours is one line on standard error and exit code 1."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except EmocapError as error:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"emocap: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    except OSError as error:
        if "--debug" in sys.argv:
            raise
        named = f"{error.filename!s:.200}: " if error.filename else ""
        typer.echo(f"emocap: {named}{error.strerror or error}", err=True)
        sys.exit(1)
