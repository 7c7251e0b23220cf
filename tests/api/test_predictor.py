"""EmotionPredictor: order, batches, images, errors."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from emocap import EmocapError, EmotionPredictor
from emocap.api.ranking import rank_captions
from emocap.classifiers.network import NetworkClassifier
from emocap.models.initialisation import build_config, load_backbone
from emocap.regions.extractors.grid import GridExtractor
from emocap.regions.store.format import feature_fingerprint
from emocap.training.checkpoint import ModelCard, load_tokenizer, save_model
from emocap.training.predict import predict_captions

SETTINGS = {"rows": 1, "columns": 2, "dim": 16}


@pytest.fixture
def predictor(tiny_bert, vocabulary, tmp_path) -> EmotionPredictor:
    config = build_config(tiny_bert, vocabulary, pooling="mean", visual_token_type=0, visual_dim=16)
    model, _ = load_backbone(config, tiny_bert)
    features = {
        "fingerprint": feature_fingerprint("grid", GridExtractor(**SETTINGS).settings, "", 16),
        "extractor": "grid",
        "settings": GridExtractor(**SETTINGS).settings,
        "dim": 16,
    }
    card = ModelCard(list(vocabulary.labels), vocabulary.hash, 16, features, "AnB+")
    save_model(tmp_path / "model", model, load_tokenizer(tiny_bert), card)
    return EmotionPredictor.from_pretrained(tmp_path)


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8))


def test_predicts_all_emotions_best_first(predictor, image) -> None:
    predictions = predictor.predict(image, "a dog waits alone")
    assert {prediction.emotion for prediction in predictions} == {"happy", "sad", "awe"}
    probabilities = [prediction.probability for prediction in predictions]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(0 < probability < 1 for probability in probabilities)


def test_all_forms_of_an_image_are_equal(predictor, image, tmp_path) -> None:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    (tmp_path / "p.png").write_bytes(buffer.getvalue())
    variants = [
        predictor.predict(variant, "a dog")
        for variant in (
            image,
            buffer.getvalue(),
            tmp_path / "p.png",
            str(tmp_path / "p.png"),
            np.asarray(image),
            buffer,
        )
    ]
    prepared = predictor.prepare(buffer.getvalue())
    (regions,) = predictor.regions([prepared])
    variants += [predictor.predict(variant, "a dog") for variant in (prepared, regions)]
    assert all(variant == variants[0] for variant in variants)
    assert predictor.predict(None, "a dog") != variants[0]


def test_rejects_image_of_too_many_pixels(predictor, image, tmp_path) -> None:
    image.save(tmp_path / "p.png")
    with pytest.raises(EmocapError, match="more than 2,399 pixels; make it smaller"):
        predictor.prepare(tmp_path / "p.png", max_pixels=2399)
    with pytest.raises(EmocapError, match="more than 2,399 pixels; make it smaller"):
        predictor.prepare(image, max_pixels=2399)
    with pytest.raises(EmocapError, match="more than 2,399 pixels; make it smaller"):
        predictor.prepare(np.asarray(image), max_pixels=2399)
    assert predictor.prepare(tmp_path / "p.png", max_pixels=2400).size == (60, 40)


def test_caption_warnings_are_thread_safe(predictor) -> None:
    """A tokenizer stores its truncation: one shared by all threads would let a long caption through."""
    expected = predictor.predict(None, "dog " * 100)
    ended = threading.Event()

    def warn() -> None:
        while not ended.is_set():
            assert len(predictor.caption_warnings("dog " * 100)) == 1

    with ThreadPoolExecutor(1) as pool:
        warning = pool.submit(warn)
        try:
            predictions = [predictor.predict(None, "dog " * 100) for _ in range(20)]
        finally:
            ended.set()
    assert warning.result() is None
    assert all(prediction == expected for prediction in predictions)


def test_rejects_unequal_numbers_and_no_pairs(predictor) -> None:
    with pytest.raises(EmocapError, match="1 images and 2 captions; give the same number"):
        predictor.pair_probabilities([None], ["a dog", "a cat"])
    with pytest.raises(EmocapError, match="0 images and 0 captions"):
        predictor.pair_probabilities([], [])


@pytest.mark.parametrize(
    ("caption", "warning"),
    [
        ("\u200b\u200d", "the caption contains no words"),
        ("!?", "the caption contains no words"),
        ("a\x07", "the caption contains control characters"),
    ],
)
def test_warns_of_odd_captions(predictor, caption, warning) -> None:
    assert warning in predictor.caption_warnings(caption)
    assert "the caption contains no words" not in predictor.caption_warnings("a dog 2")


def test_batch_equals_single_predictions(predictor, image) -> None:
    pairs = [(image, "a dog"), (None, "the child runs by the sea and sits"), (image, "storm")]
    together = predictor.predict_many(pairs)
    for pair, batched in zip(pairs, together, strict=True):
        alone = predictor.predict(*pair)
        assert [p.emotion for p in alone] == [p.emotion for p in batched]
        np.testing.assert_allclose([p.probability for p in alone], [p.probability for p in batched], atol=1e-6)
    assert predictor.predict_many([]) == []


def test_rejects_unusable_input(predictor, tmp_path) -> None:
    (tmp_path / "x.jpg").write_text("not an image")
    for image, caption, message in (
        (None, " ", "caption is empty"),
        (None, "\udcff", "not Unicode text"),
        (tmp_path / "x.jpg", "a dog", "x.jpg"),
        ("none.jpg", "a", "none.jpg"),
    ):
        with pytest.raises(EmocapError, match=message):
            predictor.predict(image, caption)


def test_truncates_long_caption(predictor) -> None:
    assert predictor.predict(None, "dog " * 5000) == predictor.predict(None, "dog " * 14)


def test_weights_are_loaded_exactly(predictor, tmp_path) -> None:
    reloaded = EmotionPredictor.from_pretrained(tmp_path / "model")
    expected, weights = (each._classifier.network.model.state_dict() for each in (predictor, reloaded))
    assert all(torch.equal(expected[name], weights[name]) for name in expected)


def test_pillow_image_equals_its_file(predictor, image, tmp_path) -> None:
    """Orientation, transparency and 16 bits are treated as in a file."""
    rotated = image.getexif()
    rotated[0x0112] = 6
    image.save(tmp_path / "rotated.jpg", exif=rotated)
    transparent = image.convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize(image.size))
    transparent.save(tmp_path / "transparent.png")
    deep = np.random.default_rng(1).integers(0, 65535, (40, 60)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    for name in ("rotated.jpg", "transparent.png", "deep.png"):
        opened = predictor.predict(Image.open(tmp_path / name), "a dog")
        assert opened == predictor.predict(tmp_path / name, "a dog"), name


def test_rejects_unusable_pillow_image(predictor, image, tmp_path) -> None:
    image.save(tmp_path / "whole.png")
    (tmp_path / "truncated.png").write_bytes((tmp_path / "whole.png").read_bytes()[:600])
    with pytest.raises(EmocapError, match="truncated"):
        predictor.predict(Image.open(tmp_path / "truncated.png"), "a dog")
    with pytest.raises(EmocapError, match="without pixels"):
        predictor.predict(Image.new("RGB", (0, 0)), "a dog")


def test_batched_captions_are_calibrated_like_single_ones(predictor, image) -> None:
    saved = predictor._classifier.network
    saved = replace(saved, card=replace(saved.card, temperature=2.5))
    calibrated = EmotionPredictor(NetworkClassifier(saved))
    captions = ["a dog", "the child runs by the sea and sits", "storm"]
    (features,) = calibrated.features([image])
    together = predict_captions(saved, [features, None, features], captions, 2, "test")
    for row, pair in zip(together, zip([image, None, image], captions, strict=True), strict=True):
        alone = {prediction.emotion: prediction.probability for prediction in calibrated.predict(*pair)}
        assert row == pytest.approx([alone[label] for label in calibrated.labels], abs=1e-5)


def test_repr_names_model_kind_and_folder(predictor) -> None:
    assert repr(predictor) == f"EmotionPredictor(AnB+, kind visual_bert, 3 emotions, from {predictor.folder})"


def test_model_that_a_run_recommends_is_logged(predictor, tmp_path, caplog) -> None:
    predictor.folder.rename(tmp_path / "AnB+")
    (tmp_path / "recommended.json").write_text(json.dumps({"model": "AnB+", "name": "AnB+", "reason": "It is best."}))
    with caplog.at_level("INFO", logger="emocap"):
        assert EmotionPredictor.from_pretrained(tmp_path).folder == tmp_path / "AnB+"
    assert f"{tmp_path}: uses AnB+ (It is best.)" in caplog.text


def test_ranking_refuses_an_image_that_is_not_used(predictor, image, monkeypatch) -> None:
    monkeypatch.setattr(EmotionPredictor, "uses_images", False)
    with pytest.raises(EmocapError, match="captions only and cannot use an image"):
        rank_captions(predictor, image, ["the dog"], ["sad"])
    assert rank_captions(predictor, None, ["the dog"], ["sad"])


@pytest.fixture
def of_images(predictor) -> EmotionPredictor:
    """A model whose card says that it was trained on images alone."""
    path = predictor.folder / "emocap.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"uses_captions": False}))
    return EmotionPredictor.from_pretrained(predictor.folder)


def test_model_of_images_refuses_a_caption_alone(of_images, image) -> None:
    for refused in (
        lambda: of_images.predict(None, "a dog runs"),
        lambda: of_images.predict_many([(image, ""), (None, "a dog runs")]),
        lambda: of_images.explain(None, "a dog runs"),
        lambda: of_images.ranking_remarks(None, ["a dog runs"], ["sad"]),
        lambda: rank_captions(of_images, None, ["a dog runs"], ["sad"]),
    ):
        with pytest.raises(EmocapError, match="was trained on images alone and cannot predict from a caption; give an"):
            refused()
    assert not of_images.uses_captions
    assert of_images.predict(image)
    assert of_images.remarks(image, "") == []


def test_model_of_images_remarks_on_every_caption(of_images, image) -> None:
    """However few training images it had, so that it has no statistics of them."""
    assert [remark.code for remark in of_images.remarks(image, "a dog runs")] == ["images_alone"]
    (ranked,) = rank_captions(of_images, image, ["a dog runs"], ["sad"])
    assert any("learned from images alone" in remark for remark in ranked.remarks)
    assert of_images.predict(image, "a dog runs")


def test_card_without_the_key_means_captions(predictor) -> None:
    path = predictor.folder / "emocap.json"
    card = json.loads(path.read_text())
    assert card.pop("uses_captions")
    path.write_text(json.dumps(card))
    older = EmotionPredictor.from_pretrained(predictor.folder)
    assert older.uses_captions
    assert older.predict(None, "a dog runs")
