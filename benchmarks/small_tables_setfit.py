"""SetFit on one small table, in its own environment: `small_tables.py` runs it as a process and counts its CPU time.

python benchmarks/small_tables_setfit.py TABLE.json MODEL OUT.npy [MAX_STEPS]

SetFit's documented defaults (one epoch, batches of 16, oversampled pairs, logistic regression as the head; for several
labels `multi_target_strategy="one-vs-rest"`), with at most MAX_STEPS steps where an epoch has more. Writes the (N, E)
probabilities.
"""

import json
import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from setfit import SetFitModel, Trainer, TrainingArguments

BATCH_SIZE = 16


def main() -> None:
    """Train on the table's training rows and predict its test rows."""
    table = json.loads(Path(sys.argv[1]).read_text())
    max_steps = int(sys.argv[4]) if len(sys.argv) > 4 else -1
    logging.disable(logging.WARNING)
    labels, captions = table["labels"], [caption for caption, _ in table["train"]]
    named = [[int(label in row) for label in labels] for _, row in table["train"]]
    targets = [row.index(1) for row in named] if table["is_single"] else named
    strategy = None if table["is_single"] else "one-vs-rest"
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    head = LogisticRegression() if strategy is None else OneVsRestClassifier(LogisticRegression())
    model = SetFitModel(SentenceTransformer(sys.argv[2]), head, multi_target_strategy=strategy)
    truth = np.array(named)
    same = int(np.triu(truth @ truth.T > 0, 1).sum())  # pairs that share a label; the rarer kind of pair is oversampled
    n_pairs = 2 * max(same, len(truth) * (len(truth) - 1) // 2 - same)
    if max_steps * BATCH_SIZE >= n_pairs:
        max_steps = -1  # one epoch, which is shorter
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            batch_size=BATCH_SIZE,
            max_steps=max_steps,
            seed=table["seed"],
            report_to="none",
            show_progress_bar=False,
        )
        trainer = Trainer(model, arguments, train_dataset=Dataset.from_dict({"text": captions, "label": targets}))
        trainer.train()
    probabilities = np.asarray(model.predict_proba([caption for caption, _ in table["test"]], as_numpy=True))
    if strategy is None and probabilities.shape[1] < len(labels):  # a label that no training row has
        full = np.zeros((len(probabilities), len(labels)))
        full[:, model.model_head.classes_] = probabilities
        probabilities = full
    np.save(sys.argv[3], probabilities)


if __name__ == "__main__":
    main()
