"""Hub models: a tiny BLIP that generates and a tiny CLIP that compares, saved to folders as on the hub."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
)

from emocap import EmocapError
from emocap.captioning.hub_models import ImageTextSimilarity, ImageToText
from emocap.files import read_json, write_json

SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION = {**SMALL, "image_size": 32, "patch_size": 16}


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8))


@pytest.fixture
def blip(tiny_bert, tmp_path) -> str:
    tokenizer = BertTokenizer.from_pretrained(str(tiny_bert))
    text = {
        **SMALL, "vocab_size": len(tokenizer), "encoder_hidden_size": 16, "bos_token_id": 2, "eos_token_id": 3,
        "sep_token_id": 3, "pad_token_id": 0, "max_position_embeddings": 32,
    }  # fmt: skip
    torch.manual_seed(0)
    config = BlipConfig(text_config=text, vision_config=VISION, projection_dim=16, image_text_hidden_size=16)
    BlipForConditionalGeneration(config).save_pretrained(tmp_path / "blip")
    processor = BlipProcessor(BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer)
    processor.save_pretrained(tmp_path / "blip")
    return str(tmp_path / "blip")


@pytest.fixture
def clip(tmp_path) -> str:
    folder = tmp_path / "clip"
    folder.mkdir()
    letters = [*"abcdefghijklmnopqrstuvwxyz", *(f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz")]
    words = {word: i for i, word in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    import json

    (folder / "vocab.json").write_text(json.dumps(words))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16)
    text = {**SMALL, "vocab_size": len(words), "max_position_embeddings": 16, "eos_token_id": len(words) - 1}
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config=text, vision_config=VISION, projection_dim=8)).save_pretrained(folder)
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPProcessor(CLIPImageProcessor(**size), tokenizer).save_pretrained(folder)
    return str(folder)


def test_image_to_text_generates_distinct_captions(blip, image) -> None:
    model = ImageToText(blip)
    captions = model.generate(image, 6, max_new_tokens=6)
    assert 1 <= len(captions) == len(set(captions)) <= 6
    assert all(isinstance(text, str) and text.strip() == text for text in captions)
    assert model.generate(image, 6, max_new_tokens=6) == captions, "the same seed gives the same captions"


def test_similarity_is_the_models_logit(clip, image) -> None:
    captions = ["a dog", "the sea at night", "a dog"]
    similarities = ImageTextSimilarity(clip)(image, captions)
    model, processor = CLIPModel.from_pretrained(clip).eval(), CLIPProcessor.from_pretrained(clip)
    with torch.inference_mode():
        out = model(**processor(text=captions, images=image, return_tensors="pt", padding=True))
    np.testing.assert_allclose(similarities, out.logits_per_image[0].numpy(), atol=1e-4)
    assert similarities[0] == pytest.approx(similarities[2])


def test_truncates_long_captions(clip, image) -> None:
    assert np.isfinite(ImageTextSimilarity(clip)(image, ["a dog " * 100])).all()


@pytest.mark.parametrize("kind", [ImageToText, ImageTextSimilarity])
def test_unavailable_model_is_a_single_line_error(kind, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    for name, message in (
        (str(tmp_path / "nowhere"), "neither a folder nor a name"),
        ("some/model", "not in the hub's cache"),
        (str(tmp_path / "empty"), "not a model that"),
    ):
        with pytest.raises(EmocapError, match=message) as caught:
            kind(name)
        assert "\n" not in str(caught.value)


def test_never_runs_code_of_a_model_folder(blip, tmp_path) -> None:
    folder = Path(blip)
    config = read_json(folder / "config.json")
    code = {"AutoConfig": "theirs.Config", "AutoModelForImageTextToText": "theirs.Model"}
    write_json(folder / "config.json", config | {"model_type": "theirs", "auto_map": code})
    (folder / "theirs.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(EmocapError, match="not a model that generates"):
        ImageToText(blip)
    assert not (tmp_path / "ran").exists()


def test_ignores_generation_settings_of_a_folder(blip, image) -> None:
    write_json(Path(blip) / "generation_config.json", {"top_k": 1, "temperature": 0.01, "bos_token_id": 2})
    assert len(ImageToText(blip).generate(image, 6, max_new_tokens=6)) > 1


def test_failing_generation_is_a_single_line_error(blip, image) -> None:
    with pytest.raises(EmocapError, match="cannot generate a caption"):
        ImageToText(blip).generate(image, 2, max_new_tokens=200)  # it has 32 positions


def test_image_to_text_model_has_no_similarity(blip) -> None:
    with pytest.raises(EmocapError, match="lacks .* weights"):
        ImageTextSimilarity(blip)
