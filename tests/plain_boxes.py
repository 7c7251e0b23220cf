"""Naive intersection over union and non-maximum suppression of boxes, for the detectors' tests."""

import numpy as np


def iou(a, b):
    """Intersection over union of two boxes x0 y0 x1 y1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def suppressed(boxes, scores, threshold):
    """Indices of the boxes that overlap no better one by more than the threshold, best first."""
    kept = []
    for i in np.argsort(-np.asarray(scores), kind="stable"):
        if all(iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(int(i))
    return kept
