import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from emocap.cli.main import app
from emocap.errors import EmocapError
from emocap.evaluation.metrics import METRICS, PRIMARY, varying_metrics
from emocap.evaluation.predictions import ModelPredictions, read_predictions, write_predictions
from emocap.evaluation.significance import compare_models
from emocap.evaluation.verdicts import LEAST_IMAGES, LEAST_POSITIVES
from emocap.files import write_json
from emocap.report.compare import compare_runs
from emocap.report.compare_page import findings, score_figure, write_comparison

LABELS = ["happy", "sad", "awe", "calm"]
M = 60


@pytest.fixture
def truth():
    targets = (np.random.default_rng(0).random((M, len(LABELS))) < [0.6, 0.3, 0.3, 0.2]).astype(np.float32)
    targets[targets.sum(axis=1) == 0, 0] = 1
    return targets


def predictions_of(targets, rows, noise, seed, order):
    """Better for less noise, which depends on the pair and not on the order; a prior where noise is None."""
    drawn = np.random.default_rng(seed).normal(size=targets.shape)[order]
    scores = np.tile([0.6, 0.3, 0.3, 0.2], (len(targets), 1)) if noise is None else 0.5 * targets + 0.25 + noise * drawn
    p = np.clip(scores, 0.01, 0.99).astype(np.float32)[rows]
    return ModelPredictions(rows, p, p, np.full(len(rows), 0.5, np.float32), np.full(p.shape, 0.5, np.float32))


def make_run(folder: Path, targets, noises, *, order=None, rows=None, labels=LABELS, seeds=(0,), chosen=None) -> Path:
    """A run whose table has its pairs in `order` and was tested on `rows` in the first run's order."""
    order = np.arange(M) if order is None else order
    tested = np.flatnonzero(np.isin(order, np.arange(M) if rows is None else rows))
    own_targets = targets[order]
    predictions = {
        name: [
            predictions_of(own_targets, tested, noise, seed, order) for seed in (seeds if noise is not None else (0,))
        ]
        for name, noise in noises.items()
    }
    images = [f"i{row // 2}.jpg" for row in order]
    comparison = compare_models(predictions, own_targets, images, labels, references=["prior"], n_bootstrap=100)
    write_predictions(
        folder / "predictions.parquet", predictions, pair_ids=[f"p{row}" for row in order], images=images,
        targets=own_targets, labels=labels, seeds=seeds,
    )  # fmt: skip
    results = {
        "schema": 3,
        "labels": labels,
        "vocabulary": "x",
        "n_test_pairs": len(tested),
        "n_test_images": len(tested) // 2,
        "folds": None,
        "seeds": list(seeds),
        "n_bootstrap": 100,
        "reference": "prior",
        "chosen": chosen,
        "metrics": {
            name: {"higher_is_better": METRICS[name].higher_is_better} for name in varying_metrics(len(labels))
        },
        "kinds": {name: "baseline" if name in ("prior", "tfidf") else "study" for name in noises},
        **comparison,
    }
    write_json(folder / "results.json", results)
    return folder


@pytest.fixture
def runs(tmp_path, truth):
    good = make_run(tmp_path / "good", truth, {"prior": None, "tfidf": 2.0, "teacher": 1.0, "AnB+": 0.2}, seeds=(1,))
    order = np.random.default_rng(3).permutation(M)
    poor = make_run(tmp_path / "poor", truth, {"prior": None, "teacher": 3.0}, order=order, seeds=(2, 3))
    return good, poor


def test_shows_each_runs_best_and_first_best_baseline(runs):
    compared = compare_runs(runs)
    assert [row.name for row in compared.rows] == ["good AnB+", f"good {compared.rows[1].model}", "poor teacher"]
    assert compared.rows[1].model in ("prior", "tfidf")
    assert compared.rows[0].difference is None
    assert compared.remarks == []


def test_matches_pairs_by_id_in_any_order(tmp_path, truth):
    noises = {"prior": None, "teacher": 0.8}
    first = make_run(tmp_path / "first", truth, noises)
    order = np.random.default_rng(7).permutation(M)
    other = make_run(tmp_path / "other", truth, noises, order=order)
    compared = compare_runs([first, other], model="teacher")
    same = compared.paired.differences["first teacher"]["other teacher"]
    assert {(d.difference, d.low, d.high) for d in same.values()} == {(0.0, 0.0, 0.0)}
    assert {d.deciding_images for d in same.values()} <= {0, None}


def test_differences_equal_compare_models(runs, truth):
    compared = compare_runs(runs)
    difference = compared.rows[2].difference
    assert difference.high < 0
    assert difference.difference == pytest.approx(compared.rows[2].score - compared.rows[0].score)
    low, high = difference.simultaneous
    assert low < difference.low
    assert findings(compared)[-1] == (
        f"poor teacher is worse than good AnB+: −{-difference.difference:.3f} "
        f"[−{-low:.3f},\N{NO-BREAK SPACE}−{-high:.3f}] (one training run)."
    )


