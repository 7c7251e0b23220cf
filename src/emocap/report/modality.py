"""Whether a model uses the image and the caption, decided by two ablations in both directions.

Removing an input shows whether the model gains from having one; another pair's shows whether what it contains matters
(a permutation test, Breiman 2001). The two may disagree, so one table has a decision for each combination. "Uses" is
said only where both make the model worse.
"""

from dataclasses import dataclass
from typing import Literal

from emocap.report.files.comparison import MetricInfo, primary_of
from emocap.report.files.studies import ModalityAblation
from emocap.report.outcome import outcome_of
from emocap.report.text import capitalized, label_of, listed, with_interval

# What an input does, by an ablation: without it the model is worse, not shown to differ, or better, or its predictions
# are the same on every image.
Effect = Literal["helps", "unclear", "hurts", "none"]
Use = Literal["helps", "no evidence", "changes predictions but hurts", "ignores", "mixed"]
INPUTS = {"the caption": ("image_only", "other_caption"), "the image": ("caption_only", "other_image")}
EFFECT_OF: dict[str, Effect] = {"worse": "helps", "inconclusive": "unclear", "better": "hurts"}
PER_PAIR = "bce"  # changes with any probability


@dataclass(frozen=True)
class Decision:
    """What two ablations say together; `words` follow the model's name, with `{input}` for the image or the caption."""

    use: Use
    words: str


_HURTS = "changes its predictions with {input}, and that hurts: it is better "
_SAME = "gives the same predictions without {input}, so it gains nothing from it"
# By the effect seen in removing the input, and by that seen in replacing it with another pair's.
DECISIONS: dict[tuple[Effect, Effect], Decision] = {
    ("helps", "helps"): Decision("helps", "uses {input}: it is worse without it and worse with another pair’s"),
    ("helps", "unclear"): Decision(
        "mixed",
        "is worse without {input}, but is not shown to differ with another pair’s, so it is not shown to depend on "
        "what {input} contains",
    ),
    ("helps", "hurts"): Decision(
        "mixed", "is worse without {input}, but better with another pair’s, so what {input} contains hurts"
    ),
    ("helps", "none"): Decision(
        "ignores",
        "is worse without {input}, but gives the same predictions with another pair’s, so it ignores what {input} "
        "contains",
    ),
    ("unclear", "helps"): Decision(
        "mixed",
        "depends on {input}, being worse with another pair’s, but is not shown to be better with it than without",
    ),
    ("unclear", "unclear"): Decision("no evidence", "is not shown to use {input}"),
    ("unclear", "hurts"): Decision(
        "changes predictions but hurts", _HURTS + "with another pair’s, and is not shown to differ without it"
    ),
    ("unclear", "none"): Decision(
        "ignores",
        "ignores what {input} contains: its predictions are the same with another pair’s, and it is not shown to be "
        "better with it than without",
    ),
    ("hurts", "helps"): Decision(
        "changes predictions but hurts", _HURTS + "without it, although it is worse with another pair’s"
    ),
    ("hurts", "unclear"): Decision(
        "changes predictions but hurts", _HURTS + "without it, and is not shown to differ with another pair’s"
    ),
    ("hurts", "hurts"): Decision("changes predictions but hurts", _HURTS + "without it and better with another pair’s"),
    ("hurts", "none"): Decision(
        "changes predictions but hurts",
        _HURTS + "without it, and ignores what {input} contains, since another pair’s changes nothing",
    ),
    ("none", "helps"): Decision("mixed", _SAME + ", although it is worse with another pair’s"),
    ("none", "unclear"): Decision("mixed", _SAME + ", although another pair’s changes its predictions"),
    ("none", "hurts"): Decision("mixed", _SAME + ", although it is better with another pair’s"),
    ("none", "none"): Decision(
        "ignores", "ignores {input}: its predictions are the same without it and with another pair’s"
    ),
}

# Where no pair has a caption, by the effect seen in replacing the image with another pair's.
OTHER_IMAGE: dict[Effect, str] = {
    "helps": "depends on the image: it is worse with another pair’s",
    "unclear": "is not shown to depend on the image: it does not differ clearly with another pair’s",
    "hurts": "is better with another pair’s image, so what the image contains hurts",
    "none": "ignores what the image contains: its predictions are the same with another pair’s",
}


def ablation_sentence(ablation: ModalityAblation, metrics: dict[str, MetricInfo]) -> str:
    """Whether the model uses the caption and the image, with the differences that decide it."""
    model = label_of(ablation.model)
    if not ablation.is_enough:
        inputs = "the image or the caption" if ablation.has_captions else "the image"
        return f"Cannot tell whether {model} uses {inputs}: the test set is too small for a verdict."
    if not ablation.has_captions:
        return _sentence_on_images(ablation, metrics)
    parts = [
        f"{decision.words.format(input=name)}{_numbers(ablation, name, primary_of(metrics))}"
        for name in INPUTS
        if (decision := decision_on(ablation, name, metrics)) is not None
    ]
    return f"{capitalized(model)} {'; it '.join(parts)}." if parts else ""


def _sentence_on_images(ablation: ModalityAblation, metrics: dict[str, MetricInfo]) -> str:
    """What another pair's image changes, where no pair has a caption and an image cannot be removed."""
    effect = effect_of(ablation, "other_image", metrics)
    difference = ablation.difference("other_image", "both", primary_of(metrics))
    if effect is None or difference is None:
        return ""
    words = f"{OTHER_IMAGE[effect]} ({with_interval(difference, several=True)})"
    return f"{capitalized(label_of(ablation.model))} {words}."


def decision_on(ablation: ModalityAblation, name: str, metrics: dict[str, MetricInfo]) -> Decision | None:
    """The decision on one input ("the image" or "the caption"); None unless both ablations were measured."""
    removed, replaced = (effect_of(ablation, view, metrics) for view in INPUTS[name])
    return None if removed is None or replaced is None else DECISIONS[removed, replaced]


def effect_of(ablation: ModalityAblation, view: str, metrics: dict[str, MetricInfo]) -> Effect | None:
    """What the input that a view lacks does; None where the view was not measured.

    The simultaneous interval of the views decides. Predictions are the same where no image has another cross-entropy.
    """
    difference = ablation.difference(view, "both", primary_of(metrics))
    if difference is None:
        return None
    per_pair = ablation.difference(view, "both", PER_PAIR)
    if per_pair is not None and per_pair.deciding_images == 0:
        return "none"
    return EFFECT_OF[outcome_of(difference, metrics[primary_of(metrics)], is_enough=True, several=True)]


def _numbers(ablation: ModalityAblation, name: str, primary: str) -> str:
    known = [
        f"{words} {with_interval(difference, several=True)}"
        for view, words in zip(INPUTS[name], ("without it", "with another pair’s"), strict=True)
        if (difference := ablation.difference(view, "both", primary)) is not None
    ]
    return f" ({listed(known)})"
