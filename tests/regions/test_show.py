"""Drawing an image with its regions."""

import numpy as np
import pytest
from PIL import Image, ImageColor

from emocap.errors import EmocapError
from emocap.regions.extractors.frcnn_vg import VisualGenomeExtractor
from emocap.regions.extractors.grid import GridExtractor
from emocap.regions.show import COLOURS, draw_regions, show_regions


def test_draws_boxes_and_enlarges_small_image():
    drawing = draw_regions(Image.new("RGB", (64, 32), "white"), np.array([[8, 8, 40, 24]]), [])
    assert drawing.size == (640, 320)
    pixels = np.asarray(drawing)
    assert tuple(pixels[80, 200]) == tuple(pixels[200, 80]) == ImageColor.getrgb(COLOURS[0])
    assert (pixels[100:220, 100:380] == 255).all()
    assert (pixels[:60] == 255).all()


def test_labels_stay_inside_the_image():
    boxes = np.array([[620, 300, 640, 320], [0, 0, 30, 30]])
    plain, named = (
        draw_regions(Image.new("RGB", (640, 320), "white"), boxes, labels) for labels in ([], ["brown dog", "cat"])
    )
    assert plain.size == named.size
    changed = np.argwhere((np.asarray(plain) != np.asarray(named)).any(axis=2))
    assert changed[:, 0].max() < 320
    assert len(changed) > 300
    assert ((changed[:, 1] > 560).sum()) > 100  # next to the right border, and not cut off by it


def test_writes_image_with_its_regions(detector_folder, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    for extractor, count in ((VisualGenomeExtractor(str(detector_folder)), 6), (GridExtractor(rows=1, columns=2), 3)):
        regions = show_regions(tmp_path / "a.png", extractor, tmp_path / "out.jpg")
        assert len(regions.features) == count
        with Image.open(tmp_path / "out.jpg") as drawing:
            assert (drawing.format, drawing.size) == ("JPEG", (640, 427))


def test_reports_unwritable_output_and_missing_image(tmp_path):
    with pytest.raises(EmocapError, match=r"suffix is '\.txt', expected"):
        show_regions(tmp_path / "a.png", GridExtractor(), tmp_path / "out.txt")
    with pytest.raises(EmocapError, match="no such image"):
        show_regions(tmp_path / "a.png", GridExtractor(), tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []
