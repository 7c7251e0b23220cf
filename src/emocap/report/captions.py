"""The captioner's section: whether its captions evoke what was asked, what that costs, and pictures to look at."""

from dataclasses import dataclass

from emocap.captioning.scores import judge_top_k
from emocap.report import gallery
from emocap.report.files.captions import ASKED, PLAIN, Captions, Estimated, Share, System, Written
from emocap.report.files.results import PRIMARY, Difference, Metric
from emocap.report.files.run import Run
from emocap.report.plots import captions as figures_captions
from emocap.report.plots.study import Drawing
from emocap.report.tables import Cell, Row
from emocap.report.text import (
    EQUAL,
    WHAT_IT_IS,
    between,
    counted,
    in_sentence,
    listed,
    number,
    percent,
    signed,
    signed_interval,
    with_interval,
)
from emocap.report.verdict import standing

HIGHER = Metric(higher_is_better=True)
AMONG = {1: "the judge’s likeliest", 2: "among the judge’s two likeliest", 3: "among the judge’s three likeliest"}
JUDGED = ("top3_accuracy", "recall_at_3", PRIMARY)
COLUMNS = (
    ("Alignment", True),
    ("Alignment gained", True),
    ("Alignment, emotions alike", True),
    ("CIDEr-D", True),
    ("CIDEr-D gained", True),
    ("BLEU-4", True),
    ("ROUGE-L", True),
    ("Distinct captions", True),
    ("Distinct-2", True),
    ("Names the emotion", None),
    ("Words", None),
)


@dataclass(frozen=True)
class Pictured:
    """One picture with what was written for it."""

    picture: gallery.Picture | None
    people: str
    without: str
    captions: list[Written]


@dataclass(frozen=True)
class Section:
    """All that the page shows of a captioner.

    Attributes:
        verdict, judge: a sentence or two.
        columns: name, and whether higher is better, None where neither is.
        plain: alignment by the judge and CIDEr-D without emotion, where the settings were tried.
        tried: guidance, strength, alignment by the judge and by the study's classifier, CIDEr-D; whether chosen.
    """

    n_images: int
    n_tried_images: int
    verdict: str
    judge: str
    place: str
    columns: tuple[tuple[str, bool | None], ...]
    rows: list[Row]
    meanings: list[tuple[str, str]]
    figures: list[Drawing]
    plain: tuple[str, str]
    tried: list[tuple[list[str], bool]]
    pictures: list[Pictured]


def section(run: Run) -> Section | None:
    """What the page shows of the captioner; None where a run has none."""
    found = run.captions
    if found is None:
        return None
    n_emotions = len(run.results.labels)
    history = run.histories.get("captioner")
    drawn = [figures_captions.trade_off(found), None if history is None else figures_captions.captioner_loss(history)]
    return Section(
        n_images=found.n_images,
        n_tried_images=found.trade_off.n_images,
        verdict=verdict_sentence(found, n_emotions),
        judge=judge_sentence(found),
        place=AMONG[judge_top_k(n_emotions)],
        columns=COLUMNS,
        rows=[_row(found, name, system) for name, system in found.systems.items()],
        meanings=_meanings(found),
        figures=[drawing for drawing in drawn if drawing is not None],
        plain=(_bounded(found.trade_off.plain.judged_alignment), _bounded(found.trade_off.plain.cider_d)),
        tried=_tried(found),
        pictures=[
            Pictured(gallery.picture(run.folder, one.image), one.people, one.without, one.captions)
            for one in found.gallery[: gallery.MOST_CARDS]
        ],
    )


def verdict_sentence(captions: Captions, n_emotions: int) -> str:
    """Whether asking for an emotion is heard, and what it costs; intervals decide, never the point values alone."""
    asked, plain = captions.systems[ASKED], captions.systems[PLAIN]
    gain, cost = captions.differences[ASKED].alignment, captions.differences[ASKED].cider_d
    heard = {
        "better": "",
        "worse": ", so that asking makes it rarer",
        "open": ", so that no gain is shown: zero lies inside the interval",
    }[standing(gain, HIGHER)]
    costs = {
        "better": "CIDEr-D does not fall for it but rises",
        "worse": "it costs CIDEr-D",
        "open": "a cost in CIDEr-D is not shown, zero lying inside the interval",
    }[standing(cost, HIGHER)]
    return (
        f"The emotion asked for is {AMONG[judge_top_k(n_emotions)]} for {_share(asked.alignment)} of the "
        f"{counted(captions.n_images, 'caption', 'captions')} “{ASKED}”, against {_share(plain.alignment)} of those "
        f"{PLAIN}: {in_points(gain)}{heard}; {costs}: {number(asked.cider_d.mean)} against "
        f"{number(plain.cider_d.mean)}, {with_interval(cost)}."
    )


