"""Printing: the table of scores, and text that is safe to show on a terminal."""

from collections.abc import Sequence
from typing import Any

COLUMN_METRICS = (
    "top1_accuracy",
    "top2_accuracy",
    "top3_accuracy",
    "recall_at_3",
    "mean_average_precision",
    "bce",
    "expected_calibration_error",
)


def print_scores(scores: dict[str, dict[str, Any]]) -> None:
    """Print a table with a row per model, of those of `COLUMN_METRICS` that can vary.

    Args:
        scores: model to metric to value.
    """
    from rich.console import Console
    from rich.table import Table

    from emocap.evaluation.metrics import METRICS
    from emocap.study.models import display_name

    columns = [name for name in COLUMN_METRICS if all(name in values for values in scores.values())]
    table = Table("model", *(METRICS[name].short_name for name in columns))
    for model, values in scores.items():
        table.add_row(display_name(model), *(shown_value(values[name]) for name in columns))
    Console().print(table)


def print_ratings(ratings: dict[str, Any]) -> None:
    """Print a table with a row per rating and model, with 95% intervals, and the human ceiling where it is known.

    Args:
        ratings: as in `results.json`.
    """
    from rich.console import Console
    from rich.table import Table

    from emocap.evaluation.rating_metrics import RATING_METRICS
    from emocap.report.text import metric_name
    from emocap.study.models import display_name

    table = Table("rating", "model", "pairs", *map(metric_name, RATING_METRICS))
    for name in ratings["names"]:
        low, high = ratings["range"][name]
        rating, n_pairs = f"{printable(name)}, {low:g} to {high:g}", f"{ratings['n_pairs'][name]:,}"
        for model, scores in ratings["models"].items():
            intervals = ratings["intervals"].get(model, {}).get(name, {})
            cells = [shown_value(scores[name][m]) + shown_interval(intervals.get(m)) for m in RATING_METRICS]
            table.add_row(rating, display_name(model), n_pairs, *cells)
        if (ceiling := ratings["ceiling"].get(name)) is not None:
            table.add_row(rating, "human ceiling", n_pairs, *(shown_value(ceiling[m]) for m in RATING_METRICS))
    Console().print(table)


def rating_line(name: str, value: float, scale: tuple[float, float]) -> str:
    """A rating in its own units, beside the probabilities of emotions.

    >>> rating_line("valence", 4.516, (1.0, 7.0))
    '  4.52  valence (1 to 7)'
    """
    return f"{value:6.2f}  {printable(name)} ({scale[0]:g} to {scale[1]:g})"


def shown_value(value: float | None) -> str:
    """A value of a metric with three decimals; a dash where it is undefined."""
    return "–" if value is None else f"{value:.3f}"


def shown_interval(interval: Sequence[float] | None) -> str:
    """An interval after a value; empty where there is none.

    >>> shown_interval([0.27, 0.33]), shown_interval(None)
    (' [0.270, 0.330]', '')
    """
    return "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"


def printable(text: str) -> str:
    r"""The text with control characters escaped, so that it cannot change the state of a terminal.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
