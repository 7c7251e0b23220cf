"""Names and numbers as the report and `emocap compare` write them."""

import math
from datetime import datetime

from emocap.evaluation.metrics import METRICS
from emocap.html_templates import percent
from emocap.report.files.comparison import MEAN_PEARSON_R, Comparison, Difference, Interval
from emocap.study.models import MODELS

EQUAL = 1e-9
RATING_METRIC_NAMES = {
    MEAN_PEARSON_R: "Mean Pearson’s r",
    "pearson_r": "Pearson’s r",
    "ccc": "Concordance (CCC)",
    "rmse": "RMSE",
}
MOST = 1_000_000
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def metric_name(metric: str) -> str:
    """A metric's display name; one that this version does not know keeps its own.

    >>> [metric_name(metric) for metric in ("top1_accuracy", "bce", "valence:rmse", "unknown_metric")]
    ['Top-1 accuracy', 'Binary cross-entropy', 'RMSE of valence', 'unknown_metric']
    """
    rating, colon, of_rating = metric.rpartition(":")
    if colon and of_rating in RATING_METRIC_NAMES:
        return f"{RATING_METRIC_NAMES[of_rating]} of {rating}"
    return METRICS[metric].display_name if metric in METRICS else RATING_METRIC_NAMES.get(metric, metric)


def metric_in_sentence(metric: str) -> str:
    """A metric's name within a sentence.

    >>> metric_in_sentence("mean_average_precision"), metric_in_sentence("micro_f1")
    ('mean average precision', 'micro F1')
    """
    name = metric_name(metric)
    return name if name.startswith(("Pearson", "RMSE")) else name[:1].lower() + name[1:]


def label_of(model: str) -> str:
    """A model's name within a sentence.

    >>> label_of("teacher"), label_of("AnB+")
    ('the teacher', 'AnB+')
    """
    return MODELS[model].label if model in MODELS else model


def description_of(model: str, *, of_ratings: bool = False) -> str:
    """What a model is, in one line; empty where the table of models does not know it.

    Args:
        of_ratings: whether it predicts ratings alone.
    """
    if model not in MODELS:
        return ""
    return (of_ratings and MODELS[model].rating_description) or MODELS[model].description


def capitalized(text: str) -> str:
    """Text as the start of a sentence; a model's name such as tfidf keeps its letters.

    >>> capitalized("the teacher is best"), capitalized("tfidf’s score is best")
    ('The teacher is best', 'tfidf’s score is best')
    """
    first = text.split(" ", 1)[0].removesuffix("’s")
    return text if first in MODELS else text[:1].upper() + text[1:]


def listed(words: list[str], last: str = "and") -> str:
    """Words as a sentence lists them.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def counted(count: int, singular: str, plural: str) -> str:
    """A count with its noun.

    >>> counted(1, "pair", "pairs"), counted(1675, "pair", "pairs")
    ('1 pair', '1,675 pairs')
    """
    return f"{count:,} {singular if count == 1 else plural}"


def counted_images(count: int, comparison: Comparison, kind: str = "") -> str:
    """A number of images, or of captions where no pair has an image.

    >>> counted_images(3, Comparison(models={}, intervals={}, drawn="caption"), "held-out")
    '3 held-out captions'
    """
    what = f"{kind} {comparison.drawn}".strip()
    return counted(count, what, f"{what}s")


def counted_reason(count: int, reason: str) -> str:
    """A count before a description whose first word is a plural.

    >>> counted_reason(1, "pairs with one annotator"), counted_reason(2, "pairs with one annotator")
    ('1 pair with one annotator', '2 pairs with one annotator')
    """
    noun, _, rest = reason.partition(" ")
    return f"{counted(count, noun.removesuffix('s'), noun)} {rest}".rstrip()


def about(count: float) -> str:
    """An estimated count with two significant digits, rounded up, at most a million.

    >>> about(7.2), about(243), about(18_432), about(3e9)
    ('about 8', 'about 250', 'about 19,000', 'more than a million')
    """
    if count > MOST:
        return "more than a million"
    step = 10 ** max(0, len(str(math.ceil(count))) - 2)
    return f"about {step * math.ceil(count / step):,}"


def number(value: float | None) -> str:
    """Three decimals, a dash for a missing value.

    >>> number(0.41249), number(None)
    ('0.412', '–')
    """
    return "–" if value is None else f"{value:.3f}".replace("-", "−")


def signed(difference: float) -> str:
    """Three decimals with a typographic minus sign.

    >>> signed(0.05), signed(-0.0114), signed(0.0)
    ('+0.050', '−0.011', '±0.000')
    """
    if abs(difference) <= EQUAL:
        return "±0.000"
    return f"{difference:+.3f}".replace("-", "−")


def interval_text(interval: Interval | None) -> str:
    """A score's interval, without a line break inside; empty where there is none.

    >>> interval_text((0.27, 0.33)) == "[0.270,\N{NO-BREAK SPACE}0.330]", interval_text(None)
    (True, '')
    """
    return "" if interval is None else _bracketed(f"{interval[0]:.3f}", f"{interval[1]:.3f}")


def signed_interval(difference: Difference, *, several: bool = False) -> str:
    """A difference's interval, by `several` the one that holds for all models compared with the reference together.

    >>> signed_interval(Difference(difference=0.0, low=-0.01, high=0.013)) == "[−0.010,\N{NO-BREAK SPACE}+0.013]"
    True
    """
    low, high = difference.interval(several=several)
    return _bracketed(signed(low), signed(high))


def with_interval(difference: Difference, *, several: bool = False) -> str:
    """A difference and its interval.

    >>> with_interval(Difference(difference=0.002, low=-0.01, high=0.013)).split()
    ['+0.002', '[−0.010,', '+0.013]']
    """
    return f"{signed(difference.difference)} {signed_interval(difference, several=several)}"


def percent_interval(interval: Interval | None) -> str:
    """The interval of a share in percent; empty where there is none.

    >>> percent_interval((0.84, 0.97)) == "[84%,\N{NO-BREAK SPACE}97%]", percent_interval(None)
    (True, '')
    """
    return "" if interval is None else _bracketed(percent(interval[0]), percent(interval[1]))


def _bracketed(low: str, high: str) -> str:
    return f"[{low},\N{NO-BREAK SPACE}{high}]".replace("-", "−")


def duration(seconds: float | None) -> str:
    """A number of seconds in seconds, minutes or hours.

    >>> duration(0.42), duration(12.1), duration(200), duration(7500), duration(None)
    ('0.4 s', '12.1 s', '3 min 20 s', '2 h 05 min', '–')
    """
    if seconds is None:
        return "–"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def date_and_time(text: str | None) -> str:
    """An ISO 8601 time written out; other text is returned unchanged.

    >>> date_and_time("2026-11-23T10:00:00Z"), date_and_time("soon"), date_and_time(None)
    ('23 November 2026, 10:00 UTC', 'soon', '–')
    """
    if text is None:
        return "–"
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    # Not strftime's %B, which follows the locale: the same run must give the same page everywhere.
    month = MONTHS[when.month - 1]
    zone = f" {when.tzname()}" if when.tzinfo else ""
    return f"{when.day} {month} {when.year}, {when:%H:%M}{zone}"
