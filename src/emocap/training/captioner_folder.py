"""A captioner's folder: the encoder-decoder as transformers saves it, its word pieces, and what emocap must know.

`captioner.json` beside the weights holds the vocabulary with its hash, the kind of region features and the strength of
the emotions. `ranker/` in it is a classifier of the same study, which orders what the captioner writes.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from transformers.utils import logging

from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import read_json, whole_folder, write_json
from emocap.models.captioner import VisualBertForCaptioning
from emocap.training.captioning import Prompts
from emocap.training.checkpoint import FeatureCard, load_tokenizer
from emocap.training.writing import Writer

SCHEMA = 1
CARD = "captioner.json"
RANKER = "ranker"


@dataclass(frozen=True)
class CaptionerCard:
    """What a captioner needs besides its weights.

    Attributes:
        labels: the emotions that it can be asked for, in order.
        vocabulary: their hash.
        max_length: tokens of a caption, special ones included.
        features: of the store it was trained on; None where it never saw a picture.
        guidance: strength of the emotions, where the study found the knee of alignment against faithfulness.
        strength: of the emotions in re-ranking, likewise.
        candidates: written for each caption that is kept.
        training: where it came from, for people.
    """

    labels: list[str]
    vocabulary: str
    max_length: int
    features: FeatureCard | None
    guidance: float = 1.0
    strength: float = 1.0
    candidates: int = 8
    training: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012


@dataclass
class SavedCaptioner:
    """A captioner read from its folder."""

    model: VisualBertForCaptioning
    tokenizer: Any
    vocabulary: Vocabulary
    card: CaptionerCard
    folder: Path

    def writer(self, device: torch.device) -> Writer:
        """The captioner at work on a device."""
        prompts = Prompts.of(self.vocabulary.labels, self.tokenizer)
        return Writer(self.model, self.tokenizer, prompts, self.card.max_length, device)


def save_captioner(folder: Path, model: VisualBertForCaptioning, tokenizer: Any, card: CaptionerCard) -> None:
    """Write a captioner's folder whole or not at all."""
    logging.disable_progress_bar()
    with whole_folder(folder) as temporary:
        try:
            model.save_pretrained(temporary)
        except SafetensorError as error:
            raise OSError(str(error).splitlines()[0]) from error
        tokenizer.save_pretrained(temporary)
        write_json(temporary / CARD, asdict(card))


def captioner_folder(folder: Path) -> Path:
    """Where the captioner of a run directory, or of its folder, lies.

    Raises:
        EmocapError: there is none.
    """
    for place in (folder, folder / "model", folder / "captioner" / "model"):
        if (place / CARD).is_file():
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
    try:
        card = TypeAdapter(CaptionerCard).validate_python(values)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise EmocapError(f"{folder / CARD}: {place}: {fault['msg']}; train the captioner again") from None
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
    tokenizer = load_tokenizer(folder)
    if len(tokenizer) != model.config.decoder.vocab_size:
        raise EmocapError(
            f"{folder}: tokenizer knows {len(tokenizer)} words, the captioner {model.config.decoder.vocab_size}; "
            "restore its files"
        )
    return SavedCaptioner(model.eval(), tokenizer, vocabulary, card, folder)
