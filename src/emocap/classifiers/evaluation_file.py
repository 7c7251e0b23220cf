"""`evaluation.json` beside a model's card: what the model scored in its study, and the hash of what was scored."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emocap.errors import EmocapError
from emocap.files import is_temporary, read_json, sha256_of, write_json
from emocap.training.checkpoint import read_card

EVALUATION = "evaluation.json"
ADDED = (EVALUATION, "familiarity.safetensors")  # written after the model was evaluated


def model_hash(folder: Path, known: dict[Path, str] | None = None) -> str:
    """SHA-256 over the names and SHA-256 of a model folder's files, and over the hashes of an ensemble's members.

    Files that are added after its evaluation do not count.

    Args:
        folder: holds `emocap.json`, and can be loaded.
        known: hashes of folders, which are not computed again; this one's is added.
    """
    folder = Path(os.path.normpath(folder))
    known = {} if known is None else known
    if folder in known:
        return known[folder]
    files = sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    digest = hashlib.sha256()
    for file in files:
        if file.name not in ADDED and not is_temporary(file):
            digest.update(f"{file.as_posix()}\0{sha256_of(folder / file)}\n".encode())
    for member in read_card(folder).members:
        digest.update(f"{member}\0{model_hash(folder / member, known)}\n".encode())
    known[folder] = digest.hexdigest()
    return known[folder]


def write_evaluation(folder: Path, evaluation: Mapping[str, Any], known: dict[Path, str]) -> None:
    """Write a model folder's `evaluation.json`, with the folder's hash.

    Args:
        evaluation: what the model scored.
        known: as `model_hash`.
    """
    write_json(folder / EVALUATION, {**evaluation, "model_hash": model_hash(folder, known)})


def read_evaluation(folder: Path) -> dict[str, Any] | None:
    """The contents of a model folder's `evaluation.json`; None if it has none, or if it is damaged.

    Args:
        folder: holds `emocap.json`, such as `Classifier.folder`.
    """
    path = folder / EVALUATION
    try:
        values = read_json(path) if path.is_file() else None
    except EmocapError:
        return None
    return values if isinstance(values, dict) else None
