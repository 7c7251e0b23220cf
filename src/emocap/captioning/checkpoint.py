"""A captioner's folder: the encoder-decoder as transformers saves it, its tokenizer, and the metadata of emocap.

`captioner.json` holds the vocabulary with its hash and the fingerprint of the region features. Once the captions are
judged, `generation.json` holds the default guidance and strength, and `ranker/` the classifier that ranks candidates.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers.utils import logging

from emocap.captioning.generation import CaptionGenerator
from emocap.captioning.model import VisualBertForCaptioning
from emocap.captioning.prompts import Prompts
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import atomic_folder, read_json, sha256_of, write_json
from emocap.training.card_file import REMEDY
from emocap.training.checkpoint import FeatureCard, load_tokenizer, validated

SCHEMA = 1
CARD = "captioner.json"
GENERATION = "generation.json"
OLD_GENERATION = "choice.json"  # its name in folders of earlier versions
RANKER = "ranker"


class _OutOfRangeError(EmocapError):
    """A setting of the generation that is out of range."""


@dataclass(frozen=True)
class CaptionerCard:
    """Metadata of a captioner.

    Attributes:
        labels: the emotions that can be requested, in order.
        vocabulary: their hash.
        max_length: tokens of a caption, special ones included.
        features: of the store it was trained on; None if it was trained without images.
        candidates: generated for each caption that is kept.
        styles: that can be requested; empty if it was trained without.
        training: provenance (study, backbone, seed ...), for information only.
        files: SHA-256 of the files of model and tokenizer by name; empty in folders of earlier versions.
    """

    labels: list[str]
    vocabulary: str
    max_length: int
    features: FeatureCard | None
    candidates: int = 8
    styles: list[str] = field(default_factory=list)
    training: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    schema: int = SCHEMA
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012


@dataclass(frozen=True)
class GenerationConfig:
    """Defaults of generation and re-ranking, as the study chose them.

    Attributes:
        guidance: scale of classifier-free guidance; 1 is the trained model.
        strength: weight of the emotions against faithfulness in re-ranking.
        style_guidance: scale of classifier-free guidance of the style.
        guidance_steps: number of first tokens that are guided; None guides all.
        beams: width of beam search; None samples.
        length_penalty: exponent of the length that a beam's log-likelihood is divided by.
        top_p: of nucleus sampling, where there are no beams.
        rerank: what re-ranking adds for a requested emotion: its log-probability by the ranker, or its lift.
    """

    guidance: float = 1.0
    strength: float = 1.0
    style_guidance: float = 1.0
    guidance_steps: int | None = None
    beams: int | None = None
    length_penalty: float = 1.0
    top_p: float = 0.9
    rerank: Literal["probability", "lift"] = "probability"
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        check_strengths(self.guidance, self.strength)
        is_right = {
            "style_guidance": 0 <= self.style_guidance <= 20,
            "beams": self.beams is None or 1 <= self.beams <= 100,
            "guidance_steps": self.guidance_steps is None or self.guidance_steps >= 1,
            "length_penalty": -10 <= self.length_penalty <= 10,
            "top_p": 0 < self.top_p <= 1,
        }
        for name in (name for name, right in is_right.items() if not right):
            raise _OutOfRangeError(f"captioner: {name} is {getattr(self, name)}, which is out of range")

    def decoding(self) -> dict[str, Any]:
        """The arguments of `CaptionGenerator.generate` but guidance, which is tuned and may be requested."""
        names = ("style_guidance", "guidance_steps", "beams", "length_penalty", "top_p")
        return {name: getattr(self, name) for name in names}


def check_strengths(guidance: float, strength: float) -> None:
    """Refuse a guidance or strength out of range.

    Raises:
        EmocapError: not between 0 and 20.
    """
    for name, value in (("guidance", guidance), ("strength", strength)):
        if not 0 <= value <= 20:
            raise _OutOfRangeError(f"captioner: {name} is {value}, expected 0 to 20")


@dataclass
class SavedCaptioner:
    """A captioner read from its folder."""

    model: VisualBertForCaptioning
    tokenizer: Any
    vocabulary: Vocabulary
    card: CaptionerCard
    generation_config: GenerationConfig
    folder: Path

    def generator(self, device: torch.device) -> CaptionGenerator:
        """The captioner on a device, ready to generate."""
        labels, styles = self.vocabulary.labels, self.card.styles
        light = self.model.is_light
        prompts = Prompts.numbered(labels, styles) if light else Prompts.of(labels, self.tokenizer, styles)
        return CaptionGenerator(self.model, self.tokenizer, prompts, self.card.max_length, device)


def save_captioner(folder: Path, model: VisualBertForCaptioning, tokenizer: Any, card: CaptionerCard) -> None:
    """Write a captioner's folder atomically, with the SHA-256 of its files."""
    logging.disable_progress_bar()
    with atomic_folder(folder) as temporary:
        try:
            model.save_pretrained(temporary)
        except SafetensorError as error:
            raise OSError(str(error).splitlines()[0]) from error
        tokenizer.save_pretrained(temporary)
        files = {file.name: sha256_of(file) for file in sorted(temporary.iterdir()) if file.is_file()}
        write_json(temporary / CARD, asdict(card) | {"files": files})


