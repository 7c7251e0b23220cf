#!/usr/bin/env bash
# torchmetrics 1.9.0: `multilabel_ranking_loss` breaks ties by the order of the labels, and the last label wins.
#
# Its ranking loss is scikit-learn's formula on `argsort().argsort()`, which gives tied labels different ranks. In
# scikit-learn a tie of a true and a false label is an error, and the two other ranking metrics of torchmetrics' same
# module rank ties as scikit-learn does. A model that gives all labels the same score has the loss 1 in scikit-learn,
# and anything from 0 to 1 here, depending on where the true labels are in the list. Ties are common: the sigmoid that
# is applied to logits rounds float32 logits above 17 to the same 1.
#
# Seen for four equal scores, the first to the last label being true: ranking loss 1.00, 0.67, 0.33, 0.00 (scikit-learn:
# 1.00 each), ranking average precision 0.25 and coverage error 4 each (scikit-learn: the same). Logits 20, 30, 5 with
# the second label true: loss 0.00 as they are, 0.50 with the first two labels exchanged.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torchmetrics==1.9.0 torch==2.14.1 numpy==2.4.6 scikit-learn==1.9.1
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from sklearn.metrics import coverage_error, label_ranking_average_precision_score, label_ranking_loss
from torchmetrics.functional.classification import (
    multilabel_coverage_error,
    multilabel_ranking_average_precision,
    multilabel_ranking_loss,
)

equal = torch.full((1, 4), 0.5)
pairs = {
    "loss": (multilabel_ranking_loss, label_ranking_loss),
    "average precision": (multilabel_ranking_average_precision, label_ranking_average_precision_score),
    "coverage": (multilabel_coverage_error, coverage_error),
}
seen = {}
for name, (ours, theirs) in pairs.items():
    truths = torch.eye(4, dtype=torch.int64)[:, None]
    seen[name] = [round(float(ours(equal, truth, num_labels=4)), 2) for truth in truths]
    seen[name, "scikit-learn"] = [round(float(theirs(truth.numpy(), equal.numpy())), 2) for truth in truths]
print(seen)
assert seen["loss", "scikit-learn"] == [1, 1, 1, 1]
assert seen["loss"] == [1, 0.67, 0.33, 0], "changed: ties no longer depend on the order of the labels"
assert seen["average precision"] == seen["average precision", "scikit-learn"] == [0.25] * 4
assert seen["coverage"] == seen["coverage", "scikit-learn"] == [4] * 4

logits, truth = torch.tensor([[20.0, 30.0, 5.0]]), torch.tensor([[0, 1, 0]])
order = [1, 0, 2]
losses = [
    float(multilabel_ranking_loss(*arrays, num_labels=3))
    for arrays in ((logits, truth), (logits[:, order], truth[:, order]))
]
print(losses)
assert losses == [0, 0.5], "changed: saturated logits"
PYTHON
