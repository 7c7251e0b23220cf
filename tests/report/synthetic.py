"""Synthetic scores as in `docs/RUN_DIR.md`: intervals are ±0.03, of differences ±0.02, simultaneous ones ±0.03."""

from typing import Any

LABELS = ["happy", "sad", "awe", "calm", "fear", "tired"]
FIRST = ("top1_accuracy", "top2_accuracy", "top3_accuracy", "recall_at_3", "precision_at_3",
         "mean_average_precision", "bce")  # fmt: skip
MORE = ("top5_accuracy", "recall_at_5", "pooled_recall_at_3", "label_ranking_average_precision", "ndcg_at_5",
        "coverage_error", "micro_f1", "macro_f1", "hamming_loss", "expected_calibration_error")  # fmt: skip
METRICS = FIRST + MORE
LOWER = ("coverage_error", "hamming_loss", "bce", "expected_calibration_error")
# The metrics of FIRST; one best per column except for a tie in top-3 accuracy.
SCORES = {
    "prior": (0.60, 0.80, 0.88, 0.39, 0.31, 0.100, 0.345),
    "tfidf": (0.61, 0.81, 0.88, 0.40, 0.32, 0.200, 0.340),
    "teacher": (0.66, 0.82, 0.89, 0.42, 0.34, 0.250, 0.330),
    "student": (0.55, 0.70, 0.80, 0.33, 0.27, 0.090, 0.400),
    "AnB": (0.64, 0.84, 0.90, 0.41, 0.33, 0.200, 0.350),
    "AnB+": (0.70, 0.86, 0.90, 0.45, 0.36, 0.300, 0.310),
    "ensemble": (0.69, 0.85, 0.89, 0.44, 0.35, 0.290, 0.320),
}
CEILING = (0.80, 0.92, 0.97, 0.55, 0.44, 0.350, 0.250)
KINDS = {"prior": "baseline", "tfidf": "baseline", "vectors": "baseline", "neighbours": "baseline",
         "ensemble": "ensemble"}  # fmt: skip


def scores(values: tuple[float, ...], labels: list[str] | None = None) -> dict[str, Any]:
    """The given metrics of FIRST, all others derived from mean average precision."""
    quality = values[5]
    more = (0.9, quality + 0.2, quality + 0.1, quality + 0.2, quality + 0.25, 8 - 10 * quality, quality + 0.3,
            quality / 2, 0.2 - quality / 4, 0.05 - quality / 10)  # fmt: skip
    labels = labels or LABELS
    per_emotion = {label: max(0.0, min(0.4 / (place + 1) + quality, 0.99)) for place, label in enumerate(labels)}
    per_emotion |= {"tired": None}
    return {**dict(zip(METRICS, (*values, *more), strict=True)), "per_emotion_average_precision": per_emotion}


def comparison(
    models: dict[str, dict[str, Any]], references: list[str], spread: float | None = None, width: float = 0.02
) -> dict[str, Any]:
    """Scores with their intervals and their differences to each reference."""

    def difference(metric: str, model: str, reference: str) -> dict[str, Any]:
        value = models[model][metric] - models[reference][metric]
        deciding = None if "average" in metric or "f1" in metric else 41
        together = [value - 1.5 * width, value + 1.5 * width]
        found = {"difference": value, "low": value - width, "high": value + width, "deciding_images": deciding,
                 "simultaneous": together}  # fmt: skip
        if metric == "mean_average_precision":
            found |= {"minimum_detectable": 0.0286, "pairs_needed": 1830 if value else None}
        return found

    return {
        "models": models,
        "intervals": {m: {k: [s[k] - 0.03, s[k] + 0.03] for k in METRICS} for m, s in models.items()},
        "spread": None if spread is None else {m: dict.fromkeys(METRICS, spread) for m in models},
        "differences": {
            reference: {m: {k: difference(k, m, reference) for k in METRICS} for m in models if m != reference}
            for reference in references
        },
        "intervals_over": "images" if spread is None else "images and seeds",
        "sample": sample(),
    }


def sample(n_images: int = 238, n_positives: int = 610) -> dict[str, Any]:
    """The size of a test set; by default enough for a verdict."""
    return {"n_images": n_images, "n_positives": n_positives, "least_images": 20, "least_positives": 30,
            "is_enough": n_images >= 20 and n_positives >= 30}  # fmt: skip


def at(quality: float, labels: list[str] | None = None) -> dict[str, Any]:
    """Scores of a model with this mean average precision."""
    return scores((0.5 + quality, 0.7 + quality / 2, 0.8 + quality / 4, 0.3 + quality / 2, 0.3, quality, 0.35), labels)


def calibration() -> dict[str, Any]:
    curve = {"confidence": [0.05, 0.2, 0.5, None], "frequency": [0.02, 0.3, 0.4, None], "count": [900, 200, 12, 0]}
    after = curve | {"frequency": [0.05, 0.21, 0.5, None]}
    per_emotion = {
        label: {"ece": 0.02, "brier": 0.1 + 0.01 * place, "brier_skill": 0.2 - 0.05 * place, "n_positives": 60 - place}
        for place, label in enumerate(LABELS)
    }
    return {"methods": ["platt"], "ece_before": 0.041, "ece_after": 0.012, "before": curve,
            "after": after, "brier": 0.11, "brier_skill": 0.083, "top_ece": 0.034, "adaptive_ece": 0.015,
            "per_emotion": per_emotion}  # fmt: skip


def prior_calibration() -> dict[str, Any]:
    per_emotion = {
        label: {"ece": 0.001, "brier": 0.12, "brier_skill": 0.0, "n_positives": 60 - place}
        for place, label in enumerate(LABELS)
    }
    return calibration() | {"methods": ["none"], "ece_before": 0.001, "ece_after": 0.001,
                            "brier": 0.12, "brier_skill": 0.0, "top_ece": 0.002,
                            "per_emotion": per_emotion}  # fmt: skip


