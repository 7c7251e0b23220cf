"""REST: answers are the models' own, refusals are one sentence, nothing is fetched, nothing private is logged."""

import base64
import json
import logging

import pytest

from emocap.app import schemas
from emocap.app.limits import Limits
from emocap.app.rest import ABOUT
from emocap.app.server import build_app

CAPTIONS = ["the child celebrates at home", "lost lost storm", "a dog sits"]


@pytest.fixture
def client(serving):
    return serving()


@pytest.fixture
def image(photo):
    return base64.b64encode(photo.read_bytes()).decode()


def detail(answer, status):
    """The one sentence of a refusal."""
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"detail"}
    told = answer.json()["detail"]
    assert told
    assert "\n" not in told
    assert "Traceback" not in told
    return told


def test_predictions_are_the_predictors_in_the_order_asked(client, served, image, photo) -> None:
    answer = client.post("/v1/predict", json={"image": image, "captions": CAPTIONS})
    assert answer.status_code == 200
    for caption, given in zip(CAPTIONS, answer.json()["predictions"], strict=True):
        expected = served.predictor.predict(photo, caption)
        assert given["caption"] == caption
        assert [one["emotion"] for one in given["emotions"]] == [one.emotion for one in expected]
        assert [one["probability"] for one in given["emotions"]] == pytest.approx(
            [one.probability for one in expected], abs=1e-5
        )


def test_top_gives_so_many_and_what_stands_out_is_told_unless_it_is_wanted(client, served) -> None:
    asked = {"captions": CAPTIONS[:1], "top": 1}
    (given,) = client.post("/v1/predict", json=asked).json()["predictions"]
    assert len(given["emotions"]) == 1
    strong = [one["emotion"] for one in given["unintended"]]
    usual = dict(zip(served.predictor.labels, served.frequencies, strict=True))
    chances = {one.emotion: one.probability for one in served.predictor.predict(None, CAPTIONS[0])}
    assert set(strong) == {e for e, p in chances.items() if p >= 0.3 and p >= 1.5 * usual[e]}
    assert strong, "the untrained model is near one half, awe is usually at 0.1"
    (given,) = client.post("/v1/predict", json=asked | {"emotions": strong}).json()["predictions"]
    assert given["unintended"] == []


def test_rank_is_the_captioners_order(client, served, image, photo) -> None:
    asked = {"image": image, "captions": CAPTIONS, "emotions": ["sad"], "avoid": ["happy"], "max_chars": 16}
    given = client.post("/v1/rank", json=asked).json()["captions"]
    expected = served.captioner.rank(photo, CAPTIONS, ["sad"], avoid=["happy"], max_chars=16)
    assert [one["number"] for one in given] == [one.number for one in expected]
    assert [one["remarks"] for one in given] == [one.remarks for one in expected]
    assert [one["score"] for one in given] == pytest.approx([one.score for one in expected], abs=1e-4)


def test_rank_without_a_picture_is_by_the_classifier_and_says_what_is_a_compromise(client) -> None:
    answer = client.post("/v1/rank", json={"captions": CAPTIONS, "emotions": ["Sad", "happy"]}).json()
    assert all(one["faithfulness"] is None for one in answer["captions"])
    assert answer["note"] == "happy and sad pull in opposite directions; a caption for both is a compromise"


def test_a_picture_of_one_colour_is_remarked_on_where_captions_are_written(client, tmp_path) -> None:
    from PIL import Image

    Image.new("RGB", (30, 20), "red").save(tmp_path / "red.png")
    asked = {"image": base64.b64encode((tmp_path / "red.png").read_bytes()).decode(), "emotions": ["sad"], "n": 1}
    assert client.post("/v1/caption", json=asked).json()["note"] == (
        "the picture is of one colour; what is written of it is invented"
    )


def test_explanation_is_the_predictors(client, served, image, photo) -> None:
    given = client.post("/v1/explain", json={"image": image, "caption": CAPTIONS[0], "emotion": "awe"}).json()
    expected = served.predictor.explain(photo, CAPTIONS[0], "awe")
    assert given["log_odds"] == pytest.approx(expected.log_odds, abs=1e-4)
    assert [one["word"] for one in given["words"]] == CAPTIONS[0].split()
    assert [one["effect"] for one in given["regions"]] == pytest.approx(
        [one.effect for one in expected.regions], abs=1e-4
    )
    assert {change["caption"] for change in given["changes"]} == {change.caption for change in expected.changes}


