"""A study whose teacher reads captions alone, and whose student learns photographs of the source from it."""

import csv

import numpy as np
import pyarrow.parquet as pq
import pytest
import timm
import torch

from emocap.classifiers.familiarity import read_familiarity
from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.fitting_settings import require_p
from emocap.study.run import run_study, units_of
from emocap.study.stages.photographs import classes_of
from emocap.study.stages.selection import selected
from emocap.study.stages.student import student
from emocap.training.checkpoint import read_card

COCO = {"format": "coco", "path": "captions_source.json", "images": "source", "limit_images": 40}
ONE = {"epochs": 1, "learning_rate": 3e-3, "batch_size": 32}
ALL = {"p": 3, "fraction": 0.8, "controls": [], "photographs": {}}
NEUTRAL = ["", "A photograph.", "A photo."]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """A folder of a tiny backbone of timm with a classifier of three named classes."""
    folder = tmp_path_factory.mktemp("backbone")
    torch.manual_seed(0)
    described = {"label_names": ["a", "b", "c"], "label_descriptions": {"a": "dog, hound", "b": "cat", "c": "boat"}}
    network = timm.create_model("test_efficientnet", num_classes=3).eval()
    timm.models.save_for_hf(network, str(folder), model_config=described, safe_serialization=True)
    return folder


@pytest.fixture
def study_of_texts(tiny_study, backbone, tmp_path):
    """Writes a study of a target without images and a source of photographs and texts."""
    with (tmp_path / "texts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["caption"], *([f"the child is lost at sea {i}"] for i in range(40))])

    def write(**changes):
        settings = {
            "target": {"format": "table", "path": "pairs.jsonl"},
            "source": [COCO, {"format": "table", "path": str(tmp_path / "texts.csv")}],
            "features": {"extractor": f"timm:{backbone}", "settings": {"rows": 1, "columns": 2}},
            "teacher": ONE,
            "student": ONE | {"select_by": None},
            "pseudo_labels": ALL,
            "transfer": {"AnB": ONE, "AnB+": ONE, "AnB-LoRA": ONE},
        }
        return tiny_study(**(settings | changes))

    return write


def test_student_learns_photographs_that_its_teacher_does_not_see(study_of_texts, tmp_path, monkeypatch) -> None:
    path, run = study_of_texts(), tmp_path / "run"
    run_study(load_config(path), run, report=write_report)
    unit = units_of(load_config(path), run)[0]
    sample, own = selected(unit)
    table = pq.read_table(run / "photographs.parquet").to_pydict()
    assert table["pair_id"] == sample.pair_ids
    targets, n_photographs = np.array(table["targets"], np.float32), sum(map(bool, sample.images))
    counts = read_json(run / "photographs.json")["pairs"]
    assert counts["without_image"] == len(sample) - n_photographs > 10
    assert counts["neutral"] == pytest.approx(n_photographs / 4, abs=1)
    of_image = {}
    for row, kind in enumerate(table["kind"]):
        seen, read = table["image"][row], table["caption"][row]
        assert (seen == sample.images[row]) is (kind in ("matched", "neutral", "without_image"))
        assert (seen == "") is (kind in ("dropped", "without_image"))
        assert read in NEUTRAL if kind == "neutral" else read == sample.captions[row]
        assert bool((targets[row] == own[row]).all()) is (kind in ("dropped", "without_image"))
        if kind == "neutral":
            assert (of_image.setdefault(seen, targets[row]) == targets[row]).all(), "the photograph's target alone"
    assert "Photographs: student’s pairs with another pair’s" in (run / "report.html").read_text()

    cards = {name: read_card(run / name / "model") for name in ("teacher", "student", "AnB", "AnB+", "AnB-LoRA")}
    assert cards.pop("teacher").features is None
    store = unit.store("source")
    assert {card.features["fingerprint"] for card in cards.values()} == {store.fingerprint}
    assert all(card.uses_captions for card in cards.values())
    assert read_familiarity(run / "AnB+" / "model").images is None
    assert {"AnB", "AnB+", "AnB-LoRA"} < set(read_json(run / "results.json")["models"])

    texts, logits = classes_of(unit, store, store.images[:5])
    assert texts == ["a photo of a dog.", "a photo of a cat.", "a photo of a boat."]
    best = [store.objects(image)["object"][-1] for image in store.images[:5]]
    assert logits.argmax(axis=1).tolist() == best, "the backbone's own prediction for the whole image"

    trained = []
    monkeypatch.setattr("emocap.study.stages.student.pretrain_student", lambda *given: trained.append(given))
    student(unit)
    _, name, pairs, domain, learnt = trained[0]
    assert (name, domain, pairs.images, pairs.captions) == ("student", "source", table["image"], table["caption"])
    assert (learnt == targets).all()
    pq.write_table(pq.read_table(run / "photographs.parquet").slice(1), run / "photographs.parquet")
    with pytest.raises(EmocapError, match=r"photographs\.parquet: is not of this selection; delete it and run again"):
        student(unit)


def test_features_without_a_classifier_are_refused(study_of_texts, tmp_path) -> None:
    grid = {"extractor": "grid", "settings": {"rows": 1, "columns": 2, "dim": 32}}
    with pytest.raises(EmocapError, match=r"class_prior needs features of timm:NAME.* is grid; .* class_prior: 0"):
        load_config(study_of_texts(features=grid))
    path = study_of_texts(features=grid, pseudo_labels=ALL | {"photographs": {"class_prior": 0}})
    run_study(load_config(path), tmp_path / "run", report=write_report, until="features")
    unit = units_of(load_config(path), tmp_path / "run")[0]
    with pytest.raises(EmocapError, match=r"features of grid come with no classifier; .*class_prior: 0"):
        classes_of(unit, unit.store("source"), [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pseudo_labels": ALL | {"label_type": "hard"}}, "label_type must be soft, or leave photographs out"),
        ({"pseudo_labels": ALL | {"k": 5}}, "k must be left out, or leave photographs out"),
        ({"pseudo_labels": ALL | {"study": {}}}, "study must be left out"),
        ({"pseudo_labels": ALL | {"photographs": {"share_neutral": 0.9}}}, "sum to 1.3, expected at most 1"),
        ({"pseudo_labels": ALL | {"photographs": {"neutral": []}}}, "neutral names no caption"),
        ({"pseudo_labels": ALL | {"photographs": {"neutral": ["a", "a"]}}}, "has a value twice"),
        ({"pseudo_labels": ALL | {"photographs": {"temperature": 0}}}, "greater than 0"),
        ({"features": None}, "needs a source with images and features"),
        ({"target": {"format": "table", "path": "pairs.jsonl", "images": "target"}}, "but the target has images"),
    ],
)
def test_refuses_settings_that_contradict(study_of_texts, changes: dict, message: str) -> None:
    with pytest.raises(EmocapError, match=message) as error:
        load_config(study_of_texts(**changes))
    assert "\n" not in str(error.value)


def test_needs_the_probabilities_of_all_emotions(study_of_texts) -> None:
    config = load_config(study_of_texts(pseudo_labels=ALL | {"p": 2}))
    with pytest.raises(EmocapError, match=r"pseudo_labels.p is 2, but .* all 3 emotions; set p: 3"):
        require_p(config, 3)
    require_p(config, 2)
