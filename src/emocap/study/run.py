"""A study from configuration to report: which stage depends on what, and the manifest of what ran."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emocap.errors import EmocapError
from emocap.files import read_json, write_json
from emocap.regions.extractor import extractor_and_settings
from emocap.study.config import CorpusConfig, StudyConfig
from emocap.study.prepare import features, image_faults, prepare
from emocap.study.run_dir import RunDir, environment
from emocap.study.stages import STAGES, Study, count_faults, runs_of
from emocap.weights import weights_file

LEARNING = (
    "emotions",
    "evaluation/metrics",
    "corpora/pairs",
    "corpora/splits",
    "regions/store",
    "models",
    "training",
    "study/stages",
    "weights",
)


def stage_names(config: StudyConfig) -> list[str]:
    """The stages of a study, in order."""
    learnt = ["teacher", "scores", "selection", "student", "AnB", "AnB+"] if config.source is not None else ["teacher"]
    return ["prepare", "features", *learnt, "evaluation", "report"]


def run_study(
    config: StudyConfig,
    run_dir: Path,
    *,
    report: Callable[[Path], Path],
    until: str | None = None,
    command: str = "",
    draw: Callable[[Path], None] | None = None,
) -> Path:
    """Run a study, or go on with one that was stopped.

    Args:
        config: of the study.
        run_dir: its folder.
        report: writes the report of a run directory and gives its path.
        until: the last stage to run; None runs all.
        command: what the user typed, for the manifest.
        draw: makes the corpora below a folder of the run directory first; `data_root` is then that folder.

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
    run, study = RunDir(run_dir), Study(config, run_dir)
    with run.locked():
        if draw is not None:
            corpora = study.run / "corpora"
            run.stage("corpora", lambda: draw(corpora), config=config.seed, rooms=["corpora"], outputs=["corpora"])
        for name in names[: names.index(until) + 1 if until else None]:
            if name == "report":
                _write_manifest(run, study, command)
                return report(run_dir)
            _run_stage(run, study, name)
        _write_manifest(run, study, command)
    return run_dir


def _run_stage(run: RunDir, study: Study, name: str) -> None:
    config = study.config
    dump = config.dump()
    corpora = [corpus for corpus in (config.target, config.source) if corpus is not None]
    if name == "prepare":
        for corpus in corpora:
            _require_there(study, corpus)
        run.stage(
            name,
            lambda: prepare(study),
            config={key: dump[key] for key in ("target", "source", "min_count", "splits", "seed", "model")},
            rooms=["emotions", "corpora", "models/backbone", "weights", "study/prepare"],
            files=[*(study.place(corpus.path) for corpus in corpora), *_local_weights(config)],
            outputs=[
                *("target.parquet", "vocabulary.json", "splits.json", "backbone.json", "data.json"),
                *(["source.parquet"] if config.source is not None else []),
            ],
            outdates=_AFTERWARDS,
        )
    elif name == "features":
        run.stage(
            name,
            lambda: features(study),
            config=[dump["features"], str(config.data_root)],
            rooms=["regions", "study/prepare"],
            after=["prepare"],
            files=_picture_files(study, corpora),
            outputs=["features"],
            outdates=_AFTERWARDS,
        )
    elif name == "evaluation":
        oracle = config.target.oracle
        run.stage(
            name,
            lambda: STAGES[name](study),
            config=None,
            rooms=["evaluation", "study/stages", "study/gallery"],
            after=["features", *runs_of(config)],
            files=[study.place(oracle)] if oracle is not None else [],
            outputs=["results.json", "gallery.json", "gallery"],
        )
    else:
        sections, after, outputs = _LEARNT[name]
        rooms = LEARNING if name not in ("scores", "selection") else ("labelling", *LEARNING)
        run.stage(
            name,
            lambda: STAGES[name](study),
            config={
                "model": dump["model"],
                "seed": dump["seed"],
                "backbone": read_json(study.run / "backbone.json")["sha256"],
                "settings": [_part(dump, key) for key in sections],
            },
            rooms=rooms,
            after=after,
            outputs=outputs,
            outdates=_REPORTED,
        )


_REPORTED = ("results.json", "gallery.json", "gallery", "report.html")
_AFTERWARDS = (*_REPORTED, "teacher", "scores", "selection.parquet", "audit.json", "student", "AnB", "AnB+")
_LEARNT: dict[str, tuple[list[str], list[str], list[str]]] = {
    "teacher": (["teacher"], ["features"], ["teacher"]),
    "scores": ([], ["teacher"], ["scores"]),
    "selection": (["pseudo_labels"], ["scores"], ["selection.parquet", "audit.json"]),
    "student": (["student"], ["selection"], ["student"]),
    "AnB": (["transfer.n_transferred", "transfer.head", "transfer.AnB"], ["student"], ["AnB"]),
    "AnB+": (["transfer.n_transferred", "transfer.head", "transfer.AnB+"], ["student"], ["AnB+"]),
}


def _part(dump: dict[str, Any], key: str) -> Any:
    value: Any = dump
    for name in key.split("."):
        value = value[name]
    return value


def _picture_files(study: Study, corpora: list[CorpusConfig]) -> list[Path]:
    """What the features depend on: folders of images, headers of stores, and an extractor's local weights."""
    if study.config.features is None:
        return []
    stored = [study.place(corpus.store) / "header.json" for corpus in corpora if corpus.store]
    folders = [study.place(corpus.images) for corpus in corpora if corpus.images and not corpus.store]
    _, settings = extractor_and_settings(study.config.features.extractor, study.config.features.settings)
    weights = Path(str(settings.get("weights", "")))
    return [*stored, *folders, *([weights] if str(weights) != "." and weights.exists() else [])]


def _local_weights(config: StudyConfig) -> list[Path]:
    folder = Path(config.model.backbone)
    return [weights_file(folder)] if (folder / "config.json").is_file() else []


def _require_there(study: Study, corpus: CorpusConfig) -> None:
    if study.place(corpus.path).exists() and not study.place(corpus.path).is_file():
        raise EmocapError(f"{study.place(corpus.path)}: not a file; give the corpus's own file")
    for path in (corpus.path, corpus.images, corpus.store, corpus.oracle):
        if path is not None and not study.place(path).exists():
            raise EmocapError(
                f"{study.place(path)}: no such file or folder; "
                "put it there (the README says where data come from) or give --set data_root=FOLDER"
            )


def _write_manifest(run: RunDir, study: Study, command: str) -> None:
    prepared = read_json(study.run / "data.json")
    data, faults = prepared["data"], prepared["quarantined"]
    images: list[tuple[str, str]] = []
    for domain in ("target", "source"):
        if data[domain] is not None and study.store(domain) is not None:
            data[domain]["images_missing"], faults_there = image_faults(study, domain)
            images += faults_there
    for part in ("train", "validation", "test"):
        data["target"][part] = len(study.part(part))
    config = study.config.dump()
    config["model"]["backbone"] = read_json(study.run / "backbone.json")["name"]
    manifest = {
        "schema": 1,
        "name": study.config.name,
        "command": command,
        "config": config,
        "seed": study.config.seed,
        "vocabulary": study.vocabulary.hash,
        **environment(),
        "data": data,
        "quarantined": faults | {"images": count_faults(images)},
        "stages": run.finished_stages(),
    }
    write_json(study.run / "manifest.json", manifest)
