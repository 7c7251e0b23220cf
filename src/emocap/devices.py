"""The device that models run on."""

import os

import torch


def best_device() -> torch.device:
    """This process's GPU if there is one (`LOCAL_RANK` selects among several), otherwise the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
