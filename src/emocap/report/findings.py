"""What the studies support or do not, one sentence each; intervals decide, never the point values alone."""

from emocap.report.files.results import PRIMARY, Difference, Metric, PseudoLabelStudy, Signal, TransferStudy
from emocap.report.text import listed, opening, the, with_interval
from emocap.report.verdict import standing

CONTROLS = {
    "random": "those of a random sample",
    "shuffled": "the same ones given to other pairs",
    "none": "none at all (the teacher trained on instead)",
}


def transfer_sentence(study: TransferStudy, metrics: dict[str, Metric]) -> str:
    """Whether AnB+ at the most layers is better than the teacher, and whether BnB shows fragile co-adaptation.

    BnB is held against BnB+ of the same n, which differs from it in nothing but the freezing: the teacher began from
    pre-trained weights everywhere, so that BnB below the teacher may only show what the layers drawn anew lack.
    """
    rule = metrics[PRIMARY]
    reference = next((point.model for point in study.points if point.run == "teacher"), None)
    if reference is None:
        return "The study ran without its controls, so that nothing tells what the copied layers are worth."
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
            is_it = {"better": "is better than", "worse": "is worse than", "open": "is not shown to be better than"}
            stands = is_it[standing(difference, rule)]
            parts.append(f"{what} {stands} training on the target alone: {with_interval(difference)}")
    parts += _co_adaptation(study, rule)
    return opening("; ".join(parts)) + "." if parts else ""


def _co_adaptation(study: TransferStudy, rule: Metric) -> list[str]:
    thawed = {point.n: point.model for point in study.points if point.run == "BnB+"}
    middle = [p for p in study.points if p.run == "BnB" and p.n is not None and 0 < p.n < study.n_layers]
    compared = {
        p.n: d for p in middle if p.n in thawed and (d := study.difference(p.model, thawed[p.n], PRIMARY)) is not None
    }
    if not compared:
        return []
    below = {n: d for n, d in compared.items() if standing(d, rule) == "worse"}
    if not below:
        return [f"fragile co-adaptation does not show, BnB not being below BnB+ at any of {_at(compared)}"]
    worst = min(below, key=lambda n: below[n].difference)
    most = f", most at n = {worst}: " if len(below) > 1 else ": "
    return [
        f"fragile co-adaptation may show, BnB being below BnB+ at {_at(below)} ({len(below)} of "
        f"the {len(compared)} between none and all){most}{with_interval(below[worst])}"
    ]


def _at(by_n: dict[int | None, Difference]) -> str:
    return "n = " + listed([str(n) for n in sorted(n for n in by_n if n is not None)])


def pseudo_label_sentence(study: PseudoLabelStudy, metrics: dict[str, Metric]) -> str:
    """Whether the real pseudo-labels are better than each control."""
    base = next(point.model for point in study.points if point.varied == "base")
    found: dict[str, list[str]] = {"better": [], "worse": [], "open": []}
    for point in study.points:
        difference = study.difference(point.model, base, PRIMARY)
        if point.varied != "control" or difference is None:
            continue
        turned = Difference(difference=-difference.difference, low=-difference.high, high=-difference.low)
        control = CONTROLS.get(str(point.value), point.model)
        found[standing(turned, metrics[PRIMARY])].append(f"{control} ({with_interval(turned)})")
    if not any(found.values()):
        return "No control was run, so that nothing tells what the pseudo-labels themselves are worth."
    parts = [
        f"{words} {listed(found[stands], 'or' if stands == 'open' else 'and')}"
        for stands, words in (
            ("better", "are better than"),
            ("open", "are not shown to be better than"),
            ("worse", "are worse than"),
        )
        if found[stands]
    ]
    return f"The selected pseudo-labels {', but '.join(parts) if len(parts) < 3 else '; '.join(parts)}."


def signal_sentence(signal: Signal, metrics: dict[str, Metric]) -> str:
    """Whether the model needs the caption and the picture, by what it loses without them and with another pair's."""
    caption = _loses(signal, metrics[PRIMARY], "the caption", "image_only", "other_caption")
    picture = _loses(signal, metrics[PRIMARY], "the picture", "caption_only", "other_image")
    parts = [part for part in (caption, picture) if part]
    return f"{opening(the(signal.model))} {'; it '.join(parts)}." if parts else ""


def _loses(signal: Signal, rule: Metric, what: str, taken: str, exchanged: str) -> str:
    known = [
        (words, difference)
        for name, words in ((taken, "without it"), (exchanged, "with another pair’s"))
        if (difference := signal.difference(name, "both", PRIMARY)) is not None
    ]
    if not known:
        return ""
    numbers = listed([f"{words} {with_interval(difference)}" for words, difference in known])
    uses = any(standing(difference, rule) == "worse" for _, difference in known)
    return f"{'uses' if uses else 'is not shown to use'} {what} ({numbers})"
