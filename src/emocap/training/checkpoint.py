"""A model folder: weights and configuration as transformers saves them, the tokenizer, and the model card.

The model card `emocap.json` holds the vocabulary with its hash, the fingerprint of the region features and the caption
length.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AliasChoices, Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from transformers import AutoTokenizer, PretrainedConfig
from transformers.models.visual_bert.configuration_visual_bert import VisualBertConfig
from transformers.utils import logging
from typing_extensions import TypedDict

from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import atomic_folder, read_json, write_json
from emocap.models.backbones import TOKENIZER_FILES
from emocap.models.classifier import EmotionNetwork, VisualBertForEmotion, n_ratings_of
from emocap.models.text_config import require_text_encoder, text_config
from emocap.models.text_encoder import TextEncoderForEmotion, longest_text
from emocap.progress import logger
from emocap.ratings import Ratings
from emocap.training.card_file import CARD, REMEDY
from emocap.training.platt_scaling import PlattScaling
from emocap.validation import first_error

Card = TypeVar("Card")
SCHEMA = 1
VISUAL_BERT, TEXT_ENCODER = VisualBertForEmotion.kind, TextEncoderForEmotion.kind
NETWORKS: dict[str, type[EmotionNetwork]] = {VISUAL_BERT: VisualBertForEmotion, TEXT_ENCODER: TextEncoderForEmotion}


class CalibrationCard(TypedDict):
    """How the logits of each emotion are scaled: fitted as `method` says, with E slopes and E offsets."""

    method: str
    slopes: list[float]
    offsets: list[float]


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
        max_length: captions are truncated to this many tokens; 0 if they are not truncated.
        features: of the store it was trained on; None if it was trained on captions only.
        run: the experiment's name.
        training: provenance (study, backbone, seed ...), for information only.
        frequencies: of the labels in its training pairs; None if unknown.
        temperature: of cards of earlier versions: divides the logits instead of `calibration`.
        calibration: scales the logits, so that the probabilities are calibrated; None if they are not scaled.
        threshold: an emotion is predicted where its calibrated probability is at least this.
        thresholds: the same, one per emotion; None if they were not tuned.
        kind: what the folder holds: "visual_bert", "text_encoder", or another kind of `emocap.classifiers`.
        language: of the training captions, ISO 639-1; None if unknown.
        synthetic: whether emocap drew the corpus that it was trained on.
        members: of an ensemble: the model folders, relative to this one.
        calibrated_members: of an ensemble: whether its members' probabilities are calibrated before their logits are
            averaged.
        ratings: name of each rating that it predicts, in order, to the lowest and highest value of its scale.
        uses_captions: False if no pair that it was trained on had a caption; True in cards that do not say so.
    """

    labels: list[str]
    vocabulary: str
    max_length: int
    features: FeatureCard | None
    run: str
    training: dict[str, Any] = field(default_factory=dict)
    frequencies: list[float] | None = None
    temperature: float = 1.0
    calibration: CalibrationCard | None = None
    threshold: float = 0.5
    thresholds: list[float] | None = None
    kind: str = VISUAL_BERT
    language: str | None = None
    synthetic: bool = False
    members: list[str] = field(default_factory=list)
    calibrated_members: bool = False
    ratings: dict[str, list[float]] = field(default_factory=dict)
    uses_captions: bool = True
    schema: int = SCHEMA
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    @property
    def scaling(self) -> PlattScaling:
        """What calibrates its probabilities.

        Raises:
            ValueError: a number is out of range, or there are not as many as labels.
        """
        if self.calibration is None:
            return PlattScaling.of_temperature(self.temperature, len(self.labels))
        scaling = PlattScaling.of(self.calibration["slopes"], self.calibration["offsets"])
        if len(scaling.slopes) != len(self.labels):
            raise ValueError(f"{len(scaling.slopes)} slopes for {len(self.labels)} labels")
        return scaling


@dataclass
class SavedModel:
    """A model loaded from its folder."""

    model: EmotionNetwork
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
        require_features(self.card, self.folder, fingerprint, dim, allow_other=allow_other)


