"""Initialisation of the emotion classifier from a checkpoint: its configuration and its weights."""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PretrainedConfig
from transformers.models.visual_bert.configuration_visual_bert import VisualBertConfig

from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.models.classifier import EmotionNetwork, VisualBertForEmotion, n_ratings_of
from emocap.models.text_config import require_text_encoder, text_config
from emocap.models.text_encoder import TextEncoderForEmotion, n_token_types
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
# What transformers' BertFor* and VisualBertFor* classes add to the encoder, and emocap's own `fc`; those of other
# encoders add names of many kinds, all outside the encoder's prefix.
_HEAD = {"bert": re.compile(r"^(cls|classifier|qa_outputs|fc)\."), "visual_bert": re.compile(r"^(cls|attention|fc)\.")}
_BUFFER = re.compile(r"(^|\.)(position_ids|token_type_ids)$")
_POOLER = "pooler."
_LAST_COMPONENT = re.compile(r"[^.]+\.$")


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
    visual_dim: int | None = None,
    dropout: float | None = None,
    n_ratings: int = 0,
) -> PretrainedConfig:
    """The configuration of an emotion classifier that is initialised from the checkpoint in `folder`.

    Args:
        folder: of the checkpoint.
        vocabulary: the emotions.
        pooling, visual_token_type: of the classifier.
        visual_dim: of the region features; None means the checkpoint's own, 1 for one of text alone.
        dropout: of hidden states and attention; None means the checkpoint's own.
        n_ratings: number of ratings that it predicts beside the emotions.

    Raises:
        EmocapError: the checkpoint is no text encoder and no VisualBERT, or a setting does not match it.
    """
    values = read_json(folder / "config.json")
    model_type = values.get("model_type") if isinstance(values, dict) else None
    is_text = model_type not in {"bert", "visual_bert"}
    if is_text:
        require_text_encoder(folder, values)
    n_types = values.get("type_vocab_size", 2)
    if not is_text and isinstance(n_types, int):
        _require_token_type(folder, visual_token_type, n_types)
    if visual_dim is None:
        default = VisualBertConfig().visual_embedding_dim if model_type == "visual_bert" else 1
        visual_dim = 1 if model_type == "bert" else values.get("visual_embedding_dim", default)
    added = {
        "visual_embedding_dim": visual_dim,
        "pooling": pooling,
        "visual_token_type": visual_token_type,
        "id2label": dict(enumerate(vocabulary.labels)),
        "label2id": {label: i for i, label in enumerate(vocabulary.labels)},
        "problem_type": "multi_label_classification",
        "num_ratings": n_ratings,
    }
    try:
        config = text_config(folder, values, added, dropout) if is_text else _visual_bert_config(values, added, dropout)
    except EmocapError:
        raise
    except Exception as error:  # the library raises errors of several libraries
        raise _not_buildable(folder, error) from error
    _require_token_type(folder, visual_token_type, n_token_types(config))
    return config


