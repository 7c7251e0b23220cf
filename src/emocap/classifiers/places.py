"""Where models are: the model folder that a path names, the run directory that holds it, and the paths of members."""

import os
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from emocap.errors import EmocapError
from emocap.files import read_json, sha256_of
from emocap.progress import logger
from emocap.training.card_file import CARD, REMEDY

RECOMMENDED = "recommended.json"
RUN_FILES = (RECOMMENDED, "results.json", "manifest.json")


def find_model(folder: Path) -> Path:
    """The model folder that a path names: itself, NAME with NAME/model in it, or the one that a run recommends.

    Raises:
        EmocapError: there is none.
    """
    folder = Path(folder)
    for candidate in (folder, folder / "model", _over_folds(folder)):
        if (candidate / CARD).is_file():
            return candidate
    if (folder / RECOMMENDED).is_file():
        return _recommended(folder)
    if not folder.is_dir():
        raise EmocapError(f"{folder}: no such folder; give a run directory, or a model folder such as RUN/AnB+")
    if any((folder / name).is_file() for name in RUN_FILES):
        found = sorted(path.parent.parent for path in folder.glob(f"*/model/{CARD}"))
        models = f", or give a model, such as {found[0]}" if found else ""
        raise EmocapError(f"{folder}: recommends no model (no {RECOMMENDED}); let the study run to its end{models}")
    raise EmocapError(
        f"{folder}: not a model folder (no {CARD}); give a run directory, or a model that a study saved, such as "
        "RUN/AnB+ or RUN/baselines/tfidf"
    )


def _over_folds(folder: Path) -> Path:
    """Where a run over folds or seeds has a model of all its units, if it is asked for where one unit has it.

    >>> _over_folds(Path("run/teacher")).as_posix(), _over_folds(Path("run/baselines/tfidf/model")).as_posix()
    ('run/models/teacher/model', 'run/models/tfidf/model')
    """
    named = folder.parent if folder.name == "model" else folder
    run = named.parent.parent if named.parent.name == "baselines" else named.parent
    return run / "models" / named.name / "model"


def _recommended(run: Path) -> Path:
    path = run / RECOMMENDED
    values: Any = read_json(path, REMEDY)
    _require_recorded(run, path)
    model = values.get("model") if isinstance(values, dict) else None
    if not isinstance(model, str):
        raise EmocapError(f"{path}: names no model; run the study again")
    folder = folder_below(run, model, run, path)
    if not (folder / CARD).is_file():
        raise EmocapError(f"{path}: recommends {model}, which is not there; run the study again, or name a model")
    reason = values.get("reason")
    logger.info("%s: uses %s%s", run, values.get("name", model), f" ({reason})" if isinstance(reason, str) else "")
    return folder


def _require_recorded(run: Path, path: Path) -> None:
    """Refuse a recommendation that is not the one that the study wrote; an earlier version recorded no SHA-256."""
    record = run / "stages" / "model_folders.json"
    try:
        values: Any = read_json(record) if record.is_file() else None
    except EmocapError:  # the study runs the stage again
        return
    outputs = values.get("outputs") if isinstance(values, dict) else None
    recorded = outputs.get(RECOMMENDED) if isinstance(outputs, dict) else None
    if recorded not in (None, sha256_of(path)):
        raise EmocapError(f"{path}: changed since the study wrote it; name a model folder, or {REMEDY}")


def run_directory(folder: Path) -> Path | None:
    """The run directory that holds a model folder; None if it is in none."""
    return next(
        (place for place in folder.absolute().parents if any((place / name).is_file() for name in RUN_FILES)), None
    )


def folder_below(base: Path, relative: str, root: Path, where: Path) -> Path:
    """The folder at a relative path, which must not leave `root`.

    Args:
        base: the folder that the path is relative to.
        relative: the path, with "/" between its parts.
        root: the folder that it must stay in.
        where: the file that names the path, for errors.

    Raises:
        EmocapError: an absolute path, or one that leaves `root`.
    """
    is_absolute = any(kind(relative).anchor for kind in (PurePosixPath, PureWindowsPath))
    folder = Path(os.path.normpath(base.absolute() / PurePath(*PurePosixPath(relative).parts)))
    if is_absolute or not relative or not folder.is_relative_to(os.path.normpath(root.absolute())):
        raise EmocapError(f"{where}: names the model {relative!r}, expected a relative path within {root}")
    return folder
