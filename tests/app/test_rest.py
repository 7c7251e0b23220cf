"""REST: responses equal the models' own results, errors are one sentence, nothing private is logged."""

import base64
import json
import logging
from importlib.metadata import version

import pytest

from emocap.app import schemas
from emocap.app.limits import Limits
from emocap.app.rest import ABOUT
from emocap.app.server import build_app

from .conftest import EVALUATION

CAPTIONS = ["the child celebrates at home", "lost lost storm", "a dog sits"]
FOREIGN_HOSTS = (
    "evil.example", "localhost.evil.example", "evil.localhost", "localhost.", "127.0.0.1", "[::2]:80", "::1",
    "[::1].evil", "localhost@evil.example", "localhost:evil", "",
)  # fmt: skip


@pytest.fixture
def client(serving):
    return serving()


@pytest.fixture
def image(photo):
    return base64.b64encode(photo.read_bytes()).decode()


def detail(response, status):
    """The one sentence of an error."""
    assert response.status_code == status, response.text
    assert set(response.json()) == {"detail"}
    message = response.json()["detail"]
    assert message
    assert "\n" not in message
    assert "Traceback" not in message
    return message


def test_predictions_equal_the_predictors_in_order(client, served, image, photo) -> None:
    response = client.post("/v1/predict", json={"image": image, "captions": CAPTIONS})
    assert response.status_code == 200
    for caption, prediction in zip(CAPTIONS, response.json()["predictions"], strict=True):
        expected = served.predictor.predict(photo, caption)
        assert prediction["caption"] == caption
        assert [entry["emotion"] for entry in prediction["emotions"]] == [entry.emotion for entry in expected]
        assert [entry["probability"] for entry in prediction["emotions"]] == pytest.approx(
            [entry.probability for entry in expected], abs=1e-5
        )


