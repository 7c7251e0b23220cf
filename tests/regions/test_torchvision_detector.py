"""The torchvision extractor: a random detector on small images, compared with its own forward pass."""

import hashlib
import pickle
import shutil
import socket
import time

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_V2_Weights, fasterrcnn_resnet50_fpn_v2

from emocap.errors import EmocapError
from emocap.regions.extractors import torchvision_detector
from emocap.regions.extractors.base import OBJECT
from emocap.regions.extractors.torchvision_detector import TorchvisionExtractor

from ..plain_boxes import suppressed

SHORTER, LONGER, PROPOSALS = 96, 160, 40


def network(n_classes):
    return fasterrcnn_resnet50_fpn_v2(
        weights=None,
        weights_backbone=None,
        num_classes=n_classes,
        min_size=SHORTER,
        max_size=LONGER,
        rpn_post_nms_top_n_test=PROPOSALS,
    ).eval()


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Several threads that wait for each other on busy cores are much slower than one."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module")
def detector():
    """A random detector whose boxes stay near the proposals, so that their overlaps vary."""
    torch.manual_seed(0)
    made = network(91)
    with torch.no_grad():
        made.roi_heads.box_predictor.bbox_pred.weight.mul_(0.3)
    return made


@pytest.fixture(scope="module")
def weights(detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("detector") / "random.pth"
    torch.save(detector.state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small images and few proposals: most of the time is spent in the box head."""
    monkeypatch.setattr(torchvision_detector, "SHORTER_SIDE", SHORTER)
    monkeypatch.setattr(torchvision_detector, "LONGER_SIDE", LONGER)
    monkeypatch.setattr(torchvision_detector, "PROPOSALS", PROPOSALS)


@pytest.fixture(scope="module")
def extractor(weights):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("SHORTER_SIDE", SHORTER), ("LONGER_SIDE", LONGER), ("PROPOSALS", PROPOSALS)):
            patch.setattr(torchvision_detector, name, value)
        return TorchvisionExtractor(str(weights), min_boxes=5, max_boxes=12, precision="float32")


def noise(size=(64, 48), seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def regions(extractor, *images):
    return extractor.describe([extractor.prepare(image) for image in images], [image.size for image in images])


def intermediate_results(detector, image):
    """Intermediate results of torchvision's own forward pass: proposals, features, class scores, box deltas."""
    seen = {}
    hooks = [
        detector.rpn.register_forward_hook(lambda _, __, out: seen.update(proposals=out[0][0])),
        detector.roi_heads.box_head.register_forward_hook(lambda _, __, out: seen.update(features=out)),
        detector.roi_heads.box_predictor.register_forward_hook(
            lambda _, __, out: seen.update(logits=out[0], deltas=out[1])
        ),
    ]
    with torch.no_grad():
        detector([torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255])
    for hook in hooks:
        hook.remove()
    return {key: value.numpy().astype(np.float64) for key, value in seen.items()}


def naive_selection(seen, height, width, threshold, most):
    """Best class and box of each proposal, and the best boxes that do not overlap a better one."""
    raised = np.exp(seen["logits"] - seen["logits"].max(axis=1, keepdims=True))
    probabilities = raised / raised.sum(axis=1, keepdims=True)
    labels = probabilities[:, 1:].argmax(axis=1) + 1
    boxes = []
    for proposal, deltas, label in zip(seen["proposals"], seen["deltas"], labels, strict=True):
        side = proposal[2:] - proposal[:2]
        dx, dy, dw, dh = deltas.reshape(-1, 4)[label] / [10, 10, 5, 5]
        centre = proposal[:2] + side / 2 + [dx, dy] * side
        half = np.exp(np.minimum([dw, dh], np.log(1000 / 16))) * side / 2
        boxes.append(np.clip([*(centre - half), *(centre + half)], 0, [width, height, width, height]))
    sure = probabilities[np.arange(len(labels)), labels]
    kept = suppressed(boxes, sure, threshold)[:most]
    return seen["features"][kept], np.array(boxes)[kept], labels[kept], sure[kept]


def test_regions_equal_naive_bottom_up_selection(extractor, detector):
    image = noise((64, 48))
    (found,) = regions(extractor, image)
    # The network's input is 96 / 48 = 2 times as large.
    features, boxes, labels, sure = naive_selection(intermediate_results(detector, image), 96, 128, 0.6, 12)
    assert 5 <= len(features) <= 12
    assert found.features.shape == (len(features), 1024)
    assert (found.features.dtype, found.boxes_xyxy.dtype, found.objects.dtype) == (np.float32, np.float32, OBJECT)
    np.testing.assert_allclose(found.features, features, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.boxes_xyxy, boxes / 2, atol=1e-2)
    assert found.objects["object"].tolist() == labels.tolist()
    assert found.objects["object"].min() >= 1
    np.testing.assert_allclose(found.objects["object_probability"], sure, atol=1e-4)
    assert (np.diff(found.objects["object_probability"]) <= 0).all()
    assert (found.objects["attribute"] == -1).all()
    assert (found.objects["attribute_probability"] == 0).all()
    assert found.size == (64, 48)


def test_threshold_rises_until_enough_boxes_remain(weights, extractor, detector):
    image = noise((64, 48))
    seen = intermediate_results(detector, image)
    n_left = [len(naive_selection(seen, 96, 128, threshold, 300)[0]) for threshold in (0.6, 0.7, 0.8, 0.9, 1.0)]
    assert n_left[0] < n_left[1] < n_left[4] == PROPOSALS
    for least, expected in (
        (n_left[0], n_left[0]),
        (n_left[0] + 1, n_left[1]),
        (PROPOSALS, PROPOSALS),
        (300, PROPOSALS),
    ):
        other = TorchvisionExtractor(str(weights), min_boxes=least, max_boxes=300, precision="float32")
        assert len(regions(other, image)[0].features) == expected


def test_regions_do_not_depend_on_batch(extractor):
    # The second and third have different sizes but the same padded size; the last is taller.
    images = [noise((64, 48), 0), noise((64, 48), 1), noise((63, 48), 2), noise((40, 64), 3)]
    for image, found in zip(images, regions(extractor, *images), strict=True):
        (alone,) = regions(extractor, image)
        assert found.size == image.size
        np.testing.assert_allclose(found.features, alone.features, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(found.boxes_xyxy, alone.boxes_xyxy, rtol=1e-3, atol=1e-3)
        assert (found.objects["object"] == alone.objects["object"]).all()


@pytest.mark.parametrize("size", [(1, 1), (2000, 3), (2, 3001), (LONGER * 20 + 1, 1)])
def test_every_size_gives_regions_inside_image(size, extractor):
    (found,) = regions(extractor, noise(size))
    assert 1 <= len(found.features) <= 12
    assert np.isfinite(found.features).all()
    assert found.features.std(axis=1).min() > 0
    left, top, right, bottom = found.boxes_xyxy.T
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (right <= size[0]).all()
    assert (bottom <= size[1]).all()
    assert (right > left).all()
    assert (bottom > top).all()


def test_thin_image_does_not_change_the_next(weights, extractor):
    """torchvision's pooler infers its scales from the first image and keeps them."""
    fresh = TorchvisionExtractor(str(weights), min_boxes=5, max_boxes=12, precision="float32")
    regions(fresh, noise((2000, 3)))
    (after,), (expected,) = regions(fresh, noise()), regions(extractor, noise())
    np.testing.assert_allclose(after.features, expected.features, rtol=1e-4, atol=1e-4)


def test_image_without_proposals_is_one_region(weights, monkeypatch):
    extractor = TorchvisionExtractor(str(weights), precision="float32")
    monkeypatch.setattr(extractor._network.rpn, "min_size", 1e6)
    (found,) = regions(extractor, noise())
    assert found.features.shape == (1, 1024)


def test_degenerate_box_is_replaced_by_its_proposal(weights, detector):
    extractor = TorchvisionExtractor(str(weights), max_boxes=300, min_boxes=300, precision="float32")
    with torch.no_grad():
        extractor._network.roi_heads.box_predictor.bbox_pred.weight.mul_(30)
    (found,) = regions(extractor, noise())
    assert len(found.boxes_xyxy) == PROPOSALS
    assert (found.boxes_xyxy[:, 2:] > found.boxes_xyxy[:, :2]).all()
    inside = intermediate_results(detector, noise())["proposals"] / 2
    as_proposed = [np.abs(inside - box).max(axis=1).min() < 1e-2 for box in found.boxes_xyxy]
    assert 0 < sum(as_proposed) < PROPOSALS


def test_mixed_precision_gives_float32(weights, monkeypatch):
    for name, value in (("SHORTER_SIDE", 32), ("LONGER_SIDE", 64), ("PROPOSALS", 8)):
        monkeypatch.setattr(torchvision_detector, name, value)  # bfloat16 is slow on processors without it
    extractor = TorchvisionExtractor(str(weights), precision="bfloat16")
    (found,) = regions(extractor, noise())
    assert found.features.dtype == np.float32
    assert len(found.features) == 8
    assert np.isfinite(found.features).all()


def test_extractor_has_its_attributes(weights, extractor):
    settings = {"weights": str(weights), "min_boxes": 5, "max_boxes": 12, "precision": "float32"}
    assert extractor.settings == settings
    assert (extractor.name, extractor.dim, extractor.at_least) == ("torchvision", 1024, None)
    assert not extractor.in_processes
    assert extractor.weights_hash == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert extractor.names.objects[0] == "__background__"
    assert extractor.names.objects[18] == "dog"
    assert extractor.names.of(np.array((18, 0.5, -1, 0), OBJECT)[()]) == "dog"


def test_different_number_of_classes_has_no_names(tmp_path, detector):
    state = dict(detector.state_dict())
    for part in ("cls_score.weight", "cls_score.bias", "bbox_pred.weight", "bbox_pred.bias"):
        key = f"roi_heads.box_predictor.{part}"
        state[key] = state[key][: 4 * (4 if "bbox" in part else 1)].clone()
    torch.save(state, tmp_path / "four.pth")
    extractor = TorchvisionExtractor(str(tmp_path / "four.pth"))
    assert extractor.names.objects == ()
    (found,) = regions(extractor, noise())
    assert set(found.objects["object"].tolist()) <= {1, 2, 3}


def test_loading_does_not_change_random_state(weights):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    TorchvisionExtractor(str(weights))
    assert torch.rand(1) == expected


def assert_refused(match, **settings):
    with pytest.raises(EmocapError, match=match) as caught:
        TorchvisionExtractor(**settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"min_boxes": 0}, "min_boxes is 0, expected"),
        ({"max_boxes": 301}, "max_boxes is 301, expected"),
        ({"max_boxes": 2.0}, "max_boxes is 2.0, expected"),
        ({"min_boxes": 37}, "min_boxes is 37, more than max_boxes, 36"),
        ({"precision": "half"}, "precision is 'half', expected"),
        ({"weights": "COCO_V9"}, "weights is 'COCO_V9', expected COCO_V1, .* or a .pth file"),
        ({"weights": 1}, "weights is 1, expected"),
    ],
)
def test_refuses_setting_out_of_range(settings, match):
    assert_refused(f"extractor torchvision: {match}", **settings)


