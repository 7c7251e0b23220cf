"""EmotionPredictor: order, batches, pictures, refusals."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from emocap import EmocapError, EmotionPredictor
from emocap.models.backbones import build_config, load_backbone
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
def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8))


def test_all_emotions_best_first(predictor, picture) -> None:
    found = predictor.predict(picture, "a dog waits alone")
    assert {f.emotion for f in found} == {"happy", "sad", "awe"}
    assert [f.probability for f in found] == sorted((f.probability for f in found), reverse=True)
    assert all(0 < f.probability < 1 for f in found)


def test_the_picture_counts_and_a_file_its_bytes_and_the_image_are_the_same(predictor, picture, tmp_path) -> None:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    (tmp_path / "p.png").write_bytes(buffer.getvalue())
    ways = [
        predictor.predict(way, "a dog")
        for way in (picture, buffer.getvalue(), tmp_path / "p.png", str(tmp_path / "p.png"))
    ]
    prepared = predictor.prepare(buffer.getvalue())
    (regions,) = predictor.regions([prepared])
    ways += [predictor.predict(way, "a dog") for way in (prepared, regions)]
    assert all(way == ways[0] for way in ways)
    assert predictor.predict(None, "a dog") != ways[0]


def test_a_picture_of_too_many_pixels_is_refused_where_a_limit_is_given(predictor, picture, tmp_path) -> None:
    picture.save(tmp_path / "p.png")
    with pytest.raises(EmocapError, match="more than 2,399 pixels; make it smaller"):
        predictor.prepare(tmp_path / "p.png", max_pixels=2399)
    with pytest.raises(EmocapError, match="more than 2,399 pixels; make it smaller"):
        predictor.prepare(picture, max_pixels=2399)
    assert predictor.prepare(tmp_path / "p.png", max_pixels=2400).size == (60, 40)


def test_remarks_on_a_text_may_be_asked_for_while_others_are_judged(predictor) -> None:
    """A tokenizer keeps how it cuts: one that all threads shared would let a long caption through uncut."""
    expected = predictor.predict(None, "dog " * 100)
    ended = threading.Event()

    def remark() -> None:
        while not ended.is_set():
            assert len(predictor.caption_warnings("dog " * 100)) == 1

    with ThreadPoolExecutor(1) as pool:
        remarking = pool.submit(remark)
        try:
            found = [predictor.predict(None, "dog " * 100) for _ in range(20)]
        finally:
            ended.set()
    assert remarking.result() is None
    assert all(one == expected for one in found)


def test_pairs_of_unequal_numbers_and_none_are_refused(predictor) -> None:
    with pytest.raises(EmocapError, match="1 pictures and 2 captions; give as many of both"):
        predictor.pair_probabilities([None], ["a dog", "a cat"])
    with pytest.raises(EmocapError, match="0 pictures and 0 captions"):
        predictor.pair_probabilities([], [])


@pytest.mark.parametrize(
    ("caption", "remark"),
    [("\u200b\u200d", "holds no words"), ("!?", "holds no words"), ("a\x07", "holds control characters")],
)
def test_odd_texts_are_remarked_on(predictor, caption, remark) -> None:
    assert remark in predictor.caption_warnings(caption)
    assert "holds no words" not in predictor.caption_warnings("a dog 2")


def test_a_batch_equals_one_by_one(predictor, picture) -> None:
    pairs = [(picture, "a dog"), (None, "the child runs by the sea and sits"), (picture, "storm")]
    together = predictor.predict_many(pairs)
    for (image, caption), many in zip(pairs, together, strict=True):
        one = predictor.predict(image, caption)
        assert [f.emotion for f in one] == [f.emotion for f in many]
        np.testing.assert_allclose([f.probability for f in one], [f.probability for f in many], atol=1e-6)
    assert predictor.predict_many([]) == []


def test_what_cannot_be_used_is_refused(predictor, tmp_path) -> None:
    (tmp_path / "x.jpg").write_text("no picture")
    for image, caption, message in (
        (None, " ", "caption is empty"),
        (None, "\udcff", "not Unicode text"),
        (tmp_path / "x.jpg", "a dog", "x.jpg"),
        ("none.jpg", "a", "none.jpg"),
    ):
        with pytest.raises(EmocapError, match=message):
            predictor.predict(image, caption)


def test_a_long_caption_is_cut_not_refused(predictor) -> None:
    assert predictor.predict(None, "dog " * 5000) == predictor.predict(None, "dog " * 14)


def test_weights_are_loaded_exactly(predictor, tmp_path) -> None:
    again = EmotionPredictor.from_pretrained(tmp_path / "model")
    one, two = predictor._saved.model.state_dict(), again._saved.model.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_pillow_image_is_read_as_its_file_is(predictor, picture, tmp_path) -> None:
    """Orientation, transparency and 16 bits: what a file's reader does holds for an opened file too."""
    turned = picture.getexif()
    turned[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=turned)
    clear = picture.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(picture.size))
    clear.save(tmp_path / "clear.png")
    deep = np.random.default_rng(1).integers(0, 65535, (40, 60)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    for name in ("turned.jpg", "clear.png", "deep.png"):
        opened = predictor.predict(Image.open(tmp_path / name), "a dog")
        assert opened == predictor.predict(tmp_path / name, "a dog"), name


def test_a_pillow_image_that_cannot_be_used_is_refused(predictor, picture, tmp_path) -> None:
    picture.save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:600])
    with pytest.raises(EmocapError, match="cut short"):
        predictor.predict(Image.open(tmp_path / "cut.png"), "a dog")
    with pytest.raises(EmocapError, match="without pixels"):
        predictor.predict(Image.new("RGB", (0, 0)), "a dog")


def test_captions_in_batches_are_calibrated_as_one_by_one(predictor, picture) -> None:
    saved = predictor._saved
    saved = replace(saved, card=replace(saved.card, temperature=2.5))
    calibrated = EmotionPredictor(saved)
    captions = ["a dog", "the child runs by the sea and sits", "storm"]
    (features,) = calibrated.features([picture])
    together = predict_captions(saved, [features, None, features], captions, 2, "test")
    for row, (image, caption) in zip(together, zip([picture, None, picture], captions, strict=True), strict=True):
        alone = {one.emotion: one.probability for one in calibrated.predict(image, caption)}
        assert row == pytest.approx([alone[label] for label in calibrated.labels], abs=1e-5)
