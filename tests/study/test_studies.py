"""The transfer study, the study of pseudo-labels and what carries the signal, on the tiny corpora."""

from types import SimpleNamespace

import numpy as np
import pytest

from emocap.files import read_array, read_json
from emocap.pseudo_labels.contrast import contrast
from emocap.pseudo_labels.lift import LiftScale, lift
from emocap.pseudo_labels.select import agreement_over_captions, top_p_emotions
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.config.pseudo_labels import PseudoLabelConfig
from emocap.study.run import run_study, units_of
from emocap.study.stages import fitting, pseudo_label_study, transfer_study
from emocap.study.stages.modality_ablation import _exchanged

ONE = {"epochs": 1, "learning_rate": 3e-3, "batch_size": 32}


def run(path, folder, until=None, overrides=None):
    return run_study(load_config(path, overrides), folder, report=write_report, until=until)


@pytest.fixture(scope="module")
def module_tmp(tmp_path_factory):
    return tmp_path_factory.mktemp("studies")


def studied(tiny_study):
    return tiny_study(
        teacher=ONE,
        student=ONE | {"select_by": None},
        transfer={"AnB": ONE, "AnB+": ONE, "layers": [0, 3], "seeds": [0, 1]},
        pseudo_labels={
            "p": 2,
            "fraction": 0.5,
            "controls": [],
            "study": {
                "p": [1, 2],
                "k": [9],
                "fraction": [0.1, 1.0],
                "label_type": ["hard", "votes"],
                "min_agreement": [1.0],
                "rank": ["lift", "probability"],
            },
        },
    )


@pytest.fixture
def finished(module_tmp, tiny_study):
    """A run of every study; made once for all tests here."""
    folder = module_tmp / "run"
    if not (folder / "report.html").is_file():
        run(studied(tiny_study), folder)
    return folder


def test_transfer_study_has_all_points_and_seeds(finished) -> None:
    found = read_json(finished / "results.json")["transfer_study"]
    names = [point["model"] for point in found["points"]]
    expected = [f"{run}_n{n:02d}" for run in ("AnB", "AnB+", "BnB", "BnB+") for n in (0, 3)]
    assert names == [*expected, "teacher", "probe_then_finetune"]
    assert (found["n_layers"], found["seeds"]) == (3, [0, 1])
    assert set(found["models"]) == set(names)
    assert set(found["differences"]["teacher"]) >= set(expected)
    assert "BnB_n03" in found["differences"]["BnB+_n03"]
    assert set(found["spread"]) == set(names)


def test_transfer_study_copies_named_base_and_layers(finished, tiny_study, monkeypatch) -> None:
    moved = []

    def spy(study, base, n, *, freeze, seed, copy_head=False):
        moved.append((base, n, freeze, seed))
        raise InterruptedError

    monkeypatch.setattr(transfer_study, "move_layers", spy)
    study = units_of(load_config(studied(tiny_study)), finished)[0]
    monkeypatch.setattr(study, "load", lambda name: SimpleNamespace(model=f"the {name}"))
    bases = transfer_study.bases_of(study)
    for name, n in (("AnB", 0), ("AnB+", 3), ("BnB", 3), ("BnB+", 0)):
        with pytest.raises(InterruptedError):
            transfer_study._fit(study, "x", name, n, bases[name], 5)
    assert moved == [
        ("the student", 0, True, 7),
        ("the student", 3, False, 7),
        ("the teacher", 3, True, 7),
        ("the teacher", 0, False, 7),
    ]


def test_probing_comes_before_fine_tuning(finished, tiny_study, monkeypatch) -> None:
    fitted = []

    def spy(study, run, model, tokenizer, settings, **options):
        trained = {name for name, value in model.named_parameters() if value.requires_grad}
        fitted.append((run, trained == {"fc.weight", "fc.bias"}, settings))

    monkeypatch.setattr(transfer_study, "fit_on_target", spy)
    study = units_of(load_config(studied(tiny_study)), finished)[0]
    transfer_study._probe_then_finetune(study, "here", 0)
    settings = study.config.transfer
    assert fitted == [("here/probe", True, settings.AnB), ("here", False, settings.AnB_plus)]


