"""The history of a training run, as `docs/RUN_DIR.md` describes `history.json`."""

from typing import Any

from emocap.training.settings import TrainSettings


def selection_key(settings: TrainSettings) -> str:
    """The key of a validation row that selects the best epoch."""
    if settings.select_by == "bce":
        return "loss" if settings.loss.name == "bce" else "bce"
    assert settings.select_by is not None, "an epoch is selected"
    return settings.select_by


def build_history(
    log: list[dict[str, Any]], name: str, n_pairs: int, settings: TrainSettings, seconds: float
) -> dict[str, Any]:
    """The history from transformers' log.

    Args:
        log: the Trainer's `state.log_history`.
        name: of the run.
        n_pairs: number of training pairs.
        settings: of the run.
        seconds: that training took.
    """
    train_rows = [{key: row[key] for key in ("step", "epoch", "loss")} for row in log if "loss" in row]
    validation_rows = [
        {"step": row["step"], "epoch": row["epoch"], "loss": row["eval_loss"]}
        | {
            key.removeprefix("eval_"): row[key]
            for key in row
            if key in {"eval_bce", "eval_mean_average_precision", "eval_recall_at_3", "eval_pearson_r"}
        }
        for row in log
        if "eval_loss" in row
    ]
    best = None
    if validation_rows and settings.select_by is not None:
        key, sign = selection_key(settings), -1 if settings.select_by == "bce" else 1
        best = max(validation_rows, key=lambda row: sign * row[key])["epoch"]
    return {
        "schema": 1,
        "run": name,
        "train": train_rows,
        "validation": validation_rows,
        "best_epoch": best,
        "seconds": round(seconds, 1),
        "n_train_pairs": n_pairs,
    }
