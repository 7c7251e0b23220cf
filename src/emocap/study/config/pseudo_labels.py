"""What the teacher's predictions become, and the study of these settings."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from emocap.study.config.sections import Section, Seed, distinct

PseudoTargets = Literal["hard", "soft", "votes"]


Share = Annotated[float, Field(gt=0, le=1)]


Control = Literal["random", "shuffled", "none"]


class PseudoLabelStudyConfig(Section):
    """Which settings of the pseudo-labels are varied, one at a time, with all others as the study has them.

    Attributes:
        p, k, fraction, targets, min_agreement: further values of these settings.
        controls: "random" draws as many pairs from the whole source, which says something only where K or the filter
            chose the sample; "shuffled" gives the pseudo-labels to other pairs of the sample; "none" trains the teacher
            on for as many steps instead. None means all that say something.
        seeds: each variation is run once for each.
    """

    p: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)
    k: list[Annotated[int, Field(ge=1)] | None] = Field(default_factory=list)
    fraction: list[Share] = Field(default_factory=list)
    targets: list[PseudoTargets] = Field(default_factory=list)
    min_agreement: list[Share | None] = Field(default_factory=list)
    controls: list[Control] | None = None
    seeds: list[Seed] = Field(default_factory=lambda: [0], min_length=1)

    _distinct_values = field_validator("p", "k", "fraction", "targets", "min_agreement", "controls", "seeds")(distinct)


class PseudoLabelConfig(Section):
    """What the teacher's answers become.

    Attributes:
        p: best emotions kept a pair.
        k: best pairs kept an emotion; None keeps all.
        fraction: share of the candidates that the student sees.
        targets: "soft", the teacher's probabilities of the kept emotions; "hard", 1 for each; "votes", the share of the
            captions of one image whose P best hold the emotion.
        min_agreement: an emotion is kept only if at least this share of the captions of one image have it among their
            P best; None keeps all.
        study: the settings' effect on AnB+, measured with controls; None leaves it out.
    """

    p: int = Field(4, ge=1)
    k: int | None = Field(None, ge=1)
    fraction: Share = 0.1
    targets: PseudoTargets = "soft"
    min_agreement: Share | None = None
    study: PseudoLabelStudyConfig | None = None

    @model_validator(mode="after")
    def _random_says_something(self) -> "PseudoLabelConfig":
        if self.study is not None and "random" in (self.study.controls or ()) and not self.is_chosen:
            raise ValueError("study.controls has random, but without k or min_agreement the sample is random already")
        return self

    @property
    def is_chosen(self) -> bool:
        """Whether the sample is more than a random one."""
        return self.k is not None or self.min_agreement is not None

    @property
    def controls(self) -> list[str]:
        """The controls of the study of pseudo-labels."""
        assert self.study is not None, "there is a study"
        named = self.study.controls
        return [*(["random"] if self.is_chosen else []), "shuffled", "none"] if named is None else list(named)
