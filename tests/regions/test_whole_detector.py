"""The whole detector: in batches, alone, sped up, in half precision, and for the smallest images."""

import numpy as np
import pytest
import torch

from emocap.regions.extractors.resnet import Backbone

from ..plain_boxes import iou
from ..small_detector import small_config, small_detector
from .detector_images import SIZES, images_of


@torch.no_grad()
def test_speed_up_is_idempotent_and_accepts_no_images():
    network = small_detector().speed_up()
    (image,) = images_of(SIZES[:1], network.config)
    once = network([image])[0]
    assert torch.equal(network.speed_up()([image])[0].features, once.features)
    assert network([]) == []


def close(found, expected, tolerance=1e-3):
    """Whether two detections are equal up to the order of regions with similar scores."""
    used = set()
    for box, features in zip(expected.boxes_xyxy.tolist(), expected.features, strict=True):
        overlaps = [iou(box, other) for other in found.boxes_xyxy.tolist()]
        best = int(np.argmax(overlaps))
        difference = (found.features[best] - features).norm() / features.norm()
        if best in used or overlaps[best] < 0.99 or difference > tolerance:
            return False
        used.add(best)
    return len(found.features) == len(expected.features)


@torch.no_grad()
def test_batch_equals_single_images():
    network = small_detector()
    images = images_of(SIZES, network.config)
    assert len({image.shape for image in images}) == 4
    together = network(images)
    for image, found in zip(images, together, strict=True):
        assert close(found, network([image])[0], 1e-4)
    order = [3, 0, 4, 2, 1]
    again = network([images[i] for i in order])
    assert all(close(again[place], together[i], 1e-4) for place, i in enumerate(order))
    assert not close(together[0], together[1])


@torch.no_grad()
def test_feature_map_ignores_padding():
    backbone = small_detector().backbone
    image = torch.randn(1, 3, 50, 70)
    alone, sizes = backbone(image, None)
    padded = torch.zeros(1, 3, 90, 110)
    padded[:, :, :50, :70] = image
    found, found_sizes = backbone(padded, [(50, 70)])
    height, width = sizes[0]
    assert found_sizes == sizes
    assert torch.allclose(found[:, :, :height, :width], alone, atol=1e-5)
    assert found[:, :, height:].abs().max() == found[:, :, :, width:].abs().max() == 0
    ignored, _ = backbone(padded, None)
    assert not torch.allclose(ignored[:, :, :height, :width], alone, atol=1e-3)  # padding affects the map


@torch.no_grad()
def test_speed_up_changes_no_result():
    plain, fast = small_detector(), small_detector().speed_up()
    assert fast.roi_heads.products is not None
    images = images_of(SIZES, plain.config)
    for found, expected in zip(fast(images), plain(images), strict=True):
        assert close(found, expected, 1e-4)
        assert found.objects.tolist() == expected.objects.tolist()
        assert torch.allclose(found.object_probabilities, expected.object_probabilities, atol=1e-5)
        assert found.attributes.tolist() == expected.attributes.tolist()
        assert torch.allclose(found.attribute_probabilities, expected.attribute_probabilities, atol=1e-5)


@torch.no_grad()
def test_supports_strided_res5_and_class_agnostic_boxes():
    config = small_config(res5_halve=True, class_agnostic=True)
    plain, fast = small_detector(config), small_detector(config).speed_up()
    assert fast.roi_heads.products is None
    images = images_of(SIZES[:2], config)
    assert all(close(*pair, 1e-4) for pair in zip(fast(images), plain(images), strict=True))


@pytest.mark.parametrize(("dtype", "most"), [(torch.float16, 0.01), (torch.bfloat16, 0.05)])
@torch.no_grad()
def test_half_precision_preserves_features_of_regions(dtype, most):
    network = small_detector()
    (image,) = images_of(SIZES[:1], network.config)
    x, sizes = network.backbone(image[None], None)
    boxes = network.proposal_generator(x, sizes, [tuple(image.shape[1:])])
    exact = network.roi_heads.describe(x, boxes, 1024)
    with torch.autocast("cpu", dtype):
        y, _ = network.backbone(image[None], None)
        proposed = network.proposal_generator(y, sizes, [tuple(image.shape[1:])])
        found = network.roi_heads.describe(y, boxes, 1024)
    assert y.dtype == dtype
    assert proposed[0].dtype == torch.float32
    difference = (found - exact).norm(dim=1) / exact.norm(dim=1)
    assert 0 < difference.max() < most


@torch.no_grad()
def test_image_without_proposals_has_no_regions():
    network = small_detector(small_config(min_box_side=1e6))
    (found,) = network([torch.zeros(3, 64, 64)])
    assert (found.features.shape, found.boxes_xyxy.shape, len(found.objects)) == ((0, 128), (0, 4), 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 160), (160, 1), (2, 7), (5, 5)])
@torch.no_grad()
def test_smallest_images_have_regions(size):
    network = small_detector()
    (found,) = network([torch.zeros(3, *size)])
    assert found.boxes_xyxy.max() <= max(size)
    assert found.features.isfinite().all()
    assert isinstance(network.backbone, Backbone)
