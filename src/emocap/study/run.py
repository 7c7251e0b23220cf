"""A study from configuration to report: which stage depends on what, and the manifest of what ran."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from emocap.corpora.pairs import Pairs
from emocap.corpora.read import read_corpus
from emocap.corpora.splits import split_by_image
from emocap.emotions import build_vocabulary
from emocap.errors import EmocapError
from emocap.files import read_json, write_json
from emocap.regions.extract import build_extractor, extract, read_report
from emocap.study.config import CorpusConfig, StudyConfig
from emocap.study.run_dir import RunDir, environment
from emocap.study.stages import STAGES, Study, count_faults, runs_of, write_pairs

logger = logging.getLogger("emocap")
LEARNING = ("emotions", "corpora/pairs", "corpora/splits", "regions/store", "models", "training", "study/stages")


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
) -> Path:
    """Run a study, or go on with one that was stopped.

    Args:
        config: of the study.
        run_dir: its folder.
        report: writes the report of a run directory and gives its path.
        until: the last stage to run; None runs all.
        command: what the user typed, for the manifest.

    Returns:
        The report's path; the run directory where `until` is an earlier stage.

    Raises:
        EmocapError: bad input, an unknown stage, or another run in the same folder.
    """
    names = stage_names(config)
    if until is not None and until not in names:
        raise EmocapError(f"--until {until}: no such stage; this study has {', '.join(names)}")
    run, study = RunDir(run_dir), Study(config, run_dir)
    with run.locked():
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
            config={key: dump[key] for key in ("target", "source", "min_count", "splits", "seed")},
            rooms=["emotions", "corpora", "study/run"],
            files=[study.place(corpus.path) for corpus in corpora],
            outputs=["target.parquet", "vocabulary.json", "splits.json", "data.json"],
        )
    elif name == "features":
        run.stage(
            name,
            lambda: features(study),
            config=[dump["features"], str(config.data_root)],
            rooms=["regions", "study/run"],
            after=["prepare"],
            files=[study.place(corpus.images) for corpus in corpora if corpus.images and config.features],
            outputs=["features"],
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
            config={key: dump[key] for key in ("model", "seed")} | {key: _part(dump, key) for key in sections},
            rooms=rooms,
            after=after,
            outputs=outputs,
        )


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


def _require_there(study: Study, corpus: CorpusConfig) -> None:
    for path in (corpus.path, corpus.images):
        if path is not None and not study.place(path).exists():
            raise EmocapError(
                f"{study.place(path)}: no such file or folder; "
                "fetch it with 'emocap download' or give --set data_root=FOLDER"
            )


def prepare(study: Study) -> None:
    """Read the corpora, fix vocabulary and splits, and write all of it down."""
    config = study.config
    target = _read(study, config.target)
    if not target.is_labelled:
        raise EmocapError(f"{study.place(config.target.path)}: has no emotions; the target must be labelled")
    vocabulary = build_vocabulary(target.emotions, config.min_count)
    known = set(vocabulary.labels)
    usable = [row for row, named in enumerate(target.emotions) if known & set(named or ())]
    pairs = target.select(usable)
    fractions = config.splits.model_dump()
    parts = split_by_image(pairs, vocabulary, fractions, config.seed)
    data: dict[str, Any] = {"target": _sizes(target) | {"labelled": len(usable)}, "source": None}
    faults = {"target": count_faults([(q.where, q.reason) for q in target.quarantined])}
    if config.source is not None:
        source = _read(study, config.source)
        data["source"] = _sizes(source)
        faults["source"] = count_faults([(q.where, q.reason) for q in source.quarantined])
        write_pairs(study.run / "source.parquet", source)
    for domain, fault in faults.items():
        if fault["count"]:
            logger.warning("%s: %d rows set aside, such as %s", domain, fault["count"], fault["examples"][0])
    write_pairs(study.run / "target.parquet", pairs)
    write_json(study.run / "vocabulary.json", {"labels": list(vocabulary.labels), "hash": vocabulary.hash})
    write_json(study.run / "splits.json", {"seed": config.seed, "parts": parts})
    write_json(study.run / "data.json", {"data": data, "quarantined": faults})
    logger.info("target: %d labelled pairs, %d emotions", len(pairs), len(vocabulary))


def _read(study: Study, corpus: CorpusConfig) -> Pairs:
    images = study.place(corpus.images) if corpus.images is not None else None
    pairs = read_corpus(corpus.format, study.place(corpus.path), images)
    if corpus.limit_images is None:
        return pairs
    names = sorted(pairs.distinct_images())
    drawn = np.random.default_rng(study.config.seed).permutation(len(names))[: corpus.limit_images]
    kept = {names[i] for i in drawn}
    rows = [row for row, image in enumerate(pairs.images) if image in kept]
    return Pairs(pairs.select(rows).table, pairs.image_root, pairs.quarantined, pairs.open_vocabulary)


def _sizes(pairs: Pairs) -> dict[str, int]:
    return {"pairs": len(pairs), "images": len(pairs.distinct_images())}


def features(study: Study) -> None:
    """Extract the region features of every image that the corpora name."""
    settings = study.config.features
    folder = study.run / "features"
    folder.mkdir(parents=True, exist_ok=True)
    if settings is None:
        return
    for domain in ("target", "source") if study.config.source is not None else ("target",):
        pairs = study.pairs(domain)
        if pairs.image_root is not None and not (folder / domain).is_dir():
            extractor = build_extractor(settings.extractor, settings.settings)
            extract(pairs.distinct_images(), pairs.image_root, extractor, folder / domain)


def _write_manifest(run: RunDir, study: Study, command: str) -> None:
    prepared = read_json(study.run / "data.json")
    data, faults = prepared["data"], prepared["quarantined"]
    images: list[tuple[str, str]] = []
    for domain in ("target", "source"):
        store = study.run / "features" / domain
        if data[domain] is not None and store.is_dir():
            found = read_report(store)
            data[domain]["images_missing"] = len(found.missing)
            images += [(fault.where, fault.reason) for fault in found.quarantined]
    for part in ("train", "validation", "test"):
        data["target"][part] = len(study.part(part))
    manifest = {
        "schema": 1,
        "name": study.config.name,
        "command": command,
        "config": study.config.dump(),
        "seed": study.config.seed,
        "vocabulary": study.vocabulary.hash,
        **environment(),
        "data": data,
        "quarantined": faults | {"images": count_faults(images)},
        "stages": run.finished_stages(),
    }
    write_json(study.run / "manifest.json", manifest)
