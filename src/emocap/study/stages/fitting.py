"""What the stages that train share: fitting on the target, pre-training, moving layers, and saving what was learned."""

import logging
from functools import partial
from typing import Any

import numpy as np
import torch

from emocap.evaluation.linear_fits import mean_ratings
from emocap.evaluation.ranking_metrics import mean_average_precision, recall_at_k
from emocap.evaluation.rating_metrics import mean_pearson_r
from emocap.files import write_array, write_json
from emocap.models.classifier import EmotionHead, EmotionNetwork, set_prior_bias
from emocap.models.transfer import is_head_only, transfer
from emocap.study.model_card import validation_calibration
from emocap.study.training_unit import TrainingUnit
from emocap.study.unit import HELD_OUT
from emocap.training.batching import PairDataset, PooledDataset
from emocap.training.losses import Loss
from emocap.training.predict import pooled_vectors, predict_probabilities
from emocap.training.resume import discard_checkpoints
from emocap.training.settings import TrainSettings
from emocap.training.train import train

logger = logging.getLogger("emocap")


def validation_scores(outputs: np.ndarray, targets: np.ndarray, n_ratings: int = 0) -> dict[str, float]:
    """The scores that are monitored during training.

    Args:
        outputs: (N, E + R) probabilities of emotions and ratings from 0 to 1.
        targets: (N, E + R), NaN for a missing rating.
        n_ratings: R.
    """
    n = targets.shape[1] - n_ratings
    scores = {} if not n_ratings else {"pearson_r": mean_pearson_r(outputs[:, n:], targets[:, n:])}
    if not n:
        return scores
    emotions, truth = outputs[:, :n], targets[:, :n]
    return {
        "mean_average_precision": mean_average_precision(emotions, truth),
        "recall_at_3": recall_at_k(emotions, truth, min(3, n)),
    } | scores


def selecting(settings: TrainSettings, study: TrainingUnit) -> TrainSettings:
    """The settings, in which ratings alone are not selected by a score of emotions."""
    if settings.select_by == "mean_average_precision" and not len(study.vocabulary):
        return settings.model_copy(update={"select_by": "pearson_r"})
    return settings


def point_seed(unit: int, own: int) -> int:
    """The seed of a sub-study's point: distinct for each seed of the unit and of the sub-study, `own` in unit 0.

    >>> point_seed(0, 2), point_seed(1, 2)
    (2, 1000005)
    """
    return (unit * 1_000_003 + own) % 2**31


def start_at_frequencies(model: EmotionNetwork, targets: np.ndarray) -> None:
    """Set `fc`'s bias so that an untrained model predicts about the means of the targets (N, E + R) without NaN.

    A rating that no pair has, as in a small part of the pairs, starts at the middle of its scale.
    """
    set_prior_bias(model.fc, torch.as_tensor(mean_ratings(targets)))


def start_at_pseudo_labels(study: TrainingUnit, model: EmotionNetwork, targets: np.ndarray) -> np.ndarray:
    """Start a student at the frequencies of its pseudo-labels (M, E), and return its targets (M, E + R).

    Pseudo-labels have no ratings, so that those of the targets are missing. The student predicts for each rating the
    mean of the target's training pairs, which nothing changes: `fc` gets weights of 0 there.
    """
    means = mean_ratings(study.true_ratings("train"))
    set_prior_bias(model.fc, torch.as_tensor(np.concatenate([targets.mean(axis=0), means])))
    if not study.ratings:
        return targets
    with torch.no_grad():
        model.fc.weight[targets.shape[1] :] = 0.0
    return np.concatenate([targets, np.full((len(targets), len(means)), np.nan, dtype=targets.dtype)], axis=1)


def fit_on_target(
    study: TrainingUnit,
    run: str,
    model: EmotionNetwork,
    tokenizer: Any,
    settings: TrainSettings,
    *,
    seed: int | None = None,
    keep_model: bool = True,
) -> None:
    """Train on the target's training pairs, keep the epoch with the best validation score, and save (see `finish`)."""
    settings = selecting(settings, study)
    targets = {name: study.training_targets(name) for name in ("train", "validation")}
    data = {name: study.dataset(tokenizer, study.part(name), "target", targets[name]) for name in targets}
    common: dict[str, Any] = {
        "name": run,
        "seed": study.seed if seed is None else seed,
        "metrics": partial(validation_scores, n_ratings=len(study.ratings)),
        "lengths": data["train"].lengths,
        "n_ratings": len(study.ratings),
    }
    folder = study.run / run
    if is_head_only(model):
        logger.info("%s: every layer is frozen, so the encoder runs once and fc is trained on its vectors", run)
        pooled = {
            name: PooledDataset(
                pooled_vectors(model, data[name], settings.eval_batch_size, f"{run} vectors"), targets[name]
            )
            for name in targets
        }
        head = EmotionHead(model.fc)
        history = train(
            head, pooled["train"], pooled["validation"], settings, folder, collate=PooledDataset.collate, **common
        )
    else:
        history = train(
            model, data["train"], data["validation"], settings, folder, collate=data["train"].collate, **common
        )
    finish(study, run, model, tokenizer, history, settings.eval_batch_size, keep_model=keep_model)


def finish(
    study: TrainingUnit,
    run: str,
    model: EmotionNetwork,
    tokenizer: Any,
    history: dict[str, Any],
    batch: int,
    *,
    keep_model: bool = True,
) -> None:
    """Save a model, calibrated on the validation pairs, with its history and its predictions for held-out pairs.

    `validation_probabilities.npy` and `test_probabilities.npy` hold uncalibrated probabilities, and behind them ratings
    from 0 to 1; what calibrates the probabilities is in the model's card.
    """
    predictions = {
        part: predict_probabilities(
            model, study.dataset(tokenizer, study.part(part), "target"), batch, f"{run} on {part} pairs"
        )
        for part in HELD_OUT
    }
    for part, probabilities in predictions.items():
        write_array(study.run / run / f"{part}_probabilities.npy", probabilities)
    if keep_model:
        calibration = validation_calibration(study, predictions["validation"])
        study.save(
            run,
            model,
            tokenizer,
            calibration=calibration,
            language=study.language,
            synthetic=study.is_synthetic,
        )
    write_json(study.run / run / "history.json", history)
    discard_checkpoints(study.run / run)


def pretrain(
    study: TrainingUnit,
    run: str,
    model: EmotionNetwork,
    training: PairDataset,
    settings: TrainSettings,
    seed: int,
    n_ratings: int = 0,
    loss: Loss | None = None,
) -> dict[str, Any]:
    """Train on pairs with their targets, without validation, and return the history.

    Args:
        n_ratings: number R of the targets' last columns that are ratings.
        loss: over logits and targets; None means that of the settings.
    """
    return train(
        model,
        training,
        None,
        settings,
        study.folder(run),
        name=run,
        seed=seed,
        metrics=None,
        collate=training.collate,
        lengths=training.lengths,
        loss=None if loss is None else lambda outputs, labels: loss(outputs.logits, labels),
        n_ratings=n_ratings,
    )


def move_layers(
    study: TrainingUnit,
    base: EmotionNetwork,
    n: int | None,
    *,
    freeze: bool,
    seed: int,
    copy_head: bool = False,
) -> EmotionNetwork:
    """A model for the target with the lowest n layers of `base`, which may have had another vocabulary."""
    model = transfer(
        base,
        n,
        freeze=freeze,
        copy_head=copy_head,
        seed=seed,
        vocabulary=study.vocabulary,
        n_ratings=len(study.ratings),
    )
    if not copy_head:
        start_at_frequencies(model, study.training_targets("train"))
    return model
