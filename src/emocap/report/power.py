"""What the size of a test set allows to be said, in words: why there is no verdict, and what could have been shown."""

import math

from emocap.corpora.splits import FEW_POSITIVES
from emocap.evaluation.metrics import PRIMARY
from emocap.report.files.comparison import Comparison, Difference, Sample
from emocap.report.files.results import Results
from emocap.report.outcome import Outcome
from emocap.report.text import EQUAL, about, counted, counted_images, metric_in_sentence, number

DRAWN_ALIKE = "The difference is the same in every bootstrap sample of this test set"


def too_small(comparison: Comparison) -> str:
    """Why the test set allows no verdict; empty where it does."""
    sample = comparison.sample
    if sample is None or sample.is_enough:
        return ""
    has, least = (counted_images(count, comparison) for count in (sample.n_images, sample.least_images))
    if sample.least_positives:  # ratings have none
        has, least = (
            f"{words} and {_positives(count)}"
            for words, count in ((has, sample.n_positives), (least, sample.least_positives))
        )
    return f"the test set has {has}; a verdict needs at least {least}"


def _positives(count: int) -> str:
    return counted(count, "positive label", "positive labels")


def is_rare(results: Results, label: str) -> bool:
    """Whether an emotion is known to have fewer than `FEW_POSITIVES` test positives, so that its score is rough."""
    return results.emotions.positives.get(label, FEW_POSITIVES) < FEW_POSITIVES


def of_frequent(count: int) -> str:
    """How many emotions a claim is about that leaves out rare ones.

    >>> of_frequent(4), of_frequent(1)
    ('the 4 emotions with at least 10 test positives', 'the 1 emotion with at least 10 test positives')
    """
    return f"the {counted(count, 'emotion', 'emotions')} with at least {FEW_POSITIVES} test positives"


def rare_emotions(results: Results) -> list[str]:
    """How many emotions have few test positives, on which the interval of mean average precision leans."""
    counts = [count for count in results.emotions.positives.values() if count]
    n_rare = sum(count < FEW_POSITIVES for count in counts)
    if not n_rare:
        return []
    of_all = f"All {n_rare}" if n_rare == len(counts) else f"{n_rare} of the {len(counts)}"
    of_all = of_all if len(counts) > 1 else "The only"
    has = "has" if n_rare == 1 else "have"
    return [
        f"{of_all} {'emotion' if len(counts) == 1 else 'emotions'} with test positives {has} fewer than "
        f"{FEW_POSITIVES}; {metric_in_sentence(PRIMARY)} weighs every emotion alike, so that its interval leans on "
        f"{'that one' if n_rare == 1 else 'these'}."
    ]


def detectable(difference: Difference, results: Results, outcome: Outcome) -> list[str]:
    """What the test set could have shown, and how many pairs would show the observed difference.

    Empty where a difference was shown, or where a run did not record it.
    """
    smallest = difference.minimum_detectable
    if outcome in ("better", "worse") or smallest is None:
        return []
    if smallest <= EQUAL:
        return [f"{DRAWN_ALIKE}, so that what it could show is unknown."]
    sentences = [
        f"The smallest true difference in {metric_in_sentence(results.primary)} that this test set would show with 80% "
        f"power is about {number(smallest)}.",
        *([_pairs_needed(difference, results)] if results.labels else []),  # not recorded of ratings
    ]
    if outcome == "cannot tell" and (difference.low > EQUAL or difference.high < -EQUAL):
        sentences.insert(0, "The interval excludes zero, but of so small a test set it cannot be relied on.")
    return sentences


def _pairs_needed(difference: Difference, results: Results) -> str:
    needed, sample = difference.pairs_needed, results.sample
    is_true = "If the observed difference is the true one"
    if results.folds is not None:  # more pairs would be training pairs of the other folds too
        is_true += " and the models stayed the same"
    if needed is not None and sample is not None and not sample.is_enough:
        least_images = _least_images(sample)
        if needed * sample.n_images / results.n_test_pairs <= least_images:
            least = f"the {counted_images(least_images, results)} that a verdict needs"
            return f"{is_true}, {least} would show it with 80% power."
    if needed is not None:
        return (
            f"{is_true}, {about(needed)} test pairs would show it with 80% power; "
            f"this study has {results.n_test_pairs:,}."
        )
    if abs(difference.difference) <= EQUAL:
        return "The observed difference is zero, which no number of test pairs would show to be one."
    seeds = " with so few seeds" if len(results.seeds) > 1 else ""
    return f"No number of test pairs would show a difference as small as the observed one{seeds}."


def _least_images(sample: Sample) -> int:
    """How many images a verdict needs, with as many positive labels on each as on those of the sample."""
    if not sample.n_positives:
        return sample.least_images
    return max(sample.least_images, math.ceil(sample.least_positives * sample.n_images / sample.n_positives))