class Touch:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_refuses_files_of_other_weights(tmp_path, weights):
    path = tmp_path / "some.pth"
    torch.save({"weight": torch.zeros(2)}, path)
    assert_refused("some.pth: not the weights of .*KeyError", weights=str(path))
    torch.save([1], path)
    assert_refused("some.pth: not the weights of", weights=str(path))
    torch.save({"roi_heads.box_predictor.cls_score.weight": torch.zeros(3, 1024)}, path)
    assert_refused("some.pth: not the weights of", weights=str(path))
    path.write_bytes(weights.read_bytes()[:100_000])
    assert_refused("some.pth: cannot be read as weights", weights=str(path))
    path.write_bytes(b"")
    assert_refused("some.pth: cannot be read as weights", weights=str(path))


def test_malicious_file_is_refused_and_not_run(tmp_path):
    path = tmp_path / "trap.pth"
    path.write_bytes(pickle.dumps(Touch(tmp_path / "sprung"), protocol=2))
    assert_refused("trap.pth: refused", weights=str(path))
    assert not (tmp_path / "sprung").exists()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """torch's hub folder, in a temporary folder, with the published weights at a closed loopback port."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    published = FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1.value
    monkeypatch.setattr(published, "url", f"http://127.0.0.1:{port}/detector-dd69338a.pth")
    return tmp_path / "hub/checkpoints"


def test_unreachable_host_is_reported_within_seconds(hub):
    begin = time.monotonic()
    assert_refused("detector-dd69338a.pth: unreachable .*; or give a .pth file as weights")
    assert time.monotonic() - begin < 10
    assert not (hub / "detector-dd69338a.pth").exists()


def test_downloaded_weights_must_match_their_hash(hub, weights, monkeypatch):
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    hub.mkdir(parents=True)
    (hub / "detector-dd69338a.pth").symlink_to(weights)
    assert_refused(f"detector-dd69338a.pth: SHA-256 is {digest}, expected one that begins with dd69338a; delete it")
    published = FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1.value
    monkeypatch.setattr(published, "url", f"http://127.0.0.1/detector-{digest[:8]}.pth")
    shutil.move(hub / "detector-dd69338a.pth", hub / f"detector-{digest[:8]}.pth")
    extractor = TorchvisionExtractor()
    assert extractor.weights_hash == digest
    assert extractor.settings["weights"] == "COCO_V1"
