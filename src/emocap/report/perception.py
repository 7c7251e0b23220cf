"""Whether a reader could perceive what captions were asked for: the tables and their conclusions.

A margin or a gain counts only where its interval excludes zero and it is at least as large as the smallest one that
the images could have shown; below that the page says that it cannot tell.
"""

from dataclasses import dataclass

from emocap.captioning.system_names import HUMAN, RERANKED, SHUFFLED
from emocap.evaluation.verdicts import LEAST_IMAGES, Verdict
from emocap.html_templates import percent
from emocap.report.caption_findings import HIGHER, TOP_K_IN_WORDS, in_points, share_in_words
from emocap.report.files.comparison import Difference
from emocap.report.files.estimated import Share
from emocap.report.files.perception import Perceived, Perception, StyleContent, Styles
from emocap.report.outcome import outcome_of
from emocap.report.tables import Cell, Row
from emocap.report.text import EQUAL, counted, listed, number, percent_interval, with_interval

MUST_CHANGE = 0.95
COLUMNS = ("By the judge", "Without punctuation", "By key words", "Margin over key words", "Smallest margin shown")


@dataclass(frozen=True)
class PerceptionSection:
    """What the page shows of one kind of label, emotions or styles.

    Attributes:
        sentences: the conclusions.
        rows: one per system, with `COLUMNS`.
        key_words: each label's key words.
    """

    sentences: list[str]
    columns: tuple[str, ...]
    rows: list[Row]
    key_words: list[tuple[str, str]]


def powered_outcome(difference: Difference, n_images: int) -> Verdict:
    """The verdict on a difference; "cannot tell" also where it is below what the images could have shown.

    >>> powered_outcome(Difference(difference=0.1, low=0.02, high=0.18, minimum_detectable=0.12), 100)
    'cannot tell'
    """
    smallest = difference.minimum_detectable
    if smallest is None or abs(difference.difference) < smallest:
        return "cannot tell"
    return outcome_of(difference, HIGHER, is_enough=n_images >= LEAST_IMAGES, several=False)


def emotion_section(perception: Perception, n_images: int) -> PerceptionSection:
    """Whether a reader could perceive the emotions of captions."""
    rows = [_row(name, perceived) for name, perceived in perception.systems.items()]
    rows.append(_row("people’s captions of known emotions", perception.labelled))
    if perception.paired is not None:
        rows.append(_row("two emotions, one image", perception.paired))
    return PerceptionSection(
        sentences=[*emotion_sentences(perception, n_images), *control_sentences(perception, n_images)],
        columns=COLUMNS,
        rows=rows,
        key_words=_key_words(perception.key_words),
    )


def style_section(styles: Styles, n_images: int) -> PerceptionSection:
    """Whether a reader could perceive the styles of captions."""
    rows = [_row("captioner", styles.captioner), _row(HUMAN, styles.human)]
    rows += [_row(f"two styles, one image: {name}", perceived) for name, perceived in styles.paired.items()]
    return PerceptionSection(style_sentences(styles, n_images), COLUMNS, rows, _key_words(styles.key_words))


def emotion_sentences(perception: Perception, n_images: int) -> list[str]:
    """The margin over the rule of key words, and the ceiling."""
    asked, labelled = perception.systems[RERANKED], perception.labelled
    top = TOP_K_IN_WORDS.get(perception.k, f"among the judge’s top {perception.k}")
    return [
        f"By lift the requested emotion is {top} for {share_in_words(asked.judge)} of the captions “{RERANKED}” "
        f"(chance {percent(perception.chance)}); a rule that only counts key words finds it in "
        f"{share_in_words(asked.key_words)}. {_margin(asked.margin, n_images)}",
        f"Of {counted(labelled.n_captions, 'caption', 'captions')} that people wrote, whose emotions are known, the "
        f"judge finds {share_in_words(labelled.judge)}: the ceiling. {_above(perception.above_labelled, n_images)}",
    ]


def control_sentences(perception: Perception, n_images: int) -> list[str]:
    """What the controls show: shuffled emotions, a blanked image, and two emotions for the same image."""
    sentences = []
    if SHUFFLED in perception.gains:
        gain = perception.gains[SHUFFLED]
        result = {
            "better": "so that part of the captioner’s gain is not due to the emotions",
            "worse": "so that it gains nothing, as it must",
        }.get(powered_outcome(gain, n_images), f"no evidence of a gain, as it must be{_detectable(gain)}")
        sentences.append(f"A captioner trained on shuffled emotions gains {in_points(gain)}, {result}.")
    changed = perception.changed_by_blanking
    if changed is not None:
        result = "as it must" if changed.mean >= MUST_CHANGE else "so that the captioner uses the image too little"
        sentences.append(
            f"Blanking the image changes {share_in_words(changed)} of the captions, {result} "
            f"(at least {percent(MUST_CHANGE)})."
        )
    if perception.paired is not None:
        sentences.append(f"Asked for two emotions of the same image, {_moved(perception.paired, n_images)}")
    return sentences


