"""What `emocap evaluate` prints: scores with intervals, a verdict, and what the model scored in its study."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from emocap.cli.output import print_ratings, print_scores, printable, shown_interval, shown_value

if TYPE_CHECKING:
    from emocap.api.corpus_evaluation import CorpusEvaluation

MAX_LABELS = 20
HASH_DIGITS = 16


def print_evaluation(evaluation: "CorpusEvaluation", data: Path) -> None:
    """Print tables of scores, then one line for everything else that must be known to quote them."""
    if evaluation.scores:
        print_scores(evaluation.scores)
    if evaluation.ratings is not None:
        print_ratings(evaluation.ratings)
    for line in _lines(evaluation, data):
        typer.echo(printable(line))


def _lines(evaluation: "CorpusEvaluation", data: Path) -> Iterator[str]:
    from emocap.report.text import counted

    images = counted(evaluation.n_images, "image", "images") if evaluation.n_images else "no images"
    size = [counted(evaluation.n_pairs, "pair", "pairs"), images]
    size += [counted(len(evaluation.labels), "emotion", "emotions")] if evaluation.labels else []
    size += [] if evaluation.ratings is None else [counted(len(evaluation.ratings["names"]), "rating", "ratings")]
    yield (
        f"measured on {data}: {', '.join(size)}; emocap {evaluation.version}, model {evaluation.folder} with hash "
        f"{evaluation.model_hash[:HASH_DIGITS]}"
    )
    if evaluation.labels:
        yield from _primary(evaluation)
    if evaluation.left_out is not None:
        yield f"left out, only the model knows them: {_first(evaluation.left_out.only_model)}"
        yield f"left out, only the data have them: {_first(evaluation.left_out.only_data)}"
    yield _study(evaluation.study)


def _primary(evaluation: "CorpusEvaluation") -> Iterator[str]:
    """The primary metric of each row with its interval, and whether the model is better than the prior."""
    from emocap.evaluation.metrics import METRICS, PRIMARY

    name = METRICS[PRIMARY].short_name
    values = [
        f"{model} {shown_value(scores.get(PRIMARY))}{shown_interval(evaluation.intervals[model].get(PRIMARY))}"
        for model, scores in evaluation.scores.items()
    ]
    over = "images" if evaluation.n_images else "pairs"
    yield f"{name} with 95% intervals over {over}: {'; '.join(values)}"
    difference = evaluation.differences.get(PRIMARY)
    if difference is not None:
        yield f"compared with the prior: {_verdict(difference, evaluation.sample, over)}"


def _verdict(difference: dict[str, Any], sample: dict[str, Any], over: str) -> str:
    from emocap.evaluation.metrics import METRICS, PRIMARY
    from emocap.evaluation.verdicts import decide
    from emocap.report.text import EQUAL

    verdict = decide(
        difference["low"],
        difference["high"],
        higher_is_better=METRICS[PRIMARY].higher_is_better,
        is_enough=sample["is_enough"],
        deciding_images=difference["deciding_images"],
    )
    value = f"{difference['difference']:+.3f} [{difference['low']:+.3f}, {difference['high']:+.3f}]"
    smallest = f"the smallest difference that these data would show is {difference['minimum_detectable']:.3f}"
    if difference["minimum_detectable"] <= EQUAL:
        smallest = "every bootstrap sample of them is alike, so that what they could show is unknown"
    if verdict == "cannot tell":
        sizes = f"{sample['n_images']} {over} with {sample['n_positives']} positive labels are too few"
        least = f"at least {sample['least_images']} and {sample['least_positives']}"
        return f"cannot tell, {sizes} ({least}); {smallest}"
    return f"inconclusive, {value}; {smallest}" if verdict == "inconclusive" else f"{verdict}, {value}"


def _study(study: dict[str, Any] | None) -> str:
    """What a model scored in its study, beside a baseline there."""
    if study is None:
        return "in its study: unknown, since the model folder has no evaluation.json; run the study again to write it"
    from emocap.evaluation.metrics import METRICS
    from emocap.evaluation.rating_metrics import RATING_PRIMARY
    from emocap.study.models import compared_baseline

    metric = METRICS[study["metric"]].short_name if study.get("metric") in METRICS else study.get("metric")
    metric = "mean Pearson’s r" if metric == RATING_PRIMARY else metric
    parts = [f"{metric} {shown_value(study.get('score'))}{shown_interval(study.get('interval'))}"]
    if study.get("baseline") is not None:
        baseline = f"{shown_value(study.get('baseline_score'))}{shown_interval(study.get('baseline_interval'))}"
        parts.append(f"{compared_baseline(study['baseline'])} {baseline}")
    verdict = f". {study['verdict']}" if study.get("verdict") else ""
    return (
        f"in its study ({study.get('data')}, {study.get('n_pairs')} pairs, {study.get('n_images')} images): "
        f"{', '.join(parts)}{verdict}"
    )


def _first(labels: list[str]) -> str:
    more = f" and {len(labels) - MAX_LABELS} more" if len(labels) > MAX_LABELS else ""
    return (", ".join(labels[:MAX_LABELS]) or "none") + more
