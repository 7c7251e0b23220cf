"""The captioner's section: whether its captions evoke the requested emotion, what that costs, and example images."""

from dataclasses import dataclass

from emocap.captioning.scores import judge_top_k
from emocap.captioning.system_names import (
    BLANKED,
    CONSENSUS,
    GUIDED,
    HUMAN,
    NEAREST,
    NOT_GUIDED,
    RANDOM,
    RERANKED,
    SHUFFLED,
    SHUFFLED_RERANKED,
    WITHOUT_EMOTION,
)
from emocap.html_templates import percent
from emocap.report import gallery
from emocap.report.caption_findings import HIGHER, TOP_K_IN_WORDS, judge_sentence, verdict_sentence
from emocap.report.files.captions import Captions, GeneratedCaption, StyledCaption, System
from emocap.report.files.comparison import Difference
from emocap.report.files.estimated import Estimated
from emocap.report.files.run import Run
from emocap.report.outcome import outcome_of
from emocap.report.perception import PerceptionSection, emotion_section, style_section
from emocap.report.plots import captions as caption_figures
from emocap.report.plots.figure import Drawing
from emocap.report.tables import Cell, Row
from emocap.report.text import interval_text, number, signed, signed_interval

SHEET = "captioner/reader_sheet.html"
COLUMNS = (
    ("Alignment by lift", True),
    ("Gain by lift", True),
    ("Alignment", True),
    ("Alignment gain", True),
    ("Macro alignment", True),
    ("CIDEr-D", True),
    ("CIDEr-D gain", True),
    ("Noun faithfulness", True),
    ("Noun gain", True),
    ("BLEU-4", True),
    ("ROUGE-L", True),
    ("Distinct captions", True),
    ("Distinct-2", True),
    ("Names the emotion", None),
    ("Words", None),
)


@dataclass(frozen=True)
class CaptionedImage:
    """One image with a person's caption and the generated ones."""

    image: gallery.InlineImage | None
    human: str
    without_emotion: str
    captions: list[GeneratedCaption]
    styles: list[StyledCaption]


@dataclass(frozen=True)
class CaptionSection:
    """Everything that the page shows of a captioner.

    Attributes:
        verdict, judge: a sentence or two.
        columns: name, and whether higher is better, None where neither is.
        plain: alignment by the judge and CIDEr-D without emotion, on the images of the trade-off.
        tried: guidance, strength, alignment by the judge and by the study's classifier, CIDEr-D; whether chosen.
        emotions, styles: whether a reader could perceive them; None where a run did not measure it.
        sheet: place of the sheet for readers beside the page; None without one.
    """

    n_images: int
    n_tried_images: int
    verdict: str
    judge: str
    top_k: str
    columns: tuple[tuple[str, bool | None], ...]
    rows: list[Row]
    descriptions: list[tuple[str, str]]
    figures: list[Drawing]
    plain: tuple[str, str]
    tried: list[tuple[list[str], bool]]
    images: list[CaptionedImage]
    emotions: PerceptionSection | None
    styles: PerceptionSection | None
    sheet: str | None


def caption_section(run: Run) -> CaptionSection | None:
    """What the page shows of the captioner; None where a run has none."""
    captions = run.captions
    if captions is None:
        return None
    n_emotions = len(run.results.labels)
    history = run.histories.get("captioner")
    loss = None if history is None else caption_figures.captioner_loss(history)
    plain = captions.trade_off.plain
    columns, rows = _table(captions)
    perception, styles = captions.perception, captions.styles
    return CaptionSection(
        n_images=captions.n_images,
        n_tried_images=captions.trade_off.n_images,
        verdict=verdict_sentence(captions, n_emotions),
        judge=judge_sentence(captions, n_emotions),
        top_k=TOP_K_IN_WORDS[judge_top_k(n_emotions)],
        columns=columns,
        rows=rows,
        descriptions=_descriptions(captions),
        figures=[caption_figures.trade_off(captions), *([] if loss is None else [loss])],
        plain=(_with_interval(plain.judged), _with_interval(plain.cider_d)),
        tried=_tried(captions),
        images=[
            CaptionedImage(
                gallery.inline_image(run.folder, item.image),
                item.human,
                item.without_emotion,
                item.captions,
                item.styles,
            )
            for item in captions.gallery[: gallery.MAX_CARDS]
        ],
        emotions=None if perception is None else emotion_section(perception, captions.n_images),
        styles=None if styles is None else style_section(styles, captions.n_images),
        sheet=SHEET if (run.folder / SHEET).is_file() else None,
    )