def test_pseudo_label_study_has_all_variations(finished) -> None:
    found = read_json(finished / "results.json")["pseudo_label_study"]
    assert [(point["model"], point["n_selected"]) for point in found["points"]] == [
        ("base", 80),
        ("p=1", 80),
        ("k=9", found["points"][2]["n_selected"]),
        ("fraction=0.1", 16),
        ("fraction=1.0", 160),
        ("label_type=hard", 80),
        ("label_type=votes", 80),
        ("min_agreement=1.0", found["points"][7]["n_selected"]),
        ("rank=lift", 80),
        ("shuffled", 80),
        ("none", None),
    ]
    assert found["points"][2]["n_selected"] <= 14  # half of at most 9 pairs for each of 3 emotions
    assert "base" in found["differences"]


def test_controls_change_nothing_else(finished, tiny_study) -> None:
    study = units_of(load_config(studied(tiny_study)), finished)[0]
    points = {point["model"]: point for point in pseudo_label_study.variations(study.config.pseudo_labels)}
    points["random"] = {"model": "random", "varied": "control", "value": "random"}
    sample, targets = pseudo_label_study._sample(study, points["base"], 0)
    shuffled_sample, shuffled = pseudo_label_study._sample(study, points["shuffled"], 0)
    assert (shuffled_sample.rows == sample.rows).all()
    assert (np.sort(shuffled, axis=0) == np.sort(targets, axis=0)).all()
    assert (shuffled != targets).any()
    drawn, _ = pseudo_label_study._sample(study, points["random"], 0)
    assert len(drawn.rows) == len(sample.rows)
    assert (drawn.rows != sample.rows).any()
    _, votes = pseudo_label_study._sample(study, points["label_type=votes"], 0)
    assert set(np.unique(votes)) <= {0.0, 0.5, 1.0}  # two captions an image
    agreed, hard = pseudo_label_study._sample(study, points["min_agreement=1.0"], 0)
    probabilities = read_array(finished / "scores/probabilities.npy")
    share = agreement_over_captions(top_p_emotions(probabilities, 2), study.pairs("source").images)
    assert (share[agreed.rows][hard > 0] == 1).all()


def test_rank_by_lift_keeps_the_highest_lifts(finished, tiny_study) -> None:
    study = units_of(load_config(studied(tiny_study)), finished)[0]
    point = {"model": "rank=lift", "varied": "rank", "value": "lift"}
    sample, targets = pseudo_label_study._sample(study, point, 0)
    probabilities = read_array(finished / "scores/probabilities.npy")
    lifts = lift(probabilities, LiftScale.load(finished / "lift.json", study.vocabulary))
    kept = top_p_emotions(probabilities, 2, lifts)
    assert (sample.kept == kept[sample.rows]).all()
    assert targets == pytest.approx(np.where(kept, probabilities, 0)[sample.rows])
    assert (kept != top_p_emotions(probabilities, 2)).any()
    found = read_json(finished / "audit.json")["contrast"]["lift"]
    assert found == contrast(kept, study.pairs("source").images)


def test_control_none_trains_teacher_equally_long(finished, tiny_study, monkeypatch) -> None:
    seen = {}

    def spy(study, run, model, training, settings, seed, n_ratings):
        seen.update(pairs=len(training), epochs=settings.epochs, targets=training.targets)

    monkeypatch.setattr(pseudo_label_study, "pretrain", spy)
    study = units_of(load_config(studied(tiny_study)), finished)[0]
    point = {"model": "none", "varied": "control", "value": "none"}
    whole = {"model": "x", "varied": "fraction", "value": 1.0}
    sample, targets = pseudo_label_study._sample(study, whole, 0)
    pseudo_label_study._pretrained(study, point, "x", sample, targets, 0)
    assert (seen["pairs"], seen["epochs"]) == (160, 1)  # as many as pseudo-labelled ones: 84 training pairs, twice
    truth = study.training_targets("train").sum(axis=0)
    assert (seen["targets"].sum(axis=0) <= 2 * truth).all()
    assert (seen["targets"][:84].sum(axis=0) == truth).all()


