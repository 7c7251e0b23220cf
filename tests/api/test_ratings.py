"""Models that predict ratings, beside emotions or alone: predictions, files, explanations, errors."""

import csv
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

from emocap import EmocapError, EmotionPredictor
from emocap.api.corpus_evaluation import evaluate_corpus
from emocap.api.explanation_file import write_explanation
from emocap.api.model_folders import model_summary
from emocap.api.tables import label_corpus
from emocap.corpora.options import ReadOptions

from ..rated_model import write_rated_model


@pytest.fixture(params=[(), ("happy", "sad", "awe")], ids=["alone", "beside emotions"])
def labels(request) -> tuple[str, ...]:
    return request.param


@pytest.fixture
def folder(labels, tiny_bert, tmp_path):
    return write_rated_model(tmp_path / "teacher", tiny_bert, labels, temperature=3.0)


@pytest.fixture
def predictor(folder) -> EmotionPredictor:
    return EmotionPredictor.from_pretrained(folder)


def test_ratings_are_in_their_own_units(predictor, labels, photo) -> None:
    prediction = predictor.predict(photo, "a dog waits")
    assert {entry.emotion for entry in prediction} == set(labels)
    assert len(prediction) == len(labels)
    (features,) = predictor.features([photo])
    outputs = predictor.pair_outputs([features], ["a dog waits"])
    valence, arousal = outputs[0, len(labels) :].astype(float)
    assert prediction.ratings == {
        "valence": pytest.approx(1 + 6 * valence),
        "arousal": pytest.approx(100 * arousal),
    }
    assert predictor.ratings == {"valence": (1, 7), "arousal": (0, 100)}
    assert predictor.pair_probabilities([features], ["a dog waits"]).shape == (1, len(labels))


def test_temperature_leaves_ratings_as_they_are(labels, tiny_bert, tmp_path, predictor) -> None:
    other = EmotionPredictor.from_pretrained(write_rated_model(tmp_path / "other", tiny_bert, labels))
    assert predictor.predict(None, "a dog").ratings == pytest.approx(other.predict(None, "a dog").ratings, abs=1e-5)


def test_image_alone_needs_no_caption(predictor, photo) -> None:
    assert predictor.predict(photo).ratings == predictor.predict(photo, "").ratings
    assert predictor.remarks(photo, "") == []
    with pytest.raises(EmocapError, match="the caption is empty"):
        predictor.predict(None, "")


def test_files_have_a_column_per_rating(folder, labels, predictor, tmp_path) -> None:
    (tmp_path / "in.csv").write_text("id,caption,rating_valence\n1,the dog waits,9\n2,lost storm,9\n")
    expected = [predictor.predict(None, caption).ratings for caption in ("the dog waits", "lost storm")]
    for name in ("out.csv", "out.jsonl", "out.parquet"):
        label_corpus(folder, tmp_path / "in.csv", tmp_path / name, format_=None, images=None)
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    table = pq.read_table(tmp_path / "out.parquet")
    for found in (rows, lines, table.to_pylist()):
        values = [[float(row["rating_valence_emocap"]), float(row["rating_arousal"])] for row in found]
        np.testing.assert_allclose(values, [list(row.values()) for row in expected], atol=1e-4)
        assert ("emotions" in found[0]) == bool(labels)
    assert json.loads(table.schema.metadata[b"ratings"]) == {"valence": [1, 7], "arousal": [0, 100]}


def test_explains_a_rating_by_name(predictor, photo, tmp_path) -> None:
    explanation = predictor.explain(photo, "a dog waits alone", "Arousal")
    rating = predictor.predict(photo, "a dog waits alone").ratings["arousal"]
    assert (explanation.emotion, explanation.scale) == ("arousal", (0, 100))
    assert explanation.rating == pytest.approx(rating, abs=1e-3)
    assert abs(explanation.rest) < 0.1
    best = explanation.rewordings[0]
    after = predictor.predict(photo, best.caption).ratings["arousal"]
    assert best.rating_changes["arousal"] == pytest.approx(after - rating, abs=1e-3)
    changes = [abs(rewording.rating_changes["arousal"]) for rewording in explanation.rewordings]
    assert changes == sorted(changes, reverse=True)
    write_explanation(explanation, None, tmp_path / "why.html")
    html = (tmp_path / "why.html").read_text()
    assert re.search(r"<h1>arousal: \d+\.\d\d \(0 to 100\)</h1>", html)
    assert "The predicted mean of what people rate the content." in html
    assert "points" not in html