def _table(captions: Captions) -> tuple[tuple[tuple[str, bool | None], ...], list[Row]]:
    """The columns that any system has, and a row for each system."""
    rows = [_row(captions, name, system) for name, system in captions.systems.items()]
    shown = [place for place in range(len(COLUMNS)) if any(row.cells[place].text != "–" for row in rows)]
    columns = tuple(COLUMNS[place] for place in shown)
    return columns, [Row(row.name, [row.cells[place] for place in shown]) for row in rows]


def _row(captions: Captions, name: str, system: System) -> Row:
    differences = captions.differences.get(name)
    return Row(
        name,
        [
            _score_cell(system.lift_alignment),
            _gain_cell(None if differences is None else differences.lift_alignment),
            _score_cell(system.alignment),
            _gain_cell(None if differences is None else differences.alignment),
            _score_cell(system.alignment_by_emotion),
            _score_cell(system.cider_d),
            _gain_cell(None if differences is None else differences.cider_d),
            _score_cell(system.noun_faithfulness),
            _gain_cell(None if differences is None else differences.noun_faithfulness),
            Cell(number(system.bleu_4)),
            Cell(number(system.rouge_l)),
            Cell(percent(system.distinct_captions)),
            Cell(number(system.distinct_2)),
            Cell(percent(system.names_emotion)),
            Cell(f"{system.words:.1f}"),
        ],
    )


def _score_cell(estimated: Estimated | None) -> Cell:
    if estimated is None:
        return Cell("–")
    return Cell(number(estimated.mean), interval_text((estimated.low, estimated.high)))


def _gain_cell(difference: Difference | None) -> Cell:
    if difference is None:
        return Cell("–")
    outcome = outcome_of(difference, HIGHER, is_enough=True, several=True)
    return Cell(
        signed(difference.difference),
        signed_interval(difference),
        outcome="" if outcome == "inconclusive" else outcome,
    )


def _descriptions(captions: Captions) -> list[tuple[str, str]]:
    several = captions.candidates > 1
    most_probable = f"the most probable of {captions.candidates} captions" if several else "a caption"
    first = f"the first of {captions.candidates} captions" if several else "a caption"
    descriptions = {
        WITHOUT_EMOTION: f"{most_probable} generated for the image alone",
        NOT_GUIDED: f"{most_probable} generated for the emotion, without guidance",
        GUIDED: f"{most_probable} generated with guidance {captions.guidance:g}",
        RERANKED: f"{first} generated with guidance {captions.guidance:g}, ranked by the study’s own classifier with "
        f"strength {captions.strength:g}",
        SHUFFLED: "the same of a captioner that was trained on the emotions of other captions",
        SHUFFLED_RERANKED: f"the same, ranked as “{RERANKED}”: what ranking alone gains",
        BLANKED: f"as “{RERANKED}”, with every region of the image replaced by the mean region of training images",
        RANDOM: "what a person wrote for a random training image",
        CONSENSUS: "of the captions of the 15 most similar training images, the one most similar to the others",
        NEAREST: "what a person wrote for the training image that is most similar to this one",
        HUMAN: "what a person wrote for this image, without being asked for an emotion; not used as a reference",
    }
    return [(name, descriptions[name]) for name in captions.systems if name in descriptions]


def _with_interval(estimated: Estimated) -> str:
    return f"{number(estimated.mean)} {interval_text((estimated.low, estimated.high))}"


def _tried(captions: Captions) -> list[tuple[list[str], bool]]:
    return [
        (
            [
                f"{point.guidance:g}",
                f"{point.strength:g}",
                *(_with_interval(estimated) for estimated in (point.judged, point.alignment, point.cider_d)),
            ],
            captions.is_chosen(point),
        )
        for point in captions.trade_off.points
    ]
