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
from emocap.study.cache import RunDir
from emocap.study.config.study import StudyConfig
from emocap.study.manifest import write_manifest
from emocap.study.stages.table import RESULTS, STAGES, Stage, invalidated_by, stages_of
from emocap.study.training_unit import TrainingUnit
from emocap.study.unit import fresh_copies

REPORT = "report"


def stage_names(config: StudyConfig) -> list[str]:
    """The stages of a study, in order: those of a unit, or the units' names where there are several."""
    first, last = (stages_of(config, scope) for scope in ("study", "units"))
    units = config.units
    middle = _names(stages_of(config, "unit")) if len(units) == 1 else [unit_name(*unit) for unit in units]
    return [*_names(first), *middle, *_names(last), REPORT]


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
        TrainingUnit(config, root, root if len(units) == 1 else root / "units" / unit_name(seed, fold), seed, fold)
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
        until: the last stage to run; None runs all.
        command: what the user typed, for the manifest.
        draw: writes the corpora below a folder of the run directory first; `data_root` is then that folder.

    Returns:
        The report's path; the run directory where `until` is an earlier stage.

    Raises:
        EmocapError: bad input, an unknown stage, or another run in the same folder.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise EmocapError("a study runs in one process for now; start it without torchrun")
    names = stage_names(config)
    if until is not None and until not in names:
        raise EmocapError(f"--until {until}: no such stage; this study has {', '.join(names)}")
    if draw is not None:
        config = config.model_copy(update={"data_root": run_dir / "corpora"})
    run, units = RunDir(run_dir), units_of(config, run_dir)
    with run.locked():
        if draw is not None:
            _draw_corpora(run, draw, config.seed)
        for name in names[: names.index(until) + 1 if until else None]:
            if name == REPORT:
                write_manifest(run, fresh_copies(units), command)
                return report(run_dir)
            _run_stage(run, units, name)
        write_manifest(run, fresh_copies(units), command)
    return run_dir


def _draw_corpora(run: RunDir, draw: Callable[[Path], None], seed: int) -> None:
    function = draw.func if isinstance(draw, partial) else draw
    corpora = run.path / "corpora"
    run.stage("corpora", lambda: draw(corpora), config=seed, code_deps=[function.__module__], outputs=["corpora"])


def _run_stage(run: RunDir, units: Sequence[TrainingUnit], name: str) -> None:
    by_name = {unit_name(unit.seed, unit.fold): unit for unit in units} if len(units) > 1 else {}
    if name in by_name:
        _run_unit(run, by_name[name], name)
    elif STAGES[name].scope == "unit":
        _run_unit_stage(run, units[0], STAGES[name])
    else:
        _run_study_stage(run, units, STAGES[name], list(by_name))


def _run_study_stage(run: RunDir, units: Sequence[TrainingUnit], stage: Stage, unit_names: list[str]) -> None:
    config, dump = units[0].config, units[0].config.dump()
    fresh = fresh_copies(units)
    given: Any = fresh if stage.scope == "units" else fresh[0]
    before = [name for name in stage.inputs if name in run.fingerprints]
    if stage.scope == "units":
        before = unit_names or _names(stages_of(config, "unit"))
    run.stage(
        stage.name,
        lambda: stage.run(given),
        config=[_value(dump, key) for key in stage.config_keys],
        code_deps=stage.modules(config),
        inputs=before,
        files=stage.files(given) if stage.files is not None else [],
        outputs=stage.outputs_of(config),
        invalidates=invalidated_by(stage) if stage.scope == "study" else [],
    )


def _run_unit(run: RunDir, unit: TrainingUnit, name: str) -> None:
    """One of several units as one stage: its own stages in its own folder, its models dropped at the end."""
    stages, dump = stages_of(unit.config, "unit"), unit.config.dump()
    shared = [stage.name for stage in stages_of(unit.config, "study")]
    folder = unit.run.relative_to(unit.root)

    def work() -> None:
        inner = RunDir(unit.run, {stage: run.fingerprints[stage] for stage in shared if stage in run.fingerprints})
        with inner.locked():
            for stage in stages:
                _run_unit_stage(inner, unit, stage)
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
            [_value(dump, key) for stage in stages for key in (*stage.config_keys, *stage.additive_keys)],
        ],
        code_deps=list(dict.fromkeys(module for stage in stages for module in stage.modules(unit.config))),
        inputs=[stage for stage in shared if stage in run.fingerprints],
        outputs=[f"{folder}/unit.json"],
        invalidates=RESULTS,
    )


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
        },
        code_deps=stage.modules(unit.config),
        inputs=[name for name in stage.inputs if name in run.fingerprints],
        outputs=stage.outputs_of(unit.config),
        invalidates=RESULTS if unit.run == unit.root else (),
        additive_config=[_value(dump, key) for key in stage.additive_keys] or None,
    )


def _value(dump: dict[str, Any], key: str) -> Any:
    value: Any = dump
    for name in key.split("."):
        value = None if value is None else value[name]
    return value


def _names(stages: Sequence[Stage]) -> list[str]:
    return [stage.name for stage in stages]
