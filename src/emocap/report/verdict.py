"""The study's outcome in words: whether models are better than the best baseline, the teacher and the prior.

Intervals decide, never the point values alone: a difference counts only where its 95% interval leaves out zero.
"""

from dataclasses import dataclass
from typing import Any, Literal

from emocap.report.files.results import PRIMARY, Comparison, Difference, Metric, Results
from emocap.report.text import EQUAL, in_sentence, listed, number, opening, percent, the, with_interval

OF_PEOPLE = "recall_at_3"  # a person names a few words: average precision over all emotions is low by construction
Standing = Literal["better", "worse", "open"]


def gain(value: float | None, other: float | None, metric: Metric) -> float | None:
    """How much better `value` is than `other`: above 0 is better, differences below 1e-9 are 0.

    >>> gain(0.2, 0.3, Metric(higher_is_better=False))
    0.09999999999999998
    """
    if value is None or other is None:
        return None
    difference = value - other if metric.higher_is_better else other - value
    return 0.0 if abs(difference) <= EQUAL else difference


def standing(difference: Difference, metric: Metric) -> Standing:
    """Whether a model is better or worse than its reference; "open" where the interval holds zero.

    >>> standing(Difference(difference=0.02, low=0.01, high=0.03), Metric(higher_is_better=True))
    'better'
    >>> standing(Difference(difference=0.02, low=0.0, high=0.03), Metric(higher_is_better=True))
    'open'
    """
    above, below = difference.low > EQUAL, difference.high < -EQUAL
    if not above and not below:
        return "open"
    return "better" if above == metric.higher_is_better else "worse"


def best_models(comparison: Comparison, metric: str, rule: Metric, names: list[str]) -> list[str]:
    """Those of `names` with the best value, several where some are equal; none where all lack it."""
    values = {name: comparison.models[name][metric] for name in names}
    have = {name: value for name, value in values.items() if value is not None}
    return [name for name in have if all((gain(have[name], other, rule) or 0.0) >= 0 for other in have.values())]


def best_baseline(results: Results, metric: str = PRIMARY) -> str:
    """The baseline with the best score, the prior among equals and where none has one."""
    return (best_models(results, metric, results.metrics[metric], results.ordered_models("baseline")) or ["prior"])[0]


def leader(results: Results, metric: str = PRIMARY) -> str | None:
    """The model that speaks for the study: the one chosen on validation pairs, else the best; None without a score.

    Among equals it is the last of the study's order.
    """
    chosen = results.chosen
    if chosen is not None and results.kinds[chosen] != "baseline":
        return chosen if results.models[chosen][metric] is not None else None
    best = best_models(results, metric, results.metrics[metric], results.ordered_models("study", "ensemble"))
    return best[-1] if best else None


@dataclass(frozen=True)
class Share:
    """How near a model comes to the ceiling.

    Attributes:
        of_way: (score - prior) / (ceiling - prior); below 0 for a model worse than the prior.
        of_score: score / ceiling, None where lower is better.
    """

    of_way: float
    of_score: float | None


def share_of_ceiling(results: Results, model: str) -> Share | None:
    """By mean average precision; None without a ceiling that is better than the prior."""
    rule = results.metrics[PRIMARY]
    ceiling = (results.ceiling or {}).get(PRIMARY)
    prior, score = results.models["prior"][PRIMARY], results.models[model][PRIMARY]
    span, way = gain(ceiling, prior, rule), gain(score, prior, rule)
    if span is None or way is None or span <= 0:
        return None
    of_score = score / ceiling if rule.higher_is_better and ceiling is not None and ceiling > 0 else None
    return Share(way / span, of_score)


def against(results: Results, model: str, reference: str = "prior") -> str:
    """How a model stands to another on all metrics, in words."""
    if model == reference:
        return "is what a model must beat"
    found: dict[str, list[str]] = {"better": [], "worse": [], "open": []}
    for metric, rule in results.metrics.items():
        difference = results.difference(model, reference, metric)
        if difference is not None:
            found[standing(difference, rule)].append(in_sentence(metric))
    compared = sum(len(names) for names in found.values())
    if not compared:
        return f"was not compared with {the(reference)}"
    if not found["better"]:
        words = f"is better than {the(reference)} on none of {compared} metrics"
    elif len(found["better"]) == compared:
        return f"is better than {the(reference)} on all {compared} metrics"
    else:
        words = f"is better than {the(reference)} on {len(found['better'])} of {compared} metrics"
    if found["worse"]:
        words += f", worse on {_some(found['worse'])}"
    if found["open"]:
        words += f"; undecided on {_some(found['open'])}"
    return words


