"""Which of two models is better, which is best, and how much of the possible gain a model reaches.

`emocap.evaluation.verdicts.decide` decides: a difference counts only where the test set is large enough and its 95%
interval excludes zero; point values alone decide nothing.
"""

from dataclasses import dataclass

from emocap.evaluation.verdicts import Verdict as Outcome
from emocap.evaluation.verdicts import decide
from emocap.html_templates import percent
from emocap.report.files.comparison import Comparison, Difference, Interval, MetricInfo
from emocap.report.files.results import Results
from emocap.report.text import EQUAL, percent_interval

HUMAN_METRIC = "recall_at_3"
LEAST_GAIN = 0.001  # what the page shows of a score
IN_WORDS: dict[Outcome, str] = {
    "better": "is better than",
    "worse": "is worse than",
    "inconclusive": "is not shown to differ from",
    "cannot tell": "cannot be compared with",
}


def gain(value: float | None, other: float | None, metric: MetricInfo) -> float | None:
    """How much better `value` is than `other`: positive is better, differences below 1e-9 are 0.

    >>> gain(0.2, 0.3, MetricInfo(higher_is_better=False))
    0.09999999999999998
    """
    if value is None or other is None:
        return None
    difference = value - other if metric.higher_is_better else other - value
    return 0.0 if abs(difference) <= EQUAL else difference


def outcome_of(difference: Difference, metric: MetricInfo, *, is_enough: bool, several: bool) -> Outcome:
    """Whether a model is better or worse than its reference; "inconclusive" where the interval contains zero.

    Args:
        is_enough: whether the test set is large enough for a verdict.
        several: whether the interval must hold for all models compared with the reference together, since several
            comparisons are shown; False for a single one that was fixed beforehand.

    >>> accuracy = MetricInfo(higher_is_better=True)
    >>> outcome_of(Difference(difference=0.02, low=0.01, high=0.03), accuracy, is_enough=True, several=False)
    'better'
    >>> outcome_of(Difference(difference=0.02, low=0.01, high=0.03), accuracy, is_enough=False, several=False)
    'cannot tell'
    """
    low, high = difference.interval(several=several)
    return decide(
        low,
        high,
        higher_is_better=metric.higher_is_better,
        is_enough=is_enough,
        deciding_images=difference.deciding_images,
    )


def best_models(comparison: Comparison, metric: str, info: MetricInfo, names: list[str]) -> list[str]:
    """Those of `names` with the best value, several where they are equal; none where all lack it."""
    values = {name: comparison.models[name][metric] for name in names}
    known = {name: value for name, value in values.items() if value is not None}
    return [name for name in known if all((gain(known[name], other, info) or 0.0) >= 0 for other in known.values())]


def best_baseline(results: Results, metric: str | None = None) -> str:
    """The baseline chosen on the validation pairs.

    Of a run that recorded none it is the one with the best score on the test pairs, the prior where several are equal
    or none has a score.
    """
    if results.comparison_baseline is not None:
        return results.comparison_baseline.model
    metric = metric or results.primary
    return (best_models(results, metric, results.metrics[metric], results.ordered_models("baseline")) or ["prior"])[0]


def main_model(results: Results, metric: str | None = None) -> str | None:
    """The model that represents the study: the one that it names, else the best; None without a score.

    Among equal ones it is the last in the order of the table of models.
    """
    chosen, metric = results.chosen, metric or results.primary
    if chosen is not None and results.kinds[chosen] != "baseline":
        return chosen if results.models[chosen][metric] is not None else None
    best = best_models(results, metric, results.metrics[metric], results.ordered_models("study", "ensemble"))
    return best[-1] if best else None


@dataclass(frozen=True)
class OracleShare:
    """How near a model comes to the oracle.

    Attributes:
        of_gain: (score - prior) / (oracle - prior); below 0 for a model worse than the prior.
        of_score: score / oracle, None where lower is better.
    """

    of_gain: float
    of_score: float | None


def oracle_share(results: Results, model: str) -> OracleShare | None:
    """By the primary metric; None without an oracle that is better than the prior by `LEAST_GAIN`."""
    primary, info = results.primary, results.metrics[results.primary]
    oracle = (results.ceiling or {}).get(primary)
    prior, score = results.models["prior"][primary], results.models[model][primary]
    possible, reached = gain(oracle, prior, info), gain(score, prior, info)
    if possible is None or reached is None or possible < LEAST_GAIN:
        return None
    of_score = score / oracle if info.higher_is_better and oracle is not None and oracle >= LEAST_GAIN else None
    return OracleShare(reached / possible, of_score)


@dataclass(frozen=True)
class HumanShare:
    """A model's score divided by one annotator's against the others, with its interval where it was recorded."""

    value: float
    interval: Interval | None

    def __str__(self) -> str:
        return f"{percent(self.value)} {percent_interval(self.interval)}".rstrip()


def human_share(results: Results, model: str, metric: str = HUMAN_METRIC) -> HumanShare | None:
    """A model's share of one annotator's score, None where it was not measured."""
    human = results.human
    share = None if human is None else human.shares.get(model, {}).get(metric)
    if human is None or share is None:
        return None
    return HumanShare(share, human.share_intervals.get(model, {}).get(metric))
