"""Learning curve: sentence vectors and a fine-tuned model, trained on nested shares of the training pairs of a run.

python benchmarks/learning_curve.py runs/socratis-folds configs/socratis-folds.yaml --set data_root=data

The run must exist; its folds are used, and its files are not modified. The fine-tuned model is the study's teacher,
trained for two epochs without early stopping, so that all shares use the same settings.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from emocap.evaluation.baselines import fit_baseline
from emocap.evaluation.ranking_metrics import mean_average_precision, recall_at_k, top_k_accuracy
from emocap.evaluation.sentence_vectors import sentence_vectors
from emocap.progress import set_up_logging
from emocap.study.config.loading import load_config
from emocap.study.run import units_of
from emocap.study.stages.fitting import pretrain, start_at_frequencies
from emocap.study.training_unit import TrainingUnit
from emocap.training.predict import predict_probabilities
from emocap.training.settings import TrainSettings

SETTINGS = TrainSettings(epochs=2, select_by=None)


def predict(unit: TrainingUnit, share: float, embed: object) -> dict[str, np.ndarray]:
    """Each model's (N, E) probabilities for a fold's test pairs, trained on a share of its training pairs."""
    train, test = unit.part("train"), unit.part("test")
    order = np.random.default_rng([unit.config.seed, unit.fold or 0]).permutation(len(train))
    rows = np.sort(order[: max(2, round(share * len(train)))])
    pairs, targets = train.select(rows), unit.truth("train")[rows]
    validation = unit.part("validation")
    vectors = fit_baseline(
        "vectors",
        pairs.captions,
        targets,
        validation.captions,
        unit.truth("validation"),
        embed=embed,  # type: ignore[arg-type]
        seed=unit.seed,
    )
    model, tokenizer = unit.fresh_model(unit.seed)
    start_at_frequencies(model, targets)
    with tempfile.TemporaryDirectory() as folder:
        temporary = TrainingUnit(unit.config, unit.root, Path(folder), unit.seed, unit.fold)
        pretrain(temporary, "teacher", model, unit.dataset(tokenizer, pairs, "target", targets), SETTINGS, unit.seed)
    fine_tuned = predict_probabilities(model, unit.dataset(tokenizer, test, "target"), SETTINGS.eval_batch_size, "test")
    return {"vectors": vectors(test.captions), "fine-tuned": fine_tuned}


def main() -> None:
    """Print the curve as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.125, 0.25, 0.5, 1.0])
    arguments = parser.parse_args()
    set_up_logging(False)
    units = units_of(load_config(arguments.config, arguments.overrides), arguments.run)
    embed = sentence_vectors(units[0].config.baselines.vectors)
    truth = np.concatenate([unit.truth("test") for unit in units])
    print("| training pairs | model | top-1 | recall@3 | mAP |\n| --- | --- | --- | --- | --- |", flush=True)
    for share in arguments.shares:
        folds = [predict(unit, share, embed) for unit in units]
        n = round(np.mean([share * len(unit.rows["train"]) for unit in units]))
        for name in folds[0]:
            p = np.concatenate([fold[name] for fold in folds])
            scores = top_k_accuracy(p, truth, 1), recall_at_k(p, truth, 3), mean_average_precision(p, truth)
            print(f"| {n:,} | {name} | " + " | ".join(f"{score:.3f}" for score in scores) + " |", flush=True)


if __name__ == "__main__":
    main()