def _some(names: list[str]) -> str:
    return listed(names) if len(names) <= 3 else str(len(names))


@dataclass(frozen=True)
class Verdict:
    """The study's outcome.

    Attributes:
        tone: "good" where the study's model is better than the best baseline, "bad" where it is worse, else "open".
        headline: one sentence.
        rest: sentences that follow.
        leader: the model that speaks for the study, "prior" where none has a score.
        baseline: the best baseline.
        difference: leader minus baseline by mean average precision, None where it was not compared.
    """

    tone: Literal["good", "bad", "open"]
    headline: str
    rest: list[str]
    leader: str
    baseline: str
    difference: Difference | None = None


def verdict(results: Results) -> Verdict:
    """Whether the study's model is better than the best baseline, AnB+ than the teacher, and the shares reached."""
    name, rival = leader(results), best_baseline(results)
    if name is None:
        return Verdict("bad", f"No model has a {in_sentence(PRIMARY)}.", [], "prior", rival)
    difference = results.difference(name, rival, PRIMARY)
    tone: Literal["good", "bad", "open"] = "open"
    rival_words = f"the best baseline, {the(rival)}" if len(results.ordered_models("baseline")) > 1 else the(rival)
    own, other = number(results.models[name][PRIMARY]), number(results.models[rival][PRIMARY])
    if difference is None:
        headline = (
            f"{the(name)} scores {own} in {in_sentence(PRIMARY)} and {rival_words}, {other}; no interval of the "
            "difference was recorded, so it decides nothing."
        )
    else:
        stands = standing(difference, results.metrics[PRIMARY])
        tone = {"better": "good", "worse": "bad", "open": "open"}[stands]  # type: ignore[assignment]
        is_it = {"better": "is better than", "worse": "is worse than", "open": "is not shown to be better than"}[stands]
        headline = (
            f"{the(name)} {is_it} {rival_words}, by {in_sentence(PRIMARY)}: {own} against {other}, a difference of "
            f"{with_interval(difference)}."
        )
    rest = [*_against_teacher(results, name), *_best_on_test(results, name), *_reach(results, name)]
    return Verdict(tone, opening(headline), rest, name, rival, difference)


def _against_teacher(results: Results, name: str) -> list[str]:
    if "teacher" not in results.models:
        return []
    focus = "AnB+" if "AnB+" in results.models else name
    if focus == "teacher":
        return []
    return [opening(compared_in_words(results, focus, "teacher", results.metrics)) + "."]


def compared_in_words(comparison: Comparison, model: str, reference: str, metrics: dict[str, Metric]) -> str:
    """How a model stands to another by mean average precision, with the interval that decides it."""
    difference = comparison.difference(model, reference, PRIMARY)
    if difference is None:
        return f"{the(model)} was not compared with {the(reference)}"
    is_it = {"better": "is better than", "worse": "is worse than", "open": "is not shown to be better than"}
    return f"{the(model)} {is_it[standing(difference, metrics[PRIMARY])]} {the(reference)}: {with_interval(difference)}"


def _best_on_test(results: Results, name: str) -> list[str]:
    models = results.ordered_models("study", "ensemble")
    best = best_models(results, PRIMARY, results.metrics[PRIMARY], models)
    if name in best:
        return []
    score = number(results.models[best[-1]][PRIMARY])
    return [
        f"{opening(the(name))} was chosen on the validation pairs; on the test pairs {the(best[-1])} scores highest "
        f"({score})."
    ]


def _reach(results: Results, name: str) -> list[str]:
    sentences = []
    share = share_of_ceiling(results, name)
    if share is not None:
        ceiling = number((results.ceiling or {})[PRIMARY])
        if share.of_way <= 0:
            words = f"The best reachable score is {ceiling}; {the(name)} is no nearer to it than the prior."
        else:
            whole = "" if share.of_score is None else f", or {percent(share.of_score)} of that score"
            way = f"{percent(share.of_way)} of the way from the prior to the best reachable score ({ceiling})"
            words = f"{opening(the(name))} reaches {way}{whole}."
        sentences.append(words)
    of_human = human_share(results, name)
    if of_human is not None:
        sentences.append(
            f"{opening(the(name))} reaches {percent(of_human)} of what one annotator reaches against the others in "
            f"{in_sentence(OF_PEOPLE)}."
        )
    return sentences


def human_share(results: Results, model: str, metric: str = OF_PEOPLE) -> float | None:
    """A model's score over one annotator's against the others, None where it was not measured."""
    shares: dict[str, Any] = results.human.shares if results.human is not None else {}
    return shares.get(model, {}).get(metric)
