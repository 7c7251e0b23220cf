"""The command that computes a learning curve."""

from pathlib import Path
from typing import Annotated

import typer

from emocap.cli.options import SetOption


def curve(
    study: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study's configuration.")],
    overrides: SetOption = None,
    run_dir: Annotated[
        Path | None,
        typer.Option("--run-dir", help="Folder of the study's run, whose features are shared; default runs/NAME."),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME", help="A baseline or teacher; may be repeated. Default: all of them."),
    ] = None,
    sizes: Annotated[int, typer.Option("--sizes", min=2, max=20, help="Number of training set sizes.")] = 5,
) -> None:
    """Compute a study's learning curve: scores by number of training pairs, and what twice as many would bring.

    Trains the baselines and the teacher on nested parts of the training pairs, drawn by image, and tests them on the
    same pairs. Fits a power law with intervals. Writes curve.json and curve.html; an interrupted run resumes. Each size
    trains anew in each fold; on 60 captions the teacher's 25 of 100 trainings take nine tenths of the time.

    Example: `emocap curve configs/socratis-folds.yaml --set data_root=data --model vectors --model teacher`
    """
    from emocap.files import read_json
    from emocap.report.curve_page import findings, write_curve_page
    from emocap.study.config.loading import load_config
    from emocap.study.curve import run_curve

    config = load_config(study, overrides)
    file = run_curve(config, run_dir or Path("runs") / config.name, models=models or (), n_sizes=sizes)
    page = write_curve_page(file)
    for line in findings(read_json(file)):
        typer.echo(line)
    typer.echo(page)
