"""What the scores say: the table with the best marked, each model against `prior`, and the study in two sentences."""

import math
import re
from dataclasses import dataclass

from emocap.report.run_files import Metric, Results

PRIMARY = "mean_average_precision"
EQUAL = 1e-9
METRIC_NAMES = {PRIMARY: "Mean average precision", "bce": "Binary cross-entropy"}
WHAT_IT_IS = {
    "prior": "answers every pair with the emotion frequencies of the training pairs",
    "teacher": "trained on the target pairs alone",
    "student": "trained on the teacher’s pseudo-labels of the source",
    "AnB": "the student’s layers copied and frozen, the rest trained on the target",
    "AnB+": "the student’s layers copied, everything fine-tuned on the target",
    "ceiling": "answers with the true probabilities, which the made-up corpus knows; by chance a model may pass it",
}


def metric_name(metric: str) -> str:
    """A metric's name for people.

    >>> [metric_name(metric) for metric in ("top1_accuracy", "recall_at_3", "bce", "hamming_loss")]
    ['Top-1 accuracy', 'Recall@3', 'Binary cross-entropy', 'Hamming loss']
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

    >>> in_sentence("mean_average_precision")
    'mean average precision'
    """
    name = metric_name(metric)
    return name[0].lower() + name[1:]


def the(model: str) -> str:
    """A model's name inside a sentence.

    >>> the("teacher"), the("AnB+")
    ('the teacher', 'AnB+')
    """
    return f"the {model}" if model in ("prior", "teacher", "student", "ceiling") else model


def listed(words: list[str], last: str = "and") -> str:
    """Words as a sentence lists them.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def primary_metric(results: Results) -> str:
    """Mean average precision, or the first metric where a study has none."""
    return PRIMARY if PRIMARY in results.metrics else next(iter(results.metrics))


def gain(value: float | None, other: float | None, metric: Metric) -> float | None:
    """How much better `value` is than `other`: above 0 is better, differences below 1e-9 are 0.

    >>> gain(0.2, 0.3, Metric(higher_is_better=False))
    0.09999999999999998
    """
    if value is None or other is None:
        return None
    difference = value - other if metric.higher_is_better else other - value
    return 0.0 if abs(difference) <= EQUAL else difference


def best_models(results: Results, metric: str) -> list[str]:
    """The models (never the ceiling) with the best value, several where they are equal; none where all lack it."""
    values = {name: results.models[name][metric] for name in results.ordered_models()}
    rule = results.metrics[metric]
    have = {name: value for name, value in values.items() if value is not None}
    return [name for name in have if all((gain(have[name], other, rule) or 0.0) >= 0 for other in have.values())]


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
    """By the primary metric; None without a ceiling that is better than the prior."""
    metric = primary_metric(results)
    rule = results.metrics[metric]
    ceiling = (results.ceiling or {}).get(metric)
    prior, score = results.models["prior"][metric], results.models[model][metric]
    span, way = gain(ceiling, prior, rule), gain(score, prior, rule)
    if span is None or way is None or span <= 0:
        return None
    of_score = score / ceiling if rule.higher_is_better and ceiling is not None and ceiling > 0 else None
    return Share(way / span, of_score)


@dataclass(frozen=True)
class Cell:
    """One number of the table and how it stands to the prior."""

    text: str
    best: bool = False
    difference: str | None = None
    standing: str = "equal"


@dataclass(frozen=True)
class Row:
    """One model of the table."""

    model: str
    what: str
    cells: list[Cell]
    words: str
    share: Share | None
    is_ceiling: bool = False


def table(results: Results) -> list[Row]:
    """The rows as shown: models in the study's order, the ceiling last."""
    best = {metric: best_models(results, metric) for metric in results.metrics}
    rows = [
        Row(
            model=name,
            what=WHAT_IT_IS.get(name, ""),
            cells=[_cell(results, name, metric, name in best[metric]) for metric in results.metrics],
            words=against_prior(results, name),
            share=None if name == "prior" else share_of_ceiling(results, name),
        )
        for name in results.ordered_models()
    ]
    if results.ceiling is not None:
        cells = [Cell(number(results.ceiling[metric])) for metric in results.metrics]
        rows.append(Row("ceiling", WHAT_IT_IS["ceiling"], cells, "", None, is_ceiling=True))
    return rows


def _cell(results: Results, model: str, metric: str, best: bool) -> Cell:
    value, prior = results.models[model][metric], results.models["prior"][metric]
    better = gain(value, prior, results.metrics[metric])
    if model == "prior" or better is None:
        return Cell(number(value), best)
    standing = "better" if better > 0 else "worse" if better < 0 else "equal"
    return Cell(number(value), best, signed(value - prior), standing)


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


