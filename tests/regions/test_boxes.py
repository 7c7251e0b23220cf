"""Boxes with further columns and as fractions of the image."""

import h5py
import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.regions.interop.boxes import boxes_in_pixels, four_columns

from .layouts import FEATURES, b64, fixed_hdf5, holds, imported, npz_folder, reasons, write_lines

BOXES = np.array([[0, 10, 64, 48], [0, 24, 640, 480]], "<f4")
SCORES = np.array([[0.9], [1]], "<f4")
SIDES = np.hstack([BOXES, BOXES[:, 2:] - BOXES[:, :2]])
SIZE = (640, 480)


@pytest.mark.parametrize("index", [0, 3])
def test_batch_index_is_left_out(index):
    assert four_columns(np.insert(BOXES, 0, index, axis=1)).tolist() == BOXES.tolist()


def test_score_is_left_out():
    assert four_columns(np.hstack([BOXES, SCORES])).tolist() == BOXES.tolist()


def test_padding_of_zeros_does_not_decide():
    padded = np.vstack([np.hstack([BOXES, SCORES]), np.zeros((2, 5))])
    assert four_columns(padded).tolist() == [*BOXES.tolist(), [0] * 4, [0] * 4]


@pytest.mark.parametrize(
    "boxes",
    [
        np.hstack([BOXES, [[17], [3]]]),  # a class last
        np.insert(BOXES, 0, [0, 1], axis=1),  # two images
        np.array([[0, 0.1, 0.2, 0.5, 0.6]]),  # fractions, with either
        np.hstack([BOXES, SCORES, SCORES]),
        np.hstack([BOXES[:, :2], SIDES[:, 4:], BOXES[:, 2:]]),
    ],
)
def test_refuses_columns_of_unknown_meaning(boxes):
    with pytest.raises(EmocapError, match=r"boxes have [56] columns.*save four columns: x0 y0 x1 y1"):
        four_columns(boxes)


@pytest.mark.parametrize("boxes", [BOXES, SIDES, np.hstack([SIDES, SIDES[:, 4:5] * SIDES[:, 5:]])])
def test_fractions_become_pixels(boxes):
    scale = np.array([640, 480, 640, 480, 640, 480, 640 * 480])[: boxes.shape[1]]
    pixels, size = boxes_in_pixels(boxes / scale, SIZE)
    assert np.allclose(pixels, BOXES)
    assert size == SIZE
    unknown, size = boxes_in_pixels(boxes / scale, None)
    assert np.allclose(unknown * scale[:4], BOXES)
    assert size == (1, 1)
    assert boxes_in_pixels(boxes, SIZE)[0].tolist() == BOXES.tolist()


@pytest.mark.parametrize("boxes", [np.insert(BOXES, 0, 0, axis=1), np.hstack([BOXES, SCORES])])
def test_five_columns_in_every_format(tmp_path, boxes):
    features = np.tile(FEATURES, 8)
    line = "\t".join(["1", "640", "480", "2", b64(boxes), b64(features)]) + "\n"
    _, store = imported(write_lines(tmp_path / "a.tsv", line), tmp_path / "tsv")
    assert holds(store, "1", features, BOXES)
    folder = npz_folder(tmp_path, a={"x": FEATURES, "bbox": boxes, "image_w": 640, "image_h": 480})
    assert holds(imported(folder, tmp_path / "npz")[1], "a", boxes=BOXES)
    source = fixed_hdf5(tmp_path / "a.hdf5", image_ids=[b"p", b"q"], image_w=[640, 640], image_h=[480, 480])
    with h5py.File(source, "r+") as file:
        del file["image_bb"], file["spatial_features"]
        file["image_bb"] = np.stack([boxes, boxes])
    assert holds(imported(source, tmp_path / "hdf5")[1], "p", boxes=BOXES)


def test_fractions_beyond_the_image_are_rejected(tmp_path):
    folder = npz_folder(
        tmp_path, a={"features": FEATURES, "norm_bb": SIDES}, b={"features": FEATURES, "norm_bb": SIDES / 640}
    )
    report, store = imported(folder, tmp_path / "store")
    assert store.images == ["b"]
    assert reasons(report) == ["boxes as fractions reach from 0 to 640, expected 0 to 1"]