def judge_sentence(captions: Captions) -> str:
    """Who judges, and how well, since a judge's errors limit every number that it gives."""
    judge = captions.judge
    what = f", {WHAT_IT_IS[judge.model]}," if judge.model in WHAT_IT_IS else ","
    scores = listed(
        [
            f"{in_sentence(name)} {number(getattr(judge.scores, name))} (prior {number(getattr(judge.prior, name))})"
            for name in JUDGED
        ]
    )
    return (
        f"The judge is {judge.model}{what} fitted to {counted(judge.n_train_pairs, 'pair', 'pairs')} of the target "
        f"that no model of the study was trained on. Its own errors limit all these numbers: on "
        f"{counted(judge.n_test_pairs, 'pair', 'pairs')} that it never saw it reaches {scores}."
    )


def in_points(difference: Difference) -> str:
    """A difference of shares in percentage points.

    >>> in_points(Difference(difference=0.3333, low=-0.08, high=0.5)).replace("\N{NO-BREAK SPACE}", " ")
    '+33.3 points [−8.0, +50.0]'
    """
    low, high = _tenths(difference.low), _tenths(difference.high)
    return f"{_tenths(difference.difference)} points [{low},\N{NO-BREAK SPACE}{high}]"


def _tenths(share: float) -> str:
    return "±0.0" if abs(share) <= EQUAL else f"{100 * share:+.1f}".replace("-", "−")


def _share(share: Share) -> str:
    return f"{percent(share.mean)} [{percent(share.low)},\N{NO-BREAK SPACE}{percent(share.high)}]"


def _row(captions: Captions, name: str, system: System) -> Row:
    apart = captions.differences.get(name)
    return Row(
        name,
        [
            _score(system.alignment),
            _less(None if apart is None else apart.alignment),
            _score(system.alignment_by_emotion),
            _score(system.cider_d),
            _less(None if apart is None else apart.cider_d),
            *(Cell(number(value)) for value in (system.bleu_4, system.rouge_l)),
            Cell(percent(system.distinct_captions)),
            Cell(number(system.distinct_2)),
            Cell(percent(system.names_emotion)),
            Cell(f"{system.words:.1f}"),
        ],
    )


def _score(estimated: Estimated) -> Cell:
    return Cell(number(estimated.mean), between((estimated.low, estimated.high)))


def _less(difference: Difference | None) -> Cell:
    if difference is None:
        return Cell("–")
    stands = standing(difference, HIGHER)
    return Cell(
        signed(difference.difference),
        signed_interval(difference),
        standing="" if stands == "open" else stands,
    )


def _meanings(captions: Captions) -> list[tuple[str, str]]:
    several = captions.candidates > 1
    best = f"the likeliest of {captions.candidates} captions" if several else "a caption"
    ordered = f"the first of {captions.candidates} captions" if several else "a caption"
    words = {
        PLAIN: f"{best} written for the picture alone",
        "emotion, not guided": f"{best} written when told the emotion and no more",
        "guided": f"{best} written with guidance {captions.guidance:g}",
        ASKED: f"{ordered} written with guidance {captions.guidance:g}, ordered by the study’s own classifier with "
        f"strength {captions.strength:g}",
        "nearest picture's": "what a person wrote for the training picture that looks most like this one",
        "people": "what a person wrote for this picture, without being asked for an emotion; it is no reference",
    }
    return [(name, words[name]) for name in captions.systems if name in words]


def _bounded(estimated: Estimated) -> str:
    return f"{number(estimated.mean)} {between((estimated.low, estimated.high))}"


def _tried(captions: Captions) -> list[tuple[list[str], bool]]:
    return [
        (
            [
                f"{point.guidance:g}",
                f"{point.strength:g}",
                *(_bounded(estimated) for estimated in (point.judged_alignment, point.alignment, point.cider_d)),
            ],
            captions.is_chosen(point),
        )
        for point in captions.trade_off.points
    ]
