"""The configuration of a study's captioner."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from emocap.study.config.sections import Section, distinct
from emocap.training.settings import TrainSettings


class CaptionerTrainSettings(TrainSettings):
    """Training of a captioner: two epochs with the cross-entropy of the next token; the last epoch is kept.

    Attributes:
        label_smoothing: share of each next token that is spread over all tokens.
    """

    label_smoothing: float | None = Field(0.0, ge=0, lt=1)
    epochs: int = Field(2, ge=1, le=10_000)
    head_learning_rate: float | None = Field(5e-4, gt=0)
    select_by: Literal["bce", "mean_average_precision"] | None = None

    @model_validator(mode="after")
    def _only_supported_settings(self) -> "CaptionerTrainSettings":
        if self.loss.name != "bce" or self.select_by is not None or self.layer_decay is not None or self.lora:
            raise ValueError(
                "a captioner has one loss, one learning rate, no validation and no lora; leave those settings out"
            )
        return self


class WordsTrainSettings(CaptionerTrainSettings):
    """Training of the captioner's region reader on the words of captions; it is small and quick to train."""

    epochs: int = Field(15, ge=1, le=10_000)
    batch_size: int = Field(128, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    head_learning_rate: None = None
    label_smoothing: None = None


class CaptionerConfig(Section):
    """The model that generates captions for emotions, trained on the pseudo-labelled source.

    Attributes:
        encoder: "student" starts from the student; "light" is a small one, trained from scratch.
        encoder_layers: of a light encoder.
        decoder_layers: number of layers of the decoder; None takes as many as the backbone has.
        decoder_init: whether the decoder's layers are the lowest of the backbone or new; its embeddings are the
            backbone's.
        tokens: what the decoder reads and generates: the tokens of the training captions, which is faster, or all of
            the tokenizer.
        dropout: of a light encoder and of the decoder; None means the backbone's.
        pairs: training captions: those of the student's sample, or all of the source.
        rank: which emotions condition a caption: those that the student learns, or those of highest lift.
        styles: whether the style of a caption conditions it too.
        drop_emotions: share of training captions without emotions and style, which classifier-free guidance needs; of
            the others the same share lacks the emotions, and the same share the style.
        contrast: weight of telling a caption's conditions from those of another caption of its image; 0 is none.
        held_out_images: source images unused by the teacher's scores, student and captioner, on which guidance and
            re-ranking are tuned and captions judged.
        tuning_images: how many of them are for tuning; None means half. The captions of the others are judged.
        guidance: guidance scales to try; 1 is the trained model without guidance.
        style_guidance: guidance scale of the style.
        guidance_steps: number of first tokens of a caption that are guided; None guides all.
        strength: weights of the emotions relative to faithfulness in re-ranking to try; 0 is faithfulness alone.
        rerank: what re-ranking adds for an emotion, its log-probability by the ranker or its lift.
        candidates: number of captions generated for each that re-ranking chooses.
        beams: width of the beam search that generates them; None samples them.
        length_penalty: exponent of the length that a beam's log-likelihood is divided by.
        top_p: of the sampling.
        max_loss: share of CIDEr-D that guidance and re-ranking may lose compared with the captioner without emotions.
        judge: the model whose alignment is reported first, trained on the target's test pairs alone; the other of
            "tfidf" and "vectors" judges too. Sentence vectors may come from the backbone itself.
        controls: further captioners to compare with; "shuffled" learns each caption for the conditions of another.
        words: training of the region reader, before the captioner's; None leaves it out.
        training: as for the other models, without what a captioner lacks; `head_learning_rate` is the decoder's.
    """

    encoder: Literal["student", "light"] = "student"
    encoder_layers: int = Field(2, ge=1)
    decoder_layers: int | None = Field(None, ge=1)
    decoder_init: Literal["backbone", "scratch"] = "backbone"
    tokens: Literal["captions", "all"] = "captions"
    dropout: float | None = Field(None, ge=0, lt=1)
    pairs: Literal["sample", "all"] = "sample"
    rank: Literal["probability", "lift"] = "lift"
    styles: bool = False
    drop_emotions: float = Field(0.15, gt=0, lt=1)
    contrast: float = Field(0.0, ge=0)
    held_out_images: int = Field(200, ge=4)
    tuning_images: int | None = Field(None, ge=2)
    guidance: list[Annotated[float, Field(ge=0, le=20)]] = Field(default_factory=lambda: [1.0, 2.0, 3.0], min_length=1)
    style_guidance: float = Field(1.0, ge=0, le=20)
    guidance_steps: int | None = Field(None, ge=1)
    strength: list[Annotated[float, Field(ge=0, le=20)]] = Field(default_factory=lambda: [0.0, 1.0, 3.0], min_length=1)
    rerank: Literal["probability", "lift"] = "probability"
    candidates: int = Field(8, ge=1, le=100)
    beams: int | None = Field(None, ge=1, le=100)
    length_penalty: float = Field(1.0, ge=-10, le=10)
    top_p: float = Field(0.9, gt=0, le=1)
    max_loss: float = Field(0.1, ge=0, le=1)
    judge: Literal["tfidf", "vectors"] = "tfidf"
    controls: list[Literal["shuffled"]] = Field(default_factory=list)
    words: WordsTrainSettings | None = Field(default_factory=WordsTrainSettings)
    training: CaptionerTrainSettings = Field(default_factory=CaptionerTrainSettings)

    _distinct_values = field_validator("guidance", "strength", "controls")(distinct)

    @model_validator(mode="after")
    def _consistent(self) -> "CaptionerConfig":
        if self.pairs == "all" and self.rank != "lift":
            raise ValueError("pairs: all needs rank: lift, since the student's targets exist for its sample alone")
        if self.tuning_images is not None and self.tuning_images > self.held_out_images - 2:
            raise ValueError(
                f"tuning_images is {self.tuning_images} of {self.held_out_images} held_out_images; "
                "leave two or more to be judged"
            )
        return self