def test_explains_an_image_without_caption(predictor, photo) -> None:
    explanation = predictor.explain(photo, "", "valence")
    assert (explanation.words, explanation.rewordings) == ([], [])
    assert len(explanation.regions) == 3


def test_default_explanation_is_of_emotion_if_any(predictor, labels) -> None:
    emotion = predictor.explain(None, "a dog waits alone").emotion
    assert emotion in labels if labels else emotion == "valence"


def test_unknown_rating_or_emotion_is_one_line(predictor, labels) -> None:
    expected = "most similar name.* valence" if labels else "predicts ratings alone: valence, arousal"
    with pytest.raises(EmocapError, match=expected):
        predictor.explain(None, "a dog", "valenze")


def test_top_of_ratings_alone_is_refused(folder, labels, tmp_path) -> None:
    (tmp_path / "in.csv").write_text("caption\nthe dog\n")
    out = tmp_path / "out.csv"
    expected = "the model knows 3 emotions" if labels else "the model predicts ratings alone, no emotions"
    with pytest.raises(EmocapError, match=expected):
        label_corpus(folder, tmp_path / "in.csv", out, format_=None, images=None, p=4)
    assert not out.exists()


def test_summary_names_emotions_and_ratings(folder, labels) -> None:
    assert model_summary(folder).targets == (*labels, "valence", "arousal")


def rated_table(path, **columns) -> None:
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")


def test_evaluates_ratings_of_a_table(folder, labels, predictor, tmp_path) -> None:
    captions = ["the dog waits", "lost storm", "a child runs home", "the quiet sea", "bright sun", "dark night"]
    predicted = np.array([predictor.predict(None, caption).ratings["valence"] for caption in captions])
    true = np.round(predicted + np.array([0.5, -0.5, 0.2, 0.1, -0.3, 0.0]), 3)
    named = {"emotions": ["happy", "sad", "awe"] * 2} if labels else {}
    rated_table(tmp_path / "in.csv", caption=captions, Valence_mean=true, arousal=[9] * 5 + [80],
                arousal_sd=[10] * 6, arousal_n=[4] * 6, **named)  # fmt: skip
    found = evaluate_corpus(folder, tmp_path / "in.csv", format_=None, images=None)
    scores = found.ratings["models"]["teacher"]
    assert scores["valence"]["pearson_r"] == pytest.approx(np.corrcoef(predicted, true)[0, 1], abs=1e-4)
    assert scores["valence"]["rmse"] == pytest.approx(np.sqrt(np.mean((predicted - true) ** 2)), abs=1e-3)
    low, high = found.ratings["intervals"]["teacher"]["valence"]["rmse"]
    assert low < scores["valence"]["rmse"] < high
    assert found.ratings["ceiling"]["valence"] is None
    assert found.ratings["ceiling"]["arousal"]["rmse"] == pytest.approx(5.0)  # 10 / sqrt(4)
    assert found.labels == list(labels)
    assert bool(found.scores) == bool(labels)


def test_evaluation_without_rating_columns(folder, labels, tmp_path, caplog) -> None:
    rated_table(tmp_path / "in.csv", caption=["the dog", "lost storm"], emotions=["happy", "sad"])
    if not labels:
        with pytest.raises(EmocapError, match="has no column 'valence' or 'valence_mean'"):
            evaluate_corpus(folder, tmp_path / "in.csv", format_=None, images=None)
        return
    found = evaluate_corpus(folder, tmp_path / "in.csv", format_=None, images=None)
    assert found.ratings is None
    assert "the ratings are not scored: " in caplog.text


def test_named_column_of_a_rating_must_be_there(folder, labels, tmp_path) -> None:
    columns = {"emotions": ["happy", "sad"]} if labels else {}
    rated_table(tmp_path / "in.csv", caption=["the dog", "lost storm"], valence=[2, 6], arousal=[10, 20], **columns)
    options = ReadOptions({"valence": "pleasure"}, ratings=model_summary(folder).ratings)
    with pytest.raises(EmocapError, match="has no column 'pleasure', which is to be its valence"):
        evaluate_corpus(folder, tmp_path / "in.csv", format_=None, images=None, options=options)


def test_ratings_alone_are_scored_without_labels(folder, tmp_path) -> None:
    rated_table(tmp_path / "in.csv", caption=["the dog", "lost storm"], valence=[2, 6], arousal=[10, 20])
    found = evaluate_corpus(folder, tmp_path / "in.csv", format_=None, images=None)
    assert (found.labels, found.scores) == ([], {})
    assert found.ratings["n_pairs"] == {"valence": 2, "arousal": 2}
