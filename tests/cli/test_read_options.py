"""How corpora are read by the commands that use a classifier: columns, labels, pairs without emotions."""

import json

import pytest

from emocap import EmocapError
from emocap.api.corpus_evaluation import evaluate_corpus

from .process import emocap


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"text": "a dog waits", "felt": "happy, sad"}, {"text": "the storm", "felt": "sad"}, {"text": "night"}]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_evaluate_counts_pairs_without_emotion(model_folder, data) -> None:
    command = ["evaluate", "--model", model_folder, "--data", data, "--columns", "caption=text,emotions=felt"]
    for negatives, said in ((), "counted as evoking none"), (("--negatives", "drop"), "left out"):
        done = emocap(*command, "--label-separator", ",", *negatives)
        assert done.returncode == 0, done.stderr
        assert f"1 of 3 pairs have no emotion that the model knows: {said}" in done.stderr


@pytest.mark.parametrize(("negatives", "n_pairs"), [("keep", 3), ("drop", 1)])
def test_unknown_emotions_of_free_text_are_negatives(model_folder, tmp_path, negatives, n_pairs) -> None:
    named = {"P1": ["Happy", "bored"], "P2": ["bored"], "P3": ["None"]}
    values = {pair: [["a.jpg", f"caption {pair}", words, [], {}]] for pair, words in named.items()}
    (tmp_path / "socratis.json").write_text(json.dumps(values))
    socratis = tmp_path / "socratis.json"
    scores = evaluate_corpus(model_folder, socratis, format_=None, images=None, negatives=negatives).scores
    assert (scores["teacher"]["n_pairs"], scores["teacher"]["n_ranked"]) == (n_pairs, 1)


def test_evaluate_refuses_unknown_labels_only(model_folder, tmp_path) -> None:
    (tmp_path / "pairs.csv").write_text("caption,emotions\nsea,\nrain,\n")
    with pytest.raises(EmocapError, match="no pair has an emotion that the model knows"):
        evaluate_corpus(model_folder, tmp_path / "pairs.csv", format_=None, images=None)


def test_prediction_reads_no_labels(model_folder, tmp_path) -> None:
    rows = [{"text": "a dog", "emotions": 3}, {"text": "rain", "emotions": ["joy", ""]}, {"text": "sea"}]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    columns, out = ("--columns", "caption=text"), tmp_path / "out.jsonl"
    for command in (("label", "--data"), ("predict", "--input")):
        to = "--out" if command[0] == "label" else "--output"
        done = emocap(command[0], "--model", model_folder, command[1], tmp_path / "pairs.jsonl", to, out, *columns)
        assert (done.returncode, "rejected" in done.stderr) == (0, False), done.stderr
        assert [json.loads(line)["caption"] for line in out.read_text().splitlines()] == ["a dog", "rain", "sea"]
