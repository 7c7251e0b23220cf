"""Initialisation of the emotion classifier from a checkpoint: its configuration and its weights."""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers.models.visual_bert.configuration_visual_bert import VisualBertConfig

from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.models.classifier import VisualBertForEmotion, n_ratings_of
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
_WORDS = "embeddings.word_embeddings.weight"
# What transformers' BertFor* and VisualBertFor* classes add to the encoder, and emocap's own `fc`.
_HEAD = {"bert": re.compile(r"^(cls|classifier|qa_outputs|fc)\."), "visual_bert": re.compile(r"^(cls|attention|fc)\.")}
_BUFFER = re.compile(r"(^|\.)(position_ids|token_type_ids)$")
_VISUAL = re.compile(r"^visualbert\.embeddings\.visual_")
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
) -> VisualBertConfig:
    """The configuration of an emotion classifier that is initialised from the checkpoint in `folder`.

    Args:
        folder: of the checkpoint.
        vocabulary: the emotions.
        pooling, visual_token_type: of the classifier.
        visual_dim: of the region features; None means the checkpoint's own, 1 for a BERT.
        dropout: of hidden states and attention; None means the checkpoint's own.
        n_ratings: number of ratings that it predicts beside the emotions.

    Raises:
        EmocapError: the checkpoint is neither BERT nor VisualBERT, or a setting does not match it.
    """
    values = read_json(folder / "config.json")
    model_type = values.get("model_type") if isinstance(values, dict) else None
    if model_type not in {"bert", "visual_bert"}:
        raise EmocapError(
            f"{folder / 'config.json'}: model_type is {model_type!r}, expected 'bert' or 'visual_bert'; "
            + ("add it if the model is one" if model_type is None else "choose another backbone")
        )
    encoder_settings = {key: values[key] for key in BERT_CONFIG_KEYS if key in values}
    if dropout is not None:
        encoder_settings |= {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    n_types = encoder_settings.get("type_vocab_size", 2)
    if isinstance(n_types, int) and not 0 <= visual_token_type < n_types:
        raise EmocapError(
            f"model.visual_token_type is {visual_token_type}, but {folder} has {n_types} types; choose one below"
        )
    if visual_dim is None:
        visual_dim = (
            1 if model_type == "bert" else values.get("visual_embedding_dim", VisualBertConfig().visual_embedding_dim)
        )
    labels = vocabulary.labels
    try:
        return VisualBertConfig(
            **encoder_settings,
            visual_embedding_dim=visual_dim,
            pooling=pooling,
            visual_token_type=visual_token_type,
            id2label=dict(enumerate(labels)),
            label2id={label: i for i, label in enumerate(labels)},
            problem_type="multi_label_classification",
            num_ratings=n_ratings,
        )
    except Exception as error:  # the library raises errors of several libraries
        raise _not_buildable(folder, error) from error


def _not_buildable(folder: Path, error: Exception) -> EmocapError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return EmocapError(f"{folder / 'config.json'}: describes no model that can be built ({reason}); correct it")


def load_backbone(config: VisualBertConfig, folder: Path, seed: int = 0) -> tuple[VisualBertForEmotion, LoadReport]:
    """A classifier initialised from the checkpoint in `folder`.

    From VisualBERT only `fc` is new. From BERT the visual embeddings are new too: token types and positions are copied
    from the text's, as the library's `special_visual_initialize` does; the projection is drawn at random.

    Raises:
        EmocapError: a tensor is missing, unexpected or of a wrong shape, other than those that such a checkpoint lacks.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = VisualBertForEmotion(config)
        except Exception as error:  # impossible settings raise many types of exception
            raise _not_buildable(folder, error) from error
    values = read_json(folder / "config.json")
    labels = values.get("id2label")
    same_emotions = isinstance(labels, dict) and list(labels.values()) == list(config.id2label.values())
    has_ratings = values.get("num_ratings", 0) or n_ratings_of(
        config
    )  # which a configuration counts, but does not name
    from_bert = values["model_type"] == "bert"
    report = load_state_dict(
        model,
        read_weights(folder),
        str(folder),
        from_bert=from_bert,
        with_head=same_emotions and not from_bert and not has_ratings,
    )
    if from_bert:
        embeddings = model.visualbert.embeddings
        with torch.no_grad():
            embeddings.visual_token_type_embeddings.weight.copy_(embeddings.token_type_embeddings.weight)
            embeddings.visual_position_embeddings.weight.copy_(embeddings.position_embeddings.weight)
    logger.info("%s: %s", folder.name, report)
    if config.pooling == "pooler" and any(name.startswith("visualbert.pooler.") for name in report.initialised):
        logger.warning("%s: has no pooler; pooling: pooler trains a new one, the other poolings need none", folder.name)
    return model, report


def load_state_dict(
    model: VisualBertForEmotion,
    tensors: dict[str, torch.Tensor],
    where: str,
    *,
    from_bert: bool = False,
    with_head: bool = True,
) -> LoadReport:
    """Copy a checkpoint's tensors into `model`; none may be missing or left over without a reason.

    The encoder's tensors are those under the prefix of its word embeddings, whatever that is: none, `bert.`,
    `visual_bert.`, `module.bert.` ... Left out are the buffers of ids and the heads of transformers' classes.

    Args:
        model: changed in place; keeps its own dtype.
        tensors: of a BERT, a VisualBERT or an emocap model; LayerNorm's may be named `gamma` and `beta`.
        where: for messages.
        from_bert: the checkpoint has no visual embeddings.
        with_head: whether `fc` is copied if there is one.

    Raises:
        EmocapError: tensors are missing or unexpected without a reason, or of a wrong shape or dtype.
    """
    own = model.state_dict()
    prefix = _encoder_prefix(tensors, where)
    outer = _LAST_COMPONENT.sub("", prefix)
    head = _HEAD["bert" if from_bert else "visual_bert"]
    loaded: dict[str, torch.Tensor] = {}
    ignored: list[str] = []
    unexpected: list[str] = []
    for name, tensor in tensors.items():
        inside = name.startswith(prefix)
        inner = name.removeprefix(prefix if inside else outer)
        own_name = f"visualbert.{inner}" if inside else inner
        own_name = re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", own_name))
        if own_name in own and own_name not in loaded and (with_head or not own_name.startswith("fc.")):
            loaded[own_name] = tensor
        else:
            (ignored if head.search(inner) or _BUFFER.search(inner) else unexpected).append(name)
    missing = [name for name in own if name not in loaded]
    _require_explained(where, own, missing, unexpected, from_bert)
    for name, tensor in loaded.items():
        if tensor.shape != own[name].shape:
            raise EmocapError(f"{where}: {name} is {tuple(tensor.shape)}, expected {tuple(own[name].shape)}")
        if not tensor.is_floating_point():
            raise EmocapError(f"{where}: {name} is {tensor.dtype}; give weights that are not quantised")
    model.load_state_dict(loaded, strict=False)
    return LoadReport(tuple(sorted(loaded)), tuple(missing), tuple(ignored))


def _encoder_prefix(tensors: dict[str, torch.Tensor], where: str) -> str:
    """What precedes the names of the encoder's tensors."""
    prefixes = [name.removesuffix(_WORDS) for name in tensors if f".{name}".endswith(f".{_WORDS}")]
    if not prefixes:
        raise EmocapError(
            f"{where}: holds no {_WORDS}, so it is no BERT ({', '.join(sorted(tensors)[:4])} ...); "
            "choose another backbone"
        )
    if len(prefixes) > 1:
        raise EmocapError(
            f"{where}: holds {len(prefixes)} encoders ({', '.join(sorted(prefixes)[:4])}); "
            "save one of them with save_pretrained"
        )
    return prefixes[0]


def _require_explained(
    where: str, own: Iterable[str], missing: list[str], unexpected: list[str], from_bert: bool
) -> None:
    """Reject missing tensors, other than those that such a checkpoint lacks as a whole, and unexpected ones."""
    explained: set[str] = set()
    for part in ("fc.", "visualbert.pooler."):
        names = {name for name in own if name.startswith(part)}
        if names <= set(missing):
            explained |= names
    if from_bert:
        explained |= {name for name in missing if _VISUAL.match(name)}
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