def test_finished_point_is_not_retrained(finished, tiny_study, monkeypatch) -> None:
    monkeypatch.setattr(fitting, "train", None)
    study = units_of(load_config(studied(tiny_study)), finished)[0]
    before = [read_json(finished / f"{folder}/points.json") for folder in ("transfer", "pseudo_labels")]
    transfer_study.transfer_study(study)
    pseudo_label_study.pseudo_label_study(study)
    assert [read_json(finished / f"{folder}/points.json") for folder in ("transfer", "pseudo_labels")] == before


def test_ablation_views_remove_the_named_modality(finished) -> None:
    found = read_json(finished / "results.json")["modality_ablation"]
    assert found["model"] == "AnB+"
    assert set(found["models"]) == {"both", "caption_only", "image_only", "other_image", "other_caption"}
    assert found["n_pairs"] <= read_json(finished / "results.json")["n_test_pairs"]
    whole, rows = (
        read_array(finished / "AnB+/test_probabilities.npy"),
        read_array(finished / "modality_ablation/rows.npy"),
    )
    both = read_array(finished / "modality_ablation/both_probabilities.npy")
    assert len(both) == len(rows) == found["n_pairs"]
    views = {name: read_array(finished / f"modality_ablation/{name}_probabilities.npy") for name in found["models"]}
    assert len({view.tobytes() for view in views.values()}) == len(views), "no two views are the same"
    assert len(whole) >= len(both)


def test_exchanged_pairs_are_of_another_image() -> None:
    images = ["a", "a", "b", "c", "c"]
    for seed in range(5):
        for drawn in _exchanged(images, np.random.default_rng(seed)):
            assert all(images[i] != images[j] for i, j in enumerate(drawn))
    assert _exchanged(["a", "a"], np.random.default_rng(0))[0].tolist() in ([0, 0], [0, 1], [1, 0], [1, 1])


def test_variations_leave_out_the_base_value() -> None:
    study = {"p": [1, 4], "k": [None, 9], "controls": []}
    settings = PseudoLabelConfig.model_validate({"p": 4, "study": study})
    assert [point["model"] for point in pseudo_label_study.variations(settings)] == ["base", "p=1", "k=9"]
    chosen = PseudoLabelConfig.model_validate({"k": 9, "study": {}})
    assert [point["model"] for point in pseudo_label_study.variations(chosen)] == ["base", "random", "shuffled", "none"]


def test_adds_points_and_keeps_existing_ones(tiny_study, tmp_path, monkeypatch) -> None:
    trained = []
    fit = transfer_study._fit
    monkeypatch.setattr(transfer_study, "_fit", lambda study, run, *rest: (trained.append(run), fit(study, run, *rest)))
    path = tiny_study(
        features=None,
        target={"format": "table", "path": "pairs.jsonl"},
        source=None,
        labelled_source={"format": "table", "path": "moods.jsonl"},
        labelled=ONE | {"select_by": None},
        teacher=ONE,
        transfer={"AnB": ONE, "AnB+": ONE, "layers": [3], "controls": False},
    )
    run(path, tmp_path / "run")
    run(path, tmp_path / "run", overrides=["transfer.layers=[3, 0]"])
    assert trained == [f"transfer/{name}_s0" for name in ("AnB_n03", "AnB+_n03", "AnB_n00", "AnB+_n00")]
    found = read_json(tmp_path / "run/results.json")["transfer_study"]
    assert list(found["models"]) == ["AnB_n03", "AnB_n00", "AnB+_n03", "AnB+_n00"]
    run(path, tmp_path / "run", overrides=["transfer.layers=[0]"])
    assert len(trained) == 4
    assert list(read_json(tmp_path / "run/results.json")["transfer_study"]["models"]) == ["AnB_n00", "AnB+_n00"]
    run(path, tmp_path / "run", overrides=["transfer.layers=[0]", "transfer.AnB.learning_rate=1e-3"])
    assert len(trained) == 6
