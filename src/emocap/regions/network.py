"""What extractors with a network share: the device, its precision, and the choice of the best boxes."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torchvision.ops import nms

from emocap.errors import EmocapError

PRECISIONS = ("auto", "float32", "bfloat16")


def chosen_precision(extractor: str, precision: str) -> torch.dtype:
    """The number type that a network computes in: "auto" is bfloat16 on a GPU that has it, else float32.

    Raises:
        EmocapError: none of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise EmocapError(f"extractor {extractor}: precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    if precision == "auto":
        has_it = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if has_it else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def chosen_device() -> torch.device:
    """The GPU of this process where there is one, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


@contextmanager
def inferring(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """No gradients, and mixed precision where `dtype` is not float32.

    Raises:
        EmocapError: the memory does not suffice.
    """
    try:
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            yield
    except torch.OutOfMemoryError as error:
        raise EmocapError(f"features: {device} has too little memory; give a smaller --batch-size") from error


def best_boxes(
    boxes_xyxy: torch.Tensor, scores: torch.Tensor, thresholds: Sequence[float], least: int, most: int
) -> torch.Tensor:
    """The best boxes after non-maximum suppression over all of them, best first.

    Args:
        boxes_xyxy: (N, 4).
        scores: (N,).
        thresholds: IoU above which the worse box goes; the first that leaves at least `least` counts, else the last.
        least, most: boxes kept; fewer than `least` where there are no more.

    Returns:
        (K,) int64, K <= most.

    >>> boxes = torch.tensor([[0., 0., 10., 10.], [0., 0., 10., 9.], [20., 20., 30., 30.]])
    >>> best_boxes(boxes, torch.tensor([0.5, 0.9, 0.1]), [0.6], 1, 9).tolist()
    [1, 2]
    >>> best_boxes(boxes, torch.tensor([0.5, 0.9, 0.1]), [0.6, 0.95], 3, 9).tolist()
    [1, 0, 2]
    """
    kept = torch.arange(0)
    for threshold in thresholds:
        kept = nms(boxes_xyxy, scores, threshold)[:most]
        if len(kept) >= least:
            break
    return kept
