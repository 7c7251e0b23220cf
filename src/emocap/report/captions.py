"""The captioner's section: whether its captions evoke the requested emotion, what that costs, and example images."""

from dataclasses import dataclass

from emocap.captioning.scores import judge_top_k
from emocap.captioning.system_names import GUIDED, HUMAN, NEAREST, NOT_GUIDED, RERANKED, WITHOUT_EMOTION
from emocap.html_templates import percent
from emocap.report import gallery
from emocap.report.caption_findings import HIGHER, TOP_K_IN_WORDS, judge_sentence, verdict_sentence
from emocap.report.files.captions import Captions, Estimated, GeneratedCaption, System
from emocap.report.files.comparison import Difference
from emocap.report.files.run import Run
from emocap.report.outcome import outcome_of
from emocap.report.plots import captions as caption_figures
from emocap.report.plots.figure import Drawing
from emocap.report.tables import Cell, Row
from emocap.report.text import interval_text, number, signed, signed_interval

COLUMNS = (
    ("Alignment", True),
    ("Alignment gain", True),
    ("Macro alignment", True),
    ("CIDEr-D", True),
    ("CIDEr-D gain", True),
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


@dataclass(frozen=True)
class CaptionSection:
    """Everything that the page shows of a captioner.

    Attributes:
        verdict, judge: a sentence or two.
        columns: name, and whether higher is better, None where neither is.
        plain: alignment by the judge and CIDEr-D without emotion, on the images of the trade-off.
        tried: guidance, strength, alignment by the judge and by the study's classifier, CIDEr-D; whether chosen.
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


def caption_section(run: Run) -> CaptionSection | None:
    """What the page shows of the captioner; None where a run has none."""
    captions = run.captions
    if captions is None:
        return None
    n_emotions = len(run.results.labels)
    history = run.histories.get("captioner")
    loss = None if history is None else caption_figures.captioner_loss(history)
    plain = captions.trade_off.plain
    return CaptionSection(
        n_images=captions.n_images,
        n_tried_images=captions.trade_off.n_images,
        verdict=verdict_sentence(captions, n_emotions),
        judge=judge_sentence(captions, n_emotions),
        top_k=TOP_K_IN_WORDS[judge_top_k(n_emotions)],
        columns=COLUMNS,
        rows=[_row(captions, name, system) for name, system in captions.systems.items()],
        descriptions=_descriptions(captions),
        figures=[caption_figures.trade_off(captions), *([] if loss is None else [loss])],
        plain=(_with_interval(plain.judged_alignment), _with_interval(plain.cider_d)),
        tried=_tried(captions),
        images=[
            CaptionedImage(
                gallery.inline_image(run.folder, item.image), item.human, item.without_emotion, item.captions
            )
            for item in captions.gallery[: gallery.MAX_CARDS]
        ],
    )


def _row(captions: Captions, name: str, system: System) -> Row:
    differences = captions.differences.get(name)
    return Row(
        name,
        [
            _score_cell(system.alignment),
            _gain_cell(None if differences is None else differences.alignment),
            _score_cell(system.alignment_by_emotion),
            _score_cell(system.cider_d),
            _gain_cell(None if differences is None else differences.cider_d),
            Cell(number(system.bleu_4)),
            Cell(number(system.rouge_l)),
            Cell(percent(system.distinct_captions)),
            Cell(number(system.distinct_2)),
            Cell(percent(system.names_emotion)),
            Cell(f"{system.words:.1f}"),
        ],
    )


def _score_cell(estimated: Estimated) -> Cell:
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
                *(_with_interval(estimated) for estimated in (point.judged_alignment, point.alignment, point.cider_d)),
            ],
            captions.is_chosen(point),
        )
        for point in captions.trade_off.points
    ]
