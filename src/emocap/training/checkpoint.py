"""A model folder: weights and configuration as transformers saves them, the tokenizer, and the model card.

The model card `emocap.json` holds the vocabulary with its hash, the fingerprint of the region features and the caption
length.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AliasChoices, Field, TypeAdapter, ValidationError
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
    """The store that a model was trained on: its fingerprint, and the extractor that makes such features.

    Cards of earlier versions call the fingerprint `kind`.
    """

    fingerprint: Annotated[str, Field(validation_alias=AliasChoices("fingerprint", "kind"))]
    extractor: str
    settings: dict[str, Any]
    dim: int


@dataclass(frozen=True)
class ModelCard:
    """Metadata of a model.

    Attributes:
        labels: the vocabulary in order.
        vocabulary: its hash.
        max_length: captions are truncated to this many tokens.
        features: of the store it was trained on; None if it was trained on captions only.
        run: the experiment's name.
        training: provenance (study, backbone, seed ...), for information only.
        frequencies: of the labels in its training pairs; None if unknown.
        temperature: divides the logits, so that the probabilities are calibrated (Guo et al. 2017).
        threshold: an emotion is predicted where its calibrated probability is at least this.
        thresholds: the same, one per emotion; None if they were not tuned.
        kind: what the folder holds: "visual_bert", or another kind of `emocap.classifiers`.
        language: of the training captions, ISO 639-1; None if unknown.
        synthetic: whether emocap drew the corpus that it was trained on.
        members: of an ensemble: the model folders, relative to this one.
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
    kind: str = "visual_bert"
    language: str | None = None
    synthetic: bool = False
    members: list[str] = field(default_factory=list)
    schema: int = SCHEMA
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012


@dataclass
class SavedModel:
    """A model loaded from its folder."""

    model: VisualBertForEmotion
    tokenizer: Any
    vocabulary: Vocabulary
    card: ModelCard
    folder: Path

    def require_features(self, fingerprint: str, dim: int, *, allow_other: bool = False) -> None:
        """Reject region features that differ from those the model was trained on.

        Args:
            fingerprint, dim: of the features.
            allow_other: only warn about a different fingerprint, if the dimension is the same.

        Raises:
            EmocapError: the features differ, or the model was trained without any.
        """
        own = self.card.features
        if own is None:
            raise EmocapError(f"{self.folder}: trained on captions only, cannot use region features; leave them out")
        if fingerprint == own["fingerprint"]:
            return
        if own["dim"] != dim:
            raise EmocapError(f"{self.folder}: trained on features of dimension {own['dim']}, these have {dim}")
        message = (
            f"{self.folder}: trained on {own['extractor']} features with fingerprint {own['fingerprint']}, "
            f"these have fingerprint {fingerprint}"
        )
        if not allow_other:
            settings = " ".join(f"--set {key}={value}" for key, value in own["settings"].items() if key != "descriptor")
            raise EmocapError(
                f"{message}; extract them with the model's settings (--extractor {own['extractor']} {settings}), "
                "or give --allow-other-features"
            )
        logger.warning("%s: its predictions may be unreliable", message)


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in a folder.

    Raises:
        EmocapError: there is none, or it cannot be read.
    """
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise EmocapError(f"{folder}: contains no tokenizer ({' or '.join(TOKENIZER_FILES)}); restore its files")
    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # the library raises whatever a damaged file causes
        reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}".removesuffix(": ")
        raise EmocapError(f"{folder}: the tokenizer cannot be read ({reason}); restore its files") from error


def save_model(folder: Path, model: VisualBertForEmotion, tokenizer: Any, card: ModelCard) -> None:
    """Write a model folder atomically.

    The configuration records the tokenizer's number of tokens, since padded embeddings have more rows than that.
    """
    model.config.n_tokens = len(tokenizer)
    logging.disable_progress_bar()
    with atomic_folder(folder) as temporary:
        try:
            model.save_pretrained(temporary)
        except SafetensorError as error:
            raise OSError(str(error).splitlines()[0]) from error
        tokenizer.save_pretrained(temporary)
        write_json(temporary / "emocap.json", asdict(card))


def load_model(folder: Path) -> SavedModel:
    """Load a model folder, in evaluation mode.

    Raises:
        EmocapError: not a model folder, of a different version, or with inconsistent files.
    """
    folder = Path(folder)
    if not (folder / "emocap.json").is_file():
        nested = folder / "model"
        if (nested / "emocap.json").is_file():
            return load_model(nested)
        raise EmocapError(
            f"{folder}: not a model folder (no emocap.json); give one that a study saved, such as RUN/AnB+/model "
            "(a study over folds or seeds saves none unless keep_models: true)"
        )
    values = read_json(folder / "emocap.json")
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        schema = values.get("schema") if isinstance(values, dict) else type(values).__name__
        raise EmocapError(f"{folder / 'emocap.json'}: schema is {schema!r}, expected {SCHEMA}; use a matching emocap")
    card = validated(ModelCard, folder / "emocap.json", values)
    vocabulary = Vocabulary(tuple(card.labels))
    if vocabulary.hash != card.vocabulary:
        raise EmocapError(
            f"{folder / 'emocap.json'}: the labels do not have the hash {card.vocabulary}; the file was changed"
        )
    config = _config(folder / "config.json")
    vocabulary.require_same([config.id2label[i] for i in range(config.num_labels)], str(folder / "config.json"))
    model = _weights(folder, config)
    tokenizer = load_tokenizer(folder)
    n_tokens = getattr(config, "n_tokens", config.vocab_size)
    if len(tokenizer) != n_tokens:
        raise EmocapError(
            f"{folder}: the tokenizer has {len(tokenizer)} tokens, the model {n_tokens}; restore its files"
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


def validated(card_class: type[Card], path: Path, values: Any) -> Card:
    """The values of a file as an instance of a card's class.

    Raises:
        EmocapError: a value is missing or invalid; one line that names the key.
    """
    try:
        return TypeAdapter(card_class).validate_python(values)
    except ValidationError as error:
        raise EmocapError(f"{path}: {first_error(error.errors())}; train the model again") from None


def _config(path: Path) -> VisualBertConfig:
    values = read_json(path)
    try:
        return VisualBertConfig(**values)
    except Exception as error:  # the library raises errors of several libraries
        raise EmocapError(
            f"{path}: not a model's configuration ({str(error).splitlines()[0]}); train it again"
        ) from error


def _weights(folder: Path, config: VisualBertConfig) -> VisualBertForEmotion:
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        model, loading_info = VisualBertForEmotion.from_pretrained(
            folder, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # the library raises whatever a damaged file causes
        raise EmocapError(f"{folder}: its weights cannot be read ({type(error).__name__}); train it again") from error
    faults = [f"{key} {', '.join(sorted(map(str, names))[:4])}" for key, names in loading_info.items() if names]
    if faults:
        raise EmocapError(f"{folder}: its weights do not match its configuration ({'; '.join(faults)}); train it again")
    return model
