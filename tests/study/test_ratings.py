"""Studies of ratings, alone and beside emotions, from the table to the model for use."""

import json

import numpy as np
import pytest
import yaml

from emocap.classifiers.load import load_classifier
from emocap.errors import EmocapError
from emocap.evaluation.predictions import read_predictions
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.curve import run_curve
from emocap.study.run import run_study

FILLERS = ["a", "the", "dog", "cat", "child", "boat", "sits", "runs", "in", "by", "field", "sea", "quiet"]
N = 150
LEVELS = {"lost": 1.0, "sad": 3.0, "home": 4.0, "happy": 5.5, "celebrates": 7.0}


@pytest.fixture(scope="session")
def rated(tmp_path_factory):
    """150 texts in 50 themes whose one telling word gives their valence from 1 to 7, and their emotion."""
    root, rng = tmp_path_factory.mktemp("rated"), np.random.default_rng(1)
    rows = []
    for number in range(N):
        word = rng.choice(list(LEVELS))
        valence = float(np.clip(LEVELS[word] + rng.normal(0, 0.3), 1, 7))
        caption = " ".join(rng.permutation([*rng.choice(FILLERS, 4), word, f"x{number}"]))
        row = {"caption": caption, "valence_mean": valence, "valence_sd": 1.2, "valence_n": 30}
        row |= {"arousal": None if number % 3 else 9 - valence, "theme": f"t{number % 50}", "all": "one"}
        rows.append(row | {"emotions": ["happy"] if valence > 4.5 else ["sad"]})
    others = [
        {"caption": " ".join(rng.permutation([*rng.choice(FILLERS, 4), word, f"y{number}"])), "pleasure": value / 7}
        for number, (word, value) in enumerate(list(LEVELS.items()) * 25)
    ]
    (root / "other.jsonl").write_text("\n".join(map(json.dumps, others)))
    for name, drop in (("both", ()), ("alone", ("emotions",))):
        lines = [json.dumps({key: value for key, value in row.items() if key not in drop}) for row in rows]
        (root / f"{name}.jsonl").write_text("\n".join(lines))
    return root


@pytest.fixture
def rated_study(rated, tiny_bert, tmp_path):
    def write(table: str, **changes):
        train = {"epochs": 8, "learning_rate": 3e-3, "batch_size": 16}
        ratings = {"valence": [1, 7], "arousal": [1, 9]}
        study = {
            "name": "rated",
            "data_root": str(rated),
            "folds": None,
            "target": {"format": "table", "path": f"{table}.jsonl", "ratings": ratings, "group": "theme"},
            "features": None,
            "model": {"backbone": str(tiny_bert), "max_length": 16},
            "teacher": train,
            "baselines": {"names": ["tfidf"]},
            "evaluation": {"n_bootstrap": 100},
        }
        path = tmp_path / "rated.yaml"
        path.write_text(yaml.safe_dump(study | changes, sort_keys=False))
        return path

    return write


def run(path, run_dir):
    run_study(load_config(path), run_dir, report=write_report)
    return json.loads((run_dir / "results.json").read_text())


def test_ratings_alone_are_learnt_from_words(rated_study, tmp_path) -> None:
    results = run(rated_study("alone"), tmp_path / "run")
    scores = results["ratings"]
    assert (results["labels"], results["metrics"], scores["names"]) == ([], {}, ["valence", "arousal"])
    assert scores["models"]["teacher"]["valence"]["pearson_r"] > 0.6
    assert scores["models"]["prior"]["valence"] == pytest.approx(
        {"pearson_r": 0, "ccc": 0, "rmse": scores["models"]["prior"]["valence"]["rmse"]}, abs=1e-6
    )
    better = scores["differences"]["prior"]["teacher"]["valence"]
    assert better["pearson_r"]["low"] > 0
    assert better["rmse"]["high"] < 0
    assert scores["n_pairs"]["arousal"] < scores["n_pairs"]["valence"] == results["n_test_pairs"]
    assert 0.9 < scores["ceiling"]["valence"]["pearson_r"] < 1
    assert scores["ceiling"]["arousal"] is None
    assert set(results["validation"]["teacher"]) == {"pearson_r"}
    best = max(("tfidf", "teacher"), key=lambda name: results["validation"][name]["pearson_r"])
    assert results["recommended"] == best
    assert results["chosen"] == "teacher"


