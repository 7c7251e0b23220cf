"""`captioner/captions.json` as the report needs it, checked when it is read; see `docs/RUN_DIR.md`."""

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, model_validator

from emocap.captioning.system_names import FORMER_NAMES, RERANKED, WITHOUT_EMOTION
from emocap.report.files.comparison import LARGEST, ROUNDING, Count, Difference, Unit

NonNegative = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-ROUNDING, le=LARGEST)]


class Estimated(BaseModel):
    """A mean over images with its 95% interval."""

    mean: NonNegative
    low: NonNegative
    high: NonNegative

    @model_validator(mode="after")
    def _ordered(self) -> "Estimated":
        if self.low > self.high:
            raise ValueError(f"'low' is {self.low}, above 'high', {self.high}")
        return self


class Share(Estimated):
    """A share of images with its 95% interval."""

    mean: Unit
    low: Unit
    high: Unit


class System(BaseModel):
    """Scores of one captioning system, one caption per image."""

    alignment: Share
    alignment_by_emotion: Share
    cider_d: Estimated
    bleu_4: Unit
    rouge_l: Unit
    distinct_2: Unit
    distinct_captions: Unit
    names_emotion: Unit
    words: NonNegative


class Differences(BaseModel):
    """A system minus the captioner without emotion, on the same images."""

    alignment: Difference
    cider_d: Difference


class JudgeScores(BaseModel):
    """Scores of the judge on held-out pairs; null where a score is undefined."""

    top1_accuracy: Unit | None
    top3_accuracy: Unit | None
    recall_at_3: Unit | None
    mean_average_precision: Unit | None


class Judge(BaseModel):
    """The independent model that evaluates captions, and the label frequencies of its training pairs as a baseline."""

    model: str
    n_train_pairs: Count
    n_test_pairs: Count
    scores: JudgeScores
    prior: JudgeScores


class Point(BaseModel):
    """One setting that was tried.

    Attributes:
        alignment: by the study's own classifier, which decides.
        judged_alignment: by the judge, which does not decide.
    """

    guidance: NonNegative
    strength: NonNegative
    alignment: Share
    judged_alignment: Share
    cider_d: Estimated


class PlainPoint(BaseModel):
    """The captioner without emotion on the images of the trade-off."""

    judged_alignment: Share
    cider_d: Estimated


class TradeOff(BaseModel):
    """Settings tried on images kept for that purpose."""

    n_images: Count
    plain: PlainPoint
    points: list[Point] = Field(min_length=1)


class GeneratedCaption(BaseModel):
    """A caption for an emotion with its probability by the study's own classifier."""

    emotion: str
    caption: str
    probability: Unit


class CaptionedImage(BaseModel):
    """One image of the gallery."""

    image: str | None
    human: str = Field(validation_alias=AliasChoices("human", "people"))
    without_emotion: str = Field(validation_alias=AliasChoices("without_emotion", "without"))
    captions: list[GeneratedCaption]


def _with_present_names(systems: Any) -> Any:
    """Systems by their present names."""
    if not isinstance(systems, dict):
        return systems
    return {FORMER_NAMES.get(name, name): value for name, value in systems.items()}


class Captions(BaseModel):
    """`captioner/captions.json`: the evaluation of the captioner."""

    n_images: Annotated[Count, Field(ge=1)]
    systems: Annotated[dict[str, System], BeforeValidator(_with_present_names)]
    differences: Annotated[dict[str, Differences], BeforeValidator(_with_present_names)]
    judge: Judge
    guidance: NonNegative
    strength: NonNegative
    candidates: Count
    max_loss: Unit
    trade_off: TradeOff
    gallery: list[CaptionedImage] = []

    @model_validator(mode="after")
    def _complete(self) -> "Captions":
        for name in (WITHOUT_EMOTION, RERANKED, *self.differences):
            if name not in self.systems:
                raise ValueError(f"'systems' lacks {name!r}")
        for name in self.systems:
            if name != WITHOUT_EMOTION and name not in self.differences:
                raise ValueError(f"'differences' lacks {name!r}")
        if not any(self.is_chosen(point) for point in self.trade_off.points):
            raise ValueError(
                f"'trade_off' lacks guidance {self.guidance:g} with strength {self.strength:g}, the chosen setting"
            )
        return self

    def is_chosen(self, point: Point) -> bool:
        """Whether this is the setting that captions are generated with."""
        return (point.guidance, point.strength) == (self.guidance, self.strength)

    @property
    def chosen(self) -> Point:
        """The setting that captions are generated with."""
        return next(point for point in self.trade_off.points if self.is_chosen(point))

    @property
    def least_cider_d(self) -> float:
        """The lowest CIDEr-D that a setting may have to be chosen."""
        return (1 - self.max_loss) * self.trade_off.plain.cider_d.mean