def require_features(card: ModelCard, folder: Path, fingerprint: str, dim: int, *, allow_other: bool = False) -> None:
    """As `SavedModel.require_features`, of any model by its card; `folder` is named in errors."""
    own = card.features
    if own is None:
        raise EmocapError(f"{folder}: trained on captions only, cannot use region features; leave them out")
    if fingerprint == own["fingerprint"]:
        return
    if own["dim"] != dim:
        raise EmocapError(f"{folder}: trained on features of dimension {own['dim']}, these have {dim}")
    message = (
        f"{folder}: trained on {own['extractor']} features with fingerprint {own['fingerprint']}, "
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


def save_model(folder: Path, model: EmotionNetwork, tokenizer: Any, card: ModelCard) -> None:
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
        write_json(temporary / CARD, asdict(card))


def load_model(folder: Path) -> SavedModel:
    """Load a network's model folder, in evaluation mode; `emocap.classifiers.load` loads those of every kind.

    Raises:
        EmocapError: not a model folder, of a different version or kind, or with inconsistent files.
    """
    folder = Path(folder)
    if not (folder / CARD).is_file():
        nested = folder / "model"
        if (nested / CARD).is_file():
            return load_model(nested)
        raise EmocapError(
            f"{folder}: not a model folder (no {CARD}); give one that a study saved, such as RUN/AnB+/model"
        )
    card = read_card(folder)
    if card.kind not in NETWORKS:
        kinds = " or ".join(NETWORKS)
        raise EmocapError(f"{folder}: holds a model of kind {card.kind}, expected {kinds}; give another folder")
    vocabulary = Vocabulary(tuple(card.labels))
    config = read_config(folder / "config.json", card.kind)
    vocabulary.require_same([config.id2label[i] for i in range(config.num_labels)], str(folder / "config.json"))
    if n_ratings_of(config) != len(card.ratings):
        raise EmocapError(
            f"{folder / 'config.json'}: num_ratings is {n_ratings_of(config)}, but the card has {len(card.ratings)} "
            f"ratings; {REMEDY}"
        )
    model = _weights(folder, config, NETWORKS[card.kind])
    tokenizer = load_tokenizer(folder)
    n_tokens = getattr(config, "n_tokens", config.vocab_size)
    if len(tokenizer) != n_tokens:
        raise EmocapError(
            f"{folder}: the tokenizer has {len(tokenizer)} tokens, the model {n_tokens}; restore its files"
        )
    if not 3 <= card.max_length <= longest_text(model):
        raise EmocapError(f"{folder / CARD}: max_length is {card.max_length}; train the model again")
    return SavedModel(model.eval(), tokenizer, vocabulary, card, folder)


def read_card(folder: Path) -> ModelCard:
    """The checked card of a model folder of any kind.

    Raises:
        EmocapError: missing, damaged, of a different version, or with inconsistent values.
    """
    path = folder / CARD
    values = read_json(path, REMEDY)
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        schema = values.get("schema") if isinstance(values, dict) else type(values).__name__
        raise EmocapError(f"{path}: schema is {schema!r}, expected {SCHEMA}; use a matching emocap")
    card = validated(ModelCard, path, values)
    n_labels = len(card.labels)
    if not n_labels and not card.ratings:
        raise EmocapError(f"{path}: has neither labels nor ratings; {REMEDY}")
    try:
        Ratings.of(card.ratings)
    except EmocapError as error:
        raise EmocapError(f"{path}: {error}; {REMEDY}") from None
    if Vocabulary(tuple(card.labels)).hash != card.vocabulary:
        raise EmocapError(f"{path}: the labels do not have the hash {card.vocabulary}; the file was changed")
    for name in ("thresholds", "frequencies"):
        numbers = getattr(card, name)
        if numbers is not None and len(numbers) != n_labels:
            raise EmocapError(f"{path}: {len(numbers)} {name} for {n_labels} labels; train the model again")
        _require_shares(path, name, numbers or ())
    _require_shares(path, "threshold", [card.threshold])
    try:
        _ = card.scaling
    except ValueError as error:
        raise EmocapError(
            f"{path}: {'calibration: ' if card.calibration else ''}{error}; train the model again"
        ) from None
    if card.calibration is not None and card.temperature != 1:
        raise EmocapError(f"{path}: has a calibration and a temperature of {card.temperature}; train the model again")
    return card


def _require_shares(path: Path, name: str, numbers: Sequence[float]) -> None:
    for number in numbers:
        if not 0 <= number <= 1:  # NaN too
            raise EmocapError(f"{path}: {name} has {number}, expected 0 to 1; {REMEDY}")


def validated(card_class: type[Card], path: Path, values: Any) -> Card:
    """The values of a file as an instance of a card's class.

    Raises:
        EmocapError: a value is missing or invalid; one line that names the key.
    """
    try:
        return TypeAdapter(card_class).validate_python(values)
    except ValidationError as error:
        raise EmocapError(f"{path}: {first_error(error.errors())}; train the model again") from None


def read_config(path: Path, kind: str) -> PretrainedConfig:
    """The configuration of a network.

    Args:
        path: of `config.json` in its folder.
        kind: of its card.

    Raises:
        EmocapError: damaged, or of another kind.
    """
    values = read_json(path)
    if kind == TEXT_ENCODER:
        require_text_encoder(path.parent, values)
    try:
        return VisualBertConfig(**values) if kind == VISUAL_BERT else text_config(path.parent, values, {}, None)
    except Exception as error:  # the library raises errors of several libraries
        raise EmocapError(
            f"{path}: not a model's configuration ({str(error).splitlines()[0]}); train it again"
        ) from error


def _weights(folder: Path, config: PretrainedConfig, network: type[EmotionNetwork]) -> EmotionNetwork:
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        model, loading_info = network.from_pretrained(
            folder, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # the library raises whatever a damaged file causes
        raise EmocapError(f"{folder}: its weights cannot be read ({type(error).__name__}); train it again") from error
    faults = [f"{key} {', '.join(sorted(map(str, names))[:4])}" for key, names in loading_info.items() if names]
    if faults:
        raise EmocapError(f"{folder}: its weights do not match its configuration ({'; '.join(faults)}); train it again")
    for name, weights in model.named_parameters():
        if not weights.isfinite().all():
            raise EmocapError(f"{folder}: its weights {name} contain NaN or infinity; train it again")
    return model
