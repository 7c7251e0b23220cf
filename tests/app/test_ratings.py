"""A served model of ratings, alone or beside emotions: REST, and the HTML of the page."""

import base64
import csv
import io
import json
import re

import pytest

from emocap.app import page_actions
from emocap.app.limits import Limits
from emocap.app.page import build_page
from emocap.app.page_html import intro_html
from emocap.app.served_model import load_served
from emocap.app.server import build_app

from ..rated_model import write_rated_model

RATED = {
    "data": "oasis", "n_pairs": 90, "n_images": 90, "metric": "pearson_r", "score": 0.5, "interval": [0.4, 0.6],
    "baseline": "image_probe", "baseline_score": 0.4, "baseline_interval": [0.3, 0.5], "difference": None,
    "verdict": "The teacher is better.", "version": "0.9", "model_hash": "0123456789abcdef" * 4, "decision": "better",
    "ratings": {"valence": {"range": [1, 7], "scores": {"pearson_r": 0.55, "ccc": 0.5, "rmse": 0.9},
                            "intervals": {"pearson_r": [0.45, 0.65], "ccc": None, "rmse": None}}},
}  # fmt: skip


@pytest.fixture(scope="module", params=[(), ("happy", "sad", "awe")], ids=["alone", "beside emotions"])
def labels(request) -> tuple[str, ...]:
    return request.param


@pytest.fixture(scope="module")
def rated(labels, tiny_bert, tmp_path_factory):
    folder = write_rated_model(tmp_path_factory.mktemp("rated") / "teacher", tiny_bert, labels)
    (folder / "model" / "evaluation.json").write_text(json.dumps(RATED | {"files": {}}))
    return load_served(folder)


@pytest.fixture
def client(rated, tmp_path):
    from starlette.testclient import TestClient

    app, service = build_app(rated, Limits(), tmp_path, page=False)
    client = TestClient(app, raise_server_exceptions=False)
    client.service = service
    yield client
    service.stop()


@pytest.fixture
def image(photo):
    return base64.b64encode(photo.read_bytes()).decode()


def test_predict_gives_ratings_in_their_units(client, rated, labels, image, photo) -> None:
    answer = client.post("/v1/predict", json={"image": image, "captions": ["a dog waits", ""]}).json()
    for prediction, caption in zip(answer["predictions"], ["a dog waits", ""], strict=True):
        expected = rated.predictor.predict(photo, caption)
        assert prediction["ratings"] == pytest.approx(expected.ratings, abs=1e-3)
        assert len(prediction["emotions"]) == len(labels)
    model = client.get("/v1/model").json()
    assert model["ratings"] == {"valence": [1, 7], "arousal": [0, 100]}
    assert model["evaluation"]["ratings"]["valence"]["scores"]["pearson_r"] == 0.55


def test_explains_a_rating(client, labels, image) -> None:
    answer = client.post("/v1/explain", json={"image": image, "caption": "a dog", "emotion": "arousal"}).json()
    assert (answer["emotion"], answer["scale"]) == ("arousal", [0, 100])
    assert set(answer["rewordings"][0]["rating_changes"]) == {"valence", "arousal"}


def test_bad_requests_are_one_sentence(client, labels) -> None:
    for route, request in (
        ("explain", {"caption": "a dog", "emotion": "dominance"}),
        ("rank", {"captions": ["a dog"], "emotions": ["hopeful"]}),
        ("predict", {"captions": [""]}),
    ):
        response = client.post(f"/v1/{route}", json=request)
        assert response.status_code == 422, response.text
        detail = response.json()["detail"]
        expected = "the caption is empty" if route == "predict" else ("not an emotion" if labels else "ratings alone")
        assert expected in detail


async def html_of(service, image, text):
    return await page_actions.predict(service, image, text, [], [])


def test_page_shows_a_bar_for_each_rating(client, rated, labels, photo) -> None:
    import asyncio

    html, ranked = asyncio.run(html_of(client.service, photo, ""))
    assert ranked == [""]
    assert "The image alone" in html
    bars = re.findall(r'ec-rating"><span class="ec-name">(\w+)</span>.*?width: ([\d.]+)%.*?ec-value">([\d.]+)</span>'
                      r'<span class="ec-scale">([\d a-z]+)<', html)  # fmt: skip
    values = rated.predictor.predict(photo).ratings
    assert [bar[0] for bar in bars] == ["valence", "arousal"]
    assert bars[0][3] == "1 to 7"
    assert float(bars[0][1]) == pytest.approx(100 * (values["valence"] - 1) / 6, abs=0.1)
    assert float(bars[1][2]) == pytest.approx(values["arousal"], abs=0.01)
    assert ('aria-label="Most likely emotions"' in html) == bool(labels)
    (data,) = re.findall(r"base64,([^\"]+)", html)
    (row,) = csv.DictReader(io.StringIO(base64.b64decode(data).decode("utf-8-sig")))
    assert float(row["rating_arousal"]) == pytest.approx(values["arousal"], abs=1e-3)


def test_introduction_says_what_is_rated(rated, labels) -> None:
    html = intro_html(rated)
    assert ("the probability of 3 emotions" in html) == bool(labels)
    assert "the mean that people would give it as valence, arousal" in html
    assert "mean Pearson’s r 0.500 (95% interval 0.400 to 0.600)" in html
    assert "Valence, 1 to 7: Pearson’s r of predicted and true means 0.550 (95% interval 0.450 to 0.650)" in html


def test_page_offers_ratings_to_explain(client, labels, tmp_path) -> None:
    page = build_page(client.service, tmp_path)
    by_id = {block.elem_id: block for block in page.blocks.values() if getattr(block, "elem_id", None)}
    choices = [name for name, _ in by_id["explained-emotion"].choices]
    assert choices == [*(["most likely", *labels] if labels else []), "valence", "arousal"]
    assert by_id["targets"].visible == bool(labels)