def find_captioner(folder: Path) -> Path | None:
    """The captioner's folder in a run directory, or in the captioner's own folder; None if there is none.

    A captioner that an earlier configuration of the run left behind is ignored.
    """
    for candidate in (folder, folder / "model"):
        if (candidate / CARD).is_file():
            return candidate
    candidate = folder / "captioner" / "model"
    return candidate if (candidate / CARD).is_file() and _belongs_to_run(folder / "manifest.json") else None


def _belongs_to_run(manifest: Path) -> bool:
    if not manifest.is_file():
        return True
    values = read_json(manifest, REMEDY)
    config = values.get("config") if isinstance(values, dict) else None
    if not isinstance(config, dict):
        raise EmocapError(f"{manifest}: not the manifest of a run; restore it, or give the path of captioner/model")
    return config.get("captioner") is not None


def captioner_folder(folder: Path) -> Path:
    """The captioner's folder, as by `find_captioner`.

    Raises:
        EmocapError: there is none.
    """
    if (place := find_captioner(folder)) is not None:
        return place
    raise EmocapError(
        f"{folder}: contains no captioner ({CARD}); give a run whose study has a captioner, or its captioner/model"
    )


def load_captioner(folder: Path) -> SavedCaptioner:
    """Load a captioner's folder, in evaluation mode.

    Raises:
        EmocapError: not a captioner's folder, of a different version, or with inconsistent files.
    """
    folder = captioner_folder(Path(folder))
    values = read_json(folder / CARD, REMEDY)
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        raise EmocapError(f"{folder / CARD}: not of schema {SCHEMA}; use a matching emocap")
    card = validated(CaptionerCard, folder / CARD, values)
    if card.max_length < 3 or card.candidates < 1:
        raise EmocapError(
            f"{folder / CARD}: max_length is {card.max_length} and candidates {card.candidates}, expected 3 and 1 or "
            "more; restore the file"
        )
    for name, digest in card.files.items():
        if PurePath(name).name != name or not (folder / name).is_file() or sha256_of(folder / name) != digest:
            raise EmocapError(f"{folder / name}: missing or changed since the captioner was saved; {REMEDY}")
    generation_config = _load_generation_config(folder)
    vocabulary = Vocabulary(tuple(card.labels))
    if vocabulary.hash != card.vocabulary:
        raise EmocapError(f"{folder / CARD}: the labels do not have the hash {card.vocabulary}; the file was changed")
    model = _load_weights(folder)
    n_conditions, n_read = len(card.labels) + len(card.styles), model.config.encoder.vocab_size - 2
    if model.is_light and n_conditions != n_read:
        raise EmocapError(
            f"{folder / CARD}: names {n_conditions} emotions and styles, but the model reads {n_read}; restore the file"
        )
    n_positions = model.config.decoder.max_position_embeddings
    if card.max_length > n_positions:
        raise EmocapError(
            f"{folder / CARD}: max_length is {card.max_length}, but the model reads {n_positions} tokens; "
            "restore the file"
        )
    tokenizer = load_tokenizer(folder)
    kept, n_read = model.kept_tokens, model.config.decoder.vocab_size
    fits = len(tokenizer) <= n_read if kept is None else int(kept.max()) < len(tokenizer)
    if not fits:
        raise EmocapError(
            f"{folder}: the tokenizer has {len(tokenizer)} tokens, the captioner {n_read}, which do not fit; "
            "restore its files"
        )
    return SavedCaptioner(model.eval(), tokenizer, vocabulary, card, generation_config, folder)


def _load_weights(folder: Path) -> VisualBertForCaptioning:
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        model, info = VisualBertForCaptioning.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # transformers passes on any exception that a damaged file causes
        raise EmocapError(
            f"{folder}: its weights cannot be read ({type(error).__name__}); train the captioner again"
        ) from error
    faults = [f"{kind} {', '.join(sorted(map(str, names))[:4])}" for kind, names in info.items() if names]
    if faults:
        raise EmocapError(f"{folder}: its weights do not fit ({'; '.join(faults)}); train the captioner again")
    return model


def _load_generation_config(folder: Path) -> GenerationConfig:
    for path in (folder / GENERATION, folder / OLD_GENERATION):
        if path.is_file():
            values = read_json(path)
            try:
                return validated(GenerationConfig, path, values)
            except _OutOfRangeError as error:
                raise EmocapError(f"{path}: {error}; restore the file") from None
    return GenerationConfig()
