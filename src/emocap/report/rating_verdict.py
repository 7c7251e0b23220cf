"""What a study shows of ratings, in sentences: a model against the best baseline and the reference, by Pearson's r."""

from dataclasses import replace

from emocap.evaluation.rating_metrics import RATING_PRIMARY
from emocap.report.files.ratings import RATING_INFOS, RatingResults
from emocap.report.files.results import Results
from emocap.report.outcome import IN_WORDS, Outcome, best_baseline, main_model, outcome_of
from emocap.report.text import capitalized, label_of, listed, number, with_interval
from emocap.report.verdict import Verdict, baseline_in_words, training_runs, verdict


def study_verdict(results: Results) -> Verdict:
    """The outcome of a study by its primary metric, and then the main model on each rating, where there are ratings."""
    found, ratings, model = verdict(results), results.ratings, main_model(results)
    if ratings is None or model is None:
        return found
    return replace(found, rest=[*found.rest, against(results, ratings, model, found.baseline), *ceilings(ratings)])


def outcomes_of(results: Results, ratings: RatingResults, model: str, reference: str) -> dict[str, Outcome]:
    """The outcome of each rating on which two models were compared, by Pearson's r.

    Intervals that hold for all models together are not needed: the comparison was fixed beforehand.
    """
    found = {}
    for name in ratings.names:
        compared = results.rating(name)
        difference = compared.difference(model, reference, RATING_PRIMARY)
        if difference is not None:
            info = RATING_INFOS[RATING_PRIMARY]
            found[name] = outcome_of(difference, info, is_enough=compared.is_enough, several=False)
    return found


def against(results: Results, ratings: RatingResults, model: str, reference: str) -> str:
    """One sentence on a model and its reference over all ratings; empty where they were not compared."""
    outcomes = outcomes_of(results, ratings, model, reference)
    if not outcomes:
        return capitalized(f"{label_of(model)} was not compared with {label_of(reference)} on the ratings.")
    words = baseline_in_words(results, reference) if reference == best_baseline(results) else label_of(reference)
    words += "," if "," in words else ""
    parts: list[str] = []
    for outcome in dict.fromkeys(outcomes.values()):
        names = [name for name, found in outcomes.items() if found == outcome]
        whom = "it" if parts else words
        parts.append(f"{IN_WORDS[outcome]} {whom} on {listed([_numbers(results, n, model, reference) for n in names])}")
    few = [name for name, outcome in outcomes.items() if outcome == "cannot tell"]
    reason = f"; too few test pairs have {listed(few, 'or')} for a verdict" if few else ""
    runs = training_runs(results, model)
    return capitalized(f"{label_of(model)} {', but '.join(parts)}, by Pearson’s r{runs}{reason}.")


def _numbers(results: Results, name: str, model: str, reference: str) -> str:
    compared = results.rating(name)
    difference = compared.difference(model, reference, RATING_PRIMARY)
    assert difference is not None, "only ratings with an outcome are described"
    own, other = (number(compared.models[each][RATING_PRIMARY]) for each in (model, reference))
    return f"{name} ({own} against {other}, {with_interval(difference)})"


def ceilings(ratings: RatingResults) -> list[str]:
    """What the raters' true means would reach; empty where that is unknown."""
    parts = [
        f"{number(value)} on {name}"
        for name in ratings.names
        if (value := (ratings.ceiling.get(name) or {}).get(RATING_PRIMARY)) is not None
    ]
    if not parts:
        return []
    return [f"The raters’ true means, measured against those of the test pairs, would reach {listed(parts)}."]