def test_data_url_is_its_image(client, image) -> None:
    answers = [
        client.post("/v1/predict", json={"image": sent, "captions": CAPTIONS})
        for sent in (image, f"data:image/png;base64,{image}", None)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[0].json() == answers[1].json() != answers[2].json()


def test_top_limits_emotions_and_targets_are_never_unintended(client, served) -> None:
    request = {"captions": CAPTIONS[:1], "top": 1}
    (prediction,) = client.post("/v1/predict", json=request).json()["predictions"]
    assert len(prediction["emotions"]) == 1
    strong = [entry["emotion"] for entry in prediction["unintended"]]
    base_rates = dict(zip(served.predictor.labels, served.frequencies, strict=True))
    probabilities = {entry.emotion: entry.probability for entry in served.predictor.predict(None, CAPTIONS[0])}
    assert set(strong) == {e for e, p in probabilities.items() if p >= 0.3 and p >= 1.5 * base_rates[e]}
    assert strong, "the untrained model predicts about one half, the base rate of awe is 0.1"
    (prediction,) = client.post("/v1/predict", json=request | {"emotions": strong}).json()["predictions"]
    assert prediction["unintended"] == []


def test_rank_equals_the_captioners_order(client, served, image, photo) -> None:
    request = {"image": image, "captions": CAPTIONS, "emotions": ["sad"], "avoid": ["happy"], "max_chars": 16}
    ranked = client.post("/v1/rank", json=request).json()["captions"]
    expected = served.captioner.rank(photo, CAPTIONS, ["sad"], avoid=["happy"], max_chars=16)
    assert [entry["number"] for entry in ranked] == [entry.number for entry in expected]
    assert [entry["remarks"] for entry in ranked] == [entry.remarks for entry in expected]
    assert [entry["score"] for entry in ranked] == pytest.approx([entry.score for entry in expected], abs=1e-4)


def test_rank_without_image_notes_opposite_targets(client) -> None:
    ranked = client.post("/v1/rank", json={"captions": CAPTIONS, "emotions": ["Sad", "happy"]}).json()
    assert all(entry["faithfulness"] is None for entry in ranked["captions"])
    assert ranked["note"] == "happy and sad have opposite valence; a caption for both is a compromise"


def test_caption_notes_image_of_a_single_colour(client, tmp_path) -> None:
    from PIL import Image

    Image.new("RGB", (30, 20), "red").save(tmp_path / "red.png")
    request = {"image": base64.b64encode((tmp_path / "red.png").read_bytes()).decode(), "emotions": ["sad"], "n": 1}
    assert client.post("/v1/caption", json=request).json()["note"] == (
        "the image has a single colour; captions for it are not based on its content"
    )


def test_explanation_equals_the_predictors(client, served, image, photo) -> None:
    explanation = client.post("/v1/explain", json={"image": image, "caption": CAPTIONS[0], "emotion": "awe"}).json()
    expected = served.predictor.explain(photo, CAPTIONS[0], "awe")
    assert explanation["log_odds"] == pytest.approx(expected.log_odds, abs=1e-4)
    assert [entry["word"] for entry in explanation["words"]] == CAPTIONS[0].split()
    assert [entry["effect"] for entry in explanation["regions"]] == pytest.approx(
        [entry.effect for entry in expected.regions], abs=1e-4
    )
    assert {entry["caption"] for entry in explanation["rewordings"]} == {entry.caption for entry in expected.rewordings}


def test_captions_equal_the_captioners_for_a_seed(client, served, image, photo) -> None:
    request = {"image": image, "emotions": ["sad"], "n": 3, "seed": 5}
    captions = [entry["caption"] for entry in client.post("/v1/caption", json=request).json()["captions"]]
    assert captions == [entry.caption for entry in served.captioner.caption(photo, ["sad"], 3, seed=5)]


@pytest.mark.parametrize("style", [None, "romantic", "humorous"])
def test_captions_without_emotions_equal_the_captioners(client, served, image, photo, style) -> None:
    request = {"image": image, "n": 3, "seed": 5} | ({} if style is None else {"style": style})
    answer = client.post("/v1/caption", json=request).json()
    expected = served.captioner.caption(photo, (), 3, style=style, seed=5)
    assert [entry["caption"] for entry in answer["captions"]] == [entry.caption for entry in expected]
    assert not any("base rate" in remark for remark in answer["remarks"])
    assert client.post("/v1/caption", json=request | {"emotions": [], "style": style}).json() == answer


def test_style_goes_with_emotions(client, served, image, photo, monkeypatch) -> None:
    asked = []
    generate = type(served.captioner).caption

    def record(captioner, image, emotions=(), *arguments, style=None, **further):
        asked.append((emotions, style))
        return generate(captioner, image, emotions, *arguments, style=style, **further)

    monkeypatch.setattr(type(served.captioner), "caption", record)
    request = {"image": image, "emotions": ["sad"], "style": "romantic", "n": 1}
    assert client.post("/v1/caption", json=request).status_code == 200
    assert asked == [(["sad"], "romantic")]


def test_unknown_style_is_refused(client, image) -> None:
    message = detail(client.post("/v1/caption", json={"image": image, "style": "gothic"}), 422)
    assert message == "style is 'gothic', expected one of romantic, humorous"
    assert "style" in detail(client.post("/v1/caption", json={"image": image, "style": "x" * 101}), 422)


def test_style_of_a_captioner_without_styles(client, served, captioner_without_styles, image) -> None:
    served.captioner = captioner_without_styles
    message = detail(client.post("/v1/caption", json={"image": image, "style": "romantic"}), 422)
    assert message == "style is 'romantic', but the captioner knows no styles"
    assert client.get("/v1/model").json()["styles"] == []


def test_caption_without_captioner_is_404(served, serving, image) -> None:
    served.captioner = None
    client = serving()
    message = detail(client.post("/v1/caption", json={"image": image, "emotions": ["sad"]}), 404)
    assert message == "this model has no captioner; serve a run with one, or rank your own captions"
    assert client.get("/v1/model").json()["styles"] == []


def test_model_route_gives_emotions_scores_and_limits(client, served) -> None:
    model = client.get("/v1/model").json()
    assert model["emotions"] == ["happy", "sad", "awe"]
    assert model["styles"] == ["romantic", "humorous"]
    assert model["measured"]["scores"]["top1_accuracy"] == 0.8
    assert model["measured"]["prior"]["top1_accuracy"] == 0.7
    assert model["measured"]["intervals"]["top1_accuracy"] == pytest.approx([0.75, 0.85])
    assert model["measured"]["pairs"] == 234
    assert model["measured"]["synthetic"]
    assert model["evaluation"] == EVALUATION | {"ratings": None}
    assert model["language"] == "en"
    assert model["version"] == version("emocap")
    assert [remark[:47] for remark in model["remarks"]] == ["the model was trained on drawn scenes with synt"]
    assert model["about"] == ABOUT
    assert "says nothing about what a person in the image feels" in ABOUT
    assert model["limits"]["captions"] == 20


def test_remarks_are_the_predictors_and_on_the_ranking(client, served) -> None:
    """The untrained model predicts about one half; the base rate of happy is 60%."""
    on_model = [remark.text for remark in served.predictor.model_remarks()]
    caption = "Ein Hund wartet allein vor der Tür"
    answer = client.post("/v1/predict", json={"captions": [caption]}).json()
    assert answer["remarks"] == on_model
    assert answer["predictions"][0]["remarks"] == [remark.text for remark in served.predictor.remarks(None, caption)]
    ranked = client.post("/v1/rank", json={"captions": ["a dog sits"], "emotions": ["happy", "awe"]}).json()
    assert ranked["remarks"] == [*on_model, 'no caption raises "happy" above its base rate (60%)']


def test_generated_captions_and_explanations_have_all_remarks(client, served, image) -> None:
    """The commands print the same; the base rate of happy is 60%, which the untrained model stays below."""
    on_model = [remark.text for remark in served.predictor.model_remarks()]
    answer = client.post("/v1/caption", json={"image": image, "emotions": ["happy", "awe"], "n": 1}).json()
    assert answer["remarks"] == [*on_model, 'no caption raises "happy" above its base rate (60%)']
    caption = "Ein Hund wartet allein vor der Tür"
    on_pair = [remark.text for remark in served.predictor.remarks(None, caption)]
    assert on_pair
    assert client.post("/v1/explain", json={"caption": caption}).json()["remarks"] == [*on_model, *on_pair]


def test_refusal_says_when_to_try_again(serving, monkeypatch) -> None:
    """Two requests wait, each of which takes 1.7 s by recent times."""
    client = serving(waiting=2)
    service = client.service
    monkeypatch.setattr(service._engine, "prediction_seconds", 1.7)
    monkeypatch.setattr(service, "_n_accepted", 2)
    response = client.post("/v1/predict", json={"captions": ["a dog"]})
    assert detail(response, 429) == "too many requests are waiting; try again in 4 s"
    assert response.headers["retry-after"] == "4"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"captions": []}, "captions: List should have at least 1 item"),
        ({"captions": ["a"] * 20_000}, "captions: List should have at most 10000 items"),
        ({"captions": [" "]}, "the caption is empty; give some text"),
        ({"captions": ["a", ""]}, "caption 2: the caption is empty; give some text"),
        ({"captions": ["a"] * 21}, "21 captions, expected at most 20"),
        ({"captions": ["a" * 2001]}, "2,001 characters, expected at most 2,000; shorten it"),
        ({"captions": "a dog"}, "captions: Input should be a valid list"),
        ({"captions": [1]}, "captions.0: Input should be a valid string"),
        ({}, "captions: Field required"),
        ({"captions": ["a"], "picture": "x"}, "picture: unknown key; leave it out"),
        ({"captions": ["a"], "image": "http://example.org/dog.jpg"}, "image: is a URL; URLs are not fetched"),
        ({"captions": ["a"], "image": "data:image/png;base64,AAAA"}, "image of 3 bytes: "),
        (
            {"captions": ["a"], "image": "data:text/html;base64,PGI+"},
            "image: is a data: URL of text/html, expected one of",
        ),
        ({"captions": ["a"], "image": "/etc/passwd!"}, "image: is not base64; send the file's bytes as base64"),
        ({"captions": ["a"], "image": "aGVsbG8="}, "image of 5 bytes: not a readable image but text"),
        (
            {"captions": ["a"], "emotions": ["hapy"]},
            "emotion 'hapy': not an emotion of this model; the most similar name is",
        ),
        ({"captions": ["a"], "top": 0}, "top: Input should be greater than or equal to 1"),
    ],
)
def test_invalid_request_is_422_with_one_sentence(client, body, message) -> None:
    assert message in detail(client.post("/v1/predict", json=body), 422)


