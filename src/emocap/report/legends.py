"""What the tables' marks and the metrics' names mean, in words."""

from collections.abc import Collection

from emocap.evaluation.metrics import PRIMARY
from emocap.evaluation.verdicts import LEAST_DECIDING
from emocap.report.files.comparison import Comparison

DEFINITIONS = {
    PRIMARY: "Mean average precision (mAP) is macro: the average precision of each emotion, how well pairs with it are "
    "ranked above those without, averaged over the emotions, so that a rare one counts as much as a frequent one.",
    "top1_accuracy": "Top-1 accuracy is the share of pairs whose likeliest emotion is one of the true ones, of which a "
    "pair may have several.",
}


def definitions(metrics: Collection[str]) -> list[str]:
    """What the metrics with several definitions in use mean here."""
    return [text for metric, text in DEFINITIONS.items() if metric in metrics]


def marks_in_words(comparison: Comparison, *, several_metrics: bool = False) -> str:
    """Which differences of a table are marked, and what their intervals are corrected for."""
    if not comparison.is_enough:
        return "No difference is marked, since the test set is too small for a verdict."
    marked = "A difference is in bold where its 95% interval excludes zero"
    if several_metrics:
        marked += f", unless fewer than {LEAST_DECIDING} {comparison.drawn}s decide it"
    if not comparison.is_simultaneous:
        return (
            f"{marked}. The intervals are not corrected for multiple comparisons: about one in twenty excludes a true "
            "zero."
        )
    sentences = [
        marked,
        "The intervals are simultaneous: they hold at 95% for all differences to one reference together",
    ]
    if several_metrics:
        sentences.append(
            "They are not corrected for the number of metrics. The comparisons of the verdict above were fixed "
            "beforehand, so that each has an interval of its own there, which is narrower"
        )
    return ". ".join(sentences) + "."
