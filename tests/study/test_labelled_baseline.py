"""The baseline that learns a labelled source's images too, where that has an emotion or a rating of the target."""

import json

import numpy as np
import pytest
from PIL import Image

from emocap.classifiers.base import StoredFeatures
from emocap.classifiers.load import load_classifier
from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.curve import run_curve
from emocap.study.run import run_study, units_of
from emocap.study.stages.baselines import labelled_pairs

NAME = "image_probe_labelled"
ONE = {"epochs": 1, "learning_rate": 3e-3, "batch_size": 32}


@pytest.fixture
def rated(tiny_corpora, tiny_study, tmp_path):
    """Writes a study of 40 images and a labelled source of 80, both rated by their brightness under the names given.

    The source has so many more that it shares with the target.
    """

    def table(folder: str, images: list[str], rating: str, emotion: str, high: float) -> dict:
        rows = []
        for number, image in enumerate(images):
            value = np.asarray(Image.open(tiny_corpora / image).convert("L")).mean() / 255
            noise = np.random.default_rng([number, len(images)]).normal(0, 0.1)
            row = {"image": image, rating: 1 + (high - 1) * float(np.clip(value + noise, 0, 1))}
            rows.append(row | {"emotions": [emotion] if value > 0.5 else ["calm " + folder]})
        path = tmp_path / f"{folder}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        return {"format": "table", "path": str(path), "images": ".", "ratings": {rating: [1, high]}}

    def write(rating: str = "valence", emotion: str = "awe", n_source: int = 80, n_shared: int = 0, **changes):
        own = [f"target/{number}.jpg" for number in range(3, 43)]
        others = [f"source/{number:012d}.jpg" for number in range(n_source)]
        target = table("target", own, "valence", "awe", 7)
        source = table("source", [*others, *own[:n_shared]], rating, emotion, 9)
        study = {"source": None, "target": target, "labelled_source": source, "labelled": ONE | {"select_by": None},
                 "teacher": ONE, "transfer": {"AnB": ONE, "AnB+": ONE}, "baselines": {}}  # fmt: skip
        return tiny_study(**study | changes)

    return write


def fitted(path, folder) -> set[str]:
    run_study(load_config(path), folder, report=write_report, until="baselines")
    return {found.name for found in (folder / "baselines").iterdir()}


def test_learns_both_corpora_and_is_an_ensemble_member(rated, tmp_path) -> None:
    path = rated(evaluation={"n_bootstrap": 100, "ensemble": ["teacher", NAME]})
    config = load_config(path)
    run_study(config, tmp_path / "run", report=write_report)
    results = read_json(tmp_path / "run/results.json")
    assert results["uses_images"][NAME]
    assert results["ratings"]["models"][NAME]["valence"]["pearson_r"] > 0.5
    assert "image probe, labelled source" in (tmp_path / "run/report.html").read_text()
    unit = units_of(config, tmp_path / "run")[0]
    test, classifier = unit.part("test"), load_classifier(tmp_path / "run/baselines" / NAME)
    features = StoredFeatures(unit.store("target"), test.images)
    predicted = classifier.raw_probabilities(features, test.captions)
    assert np.abs(predicted - np.load(tmp_path / f"run/baselines/{NAME}/test_probabilities.npy")).max() < 1e-6
    members = read_json(tmp_path / "run/models/ensemble/model/emocap.json")["members"]
    assert any(NAME in member for member in members)


def test_changed_labelled_source_fits_again(rated, tmp_path) -> None:
    weights = tmp_path / f"run/baselines/{NAME}/model/arrays.safetensors"
    assert NAME in fitted(rated(), tmp_path / "run")
    first = weights.read_bytes(), weights.stat().st_mtime_ns
    fitted(rated(), tmp_path / "run")
    assert (weights.read_bytes(), weights.stat().st_mtime_ns) == first
    fitted(rated(n_source=20), tmp_path / "run")
    assert weights.read_bytes() != first[0]


def test_images_of_the_target_are_left_out_of_the_source(rated, tmp_path) -> None:
    path = rated(n_shared=5)
    assert NAME in fitted(path, tmp_path / "run")
    unit = units_of(load_config(path), tmp_path / "run")[0]
    given = labelled_pairs(unit)
    assert (len(given.features), given.truth.shape, given.ratings.shape) == (80, (80, 2), (80, 1))
    assert not set(unit.pairs("labelled_source").images) & set(unit.pairs("target").images)
    assert np.isnan(given.truth).any(axis=0).tolist() == [label != "awe" for label in unit.vocabulary.labels]


def test_one_common_name_is_enough(rated, tmp_path, caplog) -> None:
    others = {"prior", "image_probe"}
    assert fitted(rated(rating="pleasure"), tmp_path / "emotion") == {*others, NAME}
    assert fitted(rated(emotion="wonder"), tmp_path / "rating") == {*others, NAME}
    with caplog.at_level("INFO", "emocap"):
        assert fitted(rated(rating="pleasure", emotion="wonder"), tmp_path / "none") == others
    assert f"have no emotion or rating of the same name, so there is no {NAME}" in caplog.text


def test_source_without_images_is_not_joined(rated, tmp_path) -> None:
    texts = {"format": "table", "path": "moods.jsonl"}
    assert NAME not in load_config(rated(labelled_source=texts)).baseline_names
    assert NAME not in load_config(rated(labelled_source=None)).baseline_names
    for source in (texts, None):
        with pytest.raises(EmocapError, match=f"names '{NAME}', which needs a labelled_source with images; give one"):
            load_config(rated(labelled_source=source, baselines={"names": [NAME]}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baselines": {"names": [NAME]}}, f"baselines.names names '{NAME}', but the target and the labelled source"),
        ({"evaluation": {"ensemble": ["teacher", NAME]}}, f"evaluation.ensemble names '{NAME}', but the target and"),
    ],
)
def test_naming_it_without_common_outputs_is_refused(rated, tmp_path, changes, message) -> None:
    with pytest.raises(EmocapError, match=message) as error:
        fitted(rated(rating="pleasure", emotion="wonder", **changes), tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run/features").exists()


def test_learning_curve_joins_the_labelled_source_too(rated, tmp_path) -> None:
    curve = json.loads(run_curve(load_config(rated()), tmp_path / "run", models=[NAME], n_sizes=2).read_text())
    points = curve["models"][NAME]["points"]
    assert [point["n_pairs"] for point in points] == [8, 28]
    fitted(rated(), tmp_path / "run")
    study, point = (
        np.load(tmp_path / "run" / folder / "test_probabilities.npy")
        for folder in (f"baselines/{NAME}", f"curve/s0/{NAME}_n00028")
    )
    assert np.array_equal(study, point)
