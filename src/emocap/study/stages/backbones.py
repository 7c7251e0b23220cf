"""The stages that resolve the backbones of the teacher and of the labelled source's model, where these name their
own."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import write_json
from emocap.models.backbones import backbone_files, find_backbone
from emocap.models.initialisation import build_config, load_backbone
from emocap.models.text_encoder import longest_text
from emocap.models.tokenizer import require_fitting_tokenizer
from emocap.study.artifacts import backbone_file
from emocap.study.fitting_settings import require_layers
from emocap.study.unit import Study
from emocap.training.checkpoint import VISUAL_BERT, load_tokenizer
from emocap.weights import weights_digest

if TYPE_CHECKING:
    from emocap.study.config.study import StudyConfig


def own_backbone(study: Study, role: str) -> None:
    """Write what the backbone of "teacher" or "labelled" resolves to."""
    write_json(backbone_file(study.root, role), resolve_backbone(study.config, role))


def own_backbone_files(study: Study, role: str) -> list[Path]:
    """The files of that backbone, where it is in a local folder."""
    return backbone_files(_named(study.config, role))


def resolve_backbone(config: "StudyConfig", role: str | None = None) -> dict[str, Any]:
    """Resolve a backbone once for all stages, and check that the settings fit it.

    Args:
        config: of the study.
        role: "teacher" or "labelled", which names its own; None means `model.backbone`.

    Returns:
        Its resolved name, its weights' SHA-256, and its number of layers.

    Raises:
        EmocapError: no such backbone, one whose tokenizer or weights do not fit it, or `max_length`,
            `visual_token_type` or `n_transferred` beyond it.
    """
    settings = config.model
    backbone = find_backbone(_named(config, role))
    built = build_config(
        backbone.folder,
        Vocabulary(("any",)),
        pooling=settings.pooling,
        visual_token_type=settings.visual_token_type,
        dropout=settings.dropout,
    )
    # Loaded here, since its errors must come before hours of feature extraction and training.
    model, _ = load_backbone(built, backbone.folder)
    if settings.max_length > longest_text(model):
        raise EmocapError(
            f"model.max_length is {settings.max_length}, but {backbone.name} takes at most {longest_text(model)} tokens"
        )
    require_layers(config, backbone.name, len(model.layers), role)
    if config.captioner is not None and role is None and model.kind != VISUAL_BERT:
        raise EmocapError(
            f"captioner: needs a BERT or VisualBERT, but model.backbone {backbone.name} is a {built.model_type}; "
            "choose another backbone, or leave captioner out"
        )
    tokenizer_folder = backbone.tokenizer_folder
    require_fitting_tokenizer(load_tokenizer(tokenizer_folder), tokenizer_folder, built.vocab_size)
    digest = weights_digest(backbone.folder)
    return {"name": backbone.name, "sha256": digest, "n_layers": len(model.layers)}


def _named(config: "StudyConfig", role: str | None) -> str:
    own = config.teacher.backbone if role == "teacher" else config.labelled.backbone if role == "labelled" else None
    return config.model.backbone if own is None else own
