"""Helpers for extractors with a neural network: precision, inference context, and selection of the best boxes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torchvision.ops import nms

from emocap.errors import EmocapError

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def resolve_precision(extractor: str, precision: str) -> torch.dtype:
    """The dtype that a network computes in: "auto" is float16 on a GPU, float32 elsewhere.

    "auto" never selects bfloat16: its 8 bits of precision, against 11 of float16, change a detector's proposals
    (docs/LOG.md). Values out of range in float16 become infinite, and the store rejects them.

    Raises:
        EmocapError: neither "auto" nor one of `PRECISIONS`.
    """
    if precision == "auto":
        return torch.float16 if torch.cuda.is_available() else torch.float32
    if not isinstance(precision, str) or precision not in PRECISIONS:
        expected = ", ".join(["auto", *PRECISIONS])
        raise EmocapError(f"extractor {extractor}: precision is {precision!r}, expected one of {expected}")
    return PRECISIONS[precision]


def type_name(dtype: torch.dtype) -> str:
    """The name of a dtype.

    >>> type_name(torch.float16)
    'float16'
    """
    return str(dtype).removeprefix("torch.")


@contextmanager
def inference_context(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """No gradients, no TF32, and mixed precision unless `dtype` is float32.

    Raises:
        EmocapError: the device is out of memory.
    """
    tf32 = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            yield
    except torch.OutOfMemoryError as error:
        raise EmocapError(f"features: {device} is out of memory; give a smaller --batch-size") from error
    finally:
        torch.backends.cudnn.allow_tf32 = tf32


def best_boxes(
    boxes_xyxy: torch.Tensor, scores: torch.Tensor, thresholds: Sequence[float], least: int, most: int
) -> torch.Tensor:
    """The best boxes after non-maximum suppression over all of them, best first.

    Args:
        boxes_xyxy: (N, 4).
        scores: (N,).
        thresholds: IoU above which the worse box is suppressed; the first that leaves at least `least` boxes is used,
            else the last.
        least, most: bounds on the number of boxes; fewer than `least` if there are no more.

    Returns:
        (K,) int64, K <= most.

    >>> boxes = torch.tensor([[0., 0., 10., 10.], [0., 0., 10., 9.], [20., 20., 30., 30.]])
    >>> best_boxes(boxes, torch.tensor([0.5, 0.9, 0.1]), [0.6], 1, 9).tolist()
    [1, 2]
    >>> best_boxes(boxes, torch.tensor([0.5, 0.9, 0.1]), [0.6, 0.95], 3, 9).tolist()
    [1, 0, 2]
    """
    kept = torch.arange(0, device=boxes_xyxy.device)
    for threshold in thresholds:
        kept = nms(boxes_xyxy, scores, threshold)[:most]
        if len(kept) >= least:
            break
    return kept
