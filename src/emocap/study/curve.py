"""The learning curve of a study: scores by number of training pairs, and what twice as many would bring.

Every unit (seed and fold) trains each model on nested parts of its training pairs, drawn by group, and predicts all of
its test pairs. Everything lies in the folder `curve` of the run directory; `curve.json` has the results.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.files import write_json
from emocap.progress import logger
from emocap.study.baseline_names import with_baselines
from emocap.study.cache import RunDir
from emocap.study.config.study import StudyConfig
from emocap.study.curve_results import point_name, results_of
from emocap.study.fitting_settings import require_fitting_settings
from emocap.study.folds import with_folds
from emocap.study.models import BASELINES, MODELS
from emocap.study.run import run_study_stage, unit_name, units_of
from emocap.study.stages import learning_curve as point_stage
from emocap.study.stages.splits import splits
from emocap.study.stages.table import STAGES
from emocap.study.training_unit import TrainingUnit
from emocap.study.unit import Study

FOLDER, FILE = "curve", "curve.json"
N_SIZES = 5
LEAST_PAIRS, SMALLEST_SHARE = 8, 1 / 16


def curve_models(config: StudyConfig, named: Sequence[str] = ()) -> list[str]:
    """The models of a curve: the study's baselines but the prior, and the teacher; or those named.

    Raises:
        EmocapError: a name that is not one of these.
    """
    known = [*(name for name in config.baseline_names if name != "prior"), "teacher"]
    unknown = next((name for name in named if name not in known), None)
    if unknown is not None:
        raise EmocapError(f"curve: --model {unknown}: the models of this curve are {', '.join(known)}")
    return [name for name in known if not named or name in named]


def shares_of(n_pairs: int, n_sizes: int = N_SIZES) -> list[float]:
    """The shares of n training pairs: equal steps of a logarithmic scale up to all, from 1/16 or 8 pairs.

    >>> [round(share * 1172) for share in shares_of(1172)], [round(share * 42) for share in shares_of(42)]
    ([73, 146, 293, 586, 1172], [8, 12, 18, 28, 42])
    """
    least = min(1.0, max(LEAST_PAIRS / n_pairs, SMALLEST_SHARE))
    return [float(share) for share in np.geomspace(least, 1, n_sizes)]


def run_curve(config: StudyConfig, run_dir: Path, *, models: Sequence[str] = (), n_sizes: int = N_SIZES) -> Path:
    """Compute a study's learning curve, or resume one that was stopped; a study in the same folder shares its features.

    Args:
        config: of the study.
        run_dir: its folder.
        models: names; by default the baselines and the teacher.
        n_sizes: number of training set sizes, at least 2.

    Returns:
        The path of `curve.json`.

    Raises:
        EmocapError: bad input, or another run in the same folder.
    """
    curve_models(config, models)  # refuses an unknown name before anything is read
    run = RunDir(run_dir)
    with run.locked():
        run_study_stage(run, units_of(config, run_dir), STAGES["prepare"])
        if not len(Study(config, run_dir).vocabulary):
            raise EmocapError("curve: a learning curve is of emotions, but the target has ratings alone")
        config = with_baselines(with_folds(config, run_dir), run_dir)
        names = curve_models(config, models)
        require_fitting_settings(config, run_dir)
        _log_trainings(len(units_of(config, run_dir)), names, n_sizes)
        run_study_stage(run, units_of(config, run_dir), STAGES["features"])
        units = [_drawn(run, unit) for unit in units_of(config, run_dir)]
        shares = shares_of(max(len(unit.rows["train"]) for unit in units), n_sizes)
        points = [_point_rows(unit, shares) for unit in units]
        for number in range(n_sizes):
            for unit, rows in zip(units, points, strict=True):
                for name in names:
                    _train(run, unit, name, rows[number])
        write_json(run_dir / FILE, results_of(units, points, names))
    return run_dir / FILE


def _log_trainings(n_units: int, models: Sequence[str], n_sizes: int) -> None:
    """Say how many models will be trained: a network takes seconds to hours, a baseline much less."""
    n_networks = n_units * n_sizes * sum(name not in BASELINES for name in models)
    logger.info(
        "curve: up to %d trainings: %s at %d sizes in %d divisions of the pairs (seeds and folds)%s",
        n_units * n_sizes * len(models), ", ".join(models), n_sizes, n_units,
        f"; {n_networks} are of a network and take most of the time; leave them out with --model BASELINE, or give "
        "fewer --sizes" if n_networks else "",
    )  # fmt: skip


def _drawn(run: RunDir, unit: TrainingUnit) -> TrainingUnit:
    """A unit of the curve in its own folder, with its parts drawn as the study draws them."""
    name = unit_name(unit.seed, unit.fold)
    config = unit.config.model_copy(update={"source": None, "captioner": None})
    drawn = TrainingUnit(config, unit.root, unit.root / FOLDER / name, unit.seed, unit.fold, models=MODELS)
    _stage(
        run,
        f"{FOLDER}_{name}_splits",
        partial(splits, drawn),
        [config.dump()["splits"], config.folds, config.seed, unit.fold],
        splits.__module__,
        [f"{FOLDER}/{name}/splits.json"],
        ["prepare"],
    )
    return TrainingUnit(config, unit.root, drawn.run, unit.seed, unit.fold, models=MODELS)


def _point_rows(unit: TrainingUnit, shares: Sequence[float]) -> list[np.ndarray]:
    return point_stage.nested_rows(unit.rows["train"], unit.groups, shares, [unit.seed, unit.fold or 0])


def _train(run: RunDir, unit: TrainingUnit, model: str, rows: np.ndarray) -> None:
    """One point as a stage of the run directory."""
    dump, name, folder = unit.config.dump(), point_name(model, rows), unit.run.relative_to(unit.root)
    settings = [dump["baselines"]["vectors"]] if model in BASELINES else [dump["teacher"], dump["label_aggregation"]]
    _stage(
        run,
        f"{FOLDER}_{unit.run.name}_{name}",
        partial(point_stage.learning_curve_point, unit, name, model, rows),
        [dump["model"], unit.config.seed, unit.seed, unit.backbone("sha256", "teacher"), settings],
        point_stage.__name__,
        [f"{folder}/{name}", f"{folder}/{name}/{point_stage.TEST}"],
        ["features", f"{FOLDER}_{unit.run.name}_splits"],
    )


def _stage(
    run: RunDir,
    name: str,
    work: Callable[[], None],
    config: list[Any],
    module: str,
    outputs: list[str],
    inputs: list[str],
) -> None:
    run.stage(
        name, work, config=config, code_deps=[module], inputs=inputs, outputs=outputs, invalidates=[FILE, "curve.html"]
    )
