"""The keys "perception" and "styles" of `captioner/captions.json`, checked when they are read."""

from pydantic import BaseModel, Field, model_validator

from emocap.report.files.comparison import Count, Difference, Unit
from emocap.report.files.estimated import Estimated, Share


class Perceived(BaseModel):
    """Shares of captions that show what they were asked for.

    Attributes:
        judge: by the judge; judge_without_punctuation by the same without punctuation.
        key_words: by the rule of key words.
        margin: judge minus rule, on the same captions.
    """

    judge: Share
    judge_without_punctuation: Share
    key_words: Share
    margin: Difference


class HumanPerceived(Perceived):
    """The same of people's captions, the ceiling."""

    n_captions: Count


class Perception(BaseModel):
    """Whether a reader could perceive the emotions.

    Attributes:
        k: an emotion must be among the k of highest lift.
        systems: by system.
        gains: by system, minus the captions without an emotion.
        labelled: of people's captions whose emotions are known; above_labelled is the captioner minus these.
        paired: of two emotions asked for one image, whether each lift is higher for the caption asked for it.
        changed_by_blanking: share of captions that differ if the image is blanked.
    """

    k: Count
    chance: Unit
    key_words: dict[str, list[str]]
    systems: dict[str, Perceived]
    gains: dict[str, Difference]
    labelled: HumanPerceived
    above_labelled: Difference
    paired: Perceived | None = None
    changed_by_blanking: Share | None = None


class StyleContent(BaseModel):
    """How much of the image a style's captions say, against factual captions."""

    cider_d: Estimated
    noun_faithfulness: Share | None = None
    differences: dict[str, Difference] = {}


class Styles(BaseModel):
    """Whether captions show the style that they were asked for.

    Attributes:
        captioner, human: captions of the captioner, and people's own captions of the same images.
        above_human: captioner minus human.
        paired: the same, of two styles of one image; "captioner" and "human".
        content, human_content: by style.
    """

    styles: list[str] = Field(min_length=2)
    chance: Unit
    key_words: dict[str, list[str]]
    captioner: Perceived
    human: HumanPerceived
    above_human: Difference
    paired: dict[str, Perceived] = {}
    content: dict[str, StyleContent] = {}
    human_content: dict[str, StyleContent] = {}

    @model_validator(mode="after")
    def _complete(self) -> "Styles":
        for style in self.styles:
            if style not in self.content:
                raise ValueError(f"'content' lacks {style!r}")
        return self
