"""`evaluation.json` beside a model's card: what the model scored in its study, and the hashes of what was scored."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emocap.classifiers.places import folder_below
from emocap.errors import EmocapError
from emocap.files import is_temporary, read_json, sha256_of, write_json
from emocap.training.card_file import CARD, REMEDY
from emocap.training.checkpoint import read_card

EVALUATION = "evaluation.json"
ADDED = (EVALUATION, "familiarity.safetensors", "training_pairs.npy")  # written after the model was evaluated


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
    digest = hashlib.sha256()
    for name, file_digest in _digests(folder).items():
        digest.update(f"{name}\0{file_digest}\n".encode())
    for member in read_card(folder).members:
        digest.update(f"{member}\0{model_hash(folder / member, known)}\n".encode())
    known[folder] = digest.hexdigest()
    return known[folder]


def _digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file that was evaluated, by its path relative to the model folder, sorted."""
    files = sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    kept = [file for file in files if file.name not in ADDED and not is_temporary(file)]
    return {file.as_posix(): sha256_of(folder / file) for file in kept}


def write_evaluation(folder: Path, evaluation: Mapping[str, Any], known: dict[Path, str]) -> None:
    """Write a model folder's `evaluation.json`, with the folder's hash and those of its files but the card.

    Args:
        evaluation: what the model scored.
        known: as `model_hash`.
    """
    files = {name: digest for name, digest in _digests(folder).items() if name != CARD}
    write_json(folder / EVALUATION, {**evaluation, "model_hash": model_hash(folder, known), "files": files})


def require_as_evaluated(folder: Path) -> None:
    """Refuse a model folder in which a file is not what was evaluated; without `evaluation.json` nothing is known.

    The card may change, such as the path of the extractor's weights in it.

    Raises:
        EmocapError: a file is missing or has changed.
    """
    evaluation = read_evaluation(folder) or {}
    files = evaluation.get("files")
    for name, digest in files.items() if isinstance(files, dict) else ():
        path = folder_below(folder, name, folder, folder / EVALUATION)
        if not path.is_file() or sha256_of(path) != digest:
            raise EmocapError(
                f"{path}: missing or changed since the model was evaluated; restore it, or run the study again with "
                "the same --run-dir, which writes it again"
            )


def read_evaluation(folder: Path) -> dict[str, Any] | None:
    """The contents of a model folder's `evaluation.json`; None if it has none.

    Args:
        folder: holds `emocap.json`, such as `Classifier.folder`.

    Raises:
        EmocapError: it is damaged, so that nothing is known of the model's files and scores.
    """
    path = folder / EVALUATION
    values = read_json(path, REMEDY) if path.is_file() else None
    if values is not None and not isinstance(values, dict):
        raise EmocapError(f"{path}: contains a {type(values).__name__}, expected an object; {REMEDY}")
    return values
