#!/usr/bin/env bash
# torchvision 0.29.1 (torch 2.14.1): `MultiScaleRoIAlign` infers its scales from the first image and keeps them.
#
# A detector's region features therefore depend on which image it saw first. The detectors pad an image to a multiple of
# 32 pixels before the backbone; for a strip of 1333 x 40 pixels the ratio of heights then suggests scales that are
# twice too large, and every later image is pooled at the wrong places without a warning. (An oblong first image used to
# raise an assertion, pytorch/vision issue 3747; now it is accepted.)
#
# Seen: scales [0.25, 0.125, 0.0625, 0.03125] in a fresh pooler, [0.5, 0.25, 0.125, 0.0625] after a strip; then the
# features of one region of the next image, random numbers between 0 and 1, differ by up to 0.70.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 torchvision==0.29.1
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torchvision.ops import MultiScaleRoIAlign


def pool(pooler: MultiScaleRoIAlign, height: int, width: int) -> torch.Tensor:
    """Features of the region that is the whole image, from a pyramid with strides 4 to 32 of the padded image."""
    random = torch.Generator().manual_seed(0)
    padded = [-(-side // 32) * 32 for side in (height, width)]
    pyramid = {
        str(level): torch.rand(1, 1, *(side // 2 ** (level + 2) for side in padded), generator=random)
        for level in range(4)
    }
    return pooler(pyramid, [torch.tensor([[0.0, 0.0, width, height]])], [(height, width)])


fresh, used = (MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=7, sampling_ratio=2) for _ in range(2))
pool(used, 40, 1333)
expected, actual = pool(fresh, 640, 640), pool(used, 640, 640)
difference = (expected - actual).abs().max().item()
print(f"fresh {fresh.scales}\nafter a strip {used.scales}\nlargest difference {difference:.2f}")
assert fresh.scales == [1 / 4, 1 / 8, 1 / 16, 1 / 32]
assert used.scales == [1 / 2, 1 / 4, 1 / 8, 1 / 16], "changed: the first image no longer sets these scales"
assert difference > 0.3, "changed: features no longer depend on the first image"
PYTHON
