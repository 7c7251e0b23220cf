"""The configuration of a text encoder that becomes a classifier, and which encoders can."""

import inspect
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES, MODEL_MAPPING

from emocap.errors import EmocapError

DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "dropout",
    "attention_dropout",
    "embedding_dropout",
    "mlp_dropout",
)
# What a configuration says of the file that it was in, or of code beside it.
_OF_THE_FILE = ("model_type", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version")


def require_text_encoder(folder: Path, values: Any) -> None:
    """Check that a configuration is of a text encoder that takes region tokens.

    Args:
        folder: of the checkpoint, for messages.
        values: of its `config.json`.

    Raises:
        EmocapError: it is an encoder-decoder, a decoder, no model of text, or takes no embeddings as its input.
    """
    model_type = values.get("model_type") if isinstance(values, dict) else None
    where = f"{folder / 'config.json'}: model_type is {model_type!r}"
    if model_type is None:
        raise EmocapError(f"{where}, expected that of a text encoder, such as 'bert'; add it if the model is one")
    is_known = model_type in CONFIG_MAPPING
    known = CONFIG_MAPPING[model_type] if is_known else None  # a lazy mapping, whose `get` loads nothing
    is_text = known is not None and model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    is_encoder_decoder = values.get("is_encoder_decoder", getattr(known, "is_encoder_decoder", False))
    if not is_text or is_encoder_decoder or values.get("is_decoder"):
        raise EmocapError(
            f"{where}, which is no text encoder as BERT, MPNet, RoBERTa, DistilBERT or ModernBERT are"
            + (", but an encoder-decoder" if is_encoder_decoder else ", but a decoder" if is_text else "")
            + "; choose another backbone"
        )
    model_class = MODEL_MAPPING[known]
    model_class = model_class[0] if isinstance(model_class, tuple) else model_class
    if "inputs_embeds" not in inspect.signature(model_class.forward).parameters:
        raise EmocapError(f"{where}, which takes no inputs_embeds and so no image regions; choose another backbone")


def text_config(folder: Path, values: dict[str, Any], added: dict[str, Any], dropout: float | None) -> PretrainedConfig:
    """An encoder's own configuration with what a classifier adds to it.

    Args:
        folder: of the checkpoint, for messages.
        values: of its `config.json`.
        added: see `TextEncoderForEmotion`.
        dropout: of hidden states and attention; None means the checkpoint's own.

    Raises:
        EmocapError: `dropout` is given, and the encoder has none.
    """
    kept = {key: value for key, value in values.items() if key not in _OF_THE_FILE}
    config = CONFIG_MAPPING[values["model_type"]].from_dict({**kept, **added})
    if dropout is not None:
        names = [name for name in DROPOUTS if hasattr(config, name)]
        if not names:
            raise EmocapError(f"model.dropout is {dropout}, but {folder} has no dropout that is known; leave it out")
        for name in names:
            setattr(config, name, dropout)
    return config