def test_bootstrap_samples_images_not_pairs(runs):
    compared = compare_runs(runs)
    stored = read_predictions(runs[0] / "predictions.parquet")
    best, rival = (row.model for row in compared.rows[:2])
    names = {name: stored.by_model[name] for name in (best, rival)}
    expected = compare_models(names, stored.targets, stored.images, stored.labels, references=[best], n_bootstrap=100)[
        "differences"
    ][best][rival]
    for metric, difference in expected.items():
        found = compared.paired.difference(compared.rows[1].name, compared.rows[0].name, metric)
        assert (found.low, found.high) == pytest.approx((difference["low"], difference["high"]), abs=1e-12)


def test_different_test_pairs_allow_no_paired_difference(tmp_path, runs, truth):
    part = make_run(tmp_path / "part", truth, {"prior": None, "teacher": 0.5}, rows=np.arange(40))
    compared = compare_runs([runs[0], part])
    assert compared.remarks == ["part: no paired difference to good, different test pairs: 40 of 60 shared"]
    assert compared.rows[-1].name == "part teacher"
    assert compared.rows[-1].difference is None
    assert compared.rows[1].difference is not None  # of the first run itself


def test_different_targets_allow_no_paired_difference(tmp_path, runs, truth):
    changed = truth.copy()
    changed[:3] = 1 - changed[:3]
    changed[:3, 0] = 1
    n = int((changed != truth).any(axis=1).sum())
    other = make_run(tmp_path / "other", changed, {"prior": None, "teacher": 0.5})
    assert compare_runs([runs[0], other]).remarks == [
        f"other: no paired difference to good, different targets for {n} of 60 test pairs"
    ]


def test_chosen_model_represents_its_run(tmp_path, runs, truth):
    other = make_run(tmp_path / "c", truth, {"prior": None, "teacher": 0.9, "AnB+": 0.1}, chosen="teacher")
    assert compare_runs([runs[0], other]).rows[-1].name == "c teacher"
    assert compare_runs([runs[0], other], metric="bce").rows[-1].model == "teacher", "never the best on test pairs"


def test_shows_all_models_or_one(runs):
    assert [row.name for row in compare_runs(runs, every=True).rows] == [
        "good AnB+", "good prior", "good tfidf", "good teacher", "poor teacher", "poor prior"
    ]  # fmt: skip
    assert [row.name for row in compare_runs(runs, model="teacher").rows] == ["good teacher", "poor teacher"]


def test_distinguishes_folders_of_the_same_name(tmp_path, truth):
    folders = [make_run(tmp_path / part / "demo", truth, {"prior": None, "teacher": 0.5}) for part in ("a", "b")]
    assert [row.name for row in compare_runs(folders, model="prior").rows] == [f"{folder} prior" for folder in folders]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda good, poor, _: ([good], {}), "compare takes two runs or more"),
        (lambda good, poor, _: ([good, good], {}), "good is named twice"),
        (lambda good, poor, tmp: ([good, tmp / "absent"], {}), "absent: no such run directory"),
        (lambda good, poor, _: ([good, poor], {"metric": "speed"}), "good: has no metric 'speed'; it has top1"),
        (lambda good, poor, _: ([good, poor], {"model": "AnB+"}), "poor: has no model 'AnB+'; it has prior, teacher"),
    ],
)
def test_rejects_what_cannot_be_compared_in_one_line(tmp_path, runs, change, message):
    folders, options = change(*runs, tmp_path)
    with pytest.raises(EmocapError) as caught:
        compare_runs(folders, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["results.json", "predictions.parquet"])
def test_names_run_that_lacks_a_file(runs, name):
    (runs[1] / name).unlink()
    with pytest.raises(EmocapError, match=f"poor.*{name}"):
        compare_runs(runs)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["happy", "sad", "awe", "fear"], "only one of them has 'fear'"),
        (["sad", "happy", "awe", "calm"], "the emotions are in a different order"),
    ],
)
def test_rejects_different_vocabularies(tmp_path, runs, truth, labels, message):
    other = make_run(tmp_path / "other", truth, {"prior": None, "teacher": 0.5}, labels=labels)
    with pytest.raises(
        EmocapError, match=f"other: its vocabulary differs from that of .*good .{message}.; compare runs with the same"
    ):
        compare_runs([runs[0], other])


def test_page_shows_scores_differences_and_remarks(tmp_path, runs, truth):
    part = make_run(tmp_path / "p<art>", truth, {"prior": None, "teacher": 0.5}, rows=np.arange(40))
    compared = compare_runs([*runs, part])
    html = write_comparison(compared, tmp_path / "out.html").read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.S))
    assert "p<art>" not in html
    assert "p&lt;art&gt;: no paired difference to good, different test pairs: 40 of 60 shared." in text
    assert "poor teacher is worse than good AnB+" in text
    row = compared.rows[0]
    assert f"good AnB+ {row.score:.3f} [{row.interval[0]:.3f}, {row.interval[1]:.3f}]" in text
    assert f"worse: −{-compared.rows[2].difference.difference:.3f}" in text
    assert "60 test pairs, seeds 2, 3" in text
    assert not re.search(r"<script|@import|url\((?!#)|https?:(?!//www\.w3\.org)", html)


