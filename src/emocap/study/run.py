"""A study from configuration to report: which stage depends on what, its units, and the manifest of what ran.

The first stages belong to the whole study; then every unit, a seed's fold, goes through the models. Where there is one
unit only, it lies in the run directory itself.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emocap.corpora.read import corpus_files
from emocap.errors import EmocapError
from emocap.files import read_json, write_json
from emocap.regions.extractors.registry import extractor_and_settings
from emocap.study.artifacts import read_value
from emocap.study.cache import RunDir, environment
from emocap.study.config.corpora import CorpusConfig
from emocap.study.config.study import StudyConfig
from emocap.study.stages import captioner as captioning
from emocap.study.stages import captions as caption_judging
from emocap.study.stages import modality_ablation as signal
from emocap.study.stages import pseudo_label_study, transfer_study
from emocap.study.stages import training as stages
from emocap.study.stages.evaluation import evaluation
from emocap.study.stages.features import features, image_faults
from emocap.study.stages.prepare import count_faults, prepare
from emocap.study.stages.splits import splits
from emocap.study.unit import PARTS, Study
from emocap.weights import weights_file

LEARNING = (
    "emotions",
    "weights",
    "corpora/pairs",
    "corpora/splits",
    "corpora/annotators",
    "regions/store",
    "models",
    "evaluation/metrics",
    "evaluation/weighted",
    "evaluation/calibration",
    "training",
    "study/stages",
    "study/unit",
)
ANSWERS = ("history.json", "validation_probabilities.npy", "test_probabilities.npy")
SELECTION = tuple(f"pseudo_labels.{key}" for key in ("p", "k", "fraction", "targets", "min_agreement"))
RESULTS = ("results.json", "predictions.parquet", "gallery.json", "gallery", "report.html")
FIRST = ("prepare", "features", "labelled")


@dataclass(frozen=True)
class Stage:
    """A stage of a unit.

    Attributes:
        work: from files to files.
        sections: keys of the configuration that it depends on, besides model and seed.
        after: stages whose outputs it reads; those that a study has not are left out.
        outputs: paths below the unit's folder.
        rooms: further code that it depends on.
        grows: keys of the configuration that only add to what it makes.
    """

    work: Callable[[Study], None]
    sections: Sequence[str]
    after: Sequence[str]
    outputs: Sequence[str]
    rooms: Sequence[str] = ()
    grows: Sequence[str] = ()


def _model_files(run: str) -> list[str]:
    """A run's folder, which goes as a whole once the run is outdated, and what must be in it."""
    return [run, *(f"{run}/{name}" for name in ("model", *ANSWERS))]


def _back(run: str, base: str) -> Stage:
    kind = "AnB+" if run.endswith("+") else "AnB"
    sections = ["targets", "transfer.n_transferred", "transfer.head", f"transfer.{kind}"]
    return Stage(lambda study: stages.back_to_target(study, run), sections, ["splits", base], _model_files(run))


UNIT_STAGES: dict[str, Stage] = {
    "splits": Stage(
        splits,
        ["splits", "folds", "captioner.held_out_images"],
        ["prepare"],
        outputs=["splits.json", "source_rows.npy", "caption_images.json"],
        rooms=["corpora/duplicates", "study/stages"],
    ),
    "baselines": Stage(
        stages.baselines,
        ["baselines"],
        ["splits"],
        ["baselines"],
        rooms=["evaluation/baselines", "evaluation/sentence_vectors"],
    ),
    "teacher": Stage(stages.teacher, ["targets", "teacher"], ["splits", "features"], _model_files("teacher")),
    "scores": Stage(stages.scores, [], ["teacher"], ["scores", "scores/probabilities.npy"], rooms=["pseudo_labels"]),
    "selection": Stage(
        stages.selection, SELECTION, ["scores"], ["selection.parquet", "audit.json"], rooms=["pseudo_labels"]
    ),
    "student": Stage(stages.student, ["student"], ["selection"], _model_files("student")),
    "AnB": _back("AnB", "student"),
    "AnB+": _back("AnB+", "student"),
    "labelled_AnB": _back("labelled_AnB", "labelled"),
    "labelled_AnB+": _back("labelled_AnB+", "labelled"),
    "transfer_study": Stage(
        transfer_study.transfer_study,
        ["targets", "teacher", "transfer.AnB", "transfer.AnB+"],
        ["teacher", "student", "labelled"],
        [transfer_study.FOLDER, f"{transfer_study.FOLDER}/points.json"],
        rooms=["study/stages/transfer_study"],
        grows=["transfer.layers", "transfer.controls", "transfer.seeds"],
    ),
    "pseudo_label_study": Stage(
        pseudo_label_study.pseudo_label_study,
        ["targets", *SELECTION, "student", "transfer.n_transferred", "transfer.head", "transfer.AnB+"],
        ["scores", "teacher"],
        [pseudo_label_study.FOLDER, f"{pseudo_label_study.FOLDER}/points.json"],
        rooms=["pseudo_labels", "study/stages/pseudo_label_study"],
        grows=["pseudo_labels.study"],
    ),
    "captioner": Stage(
        captioning.captioner,
        [
            "captioner.decoder_layers",
            "captioner.drop_emotions",
            "captioner.words",
            "captioner.training",
            "captioner.candidates",
        ],
        ["selection", "student"],
        [captioning.RUN, f"{captioning.RUN}/model", f"{captioning.RUN}/history.json"],
        rooms=["study/stages/captioner", "captioning"],
    ),
    "captions": Stage(
        caption_judging.captions,
        ["captioner", "baselines.vectors"],
        ["splits", "captioner", "AnB+"],
        [f"{captioning.RUN}/{name}" for name in ("captions.json", "gallery", "model/ranker", "model/choice.json")],
        rooms=["evaluation", "study/stages/captions", "captioning", "study/gallery"],
    ),
    "signal": Stage(
        signal.signal,
        [],
        ["features", "teacher", "AnB+", "labelled_AnB+"],
        ["signal"],
        rooms=["study/stages/modality_ablation"],
    ),
}