def test_rejects_emotion_both_target_and_to_avoid(client) -> None:
    request = {"captions": ["a dog"], "emotions": ["sad"], "avoid": ["sad"]}
    assert "sad is both a target emotion and an emotion to avoid" in detail(client.post("/v1/rank", json=request), 422)


def test_rejects_image_with_too_many_pixels(serving, image) -> None:
    request = {"image": image, "captions": ["a dog"]}
    assert "more than 1,000 pixels" in detail(serving(pixels=1000).post("/v1/predict", json=request), 422)
    assert serving(pixels=2400).post("/v1/predict", json=request).status_code == 200


def test_rejects_too_many_bytes_declared_or_sent(serving) -> None:
    client = serving(bytes=1000)
    assert "more than 1,000 bytes" in detail(client.post("/v1/predict", content=b"x" * 1001), 413)
    message = detail(client.post("/v1/predict", content=iter([b"x" * 600, b"x" * 600])), 413)
    assert "more than 1,000 bytes" in message


def test_requires_the_key_if_there_is_one(serving) -> None:
    client = serving(key="a secret key")
    for path in ("/v1/model", "/metrics"):
        assert detail(client.get(path), 401) == "missing or wrong key; send Authorization: Bearer KEY"
        for wrong in ("Bearer a secret kez", "a secret key", "Basic a secret key", "Bearer", ""):
            assert client.get(path, headers={"Authorization": wrong}).status_code == 401, wrong
        for right in ("Bearer a secret key", "bearer a secret key"):
            assert client.get(path, headers={"Authorization": right}).status_code == 200
    document = client.get("/openapi.json").json()
    assert document["paths"]["/v1/predict"]["post"]["security"] == [{"HTTPBearer": []}]
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200