def _visual_bert_config(values: dict[str, Any], added: dict[str, Any], dropout: float | None) -> VisualBertConfig:
    encoder_settings = {key: values[key] for key in BERT_CONFIG_KEYS if key in values}
    if dropout is not None:
        encoder_settings |= {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    return VisualBertConfig(**encoder_settings, **added)


def _require_token_type(folder: Path, visual_token_type: int, n_types: int) -> None:
    if not 0 <= visual_token_type < n_types:
        raise EmocapError(
            f"model.visual_token_type is {visual_token_type}, but {folder} has {n_types} types; choose one below"
        )


def _not_buildable(folder: Path, error: Exception) -> EmocapError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return EmocapError(f"{folder / 'config.json'}: describes no model that can be built ({reason}); correct it")


def load_backbone(config: PretrainedConfig, folder: Path, seed: int = 0) -> tuple[EmotionNetwork, LoadReport]:
    """A classifier initialised from the checkpoint in `folder`.

    From VisualBERT only `fc` is new. From an encoder of text the embeddings of regions are new too: their projection is
    drawn at random; VisualBERT's token types and positions are copied from a BERT's, as the library's
    `special_visual_initialize` does.

    Raises:
        EmocapError: a tensor is missing, unexpected or of a wrong shape, other than those that such a checkpoint lacks.
    """
    values = read_json(folder / "config.json")
    is_visualbert = isinstance(config, VisualBertConfig)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = VisualBertForEmotion(config) if is_visualbert else TextEncoderForEmotion(config)
        except Exception as error:  # impossible settings raise many types of exception
            raise _not_buildable(folder, error) from error
    labels = values.get("id2label")
    same_emotions = isinstance(labels, dict) and list(labels.values()) == list(config.id2label.values())
    has_ratings = values.get("num_ratings", 0) or n_ratings_of(
        config
    )  # which a configuration counts, but does not name
    from_bert = is_visualbert and values["model_type"] == "bert"
    report = load_state_dict(
        model,
        read_weights(folder),
        str(folder),
        from_bert=from_bert,
        with_head=same_emotions and not from_bert and not has_ratings,
    )
    if from_bert:
        embeddings = model.body.embeddings
        with torch.no_grad():
            embeddings.visual_token_type_embeddings.weight.copy_(embeddings.token_type_embeddings.weight)
            embeddings.visual_position_embeddings.weight.copy_(embeddings.position_embeddings.weight)
    logger.info("%s: %s", folder.name, report)
    if config.pooling == "pooler" and any(f".{_POOLER}" in name for name in report.initialised):
        logger.warning("%s: has no pooler; pooling: pooler trains a new one, the other poolings need none", folder.name)
    return model, report


def load_state_dict(
    model: EmotionNetwork,
    tensors: dict[str, torch.Tensor],
    where: str,
    *,
    from_bert: bool = False,
    with_head: bool = True,
) -> LoadReport:
    """Copy a checkpoint's tensors into `model`; none may be missing or left over without a reason.

    The encoder's tensors are those under the prefix of its word embeddings, whatever that is: none, `bert.`,
    `visual_bert.`, `module.bert.` ... Left out are the buffers of ids and the heads of transformers' classes. A text
    encoder's checkpoint may lack the embeddings of regions.

    Args:
        model: changed in place; keeps its own dtype.
        tensors: of a text encoder, a VisualBERT or an emocap model; LayerNorm's may be named `gamma` and `beta`.
        where: for messages.
        from_bert: the model is a VisualBERT, the checkpoint a BERT without visual embeddings.
        with_head: whether `fc` is copied if there is one.

    Raises:
        EmocapError: tensors are missing or unexpected without a reason, or of a wrong shape or dtype.
    """
    own = model.state_dict()
    prefix = _encoder_prefix(tensors, _word_embeddings(model), where)
    outer = _LAST_COMPONENT.sub("", prefix)
    is_visualbert = isinstance(model, VisualBertForEmotion)
    head = _HEAD["bert" if from_bert else "visual_bert"]
    loaded: dict[str, torch.Tensor] = {}
    ignored: list[str] = []
    unexpected: list[str] = []
    for name, tensor in tensors.items():
        inside = name.startswith(prefix)
        inner = name.removeprefix(prefix if inside else outer)
        own_name = f"{model.body_name}.{inner}" if inside else inner
        own_name = re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", own_name))
        if own_name in own and own_name not in loaded and (with_head or not own_name.startswith("fc.")):
            loaded[own_name] = tensor
        else:
            is_head = not inside if not is_visualbert else head.search(inner)
            (ignored if is_head or _BUFFER.search(inner) else unexpected).append(name)
    missing = [name for name in own if name not in loaded]
    absent = ["fc.", f"{model.body_name}.{_POOLER}"]
    if from_bert or not is_visualbert:
        absent.append(model.visual_names)
    _require_explained(where, own, missing, unexpected, absent)
    for name, tensor in loaded.items():
        if tensor.shape != own[name].shape:
            raise EmocapError(f"{where}: {name} is {tuple(tensor.shape)}, expected {tuple(own[name].shape)}")
        if not tensor.is_floating_point():
            raise EmocapError(f"{where}: {name} is {tensor.dtype}; give weights that are not quantised")
    model.load_state_dict(loaded, strict=False)
    return LoadReport(tuple(sorted(loaded)), tuple(missing), tuple(ignored))


def _word_embeddings(model: EmotionNetwork) -> str:
    """The name of the word embeddings within the encoder."""
    weight = model.get_input_embeddings().weight
    return next(name for name, parameter in model.body.named_parameters() if parameter is weight)


def _encoder_prefix(tensors: dict[str, torch.Tensor], words: str, where: str) -> str:
    """What precedes the names of the encoder's tensors, `words` being that of its word embeddings."""
    prefixes = [name.removesuffix(words) for name in tensors if f".{name}".endswith(f".{words}")]
    if not prefixes:
        raise EmocapError(
            f"{where}: holds no {words}, which its config.json asks for ({', '.join(sorted(tensors)[:4])} ...); "
            "choose another backbone"
        )
    if len(prefixes) > 1:
        raise EmocapError(
            f"{where}: holds {len(prefixes)} encoders ({', '.join(sorted(prefixes)[:4])}); "
            "save one of them with save_pretrained"
        )
    return prefixes[0]


def _require_explained(
    where: str, own: Iterable[str], missing: list[str], unexpected: list[str], absent: list[str]
) -> None:
    """Reject missing tensors, other than the groups that such a checkpoint may lack as a whole, and unexpected ones."""
    explained: set[str] = set()
    for part in absent:
        names = {name for name in own if name.startswith(part)}
        if names <= set(missing):
            explained |= names
    unexplained = [name for name in missing if name not in explained]
    if unexplained or unexpected:
        raise EmocapError(
            f"{where}: not a matching checkpoint: "
            + "; ".join(
                f"{len(names)} tensors {what} ({', '.join(names[:4])}{' ...' if len(names) > 4 else ''})"
                for what, names in (("missing", unexplained), ("unexpected", unexpected))
                if names
            )
            + "; save the encoder alone with save_pretrained"
        )
