"""A study's configuration of its captioner."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from emocap.study.config.sections import Section, distinct
from emocap.training.settings import TrainSettings


class CaptionerTrainSettings(TrainSettings):
    """Training of a captioner: two epochs by the cross-entropy of the next token, the last is kept."""

    epochs: int = Field(2, ge=1, le=10_000)
    head_learning_rate: float | None = Field(5e-4, gt=0)
    select_by: Literal["bce", "mean_average_precision"] | None = None

    @model_validator(mode="after")
    def _has_what_a_captioner_has(self) -> "CaptionerTrainSettings":
        if self.loss.name != "bce" or self.select_by is not None or self.layer_decay is not None:
            raise ValueError("a captioner has one loss, one learning rate and no validation; leave those settings out")
        return self


class WordsTrainSettings(CaptionerTrainSettings):
    """Training of a captioner's reader of regions by the words of pictures; it is small, and cheap to train."""

    epochs: int = Field(15, ge=1, le=10_000)
    batch_size: int = Field(128, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    head_learning_rate: None = None


class CaptionerConfig(Section):
    """The model that writes captions for emotions, learnt from the pseudo-labelled source.

    Attributes:
        decoder_layers: copied from the backbone's lowest; None takes all.
        drop_emotions: how often a caption is learnt without emotions, which guidance needs.
        held_out_images: images of the source that neither teacher's scores, student nor captioner use; half of them
            decide on guidance and re-ranking, the captions of the other half are judged.
        guidance: strengths that are tried; 1 is what was learnt.
        strength: weights of the emotions against faithfulness in re-ranking that are tried; 0 is faithfulness alone.
        candidates: written for a caption that re-ranking chooses.
        max_loss: share of CIDEr-D that guidance and re-ranking may lose against the same captioner without emotions.
        judge: the model whose alignments are told first, trained on the target's test pairs alone; the other of "tfidf"
            and "vectors" judges too. Sentence vectors may come from the backbone itself.
        words: training of the reader of regions, before the captioner's.
        training: as for the other models, but for what a captioner has not; `head_learning_rate` is the decoder's.
    """

    decoder_layers: int | None = Field(None, ge=1)
    drop_emotions: float = Field(0.15, gt=0, lt=1)
    held_out_images: int = Field(200, ge=4)
    guidance: list[Annotated[float, Field(ge=0, le=20)]] = Field(default_factory=lambda: [1.0, 2.0, 3.0], min_length=1)
    strength: list[Annotated[float, Field(ge=0, le=20)]] = Field(default_factory=lambda: [0.0, 1.0, 3.0], min_length=1)
    candidates: int = Field(8, ge=1, le=100)
    max_loss: float = Field(0.1, ge=0, le=1)
    judge: Literal["tfidf", "vectors"] = "tfidf"
    words: WordsTrainSettings = Field(default_factory=WordsTrainSettings)
    training: CaptionerTrainSettings = Field(default_factory=CaptionerTrainSettings)

    _distinct_values = field_validator("guidance", "strength")(distinct)