def test_rejects_foreign_hosts_and_origins(served, tmp_path) -> None:
    from starlette.testclient import TestClient

    app, service = build_app(served, Limits(), tmp_path, page=False, hosts=("localhost", "::1"))
    client = TestClient(app)
    try:
        for host in ("localhost", "localhost:8000", "[::1]:80"):
            assert client.get("/healthz", headers={"host": host}).status_code == 200
            assert client.get("/v1/model", headers={"host": host}).status_code == 200
        for host in FOREIGN_HOSTS:
            refused = detail(client.get("/v1/model", headers={"host": host}), 400)
            assert refused == "host name not allowed; start the server with --host-name NAME to allow it", host
            assert client.post("/v1/predict", json={"captions": ["a dog"]}, headers={"host": host}).status_code == 400
        request = {"captions": ["a dog"]}
        own = {"host": "localhost:80", "origin": "http://localhost:80"}
        assert client.post("/v1/predict", json=request, headers=own).status_code == 200
        foreign = {"host": "localhost:80", "origin": "http://evil.example"}
        assert detail(client.post("/v1/predict", json=request, headers=foreign), 403) == (
            "cross-origin requests are not allowed"
        )
    finally:
        service.stop()


def test_stopping_server_is_alive_but_not_ready(client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}
    client.service.begin_stop()
    assert client.post("/v1/predict", json={"captions": ["a dog"]}).status_code == 200
    assert detail(client.get("/readyz"), 503) == "the server is stopping"
    assert client.get("/healthz").status_code == 200


def test_metrics_count_requests_by_route_and_status(client) -> None:
    client.post("/v1/predict", json={"captions": CAPTIONS})
    client.post("/v1/predict", json={"captions": []})
    client.get("/v1/" + "x" * 50)
    metrics = client.get("/metrics").text
    assert 'emocap_requests_total{route="/v1/predict",status="200"} 1.0' in metrics
    assert 'emocap_requests_total{route="/v1/predict",status="422"} 1.0' in metrics
    assert 'emocap_requests_total{route="other",status="404"} 1.0' in metrics
    assert "emocap_batch_captions_sum 3.0" in metrics
    assert "emocap_waiting 0.0" in metrics
    assert 'emocap_model_requests_total{kind="predict"} 1.0' in metrics
    assert "xxx" not in metrics


