"""Initialisation of the emotion classifier from a checkpoint: its configuration and its weights."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers.models.visual_bert.configuration_visual_bert import VisualBertConfig

from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.models.classifier import VisualBertForEmotion
from emocap.weights import read_weights

logger = logging.getLogger("emocap")

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
class LoadReport:
    """Names of the tensors that were loaded, of those newly initialised, and of those of the checkpoint not used."""

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


def build_config(
    folder: Path,
    vocabulary: Vocabulary,
    *,
    pooling: str,
    visual_token_type: int,
    visual_dim: int,
    dropout: float | None = None,
) -> VisualBertConfig:
    """The configuration of an emotion classifier that is initialised from the checkpoint in `folder`.

    Raises:
        EmocapError: the checkpoint is neither BERT nor VisualBERT, or a setting does not match it.
    """
    values = read_json(folder / "config.json")
    model_type = values.get("model_type") if isinstance(values, dict) else None
    if model_type not in {"bert", "visual_bert"}:
        raise EmocapError(f"{folder / 'config.json'}: model_type is {model_type!r}, expected 'bert' or 'visual_bert'")
    encoder_settings = {key: values[key] for key in BERT_CONFIG_KEYS if key in values}
    if dropout is not None:
        encoder_settings |= {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    n_types = encoder_settings.get("type_vocab_size", 2)
    if not 0 <= visual_token_type < n_types:
        raise EmocapError(f"model.visual_token_type is {visual_token_type}, but {folder} has {n_types} types")
    labels = vocabulary.labels
    return VisualBertConfig(
        **encoder_settings,
        visual_embedding_dim=visual_dim,
        pooling=pooling,
        visual_token_type=visual_token_type,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        problem_type="multi_label_classification",
    )


def load_backbone(config: VisualBertConfig, folder: Path, seed: int = 0) -> tuple[VisualBertForEmotion, LoadReport]:
    """A classifier initialised from the checkpoint in `folder`.

    From VisualBERT only `fc` is new. From BERT the visual embeddings are new too: token types and positions are copied
    from the text's, as the library's `special_visual_initialize` does; the projection is drawn at random.

    Raises:
        EmocapError: a tensor is missing, unexpected or of a wrong shape, other than those that such a checkpoint lacks.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = VisualBertForEmotion(config)
    values = read_json(folder / "config.json")
    tensors = read_weights(folder)
    if list(values.get("id2label", {}).values()) != [config.id2label[i] for i in range(config.num_labels)]:
        # the head predicts other emotions
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}
    from_bert = values["model_type"] == "bert"
    report = load_state_dict(model, tensors, str(folder), from_bert=from_bert)
    if from_bert:
        embeddings = model.visualbert.embeddings
        with torch.no_grad():
            embeddings.visual_token_type_embeddings.weight.copy_(embeddings.token_type_embeddings.weight)
            embeddings.visual_position_embeddings.weight.copy_(embeddings.position_embeddings.weight)
    logger.info("%s: %s", folder.name, report)
    return model, report


def load_state_dict(
    model: VisualBertForEmotion, tensors: dict[str, torch.Tensor], where: str, *, from_bert: bool = False
) -> LoadReport:
    """Copy a checkpoint's tensors into `model`; none may be missing or left over without a reason.

    Args:
        model: changed in place.
        tensors: named as in emocap (`visualbert.*`, `fc.*`), in the hub's VisualBERT (`visual_bert.*`, `cls.*`) or in
            BERT (with or without `bert.`, LayerNorm's `gamma` and `beta` too).
        where: for messages.
        from_bert: the checkpoint has no visual embeddings.

    Raises:
        EmocapError: tensors are missing or unexpected without a reason, or shapes differ.
    """
    own = model.state_dict()
    loaded: dict[str, torch.Tensor] = {}
    ignored: list[str] = []
    unexpected: list[str] = []
    for name, tensor in tensors.items():
        own_name = _emocap_name(name)
        if own_name in own:
            loaded[own_name] = tensor
        else:
            (ignored if _IGNORED.search(name) else unexpected).append(name)
    missing = [name for name in own if name not in loaded]
    explained = (
        {name for name in missing if name.startswith("fc.")} if not any(n.startswith("fc.") for n in loaded) else set()
    )
    if from_bert:
        explained |= {name for name in missing if _VISUAL.match(name)}
        pooler = [name for name in own if name.startswith("visualbert.pooler.")]
        if all(name in missing for name in pooler):
            explained |= set(pooler)
    unexplained = [name for name in missing if name not in explained]
    if unexplained or unexpected:
        raise EmocapError(
            f"{where}: not a matching checkpoint: "
            + "; ".join(
                f"{len(names)} tensors {what} ({', '.join(names[:4])}{' ...' if len(names) > 4 else ''})"
                for what, names in (("missing", unexplained), ("unexpected", unexpected))
                if names
            )
        )
    for name, tensor in loaded.items():
        if tensor.shape != own[name].shape:
            raise EmocapError(f"{where}: {name} is {tuple(tensor.shape)}, expected {tuple(own[name].shape)}")
    model.load_state_dict(loaded, strict=False)
    return LoadReport(tuple(sorted(loaded)), tuple(missing), tuple(ignored))


def _emocap_name(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = pattern.sub(replacement, name)
    if name.startswith(("embeddings.", "encoder.", "pooler.")):
        name = f"visualbert.{name}"
    return name
