"""What the studies of transfer and of pseudo-labels support, one sentence each; intervals decide, never point values.

Each study makes several comparisons, so that the intervals that hold for all of them together decide.
"""

from emocap.report.files.comparison import Difference, MetricInfo, primary_of
from emocap.report.files.studies import PseudoLabelStudy, TransferStudy
from emocap.report.outcome import IN_WORDS, Outcome, outcome_of
from emocap.report.text import capitalized, listed, with_interval

CONTROLS = {
    "random": "those of a random sample",
    "shuffled": "the same ones assigned to other pairs",
    "none": "none at all (further training of the teacher instead)",
}
TOO_SMALL = "No verdict: the test set is too small."
PSEUDO_LABELS_IN_WORDS: dict[Outcome, str] = {
    "better": "are better than",
    "inconclusive": "are not shown to differ from",
    "worse": "are worse than",
}


def transfer_sentence(study: TransferStudy, metrics: dict[str, MetricInfo]) -> str:
    """Whether AnB+ with the most layers copied is better than the teacher, and whether BnB shows co-adaptation.

    BnB is compared with BnB+ of the same n, which differs from it only in the freezing. A comparison with the teacher
    would also measure the newly initialized layers, since the teacher starts from pretrained weights everywhere.
    """
    if not study.is_enough:
        return TOO_SMALL
    reference = next((point.model for point in study.points if point.run == "teacher"), None)
    if reference is None:
        return "The study ran without its controls, so the effect of the copied layers is unknown."
    parts = []
    fine_tuned = [point for point in study.points if point.run == "AnB+"]
    if fine_tuned:
        deepest = max(fine_tuned, key=lambda point: point.n or 0)
        difference = study.difference(deepest.model, reference, primary_of(metrics))
        of_all = f"all {study.n_layers}" if deepest.n == study.n_layers else f"{deepest.n} of {study.n_layers}"
        what = f"copying {of_all} layers and fine-tuning (AnB+)"
        if difference is None:
            parts.append(f"{what} was not compared with the teacher")
        else:
            outcome = IN_WORDS[_outcome(difference, metrics)]
            numbers = with_interval(difference, several=True)
            parts.append(f"{what} {outcome} training on the target alone: {numbers}")
    parts += _co_adaptation(study, metrics)
    return capitalized("; ".join(parts)) + "." if parts else ""


def _outcome(difference: Difference, metrics: dict[str, MetricInfo]) -> Outcome:
    return outcome_of(difference, metrics[primary_of(metrics)], is_enough=True, several=True)


def _co_adaptation(study: TransferStudy, metrics: dict[str, MetricInfo]) -> list[str]:
    fine_tuned = {point.n: point.model for point in study.points if point.run == "BnB+"}
    middle = [p for p in study.points if p.run == "BnB" and p.n is not None and 0 < p.n < study.n_layers]
    compared = {
        p.n: d
        for p in middle
        if p.n in fine_tuned and (d := study.difference(p.model, fine_tuned[p.n], primary_of(metrics))) is not None
    }
    if not compared:
        return []
    worse = {n: d for n, d in compared.items() if _outcome(d, metrics) == "worse"}
    if not worse:
        return [f"no sign of fragile co-adaptation: BnB is not shown to be worse than BnB+ at any of {_at(compared)}"]
    worst = min(worse, key=lambda n: worse[n].difference)
    most = f", most at n = {worst}: " if len(worse) > 1 else ": "
    return [
        f"a sign of fragile co-adaptation: BnB is worse than BnB+ at {_at(worse)} ({len(worse)} of the {len(compared)} "
        f"between none and all){most}{with_interval(worse[worst], several=True)}"
    ]


def _at(by_n: dict[int | None, Difference]) -> str:
    return "n = " + listed([str(n) for n in sorted(n for n in by_n if n is not None)])


def pseudo_label_sentence(study: PseudoLabelStudy, metrics: dict[str, MetricInfo]) -> str:
    """Whether the real pseudo-labels are better than each control."""
    if not study.is_enough:
        return TOO_SMALL
    base = next(point.model for point in study.points if point.varied == "base")
    controls: dict[Outcome, list[str]] = {outcome: [] for outcome in PSEUDO_LABELS_IN_WORDS}
    for point in study.points:
        difference = study.difference(point.model, base, primary_of(metrics))
        if point.varied != "control" or difference is None:
            continue
        gain = difference.reversed()
        control = CONTROLS.get(str(point.value), point.model)
        controls[_outcome(gain, metrics)].append(f"{control} ({with_interval(gain, several=True)})")
    if not any(controls.values()):
        return "No control was run, so the effect of the pseudo-labels themselves is unknown."
    parts = [
        f"{words} {listed(controls[outcome], 'or' if outcome == 'inconclusive' else 'and')}"
        for outcome, words in PSEUDO_LABELS_IN_WORDS.items()
        if controls[outcome]
    ]
    return f"The selected pseudo-labels {', but '.join(parts) if len(parts) < 3 else '; '.join(parts)}."
