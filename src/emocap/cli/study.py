"""The commands that run studies and report on them."""

import shlex
import sys
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any

import typer

from emocap.cli.checks import check_corpora, check_run, check_stage
from emocap.cli.options import SetOption
from emocap.cli.output import print_ratings, print_scores
from emocap.errors import EmocapError


def demo(
    run_dir: Annotated[
        Path | None,
        typer.Option("--run-dir", help="Folder of the run; default runs/demo. An interrupted run is resumed."),
    ] = None,
    captions: Annotated[
        bool,
        typer.Option("--captions", help="Train a captioner too, on more images: an hour on two cores."),
    ] = False,
    overrides: SetOption = None,
) -> None:
    """Make the demo corpora and run the whole study on them: a few minutes on two cores.

    Prints the table of results and the path of the report. With --captions the run is in runs/demo-captions.
    """
    from emocap.demo.corpora import write_demo_corpora
    from emocap.study.config.loading import load_config

    name = "demo-captions" if captions else "demo"
    with as_file(files("emocap.study") / "presets" / f"{name}.yaml") as path:
        config = load_config(path, overrides)
    draw = partial(write_demo_corpora, seed=config.seed)
    if captions:
        draw = partial(draw, n_target=4800, n_source_images=4000)
    _run(config, run_dir or Path("runs") / name, None, draw=draw)


def run(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY.yaml", help="The study's configuration; docs/STUDY.md lists all keys.")
    ],
    overrides: SetOption = None,
    run_dir: Annotated[Path | None, typer.Option("--run-dir", help="Folder of the run; default runs/NAME.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="STAGE", help="The last stage to run.")] = None,
) -> None:
    """Run a study from its YAML file, or resume an interrupted one.

    The stages, from prepare over splits, teacher, scores, selection, student, AnB and AnB+ to evaluation and report,
    depend on the YAML file; `--until` with an unknown name lists them. A study without a `source` trains and evaluates
    the teacher alone.

    Example: `emocap run configs/socratis-text.yaml --set data_root=data --set teacher.epochs=2`
    """
    from emocap.study.config.loading import load_config

    check_stage(until)
    config = load_config(study, overrides)
    check_corpora(config)
    _run(config, run_dir or Path("runs") / config.name, until)


def report(run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]) -> None:
    """Write the report of a finished run again."""
    check_run(run_dir)
    from emocap.report.page import write_report

    typer.echo(write_report(run_dir))


def compare(
    run_dirs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN ...", help="Folders of two or more finished runs.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The page to write; default in this folder.")] = Path(
        "compare.html"
    ),
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            help="Metric to choose and compare models by, such as macro_f1 or valence:pearson_r; default mean average "
            "precision, of ratings alone their mean Pearson's r.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="Show this model of every run, such as AnB+.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every model of every run.")] = False,
) -> None:
    """Compare models of several runs, with intervals and, on the same test pairs, paired differences.

    Shows each run's chosen model and the best baseline of the first run; differences are to the first row. Runs with
    different vocabularies are an error; runs with different test pairs are shown without a difference.

    Example: `emocap compare runs/text runs/regions --out text-or-regions.html`
    """
    from emocap.api.output_files import require_other_file, require_writable
    from emocap.report.compare import compare_runs

    if model is not None and every:
        raise EmocapError("compare: give --model NAME or --all, not both")
    require_writable(out)
    folders = [run_dir for run_dir in run_dirs if run_dir.is_dir()]
    require_other_file(out, [file for folder in folders for file in folder.iterdir()], "a file of a compared run")
    compared = compare_runs(run_dirs, metric=metric, model=model, every=every)
    from rich.console import Console

    from emocap.report.compare_page import terminal_table, write_comparison

    path = write_comparison(compared, out)
    Console().print(terminal_table(compared))
    for remark in compared.remarks:
        typer.echo(remark)
    typer.echo(path.resolve())


def download(
    dataset: Annotated[str, typer.Argument(metavar="NAME", help="A corpus of docs/DATA.md, such as socratis or coco.")],
    data_root: Annotated[Path, typer.Option("--data-root", help="Folder to put it in.")] = Path("data"),
) -> None:
    """Download a corpus as far as its hosts hand it out, or say what to get by hand and where to put it."""
    from emocap.corpora.download import download as download_release

    for path in download_release(dataset, data_root):
        typer.echo(path)


def _run(config: Any, run_dir: Path, until: str | None, draw: Any = None) -> None:
    from emocap.api.output_files import require_writable
    from emocap.files import read_json

    require_writable(run_dir, is_folder=True)
    from emocap.report.page import write_report
    from emocap.study.run import run_study

    command = shlex.join(["emocap", *sys.argv[1:]])
    path = run_study(config, run_dir, report=write_report, until=until, command=command, draw=draw)
    if until in (None, "evaluation", "report"):
        results = read_json(run_dir / "results.json")
        if results["labels"]:
            print_scores(results["models"] | ({"ceiling": results["ceiling"]} if "ceiling" in results else {}))
        if "ratings" in results:
            print_ratings(results["ratings"])
    typer.echo(path)
