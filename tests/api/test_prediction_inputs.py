"""What `EmotionPredictor(...)` takes: one pair, captions of an image, lists, data frames; and what notebooks show."""

import logging

import numpy as np
import pytest
from PIL import Image

from emocap import EmocapError, EmotionPredictor

CAPTIONS = ["the child celebrates", "a dog waits alone"]


@pytest.fixture
def predictor(captioner_run) -> EmotionPredictor:
    """Three emotions of captions and images."""
    return EmotionPredictor.from_pretrained(captioner_run() / "captioner" / "model" / "ranker")


def test_lists_and_captions_of_an_image(predictor, photo) -> None:
    alone = [predictor.predict(None, caption) for caption in CAPTIONS]
    shown = [predictor.predict(photo, caption) for caption in CAPTIONS]
    assert predictor(CAPTIONS[0]) == alone[0]
    assert predictor(photo, CAPTIONS[0]) == shown[0]
    assert predictor(photo) == predictor.predict(photo)
    for found, expected in (
        (predictor(CAPTIONS), alone),
        (predictor(photo, CAPTIONS), shown),
        (predictor([(photo, CAPTIONS[0]), (None, CAPTIONS[1])]), [shown[0], alone[1]]),
    ):
        for one, other in zip(found, expected, strict=True):
            assert [each.emotion for each in one] == [each.emotion for each in other]
            np.testing.assert_allclose([p.probability for p in one], [p.probability for p in other], atol=1e-5)
    assert predictor([]) == predictor(photo, []) == []


def test_data_frame_keeps_its_index(predictor, photo, caplog) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"text": [CAPTIONS[0], None, CAPTIONS[1], CAPTIONS[1]], "image": [photo.name, None, None, "gone.png"]},
        index=[7, 3, 5, 9],
    )
    with caplog.at_level(logging.WARNING, "emocap"):
        found = predictor(frame, columns={"caption": "text"}, images=photo.parent)
    assert list(found.index) == [7, 3, 5, 9]
    assert list(found.columns) == list(predictor.labels)
    assert found.isna().all(axis=1).tolist() == [False, True, False, True]
    assert "2 of 4 rows cannot be used; the first is row 1: the caption is empty" in caplog.text
    expected = {one.emotion: one.probability for one in predictor.predict(photo, CAPTIONS[0])}
    assert found.loc[7].to_dict() == pytest.approx(expected, abs=1e-5)


def test_polars_frame_gives_a_polars_frame(predictor) -> None:
    polars = pytest.importorskip("polars")
    found = predictor(polars.DataFrame({"caption": [*CAPTIONS, ""]}))
    assert found.columns == list(predictor.labels)
    assert found["happy"].is_null().to_list() == [False, False, True]
    np.testing.assert_allclose(found["happy"][0], dict(_pairs(predictor(CAPTIONS[0])))["happy"], atol=1e-5)


def _pairs(prediction):
    return [(one.emotion, one.probability) for one in prediction]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda pandas: (pandas.DataFrame({"text": ["a"]}),), "no column caption or image; found text; give columns="),
        (
            lambda pandas: (pandas.DataFrame({"caption": ["", None]}),),
            "no row of the data frame can be used; the first",
        ),
        (lambda pandas: (pandas.DataFrame([["a", "b"]], columns=["caption"] * 2),), "has 2 columns 'caption'; rename"),
        (lambda pandas: ([("a", "b", "c")],), r"item 1 is tuple, expected a caption or \(image, caption\)"),
        (lambda pandas: (5,), "expected an image with captions, a list of captions"),
        (lambda pandas: ([""],), "pair 1: the caption is empty"),
    ],
)
def test_unusable_input_is_refused_in_a_line(predictor, given, message) -> None:
    with pytest.raises(EmocapError, match=message):
        predictor(*given(pytest.importorskip("pandas")))


def test_columns_of_anything_else_are_refused(predictor) -> None:
    with pytest.raises(EmocapError, match="columns and images are of a data frame, found list"):
        predictor(CAPTIONS, images=".")


def test_notebook_display_names_and_escapes(predictor) -> None:
    assert len(predictor) == 3
    assert "3 emotions" in repr(predictor)
    html = predictor._repr_html_()
    assert "happy, sad, awe" in html
    assert "images and captions" in html
    image = Image.new("RGB", (60, 40), "blue")
    prediction = predictor(image, "a dog")
    best = prediction[0]
    assert repr(prediction).startswith(f"Prediction({best.emotion} {best.probability:.2f}, ")
    assert prediction._repr_html_().startswith(f"<table><tr><td>{best.emotion}</td>")