def against_prior(results: Results, model: str) -> str:
    """Whether a model beats the prior, in words: "beats the prior on 6 of 7 metrics: not on binary cross-entropy"."""
    if model == "prior":
        return "is what a model must beat"
    prior, own = results.models["prior"], results.models[model]
    gains = {metric: gain(own[metric], prior[metric], rule) for metric, rule in results.metrics.items()}
    compared = {metric: value for metric, value in gains.items() if value is not None}
    if not compared:
        return "cannot be compared with the prior"
    beaten = [metric for metric, value in compared.items() if value > 0]
    equal = [in_sentence(metric) for metric, value in compared.items() if value == 0]
    if not beaten:
        return "does not beat the prior" + (f" (equal on {listed(equal)})" if equal else "")
    metrics = "metric" if len(compared) == 1 else "metrics"
    if len(beaten) == len(compared):
        return f"beats the prior on all {len(compared)} {metrics}" if len(compared) > 1 else "beats the prior"
    missed = [in_sentence(metric) for metric in compared if metric not in beaten]
    words = f"beats the prior on {len(beaten)} of {len(compared)} {metrics}: not on {listed(missed, 'or')}"
    return words + (f" (equal on {listed(equal)})" if equal else "")


@dataclass(frozen=True)
class Verdict:
    """The study's outcome.

    Attributes:
        tone: "good" where the best model beats the prior, else "bad".
        headline: one sentence.
        rest: sentences that follow.
        leader: the best model by the primary metric, the last of the study's order among equals.
    """

    tone: str
    headline: str
    rest: list[str]
    leader: str


def verdict(results: Results) -> Verdict:
    """Which model is best, whether AnB+ beats teacher and prior, and the share of the ceiling reached."""
    metric = primary_metric(results)
    rule = results.metrics[metric]
    best = best_models(results, metric)
    if not best:
        return Verdict("bad", f"No model has a {in_sentence(metric)}.", [], "prior")
    prior = results.models["prior"][metric]
    leader = best[-1]
    if "prior" in best:
        headline = (
            f"No model beats the prior by {in_sentence(metric)}: always giving the same answer scores {number(prior)}."
        )
    else:
        others = [name for name in ("prior", "teacher") if name in results.models and name not in best]
        against = listed([f"{number(results.models[name][metric])} for {the(name)}" for name in others])
        names = listed([the(name) for name in best])
        are = "is best" if len(best) == 1 else "are equally best"
        headline = (
            f"{names} {are} by {in_sentence(metric)}: {number(results.models[leader][metric])} against {against}."
        )
    rest = []
    focus = "AnB+" if "AnB+" in results.models else leader
    if focus == "AnB+":
        rest.append(
            _beats(
                results,
                focus,
                focus == leader,
                [name for name in ("prior", "teacher") if name in results.models],
                rule,
                metric,
            )
        )
    share = share_of_ceiling(results, focus)
    if focus != "prior" and share is not None:
        rest.append(_share_sentence(results, focus, share, metric))
    return Verdict("bad" if "prior" in best else "good", headline[0].upper() + headline[1:], rest, leader)


def _beats(results: Results, model: str, leads: bool, rivals: list[str], rule: Metric, metric: str) -> str:
    own = results.models[model][metric]
    gains = {name: gain(own, results.models[name][metric], rule) for name in rivals}
    beaten = [the(name) for name, value in gains.items() if value is not None and value > 0]
    equal = [the(name) for name, value in gains.items() if value == 0]
    worse = [the(name) for name, value in gains.items() if value is not None and value < 0]
    parts = []
    if beaten:
        parts.append(f"beats {'both ' if len(beaten) > 1 else ''}{listed(beaten)}")
    if equal:
        parts.append(f"equals {listed(equal)}")
    if worse:
        parts.append(f"does not beat {listed(worse, 'or')}")
    if not parts:
        return f"{model} has no {in_sentence(metric)} to compare."
    subject = model if leads else f"{model} ({number(own)})"
    return f"{subject} {listed(parts, 'but' if worse and len(parts) > 1 else 'and')}."


def _share_sentence(results: Results, model: str, share: Share, metric: str) -> str:
    ceiling = number((results.ceiling or {})[metric])
    if share.of_way <= 0:
        return f"The best reachable score is {ceiling}; {the(model)} is no nearer to it than the prior."
    whole = "" if share.of_score is None else f", or {percent(share.of_score)} of that score"
    name = "it" if model == "AnB+" else the(model)
    way = f"{percent(share.of_way)} of the way from the prior to the best reachable score ({ceiling})"
    return f"{name[0].upper()}{name[1:]} reaches {way}{whole}."
