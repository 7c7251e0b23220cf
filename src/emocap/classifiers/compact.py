"""A compact model folder: a network's weights as updates to a backbone that is installed anyway.

A matrix that training changed is stored as two factors of its difference from the backbone's (Hu et al. 2021,
arXiv 2106.09685, in reverse): exactly, up to rounding, where the difference has a low rank, as after low-rank
fine-tuning; otherwise the best approximation of a given rank. Other tensors that changed are stored as differences,
those that the backbone lacks whole, large matrices among them as eight-bit integers with a scale for each row. The
tokenizer is the backbone's.
"""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from emocap.classifiers.evaluation_file import read_evaluation, write_evaluation
from emocap.classifiers.familiarity import read_familiarity, write_familiarity
from emocap.classifiers.required_backbone import (
    RESTORE,
    RequiredBackbone,
    read_backbone,
    write_backbone,
)
from emocap.classifiers.training_pairs import FILE as TRAINING_PAIRS
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import atomic_folder, sha256_of, write_json
from emocap.models.backbones import OFFLINE_SHA256, TOKENIZER_FILES, Backbone, find_backbone
from emocap.models.classifier import EmotionNetwork
from emocap.models.initialisation import load_backbone
from emocap.models.packaged import LARGE
from emocap.progress import logger
from emocap.training.card_file import CARD
from emocap.training.checkpoint import SavedModel, load_tokenizer, read_card, read_config
from emocap.weights import read_tensors, weights_digest

CONFIG = "config.json"
UPDATES = "updates.safetensors"
LEFT, RIGHT, DIFFERENCE, WHOLE, SCALE = ".left", ".right", ".difference", ".whole", ".scale"
LARGE_MATRIX = 1 << 16  # elements
VISUAL = "visual_"  # in the names of the embeddings of regions, of every class of network
TOLERANCE = 1e-3  # relative error of a difference that counts as exact: float16 has 5e-4


@dataclass(frozen=True)
class Compactness:
    """What a compact folder keeps of a model.

    Attributes:
        n_bytes: of the folder.
        errors: name of each tensor that changed to the relative error of its stored difference, in Frobenius norm.
        ranks: name of each tensor that is stored as two factors to their rank.
    """

    n_bytes: int
    errors: dict[str, float]
    ranks: dict[str, int]

    @property
    def worst(self) -> float:
        """The largest relative error; 0 where nothing changed."""
        return max(self.errors.values(), default=0.0)


def write_compact(
    saved: SavedModel,
    out: Path,
    *,
    backbone: str,
    max_rank: int = 16,
    dtype: torch.dtype = torch.float16,
    changes: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
) -> Compactness:
    """Write a model as updates to its backbone, with its card, familiarity statistics and hashes of training pairs.

    Args:
        saved: a network, by `load_model`.
        out: folder to write; replaced if it exists.
        backbone: that the model was initialised from: "offline", "large" or a folder.
        max_rank: largest rank of a difference; one of a higher rank is approximated.
        dtype: of what is stored.
        changes: of the card, such as another `training`.
        evaluation: what the model scored; None means what is in its folder.

    Raises:
        EmocapError: the backbone is not there, or has another tokenizer or other shapes than the model.
    """
    found = find_backbone(backbone)
    tokenizer = load_tokenizer(found.tokenizer_folder)
    scored = read_evaluation(saved.folder) if evaluation is None else evaluation
    if tokenizer.get_vocab() != saved.tokenizer.get_vocab():
        raise EmocapError(f"{saved.folder}: has another tokenizer than the backbone {backbone}; name its own backbone")
    updates, errors, ranks = _updates(saved, found, max_rank, dtype)
    with atomic_folder(out) as temporary:
        try:
            save_file(updates, temporary / UPDATES)
        except SafetensorError as error:
            raise OSError(str(error).splitlines()[0]) from error
        saved.model.config.to_json_file(temporary / CONFIG)
        write_json(temporary / CARD, asdict(saved.card) | dict(changes or {}))
        write_familiarity(temporary, read_familiarity(saved.folder), is_compact=True)
        if (saved.folder / TRAINING_PAIRS).is_file():
            shutil.copyfile(saved.folder / TRAINING_PAIRS, temporary / TRAINING_PAIRS)
        required = RequiredBackbone(
            backbone,
            _weights_sha256(found),
            sha256_of(_tokenizer_file(found)),
            {name: sha256_of(temporary / name) for name in (CONFIG, UPDATES)},
        )
        write_backbone(temporary, required)
        if scored:
            scores = {key: value for key, value in scored.items() if key not in ("model_hash", "files")}
            write_evaluation(temporary, scores, {})
        n_bytes = sum(file.stat().st_size for file in temporary.iterdir())
    return Compactness(n_bytes, errors, ranks)


def load_compact(folder: Path) -> SavedModel:
    """Load a compact model folder: the backbone's weights with the updates, in evaluation mode.

    Raises:
        EmocapError: the backbone is not installed, or another version of it; or a file of the folder is damaged.
    """
    card, required = read_card(folder), read_backbone(folder)
    required.require_installed(folder)
    required.require_files(folder)
    found = find_backbone(required.name)
    digests = (
        (found.folder, _weights_sha256(found), required.sha256),
        (_tokenizer_file(found), sha256_of(_tokenizer_file(found)), required.tokenizer_sha256),
    )
    for path, digest, own in digests:
        if digest != own:
            raise EmocapError(
                f"{folder}: its weights are updates to {required.name} with SHA-256 {own}, but {path} has {digest}; "
                f"install that version: {required.command}"
            )
    model = _initial(folder, card.kind, found, seed=0)
    _apply(model, read_tensors(folder / UPDATES), folder)
    vocabulary = Vocabulary(tuple(card.labels))
    vocabulary.require_same([model.config.id2label[i] for i in range(model.config.num_labels)], str(folder / CONFIG))
    return SavedModel(model.eval(), load_tokenizer(found.tokenizer_folder), vocabulary, card, folder)