def style_sentences(styles: Styles, n_images: int) -> list[str]:
    """How often styles are told apart, beside people's captions, and what that costs in content."""
    own, human = styles.captioner, styles.human
    compared = {
        "better": "more often than in people’s",
        "worse": "less often than in people’s",
    }.get(
        powered_outcome(styles.above_human, n_images),
        f"cannot tell whether more or less often than in people’s{_detectable(styles.above_human)}",
    )
    sentences = [
        f"A judge of {listed(styles.styles)}, fitted to people’s captions of other images, finds the requested style "
        f"in {share_in_words(own.judge)} of the captions (chance {percent(styles.chance)}), and the style of people’s "
        f"own captions of these images in {share_in_words(human.judge)}: {in_points(styles.above_human)}, {compared}. "
        f"{_margin(own.margin, n_images)}"
    ]
    if "captioner" in styles.paired:
        of_people = styles.paired.get(HUMAN)
        people = "" if of_people is None else f" People’s words do so in {share_in_words(of_people.judge)}."
        sentences.append(
            f"Asked for two styles of the same image, {_moved(styles.paired['captioner'], n_images)}{people}"
        )
    sentences += [_content(style, styles.content[style], styles.human_content.get(style)) for style in styles.styles]
    return sentences


def _margin(margin: Difference, n_images: int) -> str:
    result = {
        "better": "more than key words carry it",
        "worse": "key words find it more often than the judge",
    }.get(powered_outcome(margin, n_images), f"cannot tell whether more than key words carry it{_detectable(margin)}")
    return f"The margin over the rule is {in_points(margin)}: {result}."


def _above(difference: Difference, n_images: int) -> str:
    result = {
        "better": "the captioner is above it, so it exaggerates",
        "worse": "the captioner is below it",
    }.get(
        powered_outcome(difference, n_images),
        f"cannot tell whether the captioner is above or below it{_detectable(difference)}",
    )
    return f"The captions “{RERANKED}” minus these are {in_points(difference)}: {result}."


def _moved(paired: Perceived, n_images: int) -> str:
    from_chance = Difference(
        difference=paired.judge.mean - 0.5, low=paired.judge.low - 0.5, high=paired.judge.high - 0.5
    )
    result = {
        "better": "more often than by chance",
        "worse": "less often than by chance",
    }.get(
        outcome_of(from_chance, HIGHER, is_enough=n_images >= LEAST_IMAGES, several=False),
        "cannot tell whether more often than by chance",
    )
    return (
        f"the words move the right way by the judge in {share_in_words(paired.judge)} (chance 50%), {result}; by key "
        f"words in {share_in_words(paired.key_words)}."
    )


def _content(style: str, own: StyleContent, human: StyleContent | None) -> str:
    parts = [f"CIDEr-D {number(own.cider_d.mean)} against factual captions"]
    if "cider_d" in own.differences:
        parts[0] += f", {with_interval(own.differences['cider_d'])} of the captions without a style"
    if human is not None:
        parts.append(f"people’s {style} captions have {number(human.cider_d.mean)}")
    if own.noun_faithfulness is not None:
        nouns = f"{share_in_words(own.noun_faithfulness)} of its nouns occur in factual captions"
        if human is not None and human.noun_faithfulness is not None:
            nouns += f", of people’s {share_in_words(human.noun_faithfulness)}"
        parts.append(nouns)
    return f"Of {style} captions: {'; '.join(parts)}."


def _detectable(difference: Difference) -> str:
    smallest = _smallest(difference)
    return "" if smallest is None else f" (these images show a difference of {smallest} or more)"


def _smallest(difference: Difference) -> str | None:
    """What the images could have shown; None where it is unknown, as where all bootstrap samples of them are alike."""
    smallest = difference.minimum_detectable
    return None if smallest is None or smallest <= EQUAL else f"{100 * smallest:.1f} points"


def _row(name: str, perceived: Perceived) -> Row:
    shares = (perceived.judge, perceived.judge_without_punctuation, perceived.key_words)
    margin = perceived.margin
    text, _, interval = in_points(margin).partition(" [")
    return Row(name, [*map(_share_cell, shares), Cell(text, f"[{interval}"), Cell(_smallest(margin) or "–")])


def _share_cell(share: Share) -> Cell:
    return Cell(percent(share.mean), percent_interval((share.low, share.high)))


def _key_words(words: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(label, ", ".join(own) or "–") for label, own in words.items()]
