"""Settings, folders and backbones that the ViT extractor refuses."""

import shutil

import pytest
import transformers

from emocap.errors import EmocapError
from emocap.regions.extractors.vit import VitExtractor

from .vit_backbones import KINDS, SIGHT, TEXT


def assert_refused(match, weights, **settings):
    with pytest.raises(EmocapError, match=match) as caught:
        VitExtractor(str(weights), **settings)
    assert "\n" not in str(caught.value)


def test_refuses_grid_finer_than_the_backbone(backbones):
    assert_refused("rows is 5, but .* has a grid of 4 rows x 4 columns", backbones["vit"][0], rows=5, columns=2)
    assert_refused("columns is 6, but .* has a grid of 3 rows x 3 columns", backbones["convnext"][0], rows=3)


@pytest.mark.parametrize("settings", [{"rows": 0}, {"columns": 2.0}, {"rows": True}, {"precision": "half"}])
def test_refuses_setting_out_of_range(settings, backbones):
    assert_refused(f"extractor vit: {next(iter(settings))} is .* expected", backbones["vit"][0], **settings)


def test_reports_unavailable_weights(tmp_path):
    assert_refused("weights is ''", "")
    assert_refused("has no config.json", tmp_path)
    assert_refused("neither a folder nor a name", tmp_path / "nowhere")
    assert_refused("nobody/nothing: not in the hub's cache", "nobody/nothing")


def test_refuses_incomplete_folder(tmp_path, backbones):
    for part, match in (("model.safetensors", "cannot be loaded"), ("preprocessor_config.json", "has no preproc")):
        folder = tmp_path / part
        shutil.copytree(backbones["vit"][0], folder)
        (folder / part).unlink()
        assert_refused(match, folder)


def test_refuses_damaged_weights(tmp_path, backbones):
    shutil.copytree(backbones["vit"][0], tmp_path / "vit")
    weights = tmp_path / "vit/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    assert_refused("cannot be loaded", tmp_path / "vit")


def test_refuses_weights_with_missing_tensors(tmp_path, backbones):
    folder, network = backbones["dinov2"]
    shutil.copytree(folder, tmp_path / "part")
    state = {key: value for key, value in network.state_dict().items() if "layer.1.mlp.fc1" not in key}
    network.save_pretrained(tmp_path / "part", state_dict=state)
    assert_refused("weights lack .*layer.1.mlp.fc1.bias and 1 more", tmp_path / "part")


def test_refuses_text_backbone(tiny_bert):
    assert_refused("a bert does not take images", tiny_bert)


def test_refuses_backbone_that_masks_patches(tmp_path):
    transformers.ViTMAEModel(transformers.ViTMAEConfig(**SIGHT)).save_pretrained(tmp_path)
    KINDS["vit"][1]().save_pretrained(tmp_path)
    assert_refused("hidden states of shape .* do not form a grid", tmp_path, rows=2, columns=2)


def test_refuses_backbone_for_lists_of_patches(tmp_path):
    sight = {key: value for key, value in SIGHT.items() if key != "image_size"}
    config = transformers.Siglip2Config(text_config=TEXT, vision_config=sight | {"num_patches": 16})
    transformers.Siglip2Model(config).save_pretrained(tmp_path)
    transformers.Siglip2ImageProcessor(patch_size=8, max_num_patches=16).save_pretrained(tmp_path)
    assert_refused(
        "its input size is not specified; give a backbone with a fixed input size", tmp_path, rows=2, columns=2
    )
