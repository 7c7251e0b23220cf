"""How the teacher's predictions become pseudo-labels (Yalniz et al. 2019), and the study of these settings."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from emocap.study.config.sections import Section, Seed, distinct

LabelType = Literal["hard", "soft", "votes"]
Rank = Literal["probability", "lift"]
Share = Annotated[float, Field(gt=0, le=1)]
StudyControl = Literal["random", "shuffled", "none"]
Control = Literal["own_texts", "shuffled"]
# What decides the student's sample.
SAMPLE_KEYS = ("p", "k", "fraction", "label_type", "min_agreement", "rank")


def _all_controls() -> list[Control]:
    return ["own_texts", "shuffled"]


class PseudoLabelStudyConfig(Section):
    """Which settings of the pseudo-labels are varied, one at a time, the others as the study has them.

    Attributes:
        p, k, fraction, label_type, min_agreement, rank: further values of these settings.
        controls: "random" draws as many pairs from the whole source, which is informative only where K or the filter
            selected the sample; "shuffled" assigns the pseudo-labels to other pairs of the sample; "none" continues to
            train the teacher for as many steps instead. None means all that are informative.
        seeds: each variation is run once for each.
    """

    renamed_keys: ClassVar[dict[str, str]] = {"targets": "label_type"}

    p: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)
    k: list[Annotated[int, Field(ge=1)] | None] = Field(default_factory=list)
    fraction: list[Share] = Field(default_factory=list)
    label_type: list[LabelType] = Field(default_factory=list)
    min_agreement: list[Share | None] = Field(default_factory=list)
    rank: list[Rank] = Field(default_factory=list)
    controls: list[StudyControl] | None = None
    seeds: list[Seed] = Field(default_factory=lambda: [0], min_length=1)

    _distinct_values = field_validator(
        "p", "k", "fraction", "label_type", "min_agreement", "rank", "controls", "seeds"
    )(distinct)


class PhotographConfig(Section):
    """What the student learns from the source's photographs, of a teacher that reads captions alone.

    Attributes:
        class_prior: weight of the teacher's view of the classes that the backbone's classifier sees in a photograph,
            beside that of its captions; 0 leaves it out.
        temperature: the classifier's logits are divided by it.
        weight: how far a photograph moves the target of a pair with a caption, in units of each emotion's spread.
        neutral: captions that say nothing, whose target is the photograph's alone.
        share_neutral: share of the sampled pairs with an image whose caption is replaced by one of `neutral`.
        share_dropped: share of them that lose their photograph; the target is the caption's.
        share_exchanged: share of them that get the photograph of another pair, with its effect on the target.
    """

    class_prior: float = Field(0.2, ge=0)
    temperature: float = Field(2.5, gt=0)
    weight: float = Field(0.3, ge=0)
    neutral: list[str] = Field(default_factory=lambda: ["", "A photograph.", "A photo."])
    share_neutral: float = Field(0.25, ge=0, le=1)
    share_dropped: float = Field(0.25, ge=0, le=1)
    share_exchanged: float = Field(0.15, ge=0, le=1)

    _distinct_captions = field_validator("neutral")(distinct)

    @model_validator(mode="after")
    def _shares_fit(self) -> "PhotographConfig":
        total = sum(self.shares.values())
        if total > 1 + 1e-9:
            raise ValueError(f"share_neutral, share_dropped and share_exchanged sum to {total:g}, expected at most 1")
        if self.share_neutral and not self.neutral:
            raise ValueError("share_neutral is above 0, but neutral names no caption; give one, or share_neutral: 0")
        return self

    @property
    def shares(self) -> dict[str, float]:
        """The shares by kind."""
        return {kind: getattr(self, f"share_{kind}") for kind in ("neutral", "dropped", "exchanged")}


class PseudoLabelConfig(Section):
    """How the teacher's predictions become pseudo-labels.

    Attributes:
        p: top-P emotions kept per pair.
        k: top-K pairs kept per emotion; None keeps all.
        fraction: share of the candidate pairs in the student's sample.
        label_type: "soft", the teacher's probabilities of the kept emotions; "hard", 1 for each; "votes", the share of
            an image's captions that have the emotion in their top P.
        min_agreement: an emotion is kept only if at least this share of an image's captions have it in their top P;
            None keeps all.
        rank: what decides a pair's top P: "probability", as in the founding study, or "lift", how far an emotion's
            logit is above its mean over the source, in standard deviations.
        controls: what AnB+ is compared with, each a student and an AnB+ more: "own_texts" learns the teacher's soft
            labels of the target's own training pairs for as many steps as the student, so that the difference is what
            the source adds; "shuffled" assigns the pseudo-labels to other pairs of the sample.
        photographs: what the student learns from photographs where the teacher reads captions alone; None gives every
            pair of an image the pseudo-labels of its caption.
        study: measures the effect of the settings on AnB+, with controls; None leaves it out.
    """

    renamed_keys: ClassVar[dict[str, str]] = {"targets": "label_type"}

    p: int = Field(4, ge=1)
    k: int | None = Field(None, ge=1)
    fraction: Share = 0.1
    label_type: LabelType = "soft"
    min_agreement: Share | None = None
    rank: Rank = "probability"
    controls: list[Control] = Field(default_factory=_all_controls)
    photographs: PhotographConfig | None = None
    study: PseudoLabelStudyConfig | None = None

    _distinct_controls = field_validator("controls")(distinct)

    @model_validator(mode="after")
    def _random_is_informative(self) -> "PseudoLabelConfig":
        if self.study is not None and "random" in (self.study.controls or ()) and not self.is_selected:
            raise ValueError("study.controls has random, but without k or min_agreement the sample is random already")
        return self

    @model_validator(mode="after")
    def _photographs_have_all_probabilities(self) -> "PseudoLabelConfig":
        if self.photographs is None:
            return self
        for key, needed in (("label_type", "soft"), ("k", None), ("min_agreement", None), ("study", None)):
            if getattr(self, key) != needed:
                shown = "left out" if needed is None else needed
                raise ValueError(
                    "photographs needs the teacher's probabilities of all emotions for every pair: "
                    f"{key} must be {shown}, or leave photographs out"
                )
        return self

    @property
    def is_selected(self) -> bool:
        """Whether the sample is more than a random one."""
        return self.k is not None or self.min_agreement is not None

    @property
    def study_controls(self) -> list[str]:
        """The controls of the study of pseudo-labels."""
        assert self.study is not None, "there is a study"
        named = self.study.controls
        return [*(["random"] if self.is_selected else []), "shuffled", "none"] if named is None else list(named)
