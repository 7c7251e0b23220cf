"""What the page shows above its sections: a few key numbers, and how the study was repeated."""

from emocap.evaluation.rating_metrics import RATING_PRIMARY
from emocap.html_templates import percent
from emocap.report.files.comparison import Difference, Interval, Sample
from emocap.report.files.results import Results
from emocap.report.files.run import Run
from emocap.report.outcome import HUMAN_METRIC, human_share, oracle_share
from emocap.report.text import (
    counted_images,
    interval_text,
    metric_in_sentence,
    metric_name,
    number,
    percent_interval,
    signed,
    signed_interval,
)
from emocap.report.verdict import Verdict
from emocap.study.models import display_name

MAX_TILES = 4


def tiles(run: Run, outcome: Verdict) -> list[tuple[str, str, str]]:
    """Name, value and remark of at most four key numbers."""
    results, name, difference = run.results, outcome.model, outcome.difference
    score = number(results.models[name][results.primary])
    shown = [(f"{metric_name(results.primary)}, {display_name(name)}", score, _score_remark(results, name))]
    if results.sample is not None and not results.is_enough:
        return [*shown, *_sizes(results.sample, results.drawn)]
    if difference is not None:
        what = f"{display_name(name)} minus {display_name(outcome.baseline)}"
        shown.append((what, signed(difference.difference), _remark(difference)))
    to_teacher = results.difference("AnB+", "teacher", results.primary)
    if to_teacher is not None:
        shown.append(("AnB+ minus teacher", signed(to_teacher.difference), _remark(to_teacher)))
    share, of_human = oracle_share(results, name), human_share(results, name)
    if of_human is not None:
        in_metric = metric_in_sentence(HUMAN_METRIC)
        remark = f"{in_metric} against the other annotators {percent_interval(of_human.interval)}".rstrip()
        shown.append(("Share of one annotator’s score", percent(of_human.value), remark))
    elif share is not None:
        shown.append(("Share of the possible gain", percent(share.of_gain), "from the prior to the oracle"))
    shown = [*shown, *_rating_tiles(results, name)][:MAX_TILES]
    if len(shown) < MAX_TILES:
        images = f"on {counted_images(results.n_test_images, results, 'held-out')}"
        shown.append(("Test pairs", f"{results.n_test_pairs:,}", images))
    return shown


def _rating_tiles(results: Results, model: str) -> list[tuple[str, str, str]]:
    """A model's Pearson's r of each rating; of a study of ratings alone, whose first tile has their mean."""
    if results.labels or results.ratings is None:
        return []
    compared = {name: results.rating(name) for name in results.ratings.names}
    return [
        (f"{metric_name(RATING_PRIMARY)} of {name}", number(each.models[model][RATING_PRIMARY]),
         _interval_remark(each.interval(model, RATING_PRIMARY)))
        for name, each in compared.items()
    ]  # fmt: skip


def _sizes(sample: Sample, drawn: str) -> list[tuple[str, str, str]]:
    positives = (
        "Positive labels of test pairs",
        f"{sample.n_positives:,}",
        f"a verdict needs at least {sample.least_positives:,}",
    )
    return [
        (f"Test {drawn}s", f"{sample.n_images:,}", f"a verdict needs at least {sample.least_images:,}"),
        *([positives] if sample.least_positives else []),
    ]


def _score_remark(results: Results, name: str) -> str:
    return _interval_remark(results.interval(name, results.primary))


def _interval_remark(interval: Interval | None) -> str:
    return "" if interval is None else f"95% interval {interval_text(interval)}"


def _remark(difference: Difference) -> str:
    return f"95% interval {signed_interval(difference)}"


def repeats(results: Results) -> str:
    """How the test predictions were obtained, in words; empty for one split and one seed."""
    parts = (
        []
        if results.folds is None
        else [
            f"{results.folds}-fold cross-validation by {results.drawn}, every {results.drawn} tested once and all "
            "predictions pooled"
        ]
    )
    if len(results.seeds) > 1:
        parts.append(f"means over {len(results.seeds)} seeds")
    return ", ".join(parts)


def first_unit(run: Run) -> str:
    """Which seed and fold a part of the page shows that shows only one; empty where the study has only one."""
    if len(run.manifest.units) == 1:
        return ""
    results = run.results
    seed = f"seed {results.seeds[0]}"
    return f"{seed} of {len(results.seeds)} seeds" if results.folds is None else f"{seed}, fold 0 of {results.folds}"
