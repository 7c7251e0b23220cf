#!/usr/bin/env bash
# timm 1.0.31 (torch 2.14.1): with `features_only=True`, maps come in the network's order, whatever the order of
# `out_indices`, but `feature_info.channels()` and `.reduction()` answer in the order that was asked for.
#
# Code that pairs the two, such as `zip(model.feature_info.reduction(), model(images))`, takes each map for that of another
# stage without an error: boxes are then pooled at the wrong scale. Ascending indices are not affected.
#
# Seen, for resnet18 with out_indices (4, 2) on an image of 64 x 64: feature_info says channels [512, 128] and reduction
# [32, 8]; the maps have channels [128, 512] and reduction [8, 32].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet timm==1.0.31 torch==2.14.1 torchvision==0.29.1
"$folder/venv/bin/python" - <<'PYTHON'
import timm
import torch

for name in ("resnet18", "tf_efficientnet_lite0"):
    model = timm.create_model(name, features_only=True, out_indices=(4, 2)).eval()
    with torch.no_grad():
        maps = model(torch.zeros(1, 3, 64, 64))
    said = model.feature_info.channels(), model.feature_info.reduction()
    given = [image_map.shape[1] for image_map in maps], [64 // image_map.shape[2] for image_map in maps]
    print(f"{name}: feature_info says channels and reduction {said}, the maps have {given}")
    assert said[1] == [32, 8], "changed: feature_info no longer answers in the order of out_indices"
    assert given == (said[0][::-1], said[1][::-1]), "changed: maps no longer come in the network's order"
PYTHON
