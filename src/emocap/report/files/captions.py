"""`captioner/captions.json` as the report needs it, checked when it is read; see `docs/RUN_DIR.md`."""

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, model_validator

from emocap.captioning.system_names import FORMER_NAMES, RERANKED, WITHOUT_EMOTION
from emocap.report.files.comparison import Count, Difference, Unit
from emocap.report.files.estimated import Estimated, NonNegative, Share
from emocap.report.files.perception import Perception, Styles


class AllReferences(BaseModel):
    """Scores against all captions of an image, which published models are compared with."""

    cider_d: NonNegative
    bleu_4: Unit
    rouge_l: Unit


class System(BaseModel):
    """Scores of one captioning system, one caption per image.

    Attributes:
        alignment: by the judge's probabilities; `lift_alignment` by its lift, None in runs of earlier versions.
        noun_faithfulness: None where no tagger was installed.
        all_references: None for human captions, which are among them.
    """

    alignment: Share
    alignment_by_emotion: Share
    lift_alignment: Share | None = None
    cider_d: Estimated
    noun_faithfulness: Share | None = None
    all_references: AllReferences | None = None
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
    lift_alignment: Difference | None = None
    noun_faithfulness: Difference | None = None


class JudgeScores(BaseModel):
    """Scores of the judge on held-out pairs; null where a score is undefined."""

    top1_accuracy: Unit | None
    top3_accuracy: Unit | None
    recall_at_3: Unit | None
    mean_average_precision: Unit | None


class Judge(BaseModel):
    """The independent model that evaluates captions, and the label frequencies of its training pairs as a baseline.

    Attributes:
        lift_mean_average_precision: of the fit whose lift counts, on the same held-out pairs.
    """

    model: str
    n_train_pairs: Count
    n_test_pairs: Count
    scores: JudgeScores
    prior: JudgeScores
    lift_mean_average_precision: Unit | None = None


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
    judged_lift_alignment: Share | None = None
    cider_d: Estimated

    @property
    def judged(self) -> Share:
        """By the judge's lift, in runs of earlier versions by its probabilities."""
        return self.judged_lift_alignment or self.judged_alignment


class PlainPoint(BaseModel):
    """The captioner without emotion on the images of the trade-off."""

    judged_alignment: Share
    judged_lift_alignment: Share | None = None
    cider_d: Estimated

    @property
    def judged(self) -> Share:
        """As of a `Point`."""
        return self.judged_lift_alignment or self.judged_alignment


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


class StyledCaption(BaseModel):
    """A caption for a style."""

    style: str
    caption: str


class CaptionedImage(BaseModel):
    """One image of the gallery."""

    image: str | None
    human: str = Field(validation_alias=AliasChoices("human", "people"))
    without_emotion: str = Field(validation_alias=AliasChoices("without_emotion", "without"))
    captions: list[GeneratedCaption]
    styles: list[StyledCaption] = []


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
    perception: Perception | None = None
    styles: Styles | None = None

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
