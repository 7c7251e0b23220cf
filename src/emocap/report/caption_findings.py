"""The outcome of the captioner's evaluation in words: alignment gained, its cost, and how good the judge is."""

from emocap.captioning.scores import judge_top_k
from emocap.captioning.system_names import RERANKED, WITHOUT_EMOTION
from emocap.evaluation.metrics import PRIMARY, varying_metrics
from emocap.html_templates import percent
from emocap.report.files.captions import Captions
from emocap.report.files.comparison import Difference, MetricInfo
from emocap.report.files.estimated import Share
from emocap.report.outcome import outcome_of
from emocap.report.text import EQUAL, counted, description_of, listed, metric_in_sentence, number, with_interval

HIGHER = MetricInfo(higher_is_better=True)
TOP_K_IN_WORDS = {1: "the judge’s top emotion", 2: "among the judge’s top 2", 3: "among the judge’s top 3"}
JUDGE_METRICS = ("top3_accuracy", "recall_at_3", PRIMARY)


def verdict_sentence(captions: Captions, n_emotions: int) -> str:
    """Whether requesting an emotion has an effect, and what it costs; intervals decide, never point values alone.

    Alignment is by the judge's lift where a run has it, since by its probabilities the most frequent emotions are
    highest for nearly every caption.
    """
    asked, plain = captions.systems[RERANKED], captions.systems[WITHOUT_EMOTION]
    differences = captions.differences[RERANKED]
    gain, cost = differences.alignment, differences.cider_d
    aligned, plain_aligned, by_lift = asked.alignment, plain.alignment, ""
    if asked.lift_alignment is not None and plain.lift_alignment is not None and differences.lift_alignment is not None:
        aligned, plain_aligned, gain = asked.lift_alignment, plain.lift_alignment, differences.lift_alignment
        by_lift = " by lift"
    effect = {
        "better": "",
        "worse": ", so requesting an emotion makes it rarer",
        "inconclusive": ", which is no evidence of a gain (the interval contains zero)",
    }[outcome_of(gain, HIGHER, is_enough=True, several=False)]
    cost_words = {
        "better": "CIDEr-D rises",
        "worse": "CIDEr-D falls",
        "inconclusive": "there is no evidence that CIDEr-D changes (the interval contains zero)",
    }[outcome_of(cost, HIGHER, is_enough=True, several=False)]
    top = TOP_K_IN_WORDS[judge_top_k(n_emotions)]
    return (
        f"The requested emotion is {top}{by_lift} for {share_in_words(aligned)} of the "
        f"{counted(captions.n_images, 'caption', 'captions')} “{RERANKED}”, against "
        f"{share_in_words(plain_aligned)} of those {WITHOUT_EMOTION}: {in_points(gain)}{effect}; {cost_words}: "
        f"{number(asked.cider_d.mean)} against "
        f"{number(plain.cider_d.mean)}, {with_interval(cost)}.{_nouns(captions)}"
    )


def _nouns(captions: Captions) -> str:
    """What requesting an emotion does to the nouns of captions; empty where they were not tagged."""
    asked, difference = captions.systems[RERANKED], captions.differences[RERANKED].noun_faithfulness
    if asked.noun_faithfulness is None or difference is None:
        return ""
    change = {
        "better": "more than",
        "worse": "fewer than",
        "inconclusive": "no evidence of a change from",
    }[outcome_of(difference, HIGHER, is_enough=True, several=False)]
    return (
        f" Of its nouns {share_in_words(asked.noun_faithfulness)} occur in people’s captions of the image, {change} "
        f"{WITHOUT_EMOTION}: {in_points(difference)}."
    )


def judge_sentence(captions: Captions, n_emotions: int) -> str:
    """Which model judges, and how good it is, since its errors limit the accuracy of every score it gives."""
    judge = captions.judge
    description = description_of(judge.model)
    what = f", {description}," if description else ","
    scores = listed(
        [
            f"{metric_in_sentence(name)} {number(getattr(judge.scores, name))} "
            f"(prior {number(getattr(judge.prior, name))})"
            for name in JUDGE_METRICS
            if name in varying_metrics(n_emotions)
        ]
    )
    of_lift = judge.lift_mean_average_precision
    by_lift = "" if of_lift is None else f" Its fit for the lift has mean average precision {number(of_lift)} there."
    return (
        f"The judge is {judge.model}{what} fitted to {counted(judge.n_train_pairs, 'pair', 'pairs')} of the target "
        f"that no model of the study was trained on. Its own errors limit the accuracy of all these scores: on "
        f"{counted(judge.n_test_pairs, 'held-out pair', 'held-out pairs')} it reaches {scores}.{by_lift}"
    )


def in_points(difference: Difference) -> str:
    """A difference of shares in percentage points.

    >>> in_points(Difference(difference=0.3333, low=-0.08, high=0.5)).replace("\N{NO-BREAK SPACE}", " ")
    '+33.3 points [−8.0, +50.0]'
    """
    low, high = _one_decimal(difference.low), _one_decimal(difference.high)
    return f"{_one_decimal(difference.difference)} points [{low},\N{NO-BREAK SPACE}{high}]"


def _one_decimal(share: float) -> str:
    return "±0.0" if abs(share) <= EQUAL else f"{100 * share:+.1f}".replace("-", "−")


def share_in_words(share: Share) -> str:
    """A share in percent with its interval.

    >>> share_in_words(Share(mean=0.5, low=0.4, high=0.6)).replace("\N{NO-BREAK SPACE}", " ")
    '50% [40%, 60%]'
    """
    return f"{percent(share.mean)} [{percent(share.low)},\N{NO-BREAK SPACE}{percent(share.high)}]"
