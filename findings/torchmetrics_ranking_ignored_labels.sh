#!/usr/bin/env bash
# torchmetrics 1.9.0: the multi-label ranking metrics count the labels that `ignore_index` should leave out.
#
# "Specifies a target value that is ignored and does not contribute to the metric calculation" is true of the Hamming
# distance, for instance. Here the scores of ignored labels become a large negative number. In `multilabel_coverage_error`
# it is then the lowest score that must be covered: every row with an ignored label has the worst error, the number of
# all labels. In `multilabel_ranking_loss` the ignored labels stay in the denominator as false labels that were ranked
# correctly, so that the loss falls with every label that nobody annotated.
#
# Seen with two labels in the wrong order and two ignored ones: coverage 4 and loss 1/3; without the ignored columns 2
# and 1. In the right order: coverage 4, without the ignored columns 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torchmetrics==1.9.0 torch==2.14.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torchmetrics.functional.classification import (
    multilabel_coverage_error as coverage,
    multilabel_hamming_distance as hamming,
    multilabel_ranking_loss as loss,
)

target = torch.tensor([[1, 0, -1, -1]])
seen = {}
for order, scores in {"wrong": [0.1, 0.9, 0.4, 0.3], "right": [0.9, 0.1, 0.4, 0.3]}.items():
    scores = torch.tensor([scores])
    for metric, options in ((coverage, {}), (loss, {}), (hamming, {"average": "micro"})):
        ignored = metric(scores, target, num_labels=4, ignore_index=-1, **options)
        without = metric(scores[:, :2], target[:, :2], num_labels=2, **options)
        seen[metric.__name__.removeprefix("multilabel_"), order] = (round(float(ignored), 3), float(without))
print(seen)
assert seen["coverage_error", "wrong"] == (4, 2) and seen["coverage_error", "right"] == (4, 1), "changed: coverage"
assert seen["ranking_loss", "wrong"] == (0.333, 1) and seen["ranking_loss", "right"] == (0, 0), "changed: ranking loss"
assert seen["hamming_distance", "wrong"] == (1, 1) and seen["hamming_distance", "right"] == (0, 0)
PYTHON
