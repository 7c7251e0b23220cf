"""A study from configuration to report: every stage of the table in order, in one run directory.

The stages of the whole study come first, then every unit, a seed's fold, goes through its own, then all are evaluated.
A single unit lies in the run directory itself.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from emocap.errors import EmocapError
from emocap.files import write_json
from emocap.study.artifacts import read_value
from emocap.study.baseline_names import with_baselines
from emocap.study.cache import RunDir
from emocap.study.config.study import StudyConfig
from emocap.study.fitting_settings import require_fitting_settings
from emocap.study.folds import DEFAULT_FOLDS, with_folds, write_fold_splits
from emocap.study.manifest import write_manifest
from emocap.study.models import MODELS
from emocap.study.stages.table import RESULTS, STAGES, Stage, invalidated_by, stages_of
from emocap.study.training_unit import TrainingUnit
from emocap.study.unit import fresh_copies

REPORT = "report"


def stage_names(config: StudyConfig) -> list[str]:
    """The stages of a study, in order: those of a unit, or the units' names where there are several."""
    units = config.units
    middle = _names(config, "unit") if len(units) == 1 else [unit_name(*unit) for unit in units]
    return [*_names(config, "study"), *middle, *_names(config, "units"), REPORT]


def unit_name(seed: int, fold: int | None) -> str:
    """The name of a unit and its folder.

    >>> unit_name(0, 2), unit_name(1, None)
    ('s0_f2', 's1')
    """
    return f"s{seed}" if fold is None else f"s{seed}_f{fold}"


def units_of(config: StudyConfig, root: Path) -> list[TrainingUnit]:
    """Every unit of a study with its folder, `root` itself where there is one."""
    units = config.units
    return [
        TrainingUnit(
            config, root, root if len(units) == 1 else root / "units" / unit_name(seed, fold), seed, fold, models=MODELS
        )
        for seed, fold in units
    ]


