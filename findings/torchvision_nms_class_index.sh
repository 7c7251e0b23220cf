#!/usr/bin/env bash
# torchvision 0.29.1 (torch 2.14.1): whether `batched_nms` keeps a box depends on the index of its class.
#
# Up to 1,000 boxes on a CPU and 25,000 on a GPU, it shifts boxes by the class index times the largest coordinate, so
# that classes do not overlap. In float32 that rounds the boxes of large indices: with 1,600 classes (Visual Genome's
# detectors) and images of 1,000 pixels to multiples of 1/8 pixel. The IoU of the same two boxes then depends on their
# class, and near the threshold so does the result. `nms` on each class alone has no such error.
#
# Seen, two boxes with an IoU of 0.5994 and a threshold of 0.6: both are kept with class 0, 1, 10 and 100, only one with
# class 1000 and 1599; in float64, and with `nms`, both are always kept.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 torchvision==0.29.1
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torchvision.ops import batched_nms, box_iou, nms

pair = torch.tensor([[100.0, 100.0, 140.0, 140.0], [100.0, 110.02, 140.0, 150.02]])
whole = torch.tensor([[0.0, 0.0, 1000.0, 1000.0]])  # the image itself, which sets the largest coordinate
boxes, scores = torch.cat([pair, whole]), torch.tensor([0.9, 0.8, 0.1])
print(f"IoU {box_iou(pair, pair)[0, 1]:.4f}")
kept = {}
for index in (0, 1, 10, 100, 1000, 1599):
    classes = torch.full((3,), index)
    kept[index] = len(batched_nms(boxes, scores, classes, 0.6))
    print(f"class {index}: {kept[index]} of 3 boxes kept in float32")
    assert len(batched_nms(boxes.double(), scores.double(), classes, 0.6)) == 3
assert len(nms(boxes, scores, 0.6)) == 3
assert kept[0] == 3 and kept[1599] == 2, "changed: the class index no longer decides"
PYTHON
