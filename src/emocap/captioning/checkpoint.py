"""A captioner's folder: the encoder-decoder as transformers saves it, its word pieces, and what emocap must know.

`captioner.json` beside the weights holds the vocabulary with its hash and the kind of region features. Once the
captions are judged, `choice.json` holds how strong the emotions are made, and `ranker/` what orders them.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers.utils import logging

from emocap.captioning.data import Prompts
from emocap.captioning.generation import CaptionGenerator
from emocap.captioning.model import VisualBertForCaptioning
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import atomic_folder, read_json, write_json
from emocap.training.checkpoint import FeatureCard, load_tokenizer, validated

SCHEMA = 1
CARD = "captioner.json"
CHOICE = "choice.json"
RANKER = "ranker"


@dataclass(frozen=True)
class CaptionerCard:
    """What a captioner needs besides its weights.

    Attributes:
        labels: the emotions that it can be asked for, in order.
        vocabulary: their hash.
        max_length: tokens of a caption, special ones included.
        features: of the store it was trained on; None where it never saw a picture.
        candidates: written for each caption that is kept.
        training: where it came from, for people.
    """

    labels: list[str]
    vocabulary: str
    max_length: int
    features: FeatureCard | None
    candidates: int = 8
    training: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012


@dataclass(frozen=True)
class GenerationConfig:
    """How strong the emotions are made unless somebody says otherwise, as the study found it.

    Attributes:
        guidance: of the emotions in writing; 1 is what was learnt.
        strength: of the emotions against likelihood in ordering.
    """

    guidance: float = 1.0
    strength: float = 1.0
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        check_strengths(self.guidance, self.strength)


def check_strengths(guidance: float, strength: float) -> None:
    """Refuse strengths that mean nothing.

    Raises:
        EmocapError: not between 0 and 20.
    """
    for name, value in (("guidance", guidance), ("strength", strength)):
        if not 0 <= value <= 20:
            raise EmocapError(f"captioner: {name} is {value}, expected 0 to 20")


@dataclass
class SavedCaptioner:
    """A captioner read from its folder."""

    model: VisualBertForCaptioning
    tokenizer: Any
    vocabulary: Vocabulary
    card: CaptionerCard
    choice: GenerationConfig
    folder: Path

    def writer(self, device: torch.device) -> CaptionGenerator:
        """The captioner at work on a device."""
        prompts = Prompts.of(self.vocabulary.labels, self.tokenizer)
        return CaptionGenerator(self.model, self.tokenizer, prompts, self.card.max_length, device)


def save_captioner(folder: Path, model: VisualBertForCaptioning, tokenizer: Any, card: CaptionerCard) -> None:
    """Write a captioner's folder whole or not at all."""
    logging.disable_progress_bar()
    with atomic_folder(folder) as temporary:
        try:
            model.save_pretrained(temporary)
        except SafetensorError as error:
            raise OSError(str(error).splitlines()[0]) from error
        tokenizer.save_pretrained(temporary)
        write_json(temporary / CARD, asdict(card))


def find_captioner(folder: Path) -> Path | None:
    """Where the captioner of a run directory, or of its folder, lies; None where there is none.

    One that a former configuration of the run left behind is none of it.
    """
    for place in (folder, folder / "model"):
        if (place / CARD).is_file():
            return place
    place = folder / "captioner" / "model"
    return place if (place / CARD).is_file() and _is_of_the_run(folder / "manifest.json") else None


def _is_of_the_run(manifest: Path) -> bool:
    if not manifest.is_file():
        return True
    values = read_json(manifest)
    config = values.get("config") if isinstance(values, dict) else None
    if not isinstance(config, dict):
        raise EmocapError(f"{manifest}: not the manifest of a run; restore it, or give the captioner/model beside it")
    return config.get("captioner") is not None


def captioner_folder(folder: Path) -> Path:
    """The same.

    Raises:
        EmocapError: there is none.
    """
    if (place := find_captioner(folder)) is not None:
        return place
    raise EmocapError(
        f"{folder}: holds no captioner ({CARD}); give a run whose study has a captioner, or its captioner/model"
    )


def load_captioner(folder: Path) -> SavedCaptioner:
    """Read a captioner's folder back, in evaluation mode.

    Raises:
        EmocapError: not a captioner's folder, of another version, or its parts contradict each other.
    """
    folder = captioner_folder(Path(folder))
    values = read_json(folder / CARD)
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        raise EmocapError(f"{folder / CARD}: not of schema {SCHEMA}; use a matching emocap")
    card = validated(CaptionerCard, folder / CARD, values)
    if card.max_length < 3 or card.candidates < 1:
        raise EmocapError(
            f"{folder / CARD}: max_length is {card.max_length} and candidates {card.candidates}, expected 3 and 1 or "
            "more; restore the file"
        )
    choice = GenerationConfig()
    if (folder / CHOICE).is_file():
        choice = validated(GenerationConfig, folder / CHOICE, read_json(folder / CHOICE))
    vocabulary = Vocabulary(tuple(card.labels))
    if vocabulary.hash != card.vocabulary:
        raise EmocapError(f"{folder / CARD}: labels do not have the hash {card.vocabulary}; the file was changed")
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        model, found = VisualBertForCaptioning.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # the library lets whatever a damaged file causes through
        raise EmocapError(
            f"{folder}: its weights cannot be read ({type(error).__name__}); train the captioner again"
        ) from error
    faults = [f"{kind} {', '.join(sorted(map(str, names))[:4])}" for kind, names in found.items() if names]
    if faults:
        raise EmocapError(f"{folder}: its weights do not fit ({'; '.join(faults)}); train the captioner again")
    most = model.config.decoder.max_position_embeddings
    if card.max_length > most:
        raise EmocapError(f"{folder / CARD}: max_length is {card.max_length}, the model reads {most}; restore the file")
    tokenizer = load_tokenizer(folder)
    if len(tokenizer) != model.config.decoder.vocab_size:
        raise EmocapError(
            f"{folder}: tokenizer knows {len(tokenizer)} words, the captioner {model.config.decoder.vocab_size}; "
            "restore its files"
        )
    return SavedCaptioner(model.eval(), tokenizer, vocabulary, card, choice, folder)
