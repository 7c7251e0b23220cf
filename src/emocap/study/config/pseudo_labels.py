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
    study: PseudoLabelStudyConfig | None = None

    _distinct_controls = field_validator("controls")(distinct)

    @model_validator(mode="after")
    def _random_is_informative(self) -> "PseudoLabelConfig":
        if self.study is not None and "random" in (self.study.controls or ()) and not self.is_selected:
            raise ValueError("study.controls has random, but without k or min_agreement the sample is random already")
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
