"""A model folder: weights and configuration as transformers saves them, the tokenizer, and what emocap must know.

`emocap.json` beside them holds the vocabulary with its hash, the kind of region features, and the caption length.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from transformers import AutoTokenizer
from transformers.models.visual_bert.configuration_visual_bert import VisualBertConfig
from transformers.utils import logging
from typing_extensions import TypedDict

from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import atomic_folder, read_json, write_json
from emocap.models.backbones import TOKENIZER_FILES
from emocap.models.classifier import VisualBertForEmotion
from emocap.progress import logger
from emocap.validation import first_error

Card = TypeVar("Card")
SCHEMA = 1


class FeatureCard(TypedDict):
    """The store that a model was trained on: its kind, and what makes such features again."""

    kind: str
    extractor: str
    settings: dict[str, Any]
    dim: int


@dataclass(frozen=True)
class ModelCard:
    """What a model needs besides its weights.

    Attributes:
        labels: the vocabulary in order.
        vocabulary: its hash.
        max_length: captions are cut at this many tokens.
        features: of the store it was trained on; None for captions alone.
        run: the experiment's name.
        frequencies: of the labels in its training pairs; None where they are not known.
        temperature: that the logits are divided by, so that probabilities are calibrated (Guo et al. 2017).
        threshold: an emotion whose calibrated probability reaches it is answered with yes.
        thresholds: the same, one for each emotion; None where they were not tuned.
        training: where it came from (study, backbone, seed ...), for people.
    """

    labels: list[str]
    vocabulary: str
    max_length: int
    features: FeatureCard | None
    run: str
    training: dict[str, Any] = field(default_factory=dict)
    frequencies: list[float] | None = None
    temperature: float = 1.0
    threshold: float = 0.5
    thresholds: list[float] | None = None
    schema: int = SCHEMA
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012


@dataclass
class SavedModel:
    """A model read from its folder."""

    model: VisualBertForEmotion
    tokenizer: Any
    vocabulary: Vocabulary
    card: ModelCard
    folder: Path

    def require_features(self, kind: str, dim: int, *, allow_other: bool = False) -> None:
        """Refuse region features of another kind than the model was trained on.

        Args:
            kind, dim: of the features.
            allow_other: only warn of another kind, where the dimension is the same.

        Raises:
            EmocapError: the kinds differ.
        """
        own = self.card.features
        if own is None:
            raise EmocapError(
                f"{self.folder}: trained on captions alone and cannot use region features; leave them out"
            )
        if kind == own["kind"]:
            return
        if own["dim"] != dim:
            raise EmocapError(f"{self.folder}: trained on features of {own['dim']} numbers, these have {dim}")
        told = f"{self.folder}: trained on {own['extractor']} features of kind {own['kind']}, these are of kind {kind}"
        if not allow_other:
            settings = " ".join(f"--set {key}={value}" for key, value in own["settings"].items() if key != "descriptor")
            raise EmocapError(
                f"{told}; extract them as the model's were (--extractor {own['extractor']} {settings}), "
                "or give --allow-other-features"
            )
        logger.warning("%s: its answers may be worth little", told)


def load_tokenizer(folder: Path) -> Any:
    """The word pieces in a folder.

    Raises:
        EmocapError: there are none that can be read.
    """
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise EmocapError(f"{folder}: holds no tokenizer ({' or '.join(TOKENIZER_FILES)}); restore its files")
    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # the library lets whatever a damaged file causes through
        raise EmocapError(
            f"{folder}: no tokenizer that can be read ({type(error).__name__}); restore its files"
        ) from error


def save_model(folder: Path, model: VisualBertForEmotion, tokenizer: Any, card: ModelCard) -> None:
    """Write a model folder whole or not at all."""
    logging.disable_progress_bar()
    with atomic_folder(folder) as temporary:
        try:
            model.save_pretrained(temporary)
        except SafetensorError as error:
            raise OSError(str(error).splitlines()[0]) from error
        tokenizer.save_pretrained(temporary)
        write_json(temporary / "emocap.json", asdict(card))


def load_model(folder: Path) -> SavedModel:
    """Read a model folder back, in evaluation mode.

    Raises:
        EmocapError: not a model folder, of another version, or its parts contradict each other.
    """
    folder = Path(folder)
    if not (folder / "emocap.json").is_file():
        nested = folder / "model"
        if (nested / "emocap.json").is_file():
            return load_model(nested)
        raise EmocapError(
            f"{folder}: not a model folder (no emocap.json); give one that a study saved, such as RUN/AnB+/model "
            "(a study over folds or seeds keeps none without keep_models: true)"
        )
    values = read_json(folder / "emocap.json")
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        found = values.get("schema") if isinstance(values, dict) else type(values).__name__
        raise EmocapError(f"{folder / 'emocap.json'}: schema is {found!r}, expected {SCHEMA}; use a matching emocap")
    card = validated(ModelCard, folder / "emocap.json", values)
    vocabulary = Vocabulary(tuple(card.labels))
    if vocabulary.hash != card.vocabulary:
        raise EmocapError(
            f"{folder / 'emocap.json'}: labels do not have the hash {card.vocabulary}; the file was changed"
        )
    config = _config(folder / "config.json")
    vocabulary.require_same([config.id2label[i] for i in range(config.num_labels)], str(folder / "config.json"))
    model = _weights(folder, config)
    tokenizer = load_tokenizer(folder)
    if len(tokenizer) != config.vocab_size:
        raise EmocapError(
            f"{folder}: tokenizer knows {len(tokenizer)} words, the model {config.vocab_size}; restore its files"
        )
    if not 3 <= card.max_length <= config.max_position_embeddings:
        raise EmocapError(f"{folder / 'emocap.json'}: max_length is {card.max_length}; train the model again")
    if card.thresholds is not None and len(card.thresholds) != len(vocabulary):
        raise EmocapError(
            f"{folder / 'emocap.json'}: {len(card.thresholds)} thresholds for {len(vocabulary)} labels; "
            "train the model again"
        )
    if not 0 < card.temperature < float("inf"):
        raise EmocapError(f"{folder / 'emocap.json'}: temperature is {card.temperature}; train the model again")
    return SavedModel(model.eval(), tokenizer, vocabulary, card, folder)


def validated(kind: type[Card], path: Path, values: Any) -> Card:
    """A card of what a file holds.

    Raises:
        EmocapError: it is not one; one line that names the key.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise EmocapError(f"{path}: {first_error(error.errors())}; train the model again") from None


def _config(path: Path) -> VisualBertConfig:
    values = read_json(path)
    try:
        return VisualBertConfig(**values)
    except Exception as error:  # the library checks values with errors of its own and of others
        raise EmocapError(
            f"{path}: not a model's configuration ({str(error).splitlines()[0]}); train it again"
        ) from error


def _weights(folder: Path, config: VisualBertConfig) -> VisualBertForEmotion:
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        model, found = VisualBertForEmotion.from_pretrained(
            folder, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # the library lets whatever a damaged file causes through
        raise EmocapError(f"{folder}: its weights cannot be read ({type(error).__name__}); train it again") from error
    faults = [f"{kind} {', '.join(sorted(map(str, names))[:4])}" for kind, names in found.items() if names]
    if faults:
        raise EmocapError(f"{folder}: its weights do not fit its configuration ({'; '.join(faults)}); train it again")
    return model