def run_study(
    config: StudyConfig,
    run_dir: Path,
    *,
    report: Callable[[Path], Path],
    until: str | None = None,
    command: str = "",
    draw: Callable[[Path], None] | None = None,
) -> Path:
    """Run a study, or resume one that was stopped.

    Args:
        config: of the study.
        run_dir: its folder.
        report: writes the report of a run directory and gives its path.
        until: the last stage to run; None runs all. A unit's stage ends every unit there.
        command: what the user typed, for the manifest.
        draw: writes the corpora below a folder of the run directory first; `data_root` is then that folder.

    Returns:
        The report's path; the run directory where `until` is an earlier stage.

    Raises:
        EmocapError: bad input, an unknown stage, or another run in the same folder.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise EmocapError("a study runs in one process for now; start it without torchrun")
    folded = config.model_copy(update={"folds": DEFAULT_FOLDS})
    _require_stage([config, folded] if config.leaves_folds_open else [config], until)
    if draw is not None:
        config = config.model_copy(update={"data_root": run_dir / "corpora"})
    run = RunDir(run_dir)
    with run.locked():
        if draw is not None:
            _draw_corpora(run, draw, config.seed)
        run_study_stage(run, units_of(config, run_dir), STAGES["prepare"])
        config = with_baselines(with_folds(config, run_dir), run_dir)
        _require_stage([config], until)
        require_fitting_settings(config, run_dir)
        units = units_of(config, run_dir)
        steps = _steps(run, units)
        last = until
        if len(units) > 1 and until in _names(config, "unit"):
            steps |= {unit_name(u.seed, u.fold): partial(_run_unit_stages, run, u, until) for u in units}
            last = unit_name(units[-1].seed, units[-1].fold)
        for name, step in steps.items():
            if name != "prepare":
                step()
            if name == last:
                break
        write_fold_splits(fresh_copies(units))
        write_manifest(run, fresh_copies(units), command)
        return report(run_dir) if until in (None, REPORT) else run_dir


def _require_stage(configs: Sequence[StudyConfig], until: str | None) -> None:
    """Refuse a stage that none of the configurations has; with several units, a stage of theirs is one too."""
    names = list(dict.fromkeys(name for config in configs for name in (*stage_names(config), *_names(config, "unit"))))
    if until is not None and until not in names:
        raise EmocapError(f"--until {until}: no such stage; this study has {', '.join(names)}")


def _draw_corpora(run: RunDir, draw: Callable[[Path], None], seed: int) -> None:
    function, settings = (draw.func, draw.keywords) if isinstance(draw, partial) else (draw, {})
    corpora, module = run.path / "corpora", function.__module__
    run.stage("corpora", lambda: draw(corpora), config=[seed, settings], code_deps=[module], outputs=["corpora"])


def _steps(run: RunDir, units: Sequence[TrainingUnit]) -> dict[str, Callable[[], object]]:
    """Every stage of a study by its name in `stage_names`, as a function that runs it unless it is up to date."""
    config = units[0].config
    steps: dict[str, Callable[[], object]] = {
        stage.name: partial(run_study_stage, run, units, stage) for stage in stages_of(config, "study")
    }
    if len(units) == 1:
        steps |= {stage.name: partial(_run_unit_stage, run, units[0], stage) for stage in stages_of(config, "unit")}
    else:
        named = {unit_name(unit.seed, unit.fold): unit for unit in units}
        steps |= {name: partial(_run_unit, run, unit, name) for name, unit in named.items()}
    done = list(steps)
    last = {stage.name: partial(run_study_stage, run, units, stage, done) for stage in stages_of(config, "units")}
    return steps | last


def run_study_stage(
    run: RunDir, units: Sequence[TrainingUnit], stage: Stage, after: Sequence[str] | None = None
) -> None:
    """Run a stage of the whole study; `after` names further inputs, which depend on the units."""
    config, dump = units[0].config, units[0].config.dump()
    fresh = fresh_copies(units)
    given: Any = fresh if stage.scope == "units" else fresh[0]
    run.stage(
        stage.name,
        lambda: stage.run(given),
        config=[*(_value(dump, key) for key in stage.config_keys), *_models(stage)],
        code_deps=stage.modules(config),
        inputs=[name for name in (*(after or ()), *stage.inputs) if name in run.fingerprints],
        files=stage.files(given) if stage.files is not None else [],
        outputs=stage.outputs_of(config),
        adds=stage.adds,
        invalidates=invalidated_by(stage) if stage.scope == "study" else [],
    )


def _models(*stages: Stage) -> list[Any]:
    """What stages that train depend on of the table of models."""
    return [model.structure for model in MODELS.values()] if any(stage.trains for stage in stages) else []


def _run_unit(run: RunDir, unit: TrainingUnit, name: str) -> None:
    """One of several units as one stage: its own stages in its own folder, its models dropped at the end."""
    stages, dump = stages_of(unit.config, "unit"), unit.config.dump()
    folder = unit.run.relative_to(unit.root)

    def work() -> None:
        inner = _run_unit_stages(run, unit)
        write_json(unit.run / "unit.json", {"stages": inner.finished_stages()})
        if not unit.config.keep_models:
            _drop_models(unit.run)

    run.stage(
        name,
        work,
        config=[
            dump["model"],
            unit.seed,
            unit.config.keep_models,
            _models(*stages),
            [_value(dump, key) for stage in stages for key in (*stage.config_keys, *stage.additive_keys)],
        ],
        code_deps=list(dict.fromkeys(module for stage in stages for module in stage.modules(unit.config))),
        inputs=list(_shared_fingerprints(run, unit)),
        outputs=[f"{folder}/unit.json"],
        recorded=[str(folder)],
        invalidates=RESULTS,
    )


def _run_unit_stages(run: RunDir, unit: TrainingUnit, until: str | None = None) -> RunDir:
    """The stages of one of several units in its own folder, up to `until`; all by default."""
    inner = RunDir(unit.run, _shared_fingerprints(run, unit))
    with inner.locked():
        for stage in stages_of(unit.config, "unit"):
            _run_unit_stage(inner, unit, stage)
            if stage.name == until:
                break
    return inner


def _shared_fingerprints(run: RunDir, unit: TrainingUnit) -> dict[str, str]:
    """The fingerprints of the study's own stages, on which its units depend."""
    names = (stage.name for stage in stages_of(unit.config, "study"))
    return {name: run.fingerprints[name] for name in names if name in run.fingerprints}


def _drop_models(folder: Path) -> None:
    """Remove a finished unit's models and the records of its stages, so that a change trains the unit anew."""
    shutil.rmtree(folder / "stages")
    for model in [*folder.glob("*/model"), folder / "scores"]:
        shutil.rmtree(model, ignore_errors=True)


def _run_unit_stage(run: RunDir, unit: TrainingUnit, stage: Stage) -> None:
    dump = unit.config.dump()
    run.stage(
        stage.name,
        lambda: stage.run(fresh_copies([unit])[0]),
        config={
            "model": dump["model"],
            "seed": [unit.config.seed, unit.seed, unit.fold],
            "backbone": read_value(unit.root / "backbone.json", "sha256"),
            "settings": [_value(dump, key) for key in stage.config_keys],
            "models": _models(stage),
        },
        code_deps=stage.modules(unit.config),
        inputs=[name for name in stage.inputs if name in run.fingerprints],
        outputs=stage.outputs_of(unit.config),
        invalidates=[os.path.relpath(unit.root / name, unit.run) for name in RESULTS],
        additive_config=[_value(dump, key) for key in stage.additive_keys] or None,
    )


def _value(dump: dict[str, Any], key: str) -> Any:
    value: Any = dump
    for name in key.split("."):
        value = None if value is None else value[name]
    return value


def _names(config: StudyConfig, scope: str) -> list[str]:
    return [stage.name for stage in stages_of(config, scope)]