def unit_stages(config: StudyConfig) -> list[str]:
    """The stages that a unit of a study goes through, in order."""
    of_source = ["scores", "selection", "student", "AnB", "AnB+"] if config.source is not None else []
    of_labelled = ["labelled_AnB", "labelled_AnB+"] if config.labelled_source is not None else []
    return [
        "splits",
        "baselines",
        "teacher",
        *of_source,
        *of_labelled,
        *(["transfer_study"] if config.transfer.layers is not None else []),
        *(["pseudo_label_study"] if config.pseudo_labels.study is not None else []),
        *(["captioner", "captions"] if config.captioner is not None else []),
        *(["signal"] if config.target_has_pictures else []),
    ]


def stage_names(config: StudyConfig) -> list[str]:
    """The stages of a study, in order: those of a unit, or the units' names where there are several."""
    labelled = ["labelled"] if config.labelled_source is not None else []
    units = config.units
    middle = unit_stages(config) if len(units) == 1 else [unit_name(*unit) for unit in units]
    return ["prepare", "features", *labelled, *middle, "evaluation", "report"]


def unit_name(seed: int, fold: int | None) -> str:
    """The name of a unit and its folder.

    >>> unit_name(0, 2), unit_name(1, None)
    ('s0_f2', 's1')
    """
    return f"s{seed}" if fold is None else f"s{seed}_f{fold}"