def test_predictions_of_ratings_are_kept(rated_study, tmp_path) -> None:
    results = run(rated_study("alone"), tmp_path / "run")
    predictions = read_predictions(tmp_path / "run" / "predictions.parquet")
    assert (predictions.rating_names, predictions.ratings.shape) == (["valence", "arousal"], (N, 2))
    (repeat,) = predictions.by_model["teacher"]
    true = predictions.ratings[repeat.rows, 0]
    assert np.corrcoef(repeat.ratings[:, 0], true)[0, 1] == pytest.approx(
        results["ratings"]["models"]["teacher"]["valence"]["pearson_r"], abs=1e-5
    )
    model = load_classifier(tmp_path / "run" / "teacher")
    low, high = model.ratings.in_units(model.probabilities([None] * 2, ["a lost dog", "a dog celebrates"]))[:, 0]
    assert 1 <= low < 3.5 < 4.5 < high <= 7
    card = json.loads((tmp_path / "run" / "teacher" / "model" / "emocap.json").read_text())
    assert (card["labels"], card["ratings"]["arousal"]) == ([], [1.0, 9.0])
    evaluation = json.loads((tmp_path / "run" / "teacher" / "model" / "evaluation.json").read_text())
    assert evaluation["metric"] == "pearson_r"
    assert evaluation["ratings"]["valence"]["scores"] == results["ratings"]["models"]["teacher"]["valence"]


def test_ratings_beside_emotions_keep_both(rated_study, tmp_path) -> None:
    results = run(rated_study("both"), tmp_path / "run")
    assert results["labels"] == ["sad", "happy"]
    assert results["models"]["teacher"]["mean_average_precision"] > results["models"]["prior"]["mean_average_precision"]
    assert results["ratings"]["models"]["teacher"]["valence"]["pearson_r"] > 0.6
    assert results["ratings"]["models"]["tfidf"]["valence"]["pearson_r"] > 0.6
    assert {"mean_average_precision", "pearson_r"} == set(results["validation"]["teacher"])
    history = json.loads((tmp_path / "run" / "teacher" / "history.json").read_text())
    assert {"mean_average_precision", "pearson_r"} <= set(history["validation"][0])
    probabilities = np.load(tmp_path / "run" / "teacher" / "test_probabilities.npy")
    assert probabilities.shape == (results["n_test_pairs"], 4)


def test_groups_of_a_column_stay_together(rated_study, tmp_path) -> None:
    run(rated_study("alone"), tmp_path / "run")
    parts = json.loads((tmp_path / "run" / "splits.json").read_text())["parts"]
    themes = {part: {int(key.rpartition(":")[2]) % 50 for key in keys} for part, keys in parts.items()}
    assert not themes["train"] & themes["test"]
    assert not themes["train"] & themes["validation"]


def test_second_run_trains_nothing_again(rated_study, tmp_path, caplog) -> None:
    first = run(rated_study("both"), tmp_path / "run")
    written = (tmp_path / "run" / "teacher" / "test_probabilities.npy").stat().st_mtime_ns
    assert run(rated_study("both"), tmp_path / "run") == first
    assert (tmp_path / "run" / "teacher" / "test_probabilities.npy").stat().st_mtime_ns == written


def test_folds_and_seeds_are_joined(rated_study, tmp_path) -> None:
    train = {"epochs": 2, "learning_rate": 3e-3, "batch_size": 16}
    results = run(rated_study("alone", folds=2, seeds=[0, 1], teacher=train), tmp_path / "run")
    assert results["n_test_pairs"] == N
    assert results["intervals_over"] == "images and seeds"
    assert results["ratings"]["n_pairs"] == {"valence": N, "arousal": 50}
    model = load_classifier(tmp_path / "run" / "models" / "teacher")
    assert model.probabilities([None], ["a happy dog"]).shape == (1, 2)


@pytest.mark.parametrize("table", ["alone", "both"])
def test_ratings_of_another_corpus_are_transferred(rated_study, tmp_path, table: str) -> None:
    source = {"format": "table", "path": "other.jsonl", "ratings": {"pleasure": [0, 1]}}
    train = {"epochs": 4, "learning_rate": 3e-3, "batch_size": 16}
    labelled = train | {"epochs": 8, "select_by": None}
    transfer = {"AnB": train, "AnB+": train}
    study = rated_study(table, labelled_source=source, labelled=labelled, transfer=transfer, teacher=train)
    results = run(study, tmp_path / "run")
    card = json.loads((tmp_path / "run" / "labelled" / "model" / "emocap.json").read_text())
    assert (card["labels"], card["ratings"]) == ([], {"pleasure": [0.0, 1.0]})
    for model in ("labelled_AnB", "labelled_AnB+"):
        assert results["ratings"]["models"][model]["valence"]["pearson_r"] > 0.5
    assert load_classifier(tmp_path / "run" / "labelled_AnB").ratings.names == ["valence", "arousal"]


