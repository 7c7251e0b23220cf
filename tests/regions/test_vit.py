"""The ViT extractor: tiny real backbones of several types, compared with naive pooling of their outputs."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from emocap.regions.extractors.vit import VitExtractor

from .vit_backbones import KINDS, save


def noise(size=(70, 50), seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def regions(extractor, *images):
    return extractor.describe([extractor.prepare(image) for image in images], [image.size for image in images])


def tower(network):
    """The vision tower of a saved network."""
    for part in ("vision_model", "vit"):
        network = getattr(network, part, network)
    return network


def naive_pooling(tokens, rows, columns):
    """Means over (h, w, dim) cell by cell; a cell contains every patch that it overlaps."""
    height, width, _ = tokens.shape
    cells = []
    for row in range(rows):
        for column in range(columns):
            inside = [
                tokens[y, x]
                for y in range(height)
                for x in range(width)
                if row * height < (y + 1) * rows
                and y * rows < (row + 1) * height
                and column * width < (x + 1) * columns
                and x * columns < (column + 1) * width
            ]
            cells.append(np.mean(inside, axis=0))
    return np.array(cells)


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_means_of_patch_tokens(kind, backbones):
    folder, network = backbones[kind]
    own, prefix = KINDS[kind][2:]
    extractor = VitExtractor(str(folder), rows=own[0] - 1, columns=own[1])
    pixels = extractor.prepare(noise())
    with torch.no_grad():
        hidden = tower(network)(pixel_values=torch.from_numpy(pixels[None])).last_hidden_state[0].numpy()
    tokens = hidden.transpose(1, 2, 0) if prefix is None else hidden[prefix:].reshape(*own, -1)
    (found,) = regions(extractor, noise())
    assert found.features.dtype == np.float32
    assert found.features.shape == ((own[0] - 1) * own[1], extractor.dim)
    assert found.features.std(axis=0).max() > 0.01
    np.testing.assert_allclose(found.features, naive_pooling(tokens, own[0] - 1, own[1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "mean", "deviation", "resample"),
    [
        ("vit", [0.5] * 3, [0.5] * 3, Image.Resampling.BILINEAR),
        ("clip", [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711], Image.Resampling.BICUBIC),
    ],
)
def test_whole_image_is_resized_and_normalised(kind, mean, deviation, resample, backbones):
    pixels = VitExtractor(str(backbones[kind][0]), 2, 2).prepare(noise((300, 40)))
    resized = np.asarray(noise((300, 40)).resize((32, 32), resample), np.float64) / 255
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, ((resized - mean) / deviation).transpose(2, 0, 1), atol=1e-5)


def test_image_fills_complete_patches_only(backbones):
    """35 pixels are 4 patches of 8, and 3 pixels that the backbone ignores."""
    pixels = VitExtractor(str(backbones["siglip"][0]), 2, 2).prepare(noise())
    assert pixels.shape == (3, 35, 35)
    assert (pixels[:, 32:] == 0).all()
    assert (pixels[:, :, 32:] == 0).all()
    whole = np.asarray(noise().resize((32, 32), Image.Resampling.BICUBIC), np.float64) / 255
    np.testing.assert_allclose(pixels[:, :32, :32], ((whole - 0.5) / 0.5).transpose(2, 0, 1), atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (300, 90), (7, 2000)])
def test_boxes_tile_the_image(size, backbones):
    (found,) = regions(VitExtractor(str(backbones["vit"][0]), rows=2, columns=3), noise(size))
    width, height = size
    assert found.size == size
    assert found.boxes_xyxy.dtype == np.float32
    expected = [
        [width * c / 3, height * r / 2, width * (c + 1) / 3, height * (r + 1) / 2] for r in range(2) for c in range(3)
    ]
    np.testing.assert_allclose(found.boxes_xyxy, expected, rtol=1e-6)
    assert found.boxes_xyxy[-1, 2:].tolist() == [width, height]
    assert found.objects is None
    assert np.isfinite(found.features).all()


def test_boxes_are_in_full_size_pixels(backbones):
    extractor = VitExtractor(str(backbones["vit"][0]), rows=1, columns=2)
    (found,) = extractor.describe([extractor.prepare(noise((70, 50)))], [(1400, 1000)])
    assert found.boxes_xyxy.tolist() == [[0, 0, 700, 1000], [700, 0, 1400, 1000]]


@pytest.mark.parametrize("kind", ["vit", "swin", "convnext"])
def test_batch_equals_single_images(kind, backbones):
    extractor = VitExtractor(str(backbones[kind][0]), 2, 2)
    images = [noise((70, 50), 0), noise((20, 90), 1), noise((33, 33), 2)]
    for image, found in zip(images, regions(extractor, *images), strict=True):
        (alone,) = regions(extractor, image)
        np.testing.assert_allclose(found.features, alone.features, rtol=1e-5, atol=1e-5)
        assert (found.boxes_xyxy == alone.boxes_xyxy).all()


def test_cells_are_in_row_order(tmp_path, backbones):
    """Without attention and position embeddings a cell depends only on its own patches, so images can be transposed."""
    folder, _ = backbones["vit"]
    shutil.copytree(folder, tmp_path / "bag")
    weights = transformers.ViTModel.from_pretrained(folder)
    with torch.no_grad():
        weights.embeddings.position_embeddings.zero_()
        for name, parameter in weights.named_parameters():
            if "attention" in name:
                parameter.zero_()
    weights.save_pretrained(tmp_path / "bag")
    extractor = VitExtractor(str(tmp_path / "bag"), 4, 4)
    tiles = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    plain, transposed = (
        Image.fromarray(t.repeat(8, axis=0).repeat(8, axis=1)) for t in (tiles, tiles.transpose(1, 0, 2))
    )
    upright, across = (found.features.reshape(4, 4, -1) for found in regions(extractor, plain, transposed))
    np.testing.assert_allclose(across, upright.transpose(1, 0, 2), atol=1e-5)
    assert np.abs(across - upright).max() > 0.1


def test_mixed_precision_is_close_to_float32(backbones):
    folder = str(backbones["vit"][0])
    (exact,), (rough,) = (regions(VitExtractor(folder, 2, 2, p), noise()) for p in ("float32", "bfloat16"))
    assert rough.features.dtype == np.float32
    np.testing.assert_allclose(rough.features, exact.features, atol=0.1)
    assert (rough.features != exact.features).any()


def test_half_precision_weights_are_computed_in_float32(tmp_path, backbones):
    folder, _ = backbones["vit"]
    transformers.ViTModel.from_pretrained(folder).half().save_pretrained(tmp_path)
    KINDS["vit"][1]().save_pretrained(tmp_path)
    (half,), (full,) = (regions(VitExtractor(str(f), 4, 4, "float32"), noise()) for f in (tmp_path, folder))
    np.testing.assert_allclose(half.features, full.features, atol=0.02)
    assert (half.features != half.features.astype(np.float16)).any()


def test_hash_does_not_depend_on_location(tmp_path, backbones):
    folder, _ = backbones["vit"]
    shutil.copytree(folder, tmp_path / "moved")
    save("vit", tmp_path / "other", seed=1)
    first = VitExtractor(str(folder), 2, 2).weights_hash
    assert len(first) == 64
    assert VitExtractor(str(tmp_path / "moved"), 2, 2).weights_hash == first
    assert VitExtractor(str(tmp_path / "other"), 2, 2).weights_hash != first


@pytest.mark.parametrize(
    ("file", "key", "value", "matters"),
    [
        ("preprocessor_config.json", "image_mean", [0.4, 0.5, 0.5], True),
        ("preprocessor_config.json", "resample", 3, True),
        ("preprocessor_config.json", "size", {"height": 40, "width": 40}, False),  # the input size is the config's
        ("config.json", "layer_norm_eps", 1e-3, True),
        ("config.json", "_name_or_path", "/somewhere", False),
    ],
)
def test_hash_depends_on_relevant_fields_only(file, key, value, matters, tmp_path, backbones):
    folder, _ = backbones["vit"]
    shutil.copytree(folder, tmp_path / "changed")
    content = json.loads((folder / file).read_text())
    (tmp_path / "changed" / file).write_text(json.dumps(content | {key: value}))
    first, second = (VitExtractor(str(f), 2, 2).weights_hash for f in (folder, tmp_path / "changed"))
    assert (first != second) == matters


def test_extractor_has_its_attributes(backbones):
    folder = str(backbones["convnext"][0])
    extractor = VitExtractor(folder, rows=3, columns=2, precision="float32")
    assert extractor.settings == {"weights": folder, "rows": 3, "columns": 2, "precision": "float32"}
    assert VitExtractor(**extractor.settings).settings == extractor.settings
    assert (extractor.name, extractor.dim, extractor.at_least) == ("vit", 16, 96)
    assert (extractor.in_processes, extractor.names) == (False, None)


def test_reads_pickled_tensors(tmp_path, backbones):
    folder, network = backbones["dinov2"]
    shutil.copytree(folder, tmp_path / "bin")
    (tmp_path / "bin/model.safetensors").unlink()
    torch.save(network.state_dict(), tmp_path / "bin/pytorch_model.bin")
    (pickled,), (plain,) = (regions(VitExtractor(str(f), 2, 2), noise()) for f in (tmp_path / "bin", folder))
    np.testing.assert_allclose(pickled.features, plain.features, rtol=1e-6)
    first = VitExtractor(str(tmp_path / "bin"), 2, 2).weights_hash
    torch.save({key: value + 1 for key, value in network.state_dict().items()}, tmp_path / "bin/pytorch_model.bin")
    assert VitExtractor(str(tmp_path / "bin"), 2, 2).weights_hash != first


def test_reads_whole_and_sharded_weights_from_hub_cache(tmp_path, backbones, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    folder, network = backbones["dinov2"]
    for name, size in (("whole", "5GB"), ("parts", "20KB")):
        repository = tmp_path / f"models--me--{name}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs/main").write_text("0" * 40)
        network.save_pretrained(repository / "snapshots" / ("0" * 40), max_shard_size=size)
        KINDS["dinov2"][1]().save_pretrained(repository / "snapshots" / ("0" * 40))
    assert len(list((tmp_path / "models--me--parts").rglob("*.safetensors"))) > 1
    (expected,) = regions(VitExtractor(str(folder), 2, 2), noise())
    for name in ("me/whole", "me/parts"):
        extractor = VitExtractor(name, 2, 2)
        assert extractor.settings["weights"] == name
        np.testing.assert_allclose(regions(extractor, noise())[0].features, expected.features, rtol=1e-6)


def test_prepare_is_thread_safe(backbones):
    extractor = VitExtractor(str(backbones["clip"][0]), 2, 2)
    images = [noise((70 + number, 50), number) for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(extractor.prepare, images))
    for image, pixels in zip(images, together, strict=True):
        assert (pixels == extractor.prepare(image)).all()


def test_loading_is_quiet_and_restores_logging(backbones, capfd):
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    try:
        logging.set_verbosity_info()
        logging.enable_progress_bar()
        VitExtractor(str(backbones["siglip"][0]), 2, 2)
        assert capfd.readouterr().err == ""
        assert logging.get_verbosity() == logging.INFO
        assert logging.is_progress_bar_enabled()
    finally:
        logging.set_verbosity(level)
        if not bars:
            logging.disable_progress_bar()
