"""What each study supports, one sentence each; intervals decide, never the point values alone."""

from emocap.evaluation.metrics import PRIMARY
from emocap.report.files.comparison import Difference, MetricInfo
from emocap.report.files.studies import ModalityAblation, PseudoLabelStudy, TransferStudy
from emocap.report.outcome import IN_WORDS, Outcome, outcome_of
from emocap.report.text import capitalized, label_of, listed, with_interval

CONTROLS = {
    "random": "those of a random sample",
    "shuffled": "the same ones assigned to other pairs",
    "none": "none at all (further training of the teacher instead)",
}
PSEUDO_LABELS_IN_WORDS: dict[Outcome, str] = {
    "better": "are better than",
    "inconclusive": "are not shown to be better than",
    "worse": "are worse than",
}


def transfer_sentence(study: TransferStudy, metrics: dict[str, MetricInfo]) -> str:
    """Whether AnB+ with the most layers copied is better than the teacher, and whether BnB shows co-adaptation.

    BnB is compared with BnB+ of the same n, which differs from it only in the freezing. A comparison with the teacher
    would also measure the newly initialized layers, since the teacher starts from pretrained weights everywhere.
    """
    info = metrics[PRIMARY]
    reference = next((point.model for point in study.points if point.run == "teacher"), None)
    if reference is None:
        return "The study ran without its controls, so the effect of the copied layers is unknown."
    parts = []
    fine_tuned = [point for point in study.points if point.run == "AnB+"]
    if fine_tuned:
        deepest = max(fine_tuned, key=lambda point: point.n or 0)
        difference = study.difference(deepest.model, reference, PRIMARY)
        of_all = f"all {study.n_layers}" if deepest.n == study.n_layers else f"{deepest.n} of {study.n_layers}"
        what = f"copying {of_all} layers and fine-tuning (AnB+)"
        if difference is None:
            parts.append(f"{what} was not compared with the teacher")
        else:
            outcome = IN_WORDS[outcome_of(difference, info)]
            parts.append(f"{what} {outcome} training on the target alone: {with_interval(difference)}")
    parts += _co_adaptation(study, info)
    return capitalized("; ".join(parts)) + "." if parts else ""


def _co_adaptation(study: TransferStudy, info: MetricInfo) -> list[str]:
    fine_tuned = {point.n: point.model for point in study.points if point.run == "BnB+"}
    middle = [p for p in study.points if p.run == "BnB" and p.n is not None and 0 < p.n < study.n_layers]
    compared = {
        p.n: d
        for p in middle
        if p.n in fine_tuned and (d := study.difference(p.model, fine_tuned[p.n], PRIMARY)) is not None
    }
    if not compared:
        return []
    worse = {n: d for n, d in compared.items() if outcome_of(d, info) == "worse"}
    if not worse:
        return [f"no sign of fragile co-adaptation: BnB is not worse than BnB+ at any of {_at(compared)}"]
    worst = min(worse, key=lambda n: worse[n].difference)
    most = f", most at n = {worst}: " if len(worse) > 1 else ": "
    return [
        f"a sign of fragile co-adaptation: BnB is worse than BnB+ at {_at(worse)} ({len(worse)} of the {len(compared)} "
        f"between none and all){most}{with_interval(worse[worst])}"
    ]


def _at(by_n: dict[int | None, Difference]) -> str:
    return "n = " + listed([str(n) for n in sorted(n for n in by_n if n is not None)])


def pseudo_label_sentence(study: PseudoLabelStudy, metrics: dict[str, MetricInfo]) -> str:
    """Whether the real pseudo-labels are better than each control."""
    base = next(point.model for point in study.points if point.varied == "base")
    controls: dict[Outcome, list[str]] = {outcome: [] for outcome in PSEUDO_LABELS_IN_WORDS}
    for point in study.points:
        difference = study.difference(point.model, base, PRIMARY)
        if point.varied != "control" or difference is None:
            continue
        negated = Difference(difference=-difference.difference, low=-difference.high, high=-difference.low)
        control = CONTROLS.get(str(point.value), point.model)
        controls[outcome_of(negated, metrics[PRIMARY])].append(f"{control} ({with_interval(negated)})")
    if not any(controls.values()):
        return "No control was run, so the effect of the pseudo-labels themselves is unknown."
    parts = [
        f"{words} {listed(controls[outcome], 'or' if outcome == 'inconclusive' else 'and')}"
        for outcome, words in PSEUDO_LABELS_IN_WORDS.items()
        if controls[outcome]
    ]
    return f"The selected pseudo-labels {', but '.join(parts) if len(parts) < 3 else '; '.join(parts)}."


def ablation_sentence(ablation: ModalityAblation, metrics: dict[str, MetricInfo]) -> str:
    """Whether the model uses the caption and the image, by what it loses without them and with another pair's."""
    caption = _use_of(ablation, metrics[PRIMARY], "the caption", "image_only", "other_caption")
    image = _use_of(ablation, metrics[PRIMARY], "the image", "caption_only", "other_image")
    parts = [part for part in (caption, image) if part]
    return f"{capitalized(label_of(ablation.model))} {'; it '.join(parts)}." if parts else ""


def _use_of(ablation: ModalityAblation, info: MetricInfo, what: str, removed: str, swapped: str) -> str:
    known = [
        (words, difference)
        for name, words in ((removed, "without it"), (swapped, "with another pair’s"))
        if (difference := ablation.difference(name, "both", PRIMARY)) is not None
    ]
    if not known:
        return ""
    numbers = listed([f"{words} {with_interval(difference)}" for words, difference in known])
    uses = any(outcome_of(difference, info) == "worse" for _, difference in known)
    return f"{'uses' if uses else 'is not shown to use'} {what} ({numbers})"
