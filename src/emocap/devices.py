"""Where a network computes."""

import os

import torch


def best_device() -> torch.device:
    """The GPU of this process where there is one (`LOCAL_RANK` picks among several), else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