def human(models: dict[str, dict[str, Any]]) -> dict[str, Any]:
    metrics = ("top1_accuracy", "recall_at_3", "micro_f1")
    one = {"top1_accuracy": 0.70, "recall_at_3": 0.50, "micro_f1": 0.80}
    return {
        "n_pairs": 200, "left_out": {"pairs with one annotator": 38, "annotators without a known emotion": 2},
        "annotators": {"least": 1, "median": 6, "most": 10}, "one_against_others": one,
        "models": {name: {k: s[k] for k in metrics} for name, s in models.items()},
        "share_intervals": {name: {k: [s[k] / one[k] - 0.06, s[k] / one[k] + 0.06] for k in metrics}
                            for name, s in models.items()},
        "shares": {name: {k: s[k] / one[k] for k in metrics} for name, s in models.items()},
        "split_half": {"correlation": 0.52, "spearman_brown": 0.684, "n_splits": 20,
                       "metrics": {"micro_f1": 0.45}},
    }  # fmt: skip


def modality_ablation() -> dict[str, Any]:
    views = {"both": 0.30, "caption_only": 0.295, "image_only": 0.12, "other_image": 0.29, "other_caption": 0.11}
    return {"model": "AnB+", "n_pairs": 230} | comparison({k: at(v) for k, v in views.items()}, ["both"])


def without_caption_views(ablation: dict[str, Any]) -> dict[str, Any]:
    """The ablation of a study without captions."""
    kept = ("both", "other_image")
    differences = {name: value for name, value in ablation["differences"]["both"].items() if name in kept}
    parts = {part: {name: ablation[part][name] for name in kept} for part in ("models", "intervals")}
    return ablation | parts | {"differences": {"both": differences}}


def transfer_study(labels: list[str] | None = None) -> dict[str, Any]:
    """Of 6 layers, BnB is clearly worse than BnB+ at n = 3 alone; AnB+ at n = 6 is not distinguishable from it."""
    curves = {
        "AnB": (0.24, 0.24, 0.23, 0.22, 0.21, 0.20, 0.19),
        "AnB+": (0.25, 0.25, 0.25, 0.255, 0.26, 0.26, 0.26),
        "BnB": (0.25, 0.245, 0.24, 0.21, 0.24, 0.25, 0.25),
        "BnB+": (0.25, 0.25, 0.25, 0.25, 0.255, 0.25, 0.25),
    }
    points = [{"model": f"{run}_n{n:02d}", "run": run, "n": n} for run in curves for n in range(7)]
    models = {f"{run}_n{n:02d}": at(value, labels) for run, values in curves.items() for n, value in enumerate(values)}
    models |= {"teacher": at(0.25, labels), "probe_then_finetune": at(0.262, labels)}
    points += [{"model": name, "run": name, "n": None} for name in ("teacher", "probe_then_finetune")]
    references = ["teacher", *(f"BnB+_n{n:02d}" for n in range(7))]
    return {"points": points, "n_layers": 6, "seeds": [0, 1]} | comparison(models, references, 0.004)


def pseudo_label_study(labels: list[str] | None = None) -> dict[str, Any]:
    """Of the three controls, better than "shuffled" alone."""
    rows = [
        ("base", "base", None, 3000, 0.300), ("p=1", "p", 1, 2800, 0.28), ("p=2", "p", 2, 2900, 0.30),
        ("p=8", "p", 8, 3000, 0.29), ("k=100", "k", 100, 900, 0.27), ("fraction=0.1", "fraction", 0.1, 600, 0.265),
        ("label_type=hard", "label_type", "hard", 3000, 0.285),
        ("min_agreement=0.6", "min_agreement", 0.6, 2100, 0.305),
        ("random", "control", "random", 3000, 0.295), ("shuffled", "control", "shuffled", 3000, 0.25),
        ("none", "control", "none", None, 0.29),
    ]  # fmt: skip
    points = [dict(zip(("model", "varied", "value", "n_selected"), row[:4], strict=True)) for row in rows]
    models = {row[0]: at(row[4], labels) for row in rows}
    return {"points": points, "seeds": [0]} | comparison(models, ["base"])


def results() -> dict[str, Any]:
    models = {name: scores(values) for name, values in SCORES.items()}
    return {
        "schema": 3, "labels": LABELS, "vocabulary": "8cdb0a1b2c3d4e5f", "n_test_pairs": 240, "n_test_images": 238,
        "folds": None, "seeds": [0], "n_bootstrap": 1000, "reference": "teacher",
        "metrics": {name: {"higher_is_better": name not in LOWER} for name in METRICS},
        "kinds": {name: KINDS.get(name, "study") for name in models},
        **comparison(models, ["teacher", "prior", "tfidf"]),
        "comparison_baseline": {"model": "tfidf", "chosen_in": {"tfidf": 1}}, "recommended": "ensemble",
        "validation": {name: {"mean_average_precision": s["mean_average_precision"]} for name, s in models.items()},
        "calibration": {name: prior_calibration() if name == "prior" else calibration() for name in models},
        "emotions": {"positives": dict.fromkeys(LABELS, 20) | {"tired": 0},
                     "notes": ["'tired' has no positive pair: its average precision is undefined"]},
        "human": human(models), "modality_ablation": modality_ablation(), "transfer_study": transfer_study(),
        "pseudo_label_study": pseudo_label_study(), "ceiling": scores(CEILING),
    }  # fmt: skip


def comparison_parts(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Every comparison in a `results.json`."""
    return [value, *(value[part] for part in ("modality_ablation", "transfer_study", "pseudo_label_study"))]
