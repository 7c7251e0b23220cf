"""What a study shows of ratings, in sentences: a model against the best baseline and the reference, by Pearson's r."""

from dataclasses import replace

from emocap.evaluation.metrics import PRIMARY
from emocap.report.files.ratings import RATING_METRICS, RATING_PRIMARY, RatingResults
from emocap.report.files.results import Results
from emocap.report.outcome import IN_WORDS, Outcome, best_baseline, outcome_of
from emocap.report.text import capitalized, label_of, listed, number, with_interval
from emocap.report.verdict import TONES, Tone, Verdict, baseline_in_words, training_runs, verdict


def primary_of(results: Results) -> str:
    """The metric by which a study chooses its models: of a study of ratings alone the mean Pearson's r."""
    return PRIMARY if results.labels else RATING_PRIMARY


def study_verdict(results: Results) -> Verdict:
    """The outcome of a study: of its emotions, then of its ratings."""
    ratings = results.ratings
    if ratings is None:
        return verdict(results)
    if not results.labels:
        return rating_verdict(results, ratings)
    found = verdict(results)
    model = main_rating_model(results, ratings)
    if model is None or model == found.baseline:
        return found
    return replace(found, rest=[*found.rest, against(results, ratings, model, found.baseline)])


def rating_verdict(results: Results, ratings: RatingResults) -> Verdict:
    """The verdict of a study of ratings alone: its model against the best baseline, on each rating.

    The tone is "good" where the model is better on a rating and worse on none, "bad" the other way round.
    """
    name, baseline = main_rating_model(results, ratings), best_baseline(results)
    if name is None:
        return Verdict("open", "No model of the study was evaluated, only baselines.", [], baseline, baseline)
    outcomes = set(outcomes_of(ratings, name, baseline).values())
    decided: set[Tone] = {TONES[outcome] for outcome in outcomes} - {"open"}
    tone: Tone = decided.pop() if len(decided) == 1 else "open"
    rest = [] if results.reference in (name, baseline) else [against(results, ratings, name, results.reference)]
    rest += share_of_ceiling(ratings, name)
    return Verdict(tone, against(results, ratings, name, baseline), [text for text in rest if text], name, baseline)


def main_rating_model(results: Results, ratings: RatingResults) -> str | None:
    """The model that represents the study: the one that it names, else that of highest mean r among those trained."""
    if results.chosen is not None and results.kinds[results.chosen] != "baseline":
        return results.chosen
    means = {name: ratings.mean(name) for name in results.ordered_models("study", "ensemble")}
    known = {name: mean for name, mean in means.items() if mean is not None}
    return max(known, key=known.__getitem__) if known else None


def outcomes_of(ratings: RatingResults, model: str, reference: str) -> dict[str, Outcome]:
    """The outcome of each rating on which two models were compared, by Pearson's r.

    Intervals that hold for all models together are not needed: the comparison was fixed beforehand.
    """
    found = {}
    for name in ratings.names:
        compared = ratings.comparison(name)
        difference = compared.difference(model, reference, RATING_PRIMARY)
        if difference is not None:
            info = RATING_METRICS[RATING_PRIMARY]
            found[name] = outcome_of(difference, info, is_enough=compared.is_enough, several=False)
    return found


def against(results: Results, ratings: RatingResults, model: str, reference: str) -> str:
    """One sentence on a model and its reference over all ratings; empty where they were not compared."""
    outcomes = outcomes_of(ratings, model, reference)
    if not outcomes:
        return capitalized(f"{label_of(model)} was not compared with {label_of(reference)} on the ratings.")
    words = baseline_in_words(results, reference) if reference == best_baseline(results) else label_of(reference)
    words += "," if "," in words else ""
    parts: list[str] = []
    for outcome in dict.fromkeys(outcomes.values()):
        names = [name for name, found in outcomes.items() if found == outcome]
        whom = "it" if parts else words
        parts.append(f"{IN_WORDS[outcome]} {whom} on {listed([_numbers(ratings, n, model, reference) for n in names])}")
    few = [name for name, outcome in outcomes.items() if outcome == "cannot tell"]
    reason = f"; too few test pairs have {listed(few, 'or')} for a verdict" if few else ""
    runs = training_runs(results, model)
    return capitalized(f"{label_of(model)} {', but '.join(parts)}, by Pearson’s r{runs}{reason}.")


def _numbers(ratings: RatingResults, name: str, model: str, reference: str) -> str:
    compared = ratings.comparison(name)
    difference = compared.difference(model, reference, RATING_PRIMARY)
    assert difference is not None, "only ratings with an outcome are described"
    own, other = (number(compared.models[each][RATING_PRIMARY]) for each in (model, reference))
    return f"{name} ({own} against {other}, {with_interval(difference)})"


def share_of_ceiling(ratings: RatingResults, model: str) -> list[str]:
    """What the raters' own means would reach, beside the model; empty where the ceiling is unknown."""
    parts = [
        f"{number(value)} on {name}"
        for name in ratings.names
        if (value := (ratings.ceiling.get(name) or {}).get(RATING_PRIMARY)) is not None
    ]
    if not parts:
        return []
    return [
        f"With as many raters as each pair has, the raters’ true means would reach a Pearson’s r of {listed(parts)}: "
        f"no model can be expected to exceed this."
    ]
