"""Names and numbers as the report and `emocap compare` write them."""

import math
import re

from emocap.report.files.results import PRIMARY, Difference, Interval

EQUAL = 1e-9
METRIC_NAMES = {
    PRIMARY: "Mean average precision",
    "bce": "Binary cross-entropy",
    "label_ranking_average_precision": "Label ranking average precision",
    "ndcg_at_5": "nDCG@5",
    "micro_f1": "Micro F1",
    "macro_f1": "Macro F1",
}
WHAT_IT_IS = {
    "prior": "answers every pair with the emotion frequencies of the training pairs",
    "tfidf": "logistic regression on the caption’s words",
    "vectors": "logistic regression on a sentence vector of the caption",
    "neighbours": "the emotions of the training captions that are most like this one",
    "teacher": "trained on the target pairs alone",
    "student": "trained on the teacher’s pseudo-labels of the source",
    "AnB": "the student’s layers copied and frozen, the rest trained on the target",
    "AnB+": "the student’s layers copied, everything fine-tuned on the target",
    "labelled": "trained on the labelled source’s own emotions",
    "labelled_AnB": "the layers of the labelled source’s model copied and frozen, the rest trained on the target",
    "labelled_AnB+": "the layers of the labelled source’s model copied, everything fine-tuned on the target",
    "ensemble": "mean of the fine-tuned models’ logits",
    "ceiling": "answers with the true probabilities, which the made-up corpus knows; by chance a model may pass it",
}
WITH_ARTICLE = ("prior", "teacher", "student", "ensemble", "ceiling")


def metric_name(metric: str) -> str:
    """A metric's name for people.

    >>> [metric_name(metric) for metric in ("top1_accuracy", "pooled_recall_at_3", "bce", "hamming_loss")]
    ['Top-1 accuracy', 'Pooled recall@3', 'Binary cross-entropy', 'Hamming loss']
    """
    if metric in METRIC_NAMES:
        return METRIC_NAMES[metric]
    if top := re.fullmatch(r"top(\d+)_accuracy", metric):
        return f"Top-{top[1]} accuracy"
    if at := re.fullmatch(r"(\w+)_at_(\d+)", metric):
        return f"{at[1].replace('_', ' ').capitalize()}@{at[2]}"
    return metric.replace("_", " ").capitalize()


def in_sentence(metric: str) -> str:
    """A metric's name inside a sentence.

    >>> in_sentence("mean_average_precision"), in_sentence("micro_f1")
    ('mean average precision', 'micro F1')
    """
    name = metric_name(metric)
    return name[0].lower() + name[1:]


def the(model: str) -> str:
    """A model's name inside a sentence.

    >>> the("teacher"), the("AnB+")
    ('the teacher', 'AnB+')
    """
    return f"the {model}" if model in WITH_ARTICLE else model


def opening(words: str) -> str:
    """Words as a sentence begins with them; a name such as tfidf keeps its letters.

    >>> opening("the teacher is best"), opening("tfidf is best")
    ('The teacher is best', 'tfidf is best')
    """
    first = words.split(" ", 1)[0]
    return words if first in WHAT_IT_IS else words[:1].upper() + words[1:]


def listed(words: list[str], last: str = "and") -> str:
    """Words as a sentence lists them.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def counted(number: int, one: str, many: str) -> str:
    """A count with its noun.

    >>> counted(1, "pair", "pairs"), counted(1675, "pair", "pairs")
    ('1 pair', '1,675 pairs')
    """
    return f"{number:,} {one if number == 1 else many}"


def number(value: float | None) -> str:
    """Three decimals, a dash for what is not there.

    >>> number(0.41249), number(None)
    ('0.412', '–')
    """
    return "–" if value is None else f"{value:.3f}"


def signed(difference: float) -> str:
    """Three decimals with a real minus sign.

    >>> signed(0.05), signed(-0.0114), signed(0.0)
    ('+0.050', '−0.011', '±0.000')
    """
    if abs(difference) <= EQUAL:
        return "±0.000"
    return f"{difference:+.3f}".replace("-", "−")


def between(interval: Interval | None) -> str:
    """A score's interval, which no line break parts; nothing where there is none.

    >>> between((0.27, 0.33)) == "[0.270,\N{NO-BREAK SPACE}0.330]", between(None)
    (True, '')
    """
    return "" if interval is None else _bracketed(f"{interval[0]:.3f}", f"{interval[1]:.3f}")


def signed_interval(difference: Difference) -> str:
    """A difference's interval.

    >>> signed_interval(Difference(difference=0.0, low=-0.01, high=0.013)) == "[−0.010,\N{NO-BREAK SPACE}+0.013]"
    True
    """
    return _bracketed(signed(difference.low), signed(difference.high))


def with_interval(difference: Difference) -> str:
    """A difference and its interval.

    >>> with_interval(Difference(difference=0.002, low=-0.01, high=0.013)).split()
    ['+0.002', '[−0.010,', '+0.013]']
    """
    return f"{signed(difference.difference)} {signed_interval(difference)}"


def _bracketed(low: str, high: str) -> str:
    return f"[{low},\N{NO-BREAK SPACE}{high}]".replace("-", "−")


def percent(share: float) -> str:
    """A share in whole percent, which is 100% or 0% only where that is so.

    >>> percent(0.784), percent(0.9996), percent(0.001), percent(-0.12)
    ('78%', '>99%', '<1%', '−12%')
    """
    if 0.995 <= share < 1:
        return ">99%"
    if 0 < share < 0.005:
        return "<1%"
    return f"{math.floor(100 * share + 0.5)}%".replace("-", "−")
