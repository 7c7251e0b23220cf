"""Synthetic scores of ratings, as in `docs/RUN_DIR.md`: intervals are ±0.05, of differences as the test says."""

from typing import Any

RANGES = {"valence": [1.0, 7.0], "arousal": [1.0, 7.0]}
CORRELATIONS = {
    "prior": (0.0, 0.0),
    "tfidf": (0.20, 0.18),
    "teacher": (0.45, 0.47),
    "AnB+": (0.52, 0.48),
}
HALF_WIDTH = 0.04  # of the differences' intervals


def rating_scores(r: float) -> dict[str, float]:
    """CCC is a little lower than r."""
    return {"pearson_r": r, "ccc": 0.9 * r, "rmse": 1.2 * (1 - r * r) ** 0.5}


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
            name: {rating: _intervals(values) for rating, values in by_rating.items()}
            for name, by_rating in scores.items()
        },
        "differences": {
            reference: {
                name: {rating: _differences(values, scores[reference][rating]) for rating, values in by_rating.items()}
                for name, by_rating in scores.items()
                if name != reference
            }
            for reference in references
        },
        "mean": _mean(scores, references),
        "ceiling": {"valence": {"pearson_r": 0.93, "ccc": 0.92, "rmse": 0.4}, "arousal": None},
    }


def _mean(scores: dict[str, Any], references: list[str]) -> dict[str, Any]:
    means = {
        name: {"pearson_r": sum(values["pearson_r"] for values in by_rating.values()) / len(by_rating)}
        for name, by_rating in scores.items()
    }
    return {
        "models": means,
        "intervals": {name: _intervals(values) for name, values in means.items()},
        "differences": {
            reference: {
                name: _differences(values, means[reference]) for name, values in means.items() if name != reference
            }
            for reference in references
        },
    }


def _intervals(values: dict[str, float]) -> dict[str, list[float]]:
    return {metric: [value - 0.05, value + 0.05] for metric, value in values.items()}


def _differences(own: dict[str, float], other: dict[str, float]) -> dict[str, Any]:
    found = {metric: value - other[metric] for metric, value in own.items()}
    return {
        metric: {"difference": value, "low": value - HALF_WIDTH, "high": value + HALF_WIDTH}
        for metric, value in found.items()
    }


def without_emotions(results: dict[str, Any]) -> None:
    """Turn a `results.json` into that of a study of ratings alone."""
    models = ["prior", "tfidf", "teacher", "AnB+"]
    absent = dict.fromkeys(("human", "transfer_study", "pseudo_label_study", "ceiling"))
    results.update(absent)
    results.update(
        labels=[], metrics={}, models={name: {} for name in models}, intervals={name: {} for name in models},
        differences={"tfidf": {name: {} for name in models if name != "tfidf"}}, spread=None, calibration={},
        emotions={"positives": {}, "notes": []},
        kinds={name: results["kinds"][name] for name in models}, chosen="AnB+", recommended="AnB+",
        validation={name: {"pearson_r": 0.4} for name in models},
        ratings=ratings(models, ["teacher", "prior", "tfidf"]), modality_ablation=_ablation(),
        sample={"n_images": 238, "n_positives": 0, "least_images": 30, "least_positives": 0, "is_enough": True},
    )  # fmt: skip


def _ablation() -> dict[str, Any]:
    views = ["both", "caption_only", "image_only", "other_image", "other_caption"]
    found = ratings(views, ["both"])
    for difference in (
        found["mean"]["differences"]["both"][view]["pearson_r"] for view in ("caption_only", "other_image")
    ):
        difference.update(difference=-0.3, low=-0.34, high=-0.26)
    empty = {view: {} for view in views}
    return {"model": "AnB+", "n_pairs": 230, "models": empty, "intervals": empty, "differences": {"both": empty},
            "ratings": found}  # fmt: skip
