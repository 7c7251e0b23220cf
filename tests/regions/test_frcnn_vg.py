"""The published detector's checkpoint and configuration, its golden outputs, and unusual images."""

import importlib.util
import json
import os
import shutil
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torchvision.ops import box_iou

from emocap.devices import best_device
from emocap.errors import EmocapError
from emocap.regions.describe import describe_source
from emocap.regions.extract import extract
from emocap.regions.extractors import frcnn_vg, network
from emocap.regions.extractors.faster_rcnn import FasterRCNN
from emocap.regions.extractors.frcnn_config import DetectorConfig
from emocap.regions.extractors.frcnn_vg import VisualGenomeExtractor
from emocap.regions.extractors.registry import build_extractor
from emocap.regions.store.reader import FeatureStore

from ..small_detector import small_config

DATA = Path(os.environ.get("EMOCAP_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


@pytest.fixture(scope="module")
def extractor(detector_folder):
    return VisualGenomeExtractor(str(detector_folder))


@pytest.fixture
def folder(detector_folder, tmp_path):
    """A copy of the checkpoint that may be changed."""
    return Path(shutil.copytree(detector_folder, tmp_path / "checkpoint"))


def noise(size, mode="RGB", seed=0):
    channels = {"RGB": 3, "CMYK": 4, "RGBA": 4, "L": 1}[mode]
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    return Image.fromarray(values[..., 0] if channels == 1 else values, mode)


def test_checkpoint_gives_configured_network(extractor, detector_folder):
    assert extractor.config == small_config()
    assert (extractor.name, extractor.dim, extractor.batch_size) == ("frcnn-vg", 128, 1)
    assert extractor.names.objects == tuple(f"thing{n}" for n in range(9))
    assert extractor.names.attributes == tuple(f"kind{n}" for n in range(5))
    assert extractor.settings == {
        "weights": str(detector_folder),
        "min_boxes": 6,
        "max_boxes": 6,
        "precision": "auto",
    }
    again = build_extractor("frcnn-vg", extractor.settings)
    assert again.weights_hash == extractor.weights_hash


def test_hash_depends_on_weights_and_configuration(extractor, folder):
    assert VisualGenomeExtractor(str(folder)).weights_hash == extractor.weights_hash  # a different location
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["INPUT"]["MIN_SIZE_TEST"] = 97
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert VisualGenomeExtractor(str(folder)).weights_hash != extractor.weights_hash
    shutil.copy(Path(extractor.settings["weights"]) / "config.yaml", folder)
    tensors = torch.load(folder / "pytorch_model.bin", weights_only=True)
    tensors["roi_heads.box_predictor.cls_score.bias"][0] += 1
    torch.save(tensors, folder / "pytorch_model.bin")
    assert VisualGenomeExtractor(str(folder)).weights_hash != extractor.weights_hash


def test_boxes_are_in_image_pixels_with_names(extractor):
    regions = describe_source(noise((300, 200)), extractor)
    assert regions.size == (300, 200)
    assert regions.features.shape == (6, 128)
    assert (regions.boxes_xyxy >= 0).all()
    assert (regions.boxes_xyxy <= np.array([300, 200, 300, 200]) + 1e-3).all()
    assert regions.boxes_xyxy[:, 2].max() > 160  # beyond the scaled image's own width
    assert (np.diff(regions.objects["object_probability"]) <= 0).all()
    assert (regions.objects["object"] < 9).all()
    name = extractor.names.of(regions.objects[0])
    assert name == f"kind{regions.objects[0]['attribute']} thing{regions.objects[0]['object']}"


def test_number_of_boxes_stays_within_bounds(detector_folder):
    adaptive = VisualGenomeExtractor(str(detector_folder), min_boxes=2, max_boxes=30)
    counts = [len(describe_source(noise((160, 120), seed=seed), adaptive).features) for seed in range(4)]
    assert all(2 <= count <= 30 for count in counts)
    assert max(counts) > 6
    few = VisualGenomeExtractor(str(detector_folder), min_boxes=1, max_boxes=1)
    assert len(describe_source(noise((160, 120)), few).features) == 1


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_works_on_cpu(extractor, detector_folder, precision):
    half = VisualGenomeExtractor(str(detector_folder), precision=precision)
    assert (extractor.computed_in, half.computed_in) == ("float32", precision)
    assert half.weights_hash == extractor.weights_hash
    image = noise((160, 120))
    exact, rough = (describe_source(image, e) for e in (extractor, half))
    assert rough.features.dtype == np.float32
    means = exact.features.mean(axis=0), rough.features.mean(axis=0)
    assert 0 < np.linalg.norm(means[1] - means[0]) < 0.1 * np.linalg.norm(means[0])


def test_each_process_uses_own_gpu_in_float16(monkeypatch):
    assert (best_device().type, network.resolve_precision("x", "auto")) == ("cpu", torch.float32)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert best_device() == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert best_device() == torch.device("cuda", 3)
    assert network.resolve_precision("x", "auto") == torch.float16
    assert network.resolve_precision("x", "float32") == torch.float32


def test_float32_disables_tf32(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    with network.inference_context(torch.device("cpu"), torch.float32):
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32


def test_store_of_mixed_sizes_equals_single_images(extractor, tmp_path):
    sizes = [(160, 120), (120, 160), (90, 60), (161, 120)]
    for number, size in enumerate(sizes):
        noise(size, seed=number).save(tmp_path / f"{number}.png")
    extract([f"{n}.png" for n in range(4)], tmp_path, extractor, tmp_path / "store", batch_size=4)
    store = FeatureStore.open(tmp_path / "store")
    assert store.names == extractor.names
    for number in range(4):
        alone = describe_source(tmp_path / f"{number}.png", extractor)
        overlaps = box_iou(torch.from_numpy(alone.boxes_xyxy), torch.tensor(store[f"{number}.png"][1])).numpy()
        match = overlaps.argmax(axis=1)
        assert (overlaps.max(axis=1) > 0.99).all()
        stored = store[f"{number}.png"][0][match].astype(np.float32)
        assert np.allclose(stored, alone.features, rtol=2e-3, atol=1e-2)
        assert (store.objects(f"{number}.png")["object"][match] == alone.objects["object"]).all()


def unusual_images(root):
    """Write images of unusual formats and sizes; returns the names of those that can be used, and of the others."""
    noise((90, 60)).convert("CMYK").save(root / "cmyk.jpg")
    Image.fromarray(np.random.default_rng(0).integers(0, 65536, (60, 90), dtype=np.uint16)).save(root / "16bit.png")
    noise((90, 60)).quantize(16).save(root / "palette.png")
    noise((90, 60), "RGBA").save(root / "alpha.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    noise((90, 60)).save(root / "turned.jpg", exif=exif)
    noise((1, 1)).save(root / "dot.png")
    noise((20_000, 10)).save(root / "long.png")
    noise((9, 1300)).save(root / "tall.png")
    noise((90, 60)).save(root / "moving.gif", save_all=True, append_images=[noise((90, 60), seed=1)])
    Image.new("RGB", (90, 60)).save(root / "black.png")
    good = sorted(path.name for path in root.iterdir())
    (root / "text.jpg").write_text("no image")
    noise((90, 60)).save(root / "whole.jpg")
    (root / "short.jpg").write_bytes((root / "whole.jpg").read_bytes()[:900])
    (root / "whole.jpg").unlink()
    Image.new("1", (20_000, 20_000)).save(root / "bomb.png")
    return good, ["text.jpg", "short.jpg", "bomb.png"]


def test_unusual_images_are_described_or_rejected(extractor, tmp_path):
    (tmp_path / "images").mkdir()
    good, bad = unusual_images(tmp_path / "images")
    report = extract([*bad, *good, "gone.jpg"], tmp_path / "images", extractor, tmp_path / "store")
    assert [fault.where for fault in report.rejected] == bad
    assert [fault.reason.split(" (")[0].split(";")[0] for fault in report.rejected] == [
        "not a readable image but text",
        "truncated",
        "more than 100,000,000 pixels",
    ]
    assert report.missing == ["gone.jpg"]
    store = FeatureStore.open(tmp_path / "store")
    store.verify()
    assert store.images == good
    for image in good:
        features, boxes = store[image]
        width, height = store.size(image)
        assert 1 <= len(features) <= 6
        assert np.isfinite(features.astype(np.float32)).all()
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2] <= width * 1.001).all()
        assert (boxes[:, 3] <= height * 1.001).all()
    assert store.size("turned.jpg") == (60, 90)
    assert store.size("long.png") == (20_000, 10)
    first = describe_source(noise((90, 60)).quantize(16).convert("RGB"), extractor)
    assert np.allclose(store["palette.png"][0].astype(np.float32), first.features, rtol=2e-3, atol=1e-2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_boxes": 0}, "min_boxes is 0, expected an integer from 1 to 40"),
        ({"max_boxes": 41}, "max_boxes is 41"),
        ({"max_boxes": "9"}, "max_boxes is '9'"),
        ({"min_boxes": 7}, "min_boxes is 7, more than max_boxes, 6"),
        ({"precision": "int8"}, "precision is 'int8', expected one of auto, float32, float16, bfloat16"),
        ({"weights": "no such/place/at all"}, "neither a folder nor a name on the hub"),
        ({"weights": "owner/name"}, "not in the hub's cache, and HF_HUB_OFFLINE forbids fetching it"),
    ],
)
def test_refuses_invalid_settings(detector_folder, settings, message):
    with pytest.raises(EmocapError, match=message):
        build_extractor("frcnn-vg", {"weights": str(detector_folder)} | settings)


def change_weights(folder, change):
    path = folder / "pytorch_model.bin"
    tensors = torch.load(path, weights_only=True)
    change(tensors)
    torch.save(tensors, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("backbone.res2.0.conv1.weight"), r"1 tensors missing \(backbone\.res2\.0\.conv1\.weight\)"),
        (lambda t: t.update(extra=torch.zeros(1)), r"1 tensors unexpected \(extra\)"),
        (
            lambda t: t.update({"roi_heads.box_predictor.cls_score.bias": torch.zeros(11)}),
            r"cls_score\.bias has shape \(11,\), but \(10,\) by config\.yaml; give the configuration of these weights",
        ),
        (
            lambda t: t.update({"proposal_generator.anchor_generator.cell_anchors.0": torch.zeros(6, 4)}),
            "differs from the anchors that config.yaml describes",
        ),
        (
            lambda t: t["proposal_generator.rpn_head.conv.bias"].fill_(float("nan")),
            r"rpn_head\.conv\.bias is not finite",
        ),
        (lambda t: t.update(epoch=3), "holds more than named tensors"),
    ],
)
def test_refuses_inconsistent_checkpoint(folder, change, message):
    change_weights(folder, change)
    with pytest.raises(EmocapError, match=message) as caught:
        VisualGenomeExtractor(str(folder))
    assert "\n" not in str(caught.value)


