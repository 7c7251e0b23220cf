"""Training on a table end to end: something is learned, the folder predicts, and runs are told apart."""

import json

import numpy as np
import pytest

from emocap import EmotionClassifier, EmotionPredictor
from emocap.errors import EmocapError
from emocap.fitting import contrastive
from emocap.fitting.choice import PRIOR
from emocap.fitting.run import train_table

from .conftest import table_rows

pytestmark = pytest.mark.usefixtures("small_encoders")


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch) -> None:
    monkeypatch.setattr(contrastive, "STEPS", 4)


def test_folder_predicts_better_than_the_prior(pairs, tmp_path) -> None:
    report = train_table(pairs, tmp_path / "out", source="pairs.csv")
    assert {one["name"] for one in report.candidates} >= {PRIOR, "tfidf", "vectors", "tuned", "tfidf+vectors"}
    assert report.of(report.chosen)["score"] > 0.9 > report.of(PRIOR)["score"]
    predictor = EmotionPredictor.from_pretrained(tmp_path / "out")
    assert predictor.predict(None, "party sun dog")[0].emotion == "happy"
    assert json.loads((tmp_path / "out" / "training.json").read_text())["chosen"] == report.chosen
    assert f"<strong>{report.chosen}</strong>" in (tmp_path / "out" / "report.html").read_text()
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize("kind", ["prior", "tfidf", "vectors", "tuned", "tfidf+vectors", "vectors+tuned"])
def test_every_kind_predicts_from_its_folder(kind, pairs, tmp_path, monkeypatch) -> None:
    from emocap.fitting import run

    def choose(*arguments):
        scored, _ = original(*arguments)
        return scored, next(one for one in scored if one.name == kind)

    original = run.choose
    monkeypatch.setattr(run, "choose", choose)
    report = train_table(pairs, tmp_path / "out", source="pairs.csv")
    assert report.chosen == kind
    predictor = EmotionPredictor.from_pretrained(tmp_path / "out")
    probabilities = predictor.pair_probabilities([None] * 2, ["party sun dog", "alone in the rain"])
    assert probabilities.shape == (2, 3)
    assert np.isfinite(probabilities).all()


def test_same_table_is_not_trained_again(pairs, tmp_path, caplog) -> None:
    first = train_table(pairs, tmp_path / "out", source="pairs.csv")
    before = (tmp_path / "out" / "training.json").stat().st_mtime_ns
    assert train_table(pairs, tmp_path / "out", source="pairs.csv") == first
    assert (tmp_path / "out" / "training.json").stat().st_mtime_ns == before
    train_table(pairs.select(range(50)), tmp_path / "out", source="pairs.csv")
    assert json.loads((tmp_path / "out" / "training.json").read_text())["n_rows"] == 50


def test_other_folders_are_not_overwritten(pairs, tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(EmocapError, match="was not written by emocap train"):
        train_table(pairs, tmp_path, source="pairs.csv")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_failure_leaves_nothing_behind(pairs, tmp_path, monkeypatch) -> None:
    from emocap.fitting import run

    def fail(*_):
        raise EmocapError("no")

    monkeypatch.setattr(run, "write_report", fail)
    with pytest.raises(EmocapError, match="no"):
        train_table(pairs, tmp_path / "out", source="pairs.csv")
    assert list(tmp_path.iterdir()) == []


def test_labels_by_chance_get_a_remark(tmp_path) -> None:
    rows = table_rows(60)
    labels = np.random.default_rng(0).permutation([row["emotions"] for row in rows])
    shuffled = [row | {"emotions": str(label)} for row, label in zip(rows, labels, strict=True)]
    report = EmotionClassifier.train([row | {"image": f"{n}.png"} for n, row in enumerate(shuffled)]).report
    assert report.chance["share_as_good"] >= 0.05
    assert any("it is not shown that the chosen model learned anything" in remark for remark in report.remarks)
    assert "60 images are named, but no folder of images is given" in report.remarks
    learned = EmotionClassifier.train(rows).report
    assert learned.chance["share_as_good"] == 0
    assert learned.remarks == []


def test_classifier_of_a_list_or_frame(tmp_path) -> None:
    pandas = pytest.importorskip("pandas")
    rows = table_rows(30)
    for table in (rows, pandas.DataFrame(rows)):
        classifier = EmotionClassifier.train(table)
        assert classifier.predict(None, "alone in the rain")[0].emotion == "sad"
        assert classifier.report.n_rows == 30
    with pytest.raises(EmocapError, match="table is int, expected a path"):
        EmotionClassifier.train(3)


def test_images_that_do_not_exist_are_refused(tmp_path) -> None:
    rows = [row | {"image": f"{number}.png"} for number, row in enumerate(table_rows(30))]
    (tmp_path / "images").mkdir()
    with pytest.raises(EmocapError, match=r"none of the .* images"):
        EmotionClassifier.train(rows, images=tmp_path / "images", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
