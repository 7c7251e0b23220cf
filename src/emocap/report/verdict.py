"""The outcome of a study in words: whether models are better than the best baseline, the teacher and the prior."""

from dataclasses import dataclass
from typing import Literal

from emocap.evaluation.metrics import PRIMARY
from emocap.html_templates import percent
from emocap.report.files.comparison import Comparison, Difference, MetricInfo
from emocap.report.files.manifest import Manifest
from emocap.report.files.results import Results
from emocap.report.outcome import (
    HUMAN_METRIC,
    IN_WORDS,
    Outcome,
    best_baseline,
    best_models,
    human_share,
    main_model,
    oracle_share,
    outcome_of,
)
from emocap.report.text import capitalized, label_of, listed, metric_in_sentence, number, with_interval

Tone = Literal["good", "bad", "open"]
TONES: dict[Outcome, Tone] = {"better": "good", "worse": "bad", "inconclusive": "open"}


@dataclass(frozen=True)
class Verdict:
    """The outcome of a study.

    Attributes:
        tone: "good" where the study's model is better than the best baseline, "bad" where it is worse, else "open".
        headline: one sentence.
        rest: further sentences.
        model: the model that represents the study, "prior" where none has a score.
        baseline: the best baseline.
        difference: model minus baseline by mean average precision, None where the two were not compared.
    """

    tone: Tone
    headline: str
    rest: list[str]
    model: str
    baseline: str
    difference: Difference | None = None


def verdict(results: Results) -> Verdict:
    """Whether the study's model is better than the best baseline, AnB+ than the teacher, and the shares reached."""
    name, baseline = main_model(results), best_baseline(results)
    if name is None:
        return Verdict("bad", f"No model has a {metric_in_sentence(PRIMARY)}.", [], "prior", baseline)
    difference = results.difference(name, baseline, PRIMARY)
    several = len(results.ordered_models("baseline")) > 1
    baseline_words = f"the best baseline, {label_of(baseline)}" if several else label_of(baseline)
    score, other = number(results.models[name][PRIMARY]), number(results.models[baseline][PRIMARY])
    tone: Tone = "open"
    if difference is None:
        headline = (
            f"{label_of(name)} scores {score} in {metric_in_sentence(PRIMARY)} and {baseline_words}, {other}; no "
            "interval of the difference was recorded, so it is inconclusive."
        )
    else:
        outcome = outcome_of(difference, results.metrics[PRIMARY])
        tone = TONES[outcome]
        headline = (
            f"{label_of(name)} {IN_WORDS[outcome]} {baseline_words}, by {metric_in_sentence(PRIMARY)}: {score} against "
            f"{other}, a difference of {with_interval(difference)}."
        )
    rest = [*_against_teacher(results, name), *_best_on_test(results, name), *_shares_reached(results, name)]
    return Verdict(tone, capitalized(headline), rest, name, baseline, difference)


def data_remarks(manifest: Manifest) -> list[str]:
    """Sentences on what the numbers leave out: images that models did not see, and pairs that evoke no emotion."""
    remarks = []
    for domain, corpus in manifest.data.items():
        counts = corpus or {}
        images = counts.get("images") or 0
        unseen = (counts.get("images_missing") or 0) + (counts.get("images_rejected") or 0)
        if images and unseen:
            remarks.append(
                f"{unseen:,} of the {domain.replace('_', ' ')}’s {images:,} images ({percent(unseen / images)}) are "
                "missing or unusable; models read the captions alone there."
            )
    sizes = manifest.data.get("target") or {}
    pairs = sizes.get("labelled") or 0
    negatives = sizes.get("without_emotion") or 0
    if pairs and negatives and manifest.config.get("target", {}).get("negatives") != "drop":
        remarks.append(
            f"{negatives:,} of {pairs:,} pairs ({percent(negatives / pairs)}) evoke none of the emotions; rankings are "
            "averaged over the others, all other metrics over all pairs."
        )
    return remarks


def compared_in_words(comparison: Comparison, model: str, reference: str, metrics: dict[str, MetricInfo]) -> str:
    """How a model compares with another by mean average precision, with the interval that decides it."""
    difference = comparison.difference(model, reference, PRIMARY)
    if difference is None:
        return f"{label_of(model)} was not compared with {label_of(reference)}"
    outcome = outcome_of(difference, metrics[PRIMARY])
    return f"{label_of(model)} {IN_WORDS[outcome]} {label_of(reference)}: {with_interval(difference)}"


def compared_on_all_metrics(results: Results, model: str, reference: str = "prior") -> str:
    """How a model compares with another on all metrics, in words."""
    if model == reference:
        return "is the reference"
    metrics: dict[Outcome, list[str]] = {outcome: [] for outcome in IN_WORDS}
    for metric, info in results.metrics.items():
        difference = results.difference(model, reference, metric)
        if difference is not None:
            metrics[outcome_of(difference, info)].append(metric_in_sentence(metric))
    n_compared = sum(len(names) for names in metrics.values())
    n_better = len(metrics["better"])
    if not n_compared:
        return f"was not compared with {label_of(reference)}"
    if n_better == n_compared:
        return f"is better than {label_of(reference)} on all {n_compared} metrics"
    of_all = f"{n_better or 'none'} of {n_compared} metrics"
    text = f"is better than {label_of(reference)} on {of_all}"
    if metrics["worse"]:
        text += f", worse on {_names_or_count(metrics['worse'])}"
    if metrics["inconclusive"]:
        text += f"; inconclusive on {_names_or_count(metrics['inconclusive'])}"
    return text


def _names_or_count(names: list[str]) -> str:
    return listed(names) if len(names) <= 3 else str(len(names))


def _against_teacher(results: Results, name: str) -> list[str]:
    if "teacher" not in results.models:
        return []
    model = "AnB+" if "AnB+" in results.models else name
    if model == "teacher":
        return []
    return [capitalized(compared_in_words(results, model, "teacher", results.metrics)) + "."]


def _best_on_test(results: Results, name: str) -> list[str]:
    models = results.ordered_models("study", "ensemble")
    best = best_models(results, PRIMARY, results.metrics[PRIMARY], models)
    if name in best:
        return []
    score = number(results.models[best[-1]][PRIMARY])
    fixed = results.kinds[name] == "ensemble"  # its members do not depend on any score
    how = "was fixed in advance" if fixed else "was chosen on the validation pairs"
    return [f"{capitalized(label_of(name))} {how}; on the test pairs {label_of(best[-1])} scores highest ({score})."]


def _shares_reached(results: Results, name: str) -> list[str]:
    sentences = []
    share = oracle_share(results, name)
    if share is not None:
        oracle = number((results.ceiling or {})[PRIMARY])
        if share.of_gain <= 0:
            sentence = f"The oracle scores {oracle}; {label_of(name)} is no closer to it than the prior."
        else:
            of_score = "" if share.of_score is None else f", or {percent(share.of_score)} of the oracle’s score"
            of_gain = f"{percent(share.of_gain)} of the possible gain from the prior to the oracle ({oracle})"
            sentence = f"{capitalized(label_of(name))} reaches {of_gain}{of_score}."
        sentences.append(sentence)
    of_human = human_share(results, name)
    if of_human is not None:
        sentences.append(
            f"{capitalized(label_of(name))} reaches {percent(of_human)} of what one annotator reaches against the "
            f"others in {metric_in_sentence(HUMAN_METRIC)}."
        )
    return sentences