def test_small_test_set_allows_no_finding(tmp_path, truth):
    first, other = (
        make_run(tmp_path / name, truth, {"prior": None, "teacher": noise}, rows=np.arange(18))
        for name, noise in (("first", 0.1), ("other", 3.0))
    )
    compared = compare_runs([first, other], model="teacher")
    assert findings(compared) == [
        f"No verdict: the test set has 9 images and 31 positive labels; a verdict needs at least {LEAST_IMAGES} images "
        f"and {LEAST_POSITIVES} positive labels."
    ]
    html = write_comparison(compared, tmp_path / "out.html").read_text(encoding="utf-8")
    assert "No difference is marked, since the test set is too small for a verdict." in html
    assert "worse: " not in html


def test_baseline_of_first_run_is_that_of_validation_pairs(tmp_path, runs, truth):
    path = runs[0] / "results.json"
    results = json.loads(path.read_text())
    for name in ("prior", "tfidf"):
        write_json(path, results | {"comparison_baseline": {"model": name, "chosen_in": {name: 1}}})
        assert compare_runs(runs).rows[1].model == name


def test_returns_absolute_path_of_page(tmp_path, runs, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write_comparison(compare_runs(runs), Path("out.html")) == tmp_path.resolve() / "out.html"


def test_figure_caption_has_every_score(runs):
    compared = compare_runs(runs)
    assert all(f"{row.name} {row.score:.3f}" in score_figure(compared).caption for row in compared.rows)


def test_command_prints_table_and_writes_page(tmp_path, runs):
    out = tmp_path / "both.html"
    done = CliRunner().invoke(app, ["compare", *map(str, runs), "--out", str(out)], env={"COLUMNS": "140"})
    assert done.exit_code == 0, done.output
    assert out.is_file()
    first = compare_runs(runs).rows[0]
    assert re.search(rf"good AnB\+ +│ {first.score:.3f} \[{first.interval[0]:.3f},", done.output)
    assert "poor teacher" in done.output
    assert done.output.rstrip().endswith("both.html")


def test_rejects_model_together_with_all(runs):
    done = CliRunner().invoke(app, ["compare", *map(str, runs), "--model", "teacher", "--all"])
    assert done.exit_code == 1
    assert "not both" in str(done.exception)


def test_primary_metric_is_the_default(runs):
    assert compare_runs(runs).metric == PRIMARY


def test_rejects_predictions_of_another_run(tmp_path, runs, truth):
    other = make_run(tmp_path / "other", truth, {"prior": None, "tfidf": 2.0, "teacher": 0.1, "AnB+": 2.0}, seeds=(5,))
    (other / "predictions.parquet").replace(runs[0] / "predictions.parquet")
    with pytest.raises(
        EmocapError, match="good: results.json and predictions.parquet disagree on the score of 'AnB\\+'"
    ):
        compare_runs(runs)
    short = make_run(tmp_path / "short", truth, {"prior": None, "teacher": 0.1}, rows=np.arange(20))
    (short / "predictions.parquet").replace(runs[1] / "predictions.parquet")
    with pytest.raises(EmocapError, match="predictions.parquet has 20 tested pairs, results.json 60; delete"):
        compare_runs([make_run(tmp_path / "whole", truth, {"prior": None, "teacher": 1.0}), runs[1]])


def test_rejects_runs_that_disagree_on_direction(runs):
    path = runs[1] / "results.json"
    results = json.loads(path.read_text())
    results["metrics"][PRIMARY]["higher_is_better"] = False
    write_json(path, results)
    with pytest.raises(EmocapError, match="disagrees with .*good on whether a higher mean_average_precision is better"):
        compare_runs(runs)


def test_rejects_predictions_without_a_model(tmp_path, runs):
    write_predictions(
        runs[1] / "predictions.parquet",
        {},
        pair_ids=["a"],
        images=["a"],
        targets=np.ones((1, len(LABELS))),
        labels=LABELS,
        seeds=[0],
    )
    with pytest.raises(EmocapError, match="predictions.parquet: contains no model; run the study again"):
        compare_runs(runs)


def test_metric_of_another_version_has_no_difference(tmp_path, runs):
    for folder in runs:
        results = json.loads((folder / "results.json").read_text())
        results["metrics"]["new_metric"] = {"higher_is_better": True}
        for name, scores in results["models"].items():
            scores["new_metric"] = 2.0
            results["intervals"][name]["new_metric"] = [1.0, 3.0]
        write_json(folder / "results.json", results)
    compared = compare_runs(runs, metric="new_metric")
    assert [row.difference for row in compared.rows] == [None] * len(compared.rows)
    assert "new_metric" in write_comparison(compared, tmp_path / "out.html").read_text(encoding="utf-8")
    assert compare_runs(runs).rows[-1].difference is not None
