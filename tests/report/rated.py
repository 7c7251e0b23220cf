"""Synthetic scores of ratings, as in `docs/RUN_DIR.md`: intervals are ±0.05, of differences as the test says."""

from typing import Any

RANGES = {"valence": [1.0, 7.0], "arousal": [1.0, 7.0]}
CORRELATIONS = {
    "prior": (None, None),
    "tfidf": (0.20, 0.18),
    "teacher": (0.45, 0.47),
    "AnB+": (0.52, 0.48),
}
HALF_WIDTH = 0.04  # of the differences' intervals


def rating_scores(r: float | None) -> dict[str, float | None]:
    """A constant prediction has no correlation; else CCC is a little lower than r."""
    if r is None:
        return {"pearson_r": None, "ccc": 0.0, "rmse": 1.2}
    return {"pearson_r": r, "ccc": r - 0.05, "rmse": 1.2 * (1 - r * r) ** 0.5}


def ratings(models: list[str], references: list[str]) -> dict[str, Any]:
    """`ratings` of `results.json` for some of the models."""
    scores = {
        name: {
            rating: rating_scores(r)
            for rating, r in zip(RANGES, CORRELATIONS.get(name, CORRELATIONS["teacher"]), strict=True)
        }
        for name in models
    }
    return {
        "names": list(RANGES),
        "range": RANGES,
        "n_pairs": {"valence": 240, "arousal": 240},
        "models": scores,
        "intervals": {
            name: {
                rating: {k: None if v is None else [v - 0.05, v + 0.05] for k, v in values.items()}
                for rating, values in by_rating.items()
            }
            for name, by_rating in scores.items()
        },
        "differences": {
            reference: {name: _differences(scores[name], scores[reference]) for name in models if name != reference}
            for reference in references
        },
        "ceiling": {"valence": {"pearson_r": 0.93, "ccc": 0.92, "rmse": 0.4}, "arousal": None},
    }


def _differences(own: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {
        rating: {
            metric: None if value is None or other[rating][metric] is None
            else {"difference": (d := value - other[rating][metric]), "low": d - HALF_WIDTH, "high": d + HALF_WIDTH}
            for metric, value in values.items()
        }
        for rating, values in own.items()
    }  # fmt: skip


def without_emotions(results: dict[str, Any]) -> None:
    """Turn a `results.json` into that of a study of ratings alone."""
    models = ["prior", "tfidf", "teacher", "AnB+"]
    absent = dict.fromkeys(("human", "modality_ablation", "transfer_study", "pseudo_label_study", "ceiling"))
    results.update(absent)
    results.update(
        labels=[], metrics={}, models={name: {} for name in models}, intervals={name: {} for name in models},
        differences={}, spread=None, calibration={}, emotions={"positives": {}, "notes": []},
        kinds={name: results["kinds"][name] for name in models}, chosen="AnB+", recommended="AnB+",
        validation={name: {"pearson_r": 0.4} for name in models},
        ratings=ratings(models, ["teacher", "prior", "tfidf"]),
        sample={"n_images": 238, "n_positives": 0, "least_images": 30, "least_positives": 30, "is_enough": False},
    )  # fmt: skip
