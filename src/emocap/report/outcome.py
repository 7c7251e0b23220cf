"""Which of two models is better, which is best, and how much of the possible gain a model reaches.

A difference counts only where its 95% interval excludes zero; point values alone decide nothing.
"""

from dataclasses import dataclass
from typing import Any, Literal

from emocap.evaluation.metrics import PRIMARY
from emocap.report.files.comparison import Comparison, Difference, MetricInfo
from emocap.report.files.results import Results
from emocap.report.text import EQUAL

# A person names few emotions, which limits their average precision over all emotions.
HUMAN_METRIC = "recall_at_3"
Outcome = Literal["better", "worse", "inconclusive"]
IN_WORDS: dict[Outcome, str] = {
    "better": "is better than",
    "worse": "is worse than",
    "inconclusive": "is not shown to be better than",
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


def outcome_of(difference: Difference, metric: MetricInfo) -> Outcome:
    """Whether a model is better or worse than its reference; "inconclusive" where the interval contains zero.

    >>> outcome_of(Difference(difference=0.02, low=0.01, high=0.03), MetricInfo(higher_is_better=True))
    'better'
    >>> outcome_of(Difference(difference=0.02, low=0.0, high=0.03), MetricInfo(higher_is_better=True))
    'inconclusive'
    """
    above, below = difference.low > EQUAL, difference.high < -EQUAL
    if not above and not below:
        return "inconclusive"
    return "better" if above == metric.higher_is_better else "worse"


def best_models(comparison: Comparison, metric: str, info: MetricInfo, names: list[str]) -> list[str]:
    """Those of `names` with the best value, several where they are equal; none where all lack it."""
    values = {name: comparison.models[name][metric] for name in names}
    known = {name: value for name, value in values.items() if value is not None}
    return [name for name in known if all((gain(known[name], other, info) or 0.0) >= 0 for other in known.values())]


def best_baseline(results: Results, metric: str = PRIMARY) -> str:
    """The baseline with the best score; the prior where several are equal or none has a score."""
    return (best_models(results, metric, results.metrics[metric], results.ordered_models("baseline")) or ["prior"])[0]


def main_model(results: Results, metric: str = PRIMARY) -> str | None:
    """The model that represents the study: the one that it names, else the best; None without a score.

    Among equal ones it is the last in the order of the table of models.
    """
    chosen = results.chosen
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
    """By mean average precision; None without an oracle that is better than the prior."""
    info = results.metrics[PRIMARY]
    oracle = (results.ceiling or {}).get(PRIMARY)
    prior, score = results.models["prior"][PRIMARY], results.models[model][PRIMARY]
    possible, reached = gain(oracle, prior, info), gain(score, prior, info)
    if possible is None or reached is None or possible <= 0:
        return None
    of_score = score / oracle if info.higher_is_better and oracle is not None and oracle > 0 else None
    return OracleShare(reached / possible, of_score)


def human_share(results: Results, model: str, metric: str = HUMAN_METRIC) -> float | None:
    """A model's score divided by one annotator's against the others, None where it was not measured."""
    shares: dict[str, Any] = results.human.shares if results.human is not None else {}
    return shares.get(model, {}).get(metric)