def test_few_rated_pairs_are_cross_validated(rated_study, tmp_path) -> None:
    path = rated_study("alone")
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("folds:")))
    run_study(load_config(path), tmp_path / "run", report=write_report, until="prepare")
    assert json.loads((tmp_path / "run" / "folds.json").read_text())["folds"] == 5


def test_ratings_without_captions_or_features_are_refused(rated_study, tmp_path) -> None:
    (tmp_path / "images").mkdir()
    rows = [{"image": f"{number}.jpg", "valence": number % 7 + 1} for number in range(30)]
    (tmp_path / "images.jsonl").write_text("\n".join(map(json.dumps, rows)))
    target = TARGET | {"path": str(tmp_path / "images.jsonl"), "images": str(tmp_path / "images")}
    with pytest.raises(EmocapError, match="target: has no captions, and features is null"):
        run(rated_study("alone", target=target, baselines={"names": []}), tmp_path / "run")


TARGET = {"format": "table", "path": "alone.jsonl", "ratings": {"valence": [1, 7]}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"source": TARGET},
            "source: pseudo-labels are emotions, but the target has ratings alone; leave the source out",
        ),
        (
            {"target": TARGET | {"ratings": {}}},
            "has no emotions; the target must be labelled, or give the ranges of its",
        ),
        ({"target": TARGET | {"group": "nope"}}, "has no column 'nope', which is to be its group; found caption"),
        (
            {"target": TARGET | {"group": "all"}},
            "150 images in 1 groups are too few for 3 parts; the group 'one' binds",
        ),
        ({"target": TARGET | {"where": {"theme": ["none"]}}}, "in none of 150 rows theme is none; correct `where`"),
        ({"target": TARGET | {"ratings": {"joy": [0, 1]}}}, "has no column 'joy' or 'joy_mean' of the rating 'joy'"),
        ({"target": TARGET | {"ratings": {"valence": [1, 3]}}}, "valence_mean is .*, outside its range 1 to 3"),
        ({"target": TARGET | {"where": {"theme": ["t0"]}}}, "3 images leave none for 'validation'"),
    ],
)
def test_unusable_ratings_are_one_line(rated_study, tmp_path, changes, message: str) -> None:
    with pytest.raises(EmocapError, match=message) as error:
        run(rated_study("alone", **changes), tmp_path / "run")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            {"ratings": {"valence": None}},
            "target.ratings: ratings: the range of 'valence' is None; give its lowest and",
        ),
        ({"ratings": ["valence"]}, "target.ratings: ratings is \\['valence'\\]; give each its range"),
        ({"ratings": {"valence": [7, 1]}}, "the range of 'valence' is 7 to 1, which is empty"),
        ({"where": {"agree": []}}, r"where: agree is \[\], expected a list of the values"),
        ({"group": "a", "columns": {"group": "b"}}, "group is 'a', but columns.group is 'b'; give one"),
    ],
)
def test_unusable_settings_are_one_line(rated_study, target, message: str) -> None:
    with pytest.raises(EmocapError, match=message):
        load_config(rated_study("alone", target=TARGET | target))


@pytest.mark.parametrize("key", ["teacher", "transfer"])
def test_emotions_are_not_selected_by_ratings(rated_study, key: str) -> None:
    training = {"select_by": "pearson_r"}
    changes = {"teacher": training} if key == "teacher" else {"transfer": {"AnB+": training}}
    target = {"format": "table", "path": "both.jsonl"}
    path = rated_study("both", target=target, labelled_source=target, **changes)
    with pytest.raises(EmocapError, match=f"{key}.*select_by is pearson_r, but the target has no ratings"):
        load_config(path)


def test_group_of_one_member_is_a_group(rated_study, tmp_path) -> None:
    target = TARGET | {"group": "caption"}  # every caption is another
    run_study(load_config(rated_study("alone", target=target)), tmp_path / "run", report=write_report, until="splits")
    parts = json.loads((tmp_path / "run" / "splits.json").read_text())["parts"]
    assert sorted(map(len, parts.values())) == [15, 30, 105]


def test_curve_beside_ratings_is_of_emotions(rated_study, tmp_path) -> None:
    config = load_config(rated_study("both", teacher={"epochs": 1, "batch_size": 16}))
    curve = json.loads(run_curve(config, tmp_path / "run", n_sizes=2).read_text())
    points = [point for model in ("tfidf", "teacher") for point in curve["models"][model]["points"]]
    assert len(points) == 4
    assert all(0 < point["scores"]["mean_average_precision"] <= 1 for point in points)
