"""The report of a training on one table: candidates with scores, the choice and its reason, and what was left out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from emocap.corpora.pairs import Pairs
from emocap.files import write_text
from emocap.fitting.candidates import Candidate
from emocap.fitting.chance import Chance
from emocap.fitting.choice import LEAST_SHARE, PRIOR, Scored
from emocap.fitting.scores import score_name
from emocap.fitting.table import LabelledTable
from emocap.html_templates import templates_of

PAGE = "report.html"
MOST_REJECTED = 20
DOUBTFUL = 0.05  # share of bootstrap samples, or of shuffles


@dataclass(frozen=True)
class TrainingReport:
    """What a training found.

    Attributes:
        table: what the table is called.
        n_rows: rows that were learned from.
        n_held_out: rows that candidates were compared on, each by a fit without it.
        n_images: distinct images that the rows name, 0 without a folder of images.
        labels: name of each learned emotion to the number of rows that name it.
        ratings: name of each learned rating to the ends of its scale.
        metric: what `score` is.
        candidates: for each candidate and average, simplest first, its `name`, `description`, `score`, `interval`
            (95%), `accuracy` (None unless every row has one emotion), and `share_as_good`.
        chosen: name of the chosen one.
        reason: why, in one sentence.
        chance: `score` of the best candidate on shuffled labels, a mean, and `share_as_good`, the share of shuffles in
            which it is at least as good as the chosen one on the true labels.
        remarks: sentences on what was left out.
        rejected: the first rejected rows, `where` and `reason`.
        n_rejected: rows that could not be used.
    """

    table: str
    n_rows: int
    n_held_out: int
    n_images: int
    labels: dict[str, int]
    ratings: dict[str, list[float]]
    metric: str
    candidates: list[dict[str, Any]]
    chosen: str
    reason: str
    chance: dict[str, float]
    remarks: list[str] = field(default_factory=list)
    rejected: list[dict[str, str]] = field(default_factory=list)
    n_rejected: int = 0

    def of(self, name: str) -> dict[str, Any]:
        """The candidate, or average, of this name."""
        return next(one for one in self.candidates if one["name"] == name)

    def evaluation(self) -> dict[str, Any]:
        """What is beside the chosen model as its score, in the form of the studies' models."""
        own, prior = self.of(self.chosen), self.of(PRIOR)
        return {
            "data": self.table,
            "n_pairs": self.n_held_out,
            "n_images": self.n_images,
            "metric": self.metric,
            "score": own["score"],
            "interval": own["interval"],
            "baseline": PRIOR,
            "baseline_score": prior["score"],
            "baseline_interval": prior["interval"],
            "difference": None,
            "decision": None,
            "verdict": self.reason,
            "version": version("emocap"),
        }


def report_of(
    table: LabelledTable,
    source: str,
    pairs: Pairs,
    candidates: Mapping[str, Candidate],
    scored: Sequence[Scored],
    chosen: Scored,
    chance: Chance,
    image_remarks: Sequence[str],
) -> TrainingReport:
    """The report.

    Args:
        source: what the table is called.
        pairs: as they were read, with the rejected rows.
        candidates: by name.
        scored: candidates and averages, simplest first.
    """
    metric = score_name(table.is_single, len(table.vocabulary) > 0)
    rows = [
        {
            "name": one.name,
            "description": _described(one, candidates),
            "score": one.score,
            "interval": list(one.interval),
            "accuracy": one.accuracy,
            "share_as_good": one.share_as_good,
        }
        for one in scored
    ]
    counts = table.truth.sum(axis=0).astype(int).tolist()
    return TrainingReport(
        table=source,
        n_rows=len(table.pairs),
        n_held_out=len(chosen.probabilities),
        n_images=len(table.pairs.distinct_images()) if table.has_images else 0,
        labels=dict(zip(table.vocabulary.labels, counts, strict=True)),
        ratings=table.ratings.ranges,
        metric=metric,
        candidates=rows,
        chosen=chosen.name,
        reason=_reason(metric, scored, chosen),
        chance=asdict(chance),
        remarks=[*table.remarks, *pairs.notes, *image_remarks, *_warnings(scored, chosen, chance)],
        rejected=[{"where": one.where, "reason": one.reason} for one in pairs.rejected[:MOST_REJECTED]],
        n_rejected=len(pairs.rejected),
    )


def _described(one: Scored, candidates: Mapping[str, Candidate]) -> str:
    if len(one.members) == 1:
        return candidates[one.members[0]].description
    return f"mean of the logits of {' and '.join(one.members)}"


def _reason(metric: str, scored: Sequence[Scored], chosen: Scored) -> str:
    n = len(chosen.probabilities)
    text = f"{metric} {chosen.score:.3f} on {n:,} rows, each predicted by a fit without it"
    best = max(scored, key=lambda one: one.score)
    if best is chosen:
        return f"{text}, the highest of {len(scored)} candidates"
    return (
        f"{text}; {best.name} has {best.score:.3f}, but is better in only {1 - chosen.share_as_good:.0%} of bootstrap "
        f"samples, and the simpler one is taken from {LEAST_SHARE:.0%} on"
    )


def _warnings(scored: Sequence[Scored], chosen: Scored, chance: Chance) -> list[str]:
    prior = next(one for one in scored if one.name == PRIOR)
    if chosen is prior:
        return [
            "no candidate is better than the frequencies of the emotions: the model predicts the same for every row"
        ]
    found = []
    if prior.share_as_good >= DOUBTFUL:
        found.append(
            f"the frequencies of the emotions score {prior.score:.3f}, and at least as much as the best candidate in "
            f"{prior.share_as_good:.0%} of bootstrap samples"
        )
    if chance.share_as_good >= DOUBTFUL:
        found.append(
            f"with shuffled labels the best candidate scores {chance.score:.3f} on average, and at least "
            f"{chosen.score:.3f} in {chance.share_as_good:.0%} of shuffles"
        )
    if found:
        found[-1] += "; it is not shown that the chosen model learned anything: label more rows"
    return found


def write_report(folder: Path, report: TrainingReport) -> None:
    """Write the report's page."""
    template = templates_of("emocap.fitting").get_template("training_report.html")
    write_text(folder / PAGE, template.render(report=report, page_title=f"Training on {report.table}"))
