"""The text of an included model's MODEL_CARD.md, from a run's results."""

import re
from typing import Any

from emocap.classifiers.compact import Compactness
from emocap.evaluation.metrics import METRICS
from emocap.study.models import MODELS, display_name
from emocap.training.checkpoint import ModelCard

SHOWN = ("top1_accuracy", "recall_at_3", "mean_average_precision", "expected_calibration_error")
# Reader to the corpus's name and the licence that its authors state; docs/DATA.md has more.
CORPORA = {
    "socratis": ("Socratis", "none stated, for research"),
    "socratis-csv": ("Socratis", "none stated, for research"),
    "flickr8k": ("Flickr8k", "for non-commercial research and education"),
    "flickrstyle": ("Flickr8k and FlickrStyle10K", "for research"),
    "news-texts": ("short news texts", "of the newspapers, for research"),
    "flickr30k": ("Flickr30k", "for non-commercial research"),
    "coco": ("COCO captions", "CC BY 4.0"),
    "conceptual-captions": ("Conceptual Captions", "free use with credit to Google LLC"),
    "nemo": ("NEmo+", "MIT"),
}
LIMITS = (
    "- It learned what a few annotators wrote about captions of news and of the web in English. Other languages, other "
    "cultures, posts and jokes are beyond it; remarks say where a caption or an image is unlike its data.",
    "- Rare emotions are learned from few examples: a low probability of one says little.",
    "- Do not use it to judge what a person feels, or to decide about people.",
)
ROLES = {"target": "labelled by people", "source": "labelled by the teacher", "labelled_source": "a further source"}