def test_checkpoint_may_omit_derived_buffers(folder, extractor):
    def change(tensors):
        for name in [n for n in tensors if n.endswith("num_batches_tracked") or "cell_anchors" in n]:
            del tensors[name]

    change_weights(folder, change)
    image = noise((90, 60))
    regions = describe_source(image, VisualGenomeExtractor(str(folder)))
    assert (regions.features == describe_source(image, extractor).features).all()


def test_malicious_weights_are_never_run(folder, tmp_path):
    class Malicious:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    torch.save({"a": Malicious()}, folder / "pytorch_model.bin")
    with pytest.raises(EmocapError, match="refused, since it holds more than tensors"):
        VisualGenomeExtractor(str(folder))
    assert not (tmp_path / "ran").exists()
    (folder / "pytorch_model.bin").write_bytes(b"not weights")
    with pytest.raises(EmocapError, match="pytorch_model.bin"):
        VisualGenomeExtractor(str(folder))


def test_reports_missing_configuration_file(folder):
    (folder / "config.yaml").unlink()
    with pytest.raises(EmocapError, match=r"config\.yaml: no such file"):
        VisualGenomeExtractor(str(folder))


def test_missing_names_warn_and_wrong_names_fail(folder, caplog):
    (folder / "objects_vocab.txt").write_text("one\ntwo\n")
    with pytest.raises(EmocapError, match=r"objects_vocab\.txt: has 2 names, the detector has 9 classes"):
        _ = VisualGenomeExtractor(str(folder)).names
    (folder / "objects_vocab.txt").unlink()
    with caplog.at_level("WARNING", logger="emocap"):
        names = VisualGenomeExtractor(str(folder)).names
    assert names == ((), ())
    assert "class names are unavailable" in caplog.text


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def test_published_names_are_downloaded_once(detector_folder, tmp_path, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(detector_folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(frcnn_vg, "VOCABULARY_URL", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    folder = frcnn_vg._fetch_vocabularies()
    server.shutdown()
    server.server_close()
    assert frcnn_vg._fetch_vocabularies() == folder  # without the server
    assert frcnn_vg.read_names(folder / "objects_vocab.txt")[2] == "thing2"
    assert sorted(path.name for path in folder.iterdir()) == ["attributes_vocab.txt", "objects_vocab.txt"]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    started = time.monotonic()
    with pytest.raises(EmocapError, match="HF_HUB_OFFLINE prevents its download"):
        frcnn_vg._fetch_vocabularies()
    assert time.monotonic() - started < 1


@pytest.fixture(scope="module")
def golden():
    """The published architecture with fixed random weights, and the original's outputs for two images."""
    folder = DATA / "frcnn-vg"
    if not folder.is_dir():
        pytest.skip("no real data on this machine")
    spec = importlib.util.spec_from_file_location("random_weights", folder / "random_weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    keys = json.loads((folder / "keys.json").read_text())
    network = FasterRCNN(DetectorConfig())
    assert {name: list(tensor.shape) for name, tensor in network.state_dict().items()} == keys
    network.load_state_dict(module.state_dict(keys), strict=False)
    return VisualGenomeExtractor.of_network(network, "float32"), np.load(folder / "golden.npz", allow_pickle=False)


@pytest.mark.real_data
@pytest.mark.parametrize("images", [("000000000139",), ("000000000139", "000000000802")], ids=["alone", "in a batch"])
def test_reproduces_golden_outputs(golden, images):
    extractor, expected = golden
    photographs = [Image.open(DATA / "coco-mini/val2017" / f"{name}.jpg").convert("RGB") for name in images]
    batch = extractor.describe([np.array(p) for p in photographs], [p.size for p in photographs])
    assert len({p.size for p in photographs}) == len(images)
    for name, regions in zip(images, batch, strict=True):
        want = {key.split("/")[1]: expected[key] for key in expected if key.startswith(name)}
        overlaps = box_iou(torch.from_numpy(want["boxes"]), torch.from_numpy(regions.boxes_xyxy)).numpy()
        matched, match = overlaps.max(axis=1) > 0.99, overlaps.argmax(axis=1)
        assert matched.sum() >= 34
        assert len(regions.features) == 36
        features, objects = regions.features[match][matched], regions.objects[match][matched]
        difference = np.linalg.norm(features - want["roi_features"][matched], axis=1)
        assert (difference < 1e-3 * np.linalg.norm(want["roi_features"][matched], axis=1)).all()
        for ours, theirs in (("object", "obj"), ("attribute", "attr")):
            assert (objects[ours] == want[f"{theirs}_ids"][matched]).all()
            assert np.allclose(objects[f"{ours}_probability"], want[f"{theirs}_probs"][matched], atol=1e-3)
        assert np.allclose(regions.normalized_boxes[match][matched], want["normalized_boxes"][matched], atol=2e-3)