def test_captions_are_the_captioners_and_the_same_for_a_seed(client, served, image, photo) -> None:
    asked = {"image": image, "emotions": ["sad"], "n": 3, "seed": 5}
    given = [one["caption"] for one in client.post("/v1/caption", json=asked).json()["captions"]]
    assert given == [one.caption for one in served.captioner.caption(photo, ["sad"], 3, seed=5)]


def test_a_model_that_writes_none_says_so(served, serving, image) -> None:
    served.captioner = None
    told = detail(serving().post("/v1/caption", json={"image": image, "emotions": ["sad"]}), 404)
    assert told == "this model writes no captions; serve a run with a captioner, or rank your own"


def test_the_model_tells_its_emotions_worth_and_limits(client, served) -> None:
    told = client.get("/v1/model").json()
    assert told["emotions"] == ["happy", "sad", "awe"]
    assert told["measured"]["scores"]["top1_accuracy"] == 0.8
    assert told["measured"]["prior"]["top1_accuracy"] == 0.7
    assert told["measured"]["intervals"]["top1_accuracy"] == pytest.approx([0.75, 0.85])
    assert told["measured"]["pairs"] == 234
    assert told["measured"]["made_up"]
    assert told["about"] == ABOUT
    assert "says nothing of what a person in a picture feels" in ABOUT
    assert told["limits"]["captions"] == 20


@pytest.mark.parametrize(
    ("asked", "told"),
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
        ({"captions": ["a"], "picture": "x"}, "picture: not a key of this question; leave it out"),
        ({"captions": ["a"], "image": "http://example.org/dog.jpg"}, "image: is an address; emocap fetches none"),
        ({"captions": ["a"], "image": "data:image/png;base64,AAAA"}, "image: is an address; emocap fetches none"),
        ({"captions": ["a"], "image": "/etc/passwd!"}, "image: is not base64; send the file's bytes as base64"),
        ({"captions": ["a"], "image": "aGVsbG8="}, "image of 5 bytes: not an image"),
        ({"captions": ["a"], "emotions": ["hapy"]}, "emotion 'hapy': not an emotion of this model; nearest by name"),
        ({"captions": ["a"], "top": 0}, "top: Input should be greater than or equal to 1"),
    ],
)
def test_a_question_that_cannot_be_used_gets_one_sentence(client, asked, told) -> None:
    assert told in detail(client.post("/v1/predict", json=asked), 422)


def test_an_avoided_emotion_that_is_wanted_is_refused(client) -> None:
    asked = {"captions": ["a dog"], "emotions": ["sad"], "avoid": ["sad"]}
    assert "sad is both wanted and to be avoided" in detail(client.post("/v1/rank", json=asked), 422)


def test_a_picture_with_too_many_pixels_is_refused(serving, image) -> None:
    asked = {"image": image, "captions": ["a dog"]}
    assert "more than 1,000 pixels" in detail(serving(pixels=1000).post("/v1/predict", json=asked), 422)
    assert serving(pixels=2400).post("/v1/predict", json=asked).status_code == 200


def test_a_request_with_too_many_bytes_is_refused_by_its_length_and_by_what_comes(serving) -> None:
    client = serving(bytes=1000)
    assert "more than 1,000 bytes" in detail(client.post("/v1/predict", content=b"x" * 1001), 413)
    told = detail(client.post("/v1/predict", content=iter([b"x" * 600, b"x" * 600])), 413)
    assert "more than 1,000 bytes" in told


def test_a_key_is_asked_for_where_there_is_one(serving) -> None:
    client = serving(key="a secret key")
    for path in ("/v1/model", "/metrics"):
        assert detail(client.get(path), 401) == "no valid key; send Authorization: Bearer KEY"
        for wrong in ("Bearer a secret kez", "a secret key", "Basic a secret key", "Bearer", ""):
            assert client.get(path, headers={"Authorization": wrong}).status_code == 401, wrong
        for right in ("Bearer a secret key", "bearer a secret key"):
            assert client.get(path, headers={"Authorization": right}).status_code == 200
    document = client.get("/openapi.json").json()
    assert document["paths"]["/v1/predict"]["post"]["security"] == [{"HTTPBearer": []}]
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200