def _corpora(manifest: dict[str, Any], model: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Role, number of pairs in words, and configuration of each corpus that a model of a run learned from."""
    found = []
    for role in (role for role in ROLES if role in ("target", MODELS[model].corpus)):
        configured = manifest["config"].get(role)
        n_pairs = manifest["data"].get(role, {}).get("pairs")
        for corpus in configured if isinstance(configured, list) else [configured]:
            if corpus is not None:
                found.append((role, f"{n_pairs:,} pairs" if n_pairs else "", corpus))
    return found


def _name(corpus: dict[str, Any]) -> str:
    return CORPORA.get(corpus["format"], (corpus["path"].rsplit("/", 1)[-1].partition(".")[0], ""))[0]


def data_of(manifest: dict[str, Any], model: str) -> str:
    """What a model of a run learned from, in a line."""
    parts = []
    for role in ROLES:
        corpora = [(size, corpus) for own, size, corpus in _corpora(manifest, model) if own == role]
        if corpora:
            names = ", ".join(dict.fromkeys(_name(corpus) for _, corpus in corpora))
            parts.append(f"{names} ({', '.join(filter(None, [corpora[0][0], ROLES[role]]))})")
    return "; ".join(parts)


def licence_of(manifest: dict[str, Any], model: str) -> str:
    """The licence of a model's weights and those of its data, in a line."""
    stated = {
        _name(corpus): CORPORA.get(corpus["format"], ("", "that of its publishers"))[1]
        for _, _, corpus in _corpora(manifest, model)
    }
    return f"weights Apache 2.0; data: {', '.join(f'{name} {licence}' for name, licence in stated.items())}"


def command_of(manifest: dict[str, Any]) -> str:
    """The command that made a run, without the paths of the machine."""
    return re.sub(
        r"(?<=[ =])/\S+",
        lambda path: "DATA" if path[0] == manifest["config"].get("data_root") else path[0].rsplit("/", 1)[-1],
        manifest["command"],
    )


def model_card_text(
    name: str,
    card: ModelCard,
    results: dict[str, Any],
    manifest: dict[str, Any],
    model: str,
    compactness: Compactness,
    difference: float,
    *,
    trained_apart: bool,
) -> str:
    """The model card in Markdown.

    Args:
        card: of the compact folder.
        results, manifest: contents of the run's files.
        model: name of the run's model that was measured.
        difference: largest difference of a probability between the compact model and the whole weights.
        trained_apart: whether the weights are not of the run itself.
    """
    return "\n".join(
        [
            f"# emocap's included model `{name}`",
            "",
            _summary(card),
            "",
            *_facts(card, manifest, model),
            "",
            "## Held-out scores",
            "",
            _splits(results, trained_apart),
            "",
            *_score_table(results, model),
            "",
            "## Calibration",
            "",
            *_calibration(results["calibration"].get(model, {})),
            "",
            "## Limits",
            "",
            *LIMITS,
            _precision(compactness, difference),
            "",
        ]
    )


def _summary(card: ModelCard) -> str:
    reads = "captions with or without images" if card.features is not None else "captions alone"
    extractor = "" if card.features is None else f" Images are read as regions of `{card.features['extractor']}`."
    return (
        f"Predicts the probability of {len(card.labels)} emotions that people name for {reads}: what an audience may "
        f"feel about the content, not what a person in an image feels.{extractor} Written by `benchmarks/included.py` "
        "from the results of a study."
    )


def _facts(card: ModelCard, manifest: dict[str, Any], model: str) -> list[str]:
    """The table of what the model is made of."""
    training, versions = card.training, manifest["versions"]
    backbone = f"`{training['backbone']}`, {training['backbone_bytes'] / 1e6:.0f} MB, checked by its SHA-256"
    made_by = f"`{command_of(manifest)}`, emocap {versions['emocap']}, torch {versions['torch']}"
    rows = {
        "emotions": ", ".join(card.labels),
        "learned from": training["data"],
        "language": card.language or "unknown",
        "licence": training["licence"],
        "backbone": backbone,
        "made by": made_by,
        "the study's model": display_name(model),
    }
    return ["| | |", "| --- | --- |", *(f"| {key} | {text} |" for key, text in rows.items())]


def _precision(compactness: Compactness, difference: float) -> str:
    rank = max(compactness.ranks.values(), default=0)
    return (
        f"- Stored in float16 with changes of at most rank {rank}: the largest relative error of a change is "
        f"{compactness.worst:.4f}, and over 30 captions no probability differs from that of the whole weights, which "
        f"were measured, by more than {difference:.4f}."
    )


def _splits(results: dict[str, Any], trained_apart: bool) -> str:
    n_pairs, folds, seeds = results["n_test_pairs"], results["folds"], results["seeds"]
    how = f"each tested once in {folds} folds, by models that had not seen it" if folds else "of one split"
    over = f", with {len(seeds)} seeds" if len(seeds) > 1 else ""
    which = " The weights here are those of the first fold's model." if folds else ""
    if trained_apart:
        which = " The weights here were trained apart with the same settings, on other parts of the pairs or on all."
    return f"{n_pairs:,} test pairs, {how}{over}. 95% intervals by bootstrap over {results['intervals_over']}.{which}"


def _score_table(results: dict[str, Any], model: str) -> list[str]:
    baseline = results["comparison_baseline"]["model"]
    rows = [name for name in dict.fromkeys([model, baseline, "prior"]) if name in results["models"]]
    metrics = [metric for metric in SHOWN if metric in results["models"][model]]
    lines = [
        f"| model | {' | '.join(METRICS[metric].display_name for metric in metrics)} |",
        "| --- |" + " --- |" * len(metrics),
    ]
    for row in rows:
        cells = [_value(results, row, metric) for metric in metrics]
        lines.append(f"| {display_name(row)} | {' | '.join(cells)} |")
    return lines


def _value(results: dict[str, Any], model: str, metric: str) -> str:
    value = results["models"][model].get(metric)
    low, high = results["intervals"][model].get(metric) or (None, None)
    interval = "" if low is None else f" [{low:.3f}, {high:.3f}]"
    return "-" if value is None else f"{value:.3f}{interval}"


def _calibration(entry: dict[str, Any]) -> list[str]:
    """The calibration error, and by tenth of the range how often what is predicted is true."""
    if not entry:
        return ["Not measured."]
    adaptive = f", adaptive {entry['adaptive_ece']:.4f}" if entry.get("adaptive_ece") is not None else ""
    before, after = entry["ece_before"], entry["ece_after"]
    lines = [f"Expected calibration error {before:.4f} before scaling, {after:.4f} after{adaptive}."]
    ranges = [tenth for tenth in entry.get("ranges") or [] if tenth["n_cells"]]
    if ranges:
        lines += ["", "| predicted | cells | mean predicted | true share |", "| --- | --- | --- | --- |"]
    for tenth in ranges:
        shares = f"{tenth['predicted']:.3f} | {tenth['frequency']:.3f}"
        lines.append(f"| {tenth['low']:.1f} to {tenth['high']:.1f} | {tenth['n_cells']:,} | {shares} |")
    return lines
