"""Calibration in words: how logits were scaled, and in which ranges probabilities are off."""

from collections import Counter
from collections.abc import Mapping

from emocap.report.files.comparison import Difference
from emocap.report.files.results import Calibration, Gap
from emocap.report.text import capitalized, label_of, listed, number, signed, with_interval

METHODS = {
    "none": "not scaled",
    "temperature": "temperature",
    "platt": "Platt",
    "platt_per_emotion": "Platt per emotion",
}
MOST_OFF, LEAST_CELLS = 0.03, 100


def methods_in_words(entry: Calibration) -> str:
    """How a model's logits were scaled, and in how many units where these differ.

    >>> curve = {"confidence": [], "frequency": [], "count": []}
    >>> errors = {"ece_before": None, "ece_after": None, "before": curve, "after": curve}
    >>> methods_in_words(Calibration.model_validate(errors | {"methods": ["platt", "none", "platt"]}))
    'Platt in 2, not scaled in 1'
    """
    counts = Counter(entry.methods)
    if len(counts) < 2:
        return METHODS[entry.methods[0]] if entry.methods else "–"
    return ", ".join(f"{METHODS[method]} in {n}" for method, n in counts.most_common())


def scaled_models(models: Mapping[str, Calibration]) -> str:
    """Which models' logits were scaled; empty where a run did not record it."""
    known = {name: entry for name, entry in models.items() if entry.methods}
    scaled = [label_of(name) for name, entry in known.items() if entry.is_scaled]
    left = [label_of(name) for name, entry in known.items() if not entry.is_scaled]
    if not known:
        return ""
    partly = [label_of(name) for name, entry in known.items() if entry.is_scaled and "none" in entry.methods]
    rest = f" In some folds or seeds those of {listed(partly)} were not." if partly else ""
    if not left:
        return f"The logits of every model were scaled.{rest}"
    if not scaled:
        return "No logits were scaled."
    return f"The logits of {listed(scaled)} were scaled, but not those of {listed(left)}.{rest}"


def ranges_off(model: str, entry: Calibration | None) -> str:
    """Which tenths of the range with enough cells are off by more than `MOST_OFF`; empty where none was recorded."""
    if entry is None or not entry.ranges:
        return ""
    enough = [tenth for tenth in entry.ranges if tenth.n_cells >= LEAST_CELLS]
    off = [tenth for tenth in enough if abs(tenth.difference or 0.0) > MOST_OFF]
    of_model = f"{capitalized(label_of(model))}’s probabilities"
    if not off:
        return f"{of_model} are off by at most {MOST_OFF} in every tenth with {LEAST_CELLS} cells or more."
    parts = [f"{tenth.low:.1f} to {tenth.high:.1f} ({gap_text(tenth)})" for tenth in off]
    return f"{of_model} are off by more than {MOST_OFF} from {listed(parts)}."


def gap_cells(gap: Gap) -> list[str]:
    """Mean probability, true share, and their difference with its interval."""
    return [number(gap.predicted), number(gap.frequency), gap_text(gap)]


def gap_text(gap: Gap) -> str:
    """True share less mean probability, with its interval where it is known.

    >>> gap_text(Gap(predicted=0.41, frequency=0.33, interval=(-0.12, -0.05))).split(), gap_text(Gap())
    (['−0.080', '[−0.120,', '−0.050]'], '–')
    """
    if gap.difference is None:
        return "–"
    if gap.interval is None:
        return signed(gap.difference)
    low, high = gap.interval
    return with_interval(Difference(difference=gap.difference, low=low, high=high))