def test_only_its_own_names_and_its_own_pages_may_ask_where_that_is_said(served, tmp_path) -> None:
    from starlette.testclient import TestClient

    gate, service = build_app(served, Limits(), tmp_path, page=False, hosts=("localhost", "::1"))
    client = TestClient(gate)
    try:
        for host in ("localhost", "localhost:8000", "[::1]:80"):
            assert client.get("/healthz", headers={"host": host}).status_code == 200
        told = detail(client.get("/v1/model", headers={"host": "evil.example"}), 400)
        assert told == "this server does not go by that name; start it with --host-name NAME"
        asked = {"captions": ["a dog"]}
        own = {"host": "localhost:80", "origin": "http://localhost:80"}
        assert client.post("/v1/predict", json=asked, headers=own).status_code == 200
        strange = {"host": "localhost:80", "origin": "http://evil.example"}
        assert detail(client.post("/v1/predict", json=asked, headers=strange), 403) == (
            "another site's page may not ask this server"
        )
    finally:
        service.stop()


def test_health_readiness_and_a_stopped_server(client) -> None:
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
    told = client.get("/metrics").text
    assert 'emocap_requests_total{route="/v1/predict",status="200"} 1.0' in told
    assert 'emocap_requests_total{route="/v1/predict",status="422"} 1.0' in told
    assert 'emocap_requests_total{route="other",status="404"} 1.0' in told
    assert "emocap_batch_captions_sum 3.0" in told
    assert "emocap_waiting 0.0" in told
    assert 'emocap_questions_total{kind="predict"} 1.0' in told
    assert "xxx" not in told


def test_the_log_holds_how_it_went_and_nothing_of_what_was_asked(client, caplog, image, monkeypatch) -> None:
    requests = logging.getLogger("emocap.requests")
    monkeypatch.setattr(requests, "propagate", False)
    requests.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO, "emocap.requests"):
            answer = client.post("/v1/predict?secret=1", json={"image": image, "captions": ["a private dog"]})
            client.post("/v1/predict", json={"captions": ["another private dog"], "emotions": ["private"]})
    finally:
        requests.removeHandler(caplog.handler)
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "emocap.requests"]
    assert [line["status"] for line in lines] == [200, 422]
    assert lines[0]["route"] == "/v1/predict"
    assert lines[0]["request"] == answer.headers["x-request-id"]
    assert lines[0]["ms"] > 0
    assert not [word for word in ("private", "secret", image[:20]) if word in json.dumps(lines)]


def test_answers_carry_headers_that_keep_a_browser_at_home(client) -> None:
    headers = client.get("/healthz").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'self'; script-src 'self'")


def test_the_documents_examples_are_questions_that_get_answers(client) -> None:
    document = client.get("/openapi.json").json()
    for path in ("predict", "rank", "explain", "caption"):
        name = document["paths"][f"/v1/{path}"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        properties = document["components"]["schemas"][name.rpartition("/")[2]]["properties"]
        example = {key: value["examples"][0] for key, value in properties.items() if "examples" in value}
        assert example, path
        asked = {
            key: ["sad"] if key == "emotions" else ["awe"] if key == "avoid" else value
            for key, value in example.items()
        }
        assert client.post(f"/v1/{path}", json=asked).status_code == 200, path
    assert schemas.EXAMPLE_IMAGE in json.dumps(document)


def test_the_documents_page_takes_nothing_from_elsewhere(client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    assert "http://" not in page.text.replace("http://testserver", "")


def test_an_unknown_place_or_way_is_told_in_one_sentence(client) -> None:
    assert detail(client.get("/v1/nothing"), 404) == "Not Found"
    assert detail(client.get("/v1/predict"), 405) == "Method Not Allowed"


def test_a_fault_of_ours_is_told_without_its_insides(client, monkeypatch, caplog) -> None:
    def broken(*_):
        raise RuntimeError("secret insides")

    monkeypatch.setattr(client.service.served.predictor, "pair_probabilities", broken)
    told = detail(client.post("/v1/predict", json={"captions": ["a dog"]}), 500)
    assert "something failed here" in told
    assert "secret" not in told
    logged = " ".join(record.getMessage() for record in caplog.records)
    assert "RuntimeError" in logged
    assert "secret" not in logged