def _initial(folder: Path, kind: str, found: Backbone, seed: int) -> EmotionNetwork:
    """A network of the folder's configuration that is initialised from the backbone."""
    config, level = read_config(folder / CONFIG, kind), logger.level
    logger.setLevel(logging.WARNING)  # what is newly initialised is replaced at once
    try:
        return load_backbone(config, found.folder, seed)[0]
    finally:
        logger.setLevel(level)


def _updates(
    saved: SavedModel, found: Backbone, max_rank: int, dtype: torch.dtype
) -> tuple[dict[str, torch.Tensor], dict[str, float], dict[str, int]]:
    """What is stored by name, the relative error of each change, and the rank of those that are factors."""
    first, second = (_initial(saved.folder, saved.card.kind, found, seed).state_dict() for seed in (0, 1))
    stored: dict[str, torch.Tensor] = {}
    errors: dict[str, float] = {}
    ranks: dict[str, int] = {}
    for name, tensor in saved.model.state_dict().items():
        if saved.card.features is None and VISUAL in name:  # a model of captions alone never reads it
            continue
        if not torch.equal(first[name], second[name]):  # drawn at random, so that the backbone lacks it
            parts = _whole_parts(tensor, dtype)
            errors[name] = _relative_error(_whole(parts[WHOLE], parts.get(SCALE)), tensor)
            stored |= {name + suffix: part for suffix, part in parts.items()}
            continue
        difference = tensor.double() - first[name].double()
        if not difference.any():
            continue
        parts = _stored_parts(difference, max_rank, dtype)
        restored = parts[LEFT].double() @ parts[RIGHT].double() if LEFT in parts else parts[DIFFERENCE]
        errors[name] = _relative_error(restored, difference)
        stored |= {name + suffix: part for suffix, part in parts.items()}
        if LEFT in parts:
            ranks[name] = parts[LEFT].shape[1]
    return stored, errors, ranks


def _whole_parts(tensor: torch.Tensor, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """A tensor itself; a large matrix as integers of eight bits with the scale of each row."""
    if tensor.dim() != 2 or tensor.numel() < LARGE_MATRIX:
        return {WHOLE: tensor.to(dtype)}
    scale = (tensor.abs().amax(dim=1, keepdim=True) / 127).clamp(min=torch.finfo(torch.float32).tiny)
    return {WHOLE: (tensor / scale).round().to(torch.int8), SCALE: scale}


def _whole(stored: torch.Tensor, scale: torch.Tensor | None) -> torch.Tensor:
    return stored.float() if scale is None else stored.float() * scale


def _stored_parts(difference: torch.Tensor, max_rank: int, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """A difference as factors (M, r) and (r, N) of the lowest rank that will do, or itself if that is smaller."""
    if difference.dim() != 2:
        return {DIFFERENCE: difference.to(dtype)}
    is_wide = difference.shape[1] > difference.shape[0]
    tall = difference.T if is_wide else difference
    squares, vectors = torch.linalg.eigh(tall.T @ tall)  # ascending squares of the singular values
    squares, vectors = squares.flip(0).clamp(min=0), vectors.flip(1)
    rest = squares.sum() - squares.cumsum(0)
    within = (rest <= TOLERANCE**2 * squares.sum()).nonzero()
    rank = min(max_rank, int(within[0]) + 1 if len(within) else len(squares))
    if rank * sum(difference.shape) >= difference.numel():
        return {DIFFERENCE: difference.to(dtype)}
    scale = squares[:rank] ** 0.25  # shared by both factors, so that neither leaves the range of float16
    left, right = tall @ vectors[:, :rank] / scale, vectors[:, :rank].T * scale[:, None]
    if is_wide:
        left, right = right.T, left.T
    return {LEFT: left.to(dtype).contiguous(), RIGHT: right.to(dtype).contiguous()}


def _relative_error(restored: torch.Tensor, expected: torch.Tensor) -> float:
    norm = expected.double().norm()
    return 0.0 if norm == 0 else float((restored.double() - expected.double()).norm() / norm)


def _apply(model: EmotionNetwork, updates: dict[str, torch.Tensor], folder: Path) -> None:
    """Change the weights of a network that is initialised from its backbone into the model's, in place."""
    own = model.state_dict()
    with torch.no_grad():
        for key, update in updates.items():
            name, suffix = key[: key.rindex(".")], key[key.rindex(".") :]
            if suffix in (RIGHT, SCALE):
                continue
            if suffix == WHOLE:
                update = _whole(update, updates.get(name + SCALE))
            if suffix == LEFT:
                update = update.float() @ updates[name + RIGHT].float()
            if name not in own or own[name].shape != update.shape or suffix not in (LEFT, DIFFERENCE, WHOLE):
                raise EmocapError(f"{folder / UPDATES}: {key} does not fit {CONFIG}; {RESTORE}")
            own[name].copy_(update if suffix == WHOLE else own[name] + update)


def _tokenizer_file(found: Backbone) -> Path:
    return next(path for path in (found.tokenizer_folder / name for name in TOKENIZER_FILES) if path.is_file())


def _weights_sha256(found: Backbone) -> str:
    """That of a packaged backbone is checked as it is found."""
    known = {"offline": OFFLINE_SHA256, LARGE.name: LARGE.sha256}
    return known.get(found.name) or weights_digest(found.folder)