def test_log_has_outcomes_and_nothing_that_was_sent(client, caplog, image, monkeypatch) -> None:
    requests = logging.getLogger("emocap.requests")
    monkeypatch.setattr(requests, "propagate", False)
    requests.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO, "emocap.requests"):
            response = client.post("/v1/predict?secret=1", json={"image": image, "captions": ["a private dog"]})
            client.post("/v1/predict", json={"captions": ["another private dog"], "emotions": ["private"]})
    finally:
        requests.removeHandler(caplog.handler)
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "emocap.requests"]
    assert [line["status"] for line in lines] == [200, 422]
    assert lines[0]["route"] == "/v1/predict"
    assert lines[0]["request"] == response.headers["x-request-id"]
    assert lines[0]["ms"] > 0
    assert not [word for word in ("private", "secret", image[:20]) if word in json.dumps(lines)]


def test_responses_have_security_headers(client) -> None:
    headers = client.get("/healthz").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'self'; script-src 'self'")


def test_examples_of_the_document_are_valid_requests(client) -> None:
    document = client.get("/openapi.json").json()
    for path in ("predict", "rank", "explain", "caption"):
        name = document["paths"][f"/v1/{path}"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        properties = document["components"]["schemas"][name.rpartition("/")[2]]["properties"]
        example = {key: value["examples"][0] for key, value in properties.items() if "examples" in value}
        assert example, path
        request = {
            key: ["sad"] if key == "emotions" else ["awe"] if key == "avoid" else value
            for key, value in example.items()
        }
        assert client.post(f"/v1/{path}", json=request).status_code == 200, path
    assert schemas.EXAMPLE_IMAGE in json.dumps(document)


def test_docs_page_loads_nothing_from_other_hosts(client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    assert "http://" not in page.text.replace("http://testserver", "")


def test_unknown_route_or_method_is_one_sentence(client) -> None:
    assert detail(client.get("/v1/nothing"), 404) == "Not Found"
    assert detail(client.get("/v1/predict"), 405) == "Method Not Allowed"


def test_internal_error_reveals_no_details(client, monkeypatch, caplog) -> None:
    def broken(*_):
        raise RuntimeError("secret insides")

    monkeypatch.setattr(client.service.served.predictor, "pair_outputs", broken)
    message = detail(client.post("/v1/predict", json={"captions": ["a dog"]}), 500)
    assert "internal error" in message
    assert "secret" not in message
    logged = " ".join(record.getMessage() for record in caplog.records)
    assert "RuntimeError" in logged
    assert "secret" not in logged


def test_model_of_images_refuses_captions_without_its_path(client, served, image, monkeypatch) -> None:
    monkeypatch.setattr("emocap.api.predictor.EmotionPredictor.uses_captions", False)
    for path, body in (
        ("predict", {"captions": ["a"]}),
        ("rank", {"captions": ["a"], "emotions": ["sad"]}),
        ("explain", {"caption": "a"}),
    ):
        answer = client.post(f"/v1/{path}", json=body)
        assert answer.status_code == 422
        assert answer.json() == {"detail": "this model was trained on images alone and needs an image; give one"}
    answer = client.post("/v1/predict", json={"captions": ["a"], "image": image})
    assert any("learned from images alone" in remark for remark in answer.json()["predictions"][0]["remarks"])
    assert client.get("/v1/model").json()["uses_captions"] is False


def test_model_of_captions_refuses_images_without_its_path(client, served, image, monkeypatch) -> None:
    monkeypatch.setattr("emocap.api.predictor.EmotionPredictor.uses_images", False)
    for path, body in (
        ("predict", {"captions": ["a"]}),
        ("rank", {"captions": ["a"], "emotions": ["sad"]}),
        ("explain", {"caption": "a"}),
    ):
        answer = client.post(f"/v1/{path}", json={**body, "image": image})
        assert answer.status_code == 422
        assert answer.json() == {
            "detail": "this model was trained on captions only and cannot use an image; leave it out"
        }
