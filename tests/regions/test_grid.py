"""Grid features: values computed by hand, what must and must not change them, and sizes from 1x1."""

import numpy as np
import pytest
from PIL import Image

from emocap.errors import EmocapError
from emocap.regions.describe import describe_source
from emocap.regions.extractors import grid_descriptor as descriptors
from emocap.regions.extractors.grid import GridExtractor, projection
from emocap.regions.extractors.grid_descriptor import FIELDS, SIZE, describe_cells, descriptor


def plain(colour, size=(70, 50)):
    return Image.new("RGB", size, colour)


def black_and_white(size=(56, 40)):
    """Left half black, right half white."""
    image = plain("black", size)
    image.paste("white", (size[0] // 2, 0, *size))
    return image


def photo_like(seed=0, size=(90, 60)):
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def test_descriptor_has_84_numbers():
    assert SIZE == 84
    fields = describe_cells(photo_like(), 5, 7)
    assert {name: values.shape for name, values in fields.items()} == {
        name: (36, count) for name, (count, _, _) in FIELDS.items()
    }
    assert descriptor(photo_like(), 5, 7).shape == (36, 84)


def test_plain_red_has_cielab_of_red():
    fields = describe_cells(plain("red"), 5, 7)
    # CIELAB of sRGB red under D65, from the standard.
    assert np.allclose(fields["lab_mean"], [53.24, 80.09, 67.20], atol=0.02)
    assert np.allclose(fields["lab_deviation"], 0, atol=1e-4)
    assert np.allclose(fields["saturation"], [1, 0], atol=1e-4)
    light_red = np.zeros(20)
    light_red[1] = 1
    assert (fields["hue"] == light_red).all()
    assert (fields["lightness"] == np.eye(8)[4]).all()  # 53.24 is in the fifth eighth
    assert (fields["orientation"] == 0).all()
    assert np.allclose(fields["edge"], [np.log(0.005), np.log(0.005), 0], atol=1e-3)
    assert (fields["surround"] == 0).all()


@pytest.mark.parametrize(
    ("colour", "place"),
    [("black", 16), ((90, 90, 90), 17), ((160, 160, 160), 18), ("white", 19), ("lime", 7), ("blue", 11), ("maroon", 0)],
)
def test_plain_colour_falls_into_one_hue_bin(colour, place):
    hue = describe_cells(plain(colour), 2, 2)["hue"]
    assert (hue == np.eye(20)[place]).all()


def test_black_next_to_white_by_hand():
    fields = describe_cells(black_and_white(), 1, 4)
    lightness = fields["lab_mean"][:, 0]
    assert lightness[:4] == pytest.approx([0, 0, 100, 100], abs=0.1)
    assert lightness[4] == pytest.approx(50, abs=0.1)
    assert fields["lab_deviation"][4, 0] == pytest.approx(50, abs=0.1)
    # The neighbours of a cell minus itself: black-black, black-white, and the mirror.
    assert fields["surround"][:, 0] == pytest.approx([0, 50, -50, 0, 0], abs=0.1)
    # Sobel is 1/2 in the two columns next to the step: one of 14 in each middle cell, all of it from left to right.
    assert fields["orientation"][[0, 3]].max() == 0
    assert np.allclose(fields["orientation"][[1, 2, 4]], np.eye(8)[0], atol=1e-6)
    fraction = 2 * 1 / 14 / 2
    assert fields["edge"][[1, 2], 2] == pytest.approx([fraction, fraction])
    edge = black_and_white()
    mean = np.exp(describe_cells(edge, 1, 4)["edge"][1, 0]) - 0.005
    assert 0.5 / 14 <= mean <= 1.0 / 14


def test_orientation_distinguishes_stripes():
    lying = np.zeros((40, 56, 3), np.uint8)
    lying[::4] = lying[1::4] = 255
    standing = lying.transpose(1, 0, 2)
    down = describe_cells(Image.fromarray(lying), 2, 2)["orientation"][-1]
    across = describe_cells(Image.fromarray(np.ascontiguousarray(standing)), 2, 2)["orientation"][-1]
    assert down.argmax() == 4
    assert across.argmax() == 0


def test_noise_and_plain_image_differ_in_texture():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
    rough, smooth = (describe_cells(image, 3, 3)["texture_fine"][-1] for image in (noise, plain("grey")))
    assert smooth[8] == pytest.approx(1)  # all neighbours as bright as the centre
    assert rough[9] > 0.5  # patterns that are not uniform
    assert np.square(rough).sum() == pytest.approx(1)


def test_fractions_equal_a_naive_count():
    image = photo_like(1)
    hue_fractions = describe_cells(image, 3, 4)["hue"]
    colours, hues = descriptors._look_up_colours(np.asarray(image))
    for row in range(3):
        for column in range(4):
            cell = hues[row * 60 // 3 : (row + 1) * 60 // 3, column * 90 // 4 : (column + 1) * 90 // 4]
            fractions = [(cell == bin_).mean() for bin_ in range(20)]
            assert np.allclose(hue_fractions[row * 4 + column], np.sqrt(fractions))
    assert np.allclose(describe_cells(image, 3, 4)["lab_mean"][-1], colours[..., :3].mean(axis=(0, 1)), atol=1e-3)
    assert np.allclose(describe_cells(image, 3, 4)["lab_deviation"][-1], colours[..., :3].std(axis=(0, 1)), atol=1e-3)


def test_positions_start_at_upper_left():
    place = describe_cells(plain("grey", (200, 100)), 2, 2)["place"]
    assert place[:, :2].tolist() == [[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0, 0]]
    assert place[:, 4].tolist() == [0, 0, 0, 0, 1]
    assert np.allclose(place[:, 5], np.log(2))


def test_boxes_are_in_pixels_of_the_image():
    boxes = describe_source(plain("grey", (300, 90)), GridExtractor(rows=1, columns=2, dim=4)).boxes_xyxy
    assert boxes.dtype == np.float32
    assert boxes.tolist() == [[0, 0, 150, 90], [150, 0, 300, 90], [0, 0, 300, 90]]


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (20_000, 10), (10, 20_000), (3, 3), (225, 224)])
def test_every_size_gives_finite_features(size):
    extractor = GridExtractor(dim=128)
    features, boxes, *_ = describe_source(photo_like(size=size), extractor)
    assert features.shape == (36, 128)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert np.abs(features).max() < 100
    assert boxes[-1].tolist() == [0, 0, *size]


@pytest.mark.parametrize("dim", [84, 200, 2048])
def test_projection_preserves_norms(dim):
    numbers = descriptor(photo_like(), 5, 7)
    features = describe_source(photo_like(), GridExtractor(dim=dim)).features
    expected = np.linalg.norm(numbers, axis=1) * np.sqrt(dim / SIZE)
    assert np.allclose(np.linalg.norm(features, axis=1), expected, rtol=1e-3)


def test_projection_is_orthogonal_exact_and_seeded():
    matrix = projection(2048, 0)
    assert np.allclose(matrix @ matrix.T, np.eye(SIZE) * 2048 / SIZE, atol=1e-2)
    assert (matrix * 2**16 == np.round(matrix * 2**16)).all()
    narrow = projection(16, 0)
    assert np.allclose(narrow.T @ narrow, np.eye(16), atol=1e-3)
    assert not np.allclose(matrix, projection(2048, 1))


def test_order_of_sums_changes_no_bit():
    image = photo_like(3)
    features = describe_source(image, GridExtractor(dim=64)).features
    numbers = np.round(descriptor(image, 5, 7) * 2**16) / 2**16
    order = np.random.default_rng(0).permutation(SIZE)
    for i, j in [(0, 0), (17, 40), (35, 63)]:
        total = 0.0
        for k in order:
            total += numbers[i, k] * projection(64, 0)[k, j]
        assert np.float32(total) == features[i, j]


def test_linear_model_predicts_position_from_features():
    extractor = GridExtractor(dim=256)
    features = np.concatenate([describe_source(photo_like(seed), extractor).features for seed in range(12)])
    place = np.tile(describe_cells(photo_like(), 5, 7)["place"][:, :2], (12, 1))
    train, test = slice(0, 8 * 36), slice(8 * 36, None)
    weights = np.linalg.lstsq(features[train], place[train], rcond=1e-6)[0]
    assert np.abs(features[test] @ weights - place[test]).max() < 0.1


def test_similar_images_have_closer_features():
    extractor = GridExtractor(dim=128)
    dark, darker, bright = (describe_source(plain((v, v, v)), extractor).features for v in (40, 44, 230))
    assert np.linalg.norm(dark - darker) < 0.5 * np.linalg.norm(dark - bright)


def test_colours_hardly_depend_on_image_size():
    small, large = (describe_cells(photo_like(size=size), 5, 7)["lab_mean"] for size in ((160, 120), (640, 480)))
    assert np.abs(small - large).max() < 4


@pytest.mark.parametrize(
    "settings",
    [
        {"rows": 0},
        {"columns": 2.5},
        {"dim": 0},
        {"seed": -1},
        {"rows": True},
        {"rows": 100, "columns": 100},
        {"descriptor": 2},
    ],
)
def test_refuses_setting_out_of_range(settings):
    with pytest.raises(EmocapError, match=f"extractor grid: .*{next(iter(settings))}.* expected"):
        GridExtractor(**settings)


def test_window_concatenates_its_cells_row_by_row():
    cells, windows = GridExtractor(3, 4), GridExtractor(3, 4, window=2)
    one, many = cells.prepare(photo_like()), windows.prepare(photo_like())
    assert many.shape == (2 * 3 + 1, 4 * SIZE)
    grid = one[:-1].reshape(3, 4, SIZE)
    by_hand = [grid[1, 2], grid[1, 3], grid[2, 2], grid[2, 3]]
    assert (many[5] == np.concatenate(by_hand)).all()
    assert (many[-1] == np.tile(one[-1], 4)).all()


def test_windows_cover_their_cells_with_same_norm():
    extractor = GridExtractor(3, 4, window=2)
    (windowed,) = extractor.describe([extractor.prepare(photo_like())], [(120, 90)])
    assert windowed.features.shape == (7, 2048)
    assert windowed.boxes_xyxy[0].tolist() == [0, 0, 60, 60]
    assert windowed.boxes_xyxy[5].tolist() == [60, 30, 120, 90]
    assert windowed.boxes_xyxy[6].tolist() == [0, 0, 120, 90]
    (single,) = (cells := GridExtractor(3, 4)).describe([cells.prepare(photo_like())], [(120, 90)])
    norms = [np.linalg.norm(regions.features, axis=1).mean() for regions in (windowed, single)]
    assert norms[0] == pytest.approx(norms[1], rel=0.3)


def test_window_of_one_cell_changes_no_settings():
    assert GridExtractor(2, 2, window=1).settings == GridExtractor(2, 2).settings
    assert "window" not in GridExtractor(2, 2).settings
    assert GridExtractor(2, 2, window=2).settings["window"] == 2


@pytest.mark.parametrize("window", [0, 3, 2.5])
def test_refuses_window_larger_than_grid(window):
    with pytest.raises(EmocapError, match="window"):
        GridExtractor(2, 4, window=window)