def units_of(config: StudyConfig, root: Path) -> list[Study]:
    """Every unit of a study with its folder, `root` itself where there is one."""
    units = config.units
    return [
        Study(config, root, root if len(units) == 1 else root / "units" / unit_name(seed, fold), seed, fold)
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
    run, units = RunDir(run_dir), units_of(config, run_dir)
    with run.locked():
        if draw is not None:
            corpora = run_dir / "corpora"
            run.stage("corpora", lambda: draw(corpora), config=config.seed, rooms=["demo"], outputs=["corpora"])
        for name in names[: names.index(until) + 1 if until else None]:
            if name == "report":
                _write_manifest(run, units, command)
                return report(run_dir)
            _run_stage(run, units, name)
        _write_manifest(run, units, command)
    return run_dir


def _run_stage(run: RunDir, units: Sequence[Study], name: str) -> None:
    study = units[0]
    config, dump = study.config, study.config.dump()
    by_name = {unit_name(unit.seed, unit.fold): unit for unit in units}
    models = [*config.corpora, "min_count", "model", "targets", "seed"]
    if name == "prepare":
        for corpus in config.corpora.values():
            _require_there(study, corpus)
        run.stage(
            name,
            lambda: prepare(study),
            config={key: dump[key] for key in models},
            rooms=["emotions", "corpora", "models/backbones", "weights", "study/stages"],
            files=[*_corpus_files(study), *_local_weights(config)],
            outputs=[
                *(f"{domain}.parquet" for domain in config.corpora),
                "vocabulary.json",
                "backbone.json",
                "data.json",
                *(["labelled_vocabulary.json"] if config.labelled_source is not None else []),
            ],
            outdates=_outdated(units),
        )
    elif name == "features":
        run.stage(
            name,
            lambda: features(study),
            config=[dump["features"], str(config.data_root)],
            rooms=["regions", "study/stages"],
            after=["prepare"],
            files=_picture_files(study),
            outputs=["features"],
            outdates=_outdated(units),
        )
    elif name == "labelled":
        run.stage(
            name,
            lambda: stages.labelled(study),
            config=[dump["model"], dump["seed"], dump["labelled"]],
            rooms=LEARNING,
            after=["prepare", "features"],
            outputs=["labelled", "labelled/model", "labelled/history.json"],
            outdates=RESULTS,
        )
    elif name == "evaluation":
        oracle = config.target.oracle
        run.stage(
            name,
            lambda: evaluation(units),
            config=dump["evaluation"],
            rooms=["emotions", "corpora", "evaluation", "study/stages/evaluation", "study/gallery"],
            after=unit_stages(config) if len(units) == 1 else list(by_name),
            files=[study.place(oracle)] if oracle is not None else [],
            outputs=["results.json", "predictions.parquet", "gallery.json", "gallery"],
        )
    elif name in by_name and len(units) > 1:
        _run_unit(run, by_name[name], name)
    else:
        _run_unit_stage(run, study, name)


def _run_unit(run: RunDir, unit: Study, name: str) -> None:
    """One of several units as one stage: its own stages in its own folder, its models dropped at the end."""
    names = unit_stages(unit.config)
    folder = unit.run.relative_to(unit.root)

    def work() -> None:
        inner = RunDir(unit.run, {first: run.fingerprints[first] for first in FIRST if first in run.fingerprints})
        with inner.locked():
            for stage in names:
                _run_unit_stage(inner, unit, stage)
            write_json(unit.run / "unit.json", {"stages": inner.finished_stages()})
            if not unit.config.keep_models:
                _drop_models(unit.run)

    used = [UNIT_STAGES[stage] for stage in names]
    dump = unit.config.dump()
    run.stage(
        name,
        work,
        config=[
            dump["model"],
            unit.seed,
            unit.config.keep_models,
            [_part(dump, key) for stage in used for key in (*stage.sections, *stage.grows)],
        ],
        rooms=[*LEARNING, *dict.fromkeys(room for stage in used for room in stage.rooms)],
        after=[first for first in FIRST if first in run.fingerprints],
        outputs=[f"{folder}/unit.json"],
        outdates=RESULTS,
    )


def _drop_models(folder: Path) -> None:
    """Remove a finished unit's models and the marks of its stages, so that a change trains the unit anew."""
    shutil.rmtree(folder / "stages")
    for model in [*folder.glob("*/model"), folder / "scores"]:
        shutil.rmtree(model, ignore_errors=True)


def _run_unit_stage(run: RunDir, study: Study, name: str) -> None:
    stage, dump = UNIT_STAGES[name], study.config.dump()
    made = {
        "source_rows.npy": study.config.source is not None,
        "caption_images.json": study.config.captioner is not None,
    }
    run.stage(
        name,
        lambda: stage.work(study),
        config={
            "model": dump["model"],
            "seed": [study.config.seed, study.seed, study.fold],
            "backbone": read_value(study.root / "backbone.json", "sha256"),
            "settings": [_part(dump, key) for key in stage.sections],
        },
        rooms=[*LEARNING, *stage.rooms],
        after=[before for before in stage.after if before in run.fingerprints],
        outputs=[output for output in stage.outputs if made.get(output, True)],
        outdates=RESULTS if study.run == study.root else (),
        grows=[_part(dump, key) for key in stage.grows] or None,
    )


def _outdated(units: Sequence[Study]) -> list[str]:
    """What is no longer true once corpora, vocabulary or features change."""
    outputs = [output for stage in UNIT_STAGES.values() for output in stage.outputs]
    return [
        *RESULTS,
        "labelled",
        "units",
        *dict.fromkeys(output.split("/")[0] for output in outputs),
    ]


def _part(dump: dict[str, Any], key: str) -> Any:
    value: Any = dump
    for name in key.split("."):
        value = None if value is None else value[name]
    return value


def _corpus_files(study: Study) -> list[Path]:
    """What `prepare` reads: the corpora with the files beside them, and the target's images, among which are copies."""
    config = study.config
    files = [
        file for corpus in config.corpora.values() for file in corpus_files(corpus.format, study.place(corpus.path))
    ]
    folders = [study.place(corpus.images) for corpus in config.corpora.values() if corpus.images is not None]
    return [*files, *folders]


def _picture_files(study: Study) -> list[Path]:
    """What the features depend on: folders of images, headers of stores, and an extractor's local weights."""
    if study.config.features is None:
        return []
    corpora = study.config.corpora.values()
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


def _write_manifest(run: RunDir, units: Sequence[Study], command: str) -> None:
    study = units[0]
    data, faults = (read_value(study.root / "data.json", key) for key in ("data", "rejected"))
    images: list[tuple[str, str]] = []
    for domain in study.config.corpora:
        if study.store(domain) is not None:
            data[domain]["images_missing"], faults_there = image_faults(study, domain)
            images += faults_there
    drawn = [read_json(unit.run / "splits.json") for unit in units if (unit.run / "splits.json").is_file()]
    if drawn:
        if len(units) == 1:
            data["target"] |= {part: len(study.rows[part]) for part in PARTS}
        data["target"]["repeated_captions"] = max(found["repeated_captions"]["count"] for found in drawn)
        if study.config.source is not None:
            data["source"]["held_out_pairs_removed"] = max(found["held_out_pairs_removed"] for found in drawn)
    config = study.config.dump()
    config["model"]["backbone"] = read_value(study.root / "backbone.json", "name")
    manifest = {
        "schema": 1,
        "name": study.config.name,
        "command": command,
        "config": config,
        "seed": study.config.seed,
        "units": [str(unit.run.relative_to(unit.root)) for unit in units],
        "vocabulary": study.vocabulary.hash,
        **environment(),
        "data": data,
        "rejected": faults | {"images": count_faults(images)},
        "stages": run.finished_stages(),
    }
    write_json(study.root / "manifest.json", manifest)
