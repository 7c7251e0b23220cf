"""The outcome of a study in words: whether models are better than the best baseline, the teacher and the prior."""

from dataclasses import dataclass
from typing import Literal

from emocap.html_templates import percent
from emocap.report.files.comparison import Difference
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
from emocap.report.power import detectable, rare_emotions, too_small
from emocap.report.text import capitalized, label_of, listed, metric_in_sentence, number, with_interval

Tone = Literal["good", "bad", "open"]
TONES: dict[Outcome, Tone] = {"better": "good", "worse": "bad", "inconclusive": "open", "cannot tell": "open"}
LEAST_SEEDS = 3  # of fewer, how much a trained model varies from one training run to the next is not known
CONTROLS = {"AnB+_own": "What the source adds", "AnB+_shuffled": "What the pseudo-labels add to their texts"}
RUNS_IN_WORDS = {1: "one training run", 2: "two training runs"}


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
        return Verdict("bad", f"No model has a {metric_in_sentence(results.primary)}.", [], "prior", baseline)
    difference = results.difference(name, baseline, results.primary)
    model, words = label_of(name), baseline_in_words(results, baseline)
    score, other = number(results.models[name][results.primary]), number(results.models[baseline][results.primary])
    if difference is None:
        headline = (
            f"{model} scores {score} {by_primary(results)} and {words}, {other}; no interval of the difference was "
            "recorded, so it is inconclusive."
        )
        return Verdict("open", capitalized(headline), _further(results, name), name, baseline)
    numbers = f"{score} against {other}, a difference of {with_interval(difference)}{training_runs(results, name)}."
    outcome = outcome_of(difference, results.metrics[results.primary], is_enough=results.is_enough, several=False)
    power = [*rare_emotions(results), *detectable(difference, results, outcome)]
    if outcome == "cannot tell":
        headline = f"Cannot tell whether {model} is better than {words}: {too_small(results)}."
        rest = [capitalized(f"measured {by_primary(results)}: {numbers}"), *power]
    else:
        headline = f"{model} {IN_WORDS[outcome]} {words}, {by_primary(results)}: {numbers}"
        rest = [*power, *_further(results, name)]
    return Verdict(TONES[outcome], capitalized(headline), rest, name, baseline, difference)


def baseline_in_words(results: Results, baseline: str) -> str:
    """The best baseline's name within a sentence, and on which pairs it was chosen."""
    label = label_of(baseline)
    if len(results.ordered_models("baseline")) < 2:
        return label
    if results.comparison_baseline is None:
        return f"{label}, the best baseline on these test pairs"
    chosen_in = {name: n for name, n in results.comparison_baseline.chosen_in.items() if n}
    if len(chosen_in) < 2:
        return f"{label}, the baseline chosen on the validation pairs"
    counts = [f"{label_of(name)} in {n}" for name, n in sorted(chosen_in.items(), key=lambda item: -item[1])]
    return f"the baseline that the validation pairs of each {_unit(results)} preferred ({', '.join(counts)})"


def by_primary(results: Results) -> str:
    """The metric of a verdict, with what it averages over."""
    over = "mAP, macro over the emotions"
    if results.ratings is not None and not results.labels:
        over = f"over {listed(results.ratings.names)}"
    return f"by {metric_in_sentence(results.primary)} ({over})"


def n_training_runs(results: Results, model: str) -> int:
    """How often a model was trained independently: once per seed, but an ensemble averages over all of them."""
    return 1 if results.kinds[model] == "ensemble" else len(results.seeds)


def training_runs(results: Results, model: str) -> str:
    """How often a model was trained, where that is too rare to know how much it varies; otherwise empty."""
    n_runs, n_seeds = n_training_runs(results, model), len(results.seeds)
    if n_runs >= LEAST_SEEDS:
        return ""
    averaged = f" of an ensemble over {n_seeds} seeds" if n_runs < n_seeds else ""
    return f" ({RUNS_IN_WORDS[n_runs]}{averaged}{'' if results.folds is None else ' per fold'})"


def _unit(results: Results) -> str:
    parts = [*(["seed"] if len(results.seeds) > 1 else []), *(["fold"] if results.folds is not None else [])]
    return " and ".join(parts) or "seed"


def _further(results: Results, name: str) -> list[str]:
    return [
        *_intervals_over(results, name),
        *_against_teacher(results, name),
        *_against_controls(results),
        *_best_on_test(results, name),
        *_shares_reached(results, name),
    ]


def _intervals_over(results: Results, name: str) -> list[str]:
    n_seeds = len(results.seeds)
    if n_seeds == 1:
        return []
    if results.intervals_over == "images":
        return [f"Intervals describe the variation over {results.drawn}s alone, of means over {n_seeds} seeds."]
    if results.kinds[name] == "ensemble":
        return [
            f"Intervals combine the variation over {results.drawn}s and over {n_seeds} seeds; that of "
            f"{label_of(name)}, which averages over the seeds, is over {results.drawn}s alone."
        ]
    return [f"Intervals combine the variation over {results.drawn}s and over {n_seeds} seeds."]


def _against_teacher(results: Results, name: str) -> list[str]:
    if "teacher" not in results.models:
        return []
    model = "AnB+" if "AnB+" in results.models else name
    if model == "teacher":
        return []
    difference = results.difference(model, "teacher", results.primary)
    if difference is None:
        return [capitalized(f"{label_of(model)} was not compared with the teacher.")]
    outcome = outcome_of(difference, results.metrics[results.primary], is_enough=results.is_enough, several=False)
    numbers = f"{with_interval(difference)}{training_runs(results, model)}"
    return [capitalized(f"{label_of(model)} {IN_WORDS[outcome]} the teacher: {numbers}.")]


def _against_controls(results: Results) -> list[str]:
    """Whether AnB+ is better than the same without the source, and than with pseudo-labels of other pairs."""
    sentences = []
    for control, question in CONTROLS.items():
        difference = results.difference("AnB+", control, results.primary) if control in results.models else None
        if difference is not None:
            metric = results.metrics[results.primary]
            outcome = outcome_of(difference, metric, is_enough=results.is_enough, several=False)
            numbers = f"{with_interval(difference)}{training_runs(results, control)}"
            sentences.append(f"{question}: AnB+ {IN_WORDS[outcome]} {label_of(control)}, {numbers}.")
    return sentences


def _best_on_test(results: Results, name: str) -> list[str]:
    models = results.ordered_models("study", "ensemble")
    best = best_models(results, results.primary, results.metrics[results.primary], models)
    if name in best:
        return []
    score = number(results.models[best[-1]][results.primary])
    # Neither the members of an ensemble nor the last model, which stands for a study over folds, depend on any score.
    fixed = results.kinds[name] == "ensemble" or results.folds is not None
    how = "was fixed in advance" if fixed else "was chosen on the validation pairs"
    return [f"{capitalized(label_of(name))} {how}; on the test pairs {label_of(best[-1])} scores highest ({score})."]


def _shares_reached(results: Results, name: str) -> list[str]:
    sentences = []
    share = oracle_share(results, name)
    if share is not None:
        oracle = number((results.ceiling or {})[results.primary])
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
            f"{capitalized(label_of(name))} reaches {of_human} of what one annotator reaches against the "
            f"others in {metric_in_sentence(HUMAN_METRIC)}."
        )
    return sentences
