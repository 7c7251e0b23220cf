"""The configuration of a study's captioner."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from emocap.study.config.sections import Section, distinct
from emocap.training.settings import TrainSettings


class CaptionerTrainSettings(TrainSettings):
    """Training of a captioner: two epochs with the cross-entropy of the next token; the last epoch is kept."""

    epochs: int = Field(2, ge=1, le=10_000)
    head_learning_rate: float | None = Field(5e-4, gt=0)
    select_by: Literal["bce", "mean_average_precision"] | None = None

    @model_validator(mode="after")
    def _only_supported_settings(self) -> "CaptionerTrainSettings":
        if self.loss.name != "bce" or self.select_by is not None or self.layer_decay is not None:
            raise ValueError("a captioner has one loss, one learning rate and no validation; leave those settings out")
        return self


class WordsTrainSettings(CaptionerTrainSettings):
    """Training of the captioner's region reader on the words of captions; it is small and quick to train."""

    epochs: int = Field(15, ge=1, le=10_000)
    batch_size: int = Field(128, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    head_learning_rate: None = None


class CaptionerConfig(Section):
    """The model that generates captions for emotions, trained on the pseudo-labelled source.

    Attributes:
        decoder_layers: number of lowest backbone layers copied into the decoder; None takes all.
        drop_emotions: share of training captions without emotions, which classifier-free guidance needs.
        held_out_images: source images unused by the teacher's scores, student and captioner; guidance and
            re-ranking are tuned on one half of them, the captions of the other half are judged.
        guidance: guidance scales to try; 1 is the trained model without guidance.
        strength: weights of the emotions relative to faithfulness in re-ranking to try; 0 is faithfulness alone.
        candidates: number of captions generated for each that re-ranking chooses.
        max_loss: share of CIDEr-D that guidance and re-ranking may lose compared with the captioner without emotions.
        judge: the model whose alignment is reported first, trained on the target's test pairs alone; the other of
            "tfidf" and "vectors" judges too. Sentence vectors may come from the backbone itself.
        words: training of the region reader, before the captioner's.
        training: as for the other models, without what a captioner lacks; `head_learning_rate` is the decoder's.
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
