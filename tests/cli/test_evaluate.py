"""`emocap evaluate`: labels brought together, intervals, verdicts, and what the model scored in its study."""

import json

import pytest

from emocap.classifiers.training_pairs import pair_hashes, write_training_pairs
from emocap.evaluation.verdicts import LEAST_IMAGES, LEAST_POSITIVES

from .process import emocap


@pytest.fixture
def evaluate(model_folder, tmp_path):
    """Evaluates the model on rows of a caption and its emotions."""

    def run(rows, *options, name="pairs.jsonl"):
        lines = [json.dumps({"caption": caption, "emotions": emotions}) for caption, emotions in rows]
        (tmp_path / name).write_text("\n".join(lines))
        return emocap("evaluate", "--model", model_folder, "--data", tmp_path / name, *options, COLUMNS="200")

    return run


def test_map_and_common_labels_bring_labels_together(evaluate) -> None:
    rows = [("a dog waits", ["joyful", "bored"]), ("lost storm", ["sad"]), ("night", ["bored"])]
    done = evaluate(rows)
    assert done.returncode == 1
    assert "pairs.jsonl: emotions 'bored', 'joyful' are not in the vocabulary" in done.stderr
    assert "--map LABEL=EMOTION" in done.stderr
    assert "--labels common" in done.stderr
    done = evaluate(rows, "--map", "joyful=happy", "--labels", "common")
    assert done.returncode == 0, done.stderr
    assert "3 pairs, no images, 2 emotions" in done.stdout
    assert "left out, only the model knows them: awe" in done.stdout
    assert "left out, only the data have them: bored" in done.stdout
    assert "1 of 3 pairs have no emotion that the model knows: counted as evoking none" in done.stderr


def test_common_labels_score_as_a_model_of_these(evaluate) -> None:
    rows = [("a dog waits", ["happy"]), ("lost storm", ["sad"]), ("the child", ["happy", "sad"])]
    every, common = (evaluate(rows, "--labels", labels).stdout for labels in ("all", "common"))
    assert "3 emotions" in every
    assert "2 emotions" in common
    assert "top-2" in every
    assert "top-2" not in common, "of two emotions the best two are all"


def test_few_pairs_allow_no_verdict(evaluate, model_folder) -> None:
    card = json.loads((model_folder / "model" / "emocap.json").read_text())
    (model_folder / "model" / "emocap.json").write_text(json.dumps(card | {"frequencies": [0.5, 0.3, 0.2]}))
    done = evaluate([("a dog waits", ["happy"]), ("lost storm", ["sad"]), ("the night", ["awe"])])
    assert done.returncode == 0, done.stderr
    least = f"(at least {LEAST_IMAGES} and {LEAST_POSITIVES})"
    assert f"cannot tell, 3 pairs with 3 positive labels are too few {least}" in done.stdout
    assert "the smallest difference that these data would show is" in done.stdout
    many = [(f"a dog waits {number}", [label]) for number in range(LEAST_IMAGES) for label in ("happy", "sad")]
    assert "compared with the prior: cannot tell" not in evaluate(many).stdout
    alike = evaluate([(f"a dog waits {number}", ["happy"]) for number in range(9)])
    assert "cannot tell" in alike.stdout
    assert "what they could show is unknown" in alike.stdout


def test_study_shows_a_baseline_and_no_internal_name(evaluate, model_folder) -> None:
    assert "in its study: unknown" in evaluate([(f"a dog waits {number}", ["happy"]) for number in range(9)]).stdout
    evaluation = {
        "data": "socratis", "n_pairs": 240, "n_images": 120, "metric": "mean_average_precision", "score": 0.3,
        "interval": [0.2, 0.4], "baseline": "vectors", "baseline_score": 0.35, "baseline_interval": [0.3, 0.4],
        "verdict": "worse than vectors", "version": "0.9", "model_hash": "0" * 64,
    }  # fmt: skip
    (model_folder / "model" / "evaluation.json").write_text(json.dumps(evaluation))
    shown = evaluate([(f"a dog waits {number}", ["happy"]) for number in range(9)]).stdout
    assert "in its study (socratis, 240 pairs, 120 images): mAP 0.300 [0.200, 0.400], the baseline that" in shown
    assert "the validation pairs chose, vectors, 0.350 [0.300, 0.400]. worse than vectors" in shown
    several = json.dumps(evaluation | {"baseline": "best_baseline"})
    (model_folder / "model" / "evaluation.json").write_text(several)
    shown = evaluate([(f"a dog waits {number}", ["happy"]) for number in range(9)]).stdout
    assert "the baseline that the validation pairs of each training run chose 0.350 [0.300, 0.400]" in shown
    assert "best_baseline" not in shown


@pytest.mark.parametrize("extension", ["csv", "jsonl"])
def test_predictions_in_place_of_labels_are_noticed(model_folder, tmp_path, extension) -> None:
    (tmp_path / "in.csv").write_text("caption\na dog waits\nlost storm\nthe child\n")
    out = tmp_path / f"out.{extension}"
    done = emocap("label", "--model", model_folder, "--data", tmp_path / "in.csv", "--out", out, "--p", 2)
    assert done.returncode == 0, done.stderr
    done = emocap("evaluate", "--model", model_folder, "--data", out)
    assert "'emotions' seems to contain predictions, as emocap writes them, not annotations" in done.stderr
    assert "seems to contain predictions" in json.dumps(json.loads(emocap("inspect", out, "--json").stdout)["notes"])


def test_training_pairs_are_noticed(evaluate, model_folder) -> None:
    images, captions = ["", ""], ["a dog waits", "lost storm"]
    write_training_pairs(model_folder / "model", pair_hashes(images, captions))
    done = evaluate([("A dog  waits", ["happy"]), ("lost storm", ["sad"]), ("the child", ["sad"])])
    assert done.stderr.count("2 of 3 pairs were in this model's training data; the scores are too high") == 1
    assert "training data" not in evaluate([("the child", ["sad"])]).stderr
