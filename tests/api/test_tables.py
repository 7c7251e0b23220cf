"""A model applied to a user's corpus: images used, faults reported, no temporary files left."""

import csv
import json
import logging
import os
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from emocap import EmocapError, EmotionPredictor
from emocap.api.corpus_evaluation import evaluate_corpus
from emocap.api.tables import label_corpus
from emocap.models.initialisation import build_config, load_backbone
from emocap.regions.extract import extract
from emocap.regions.extractors.grid import GridExtractor
from emocap.regions.store.format import feature_fingerprint
from emocap.training.checkpoint import ModelCard, load_tokenizer, save_model


@pytest.fixture
def model(tiny_bert, vocabulary, tmp_path) -> Path:
    grid = GridExtractor(rows=1, columns=2, dim=16)
    features = {
        "fingerprint": feature_fingerprint("grid", grid.settings, "", 16),
        "extractor": "grid",
        "settings": grid.settings,
        "dim": 16,
    }
    config = build_config(tiny_bert, vocabulary, pooling="mean", visual_token_type=0, visual_dim=16)
    card = ModelCard(list(vocabulary.labels), vocabulary.hash, 16, features, "AnB+", frequencies=[0.3, 0.5, 0.2])
    save_model(tmp_path / "model", load_backbone(config, tiny_bert)[0], load_tokenizer(tiny_bert), card)
    return tmp_path / "model"


@pytest.fixture
def data(tmp_path) -> Path:
    (tmp_path / "pics").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.jpg", "b.jpg"):
        Image.fromarray(rng.integers(0, 255, (30, 40, 3)).astype(np.uint8)).save(tmp_path / "pics" / name)
    (tmp_path / "pics" / "bad.jpg").write_text("not an image")
    path = tmp_path / "pairs.csv"
    path.write_text(
        "image,caption,emotions\na.jpg,the dog,happy\nbad.jpg,the cat,sad\n"
        "gone.jpg,a boat,awe\nb.jpg,the long night at sea,sad\n"
    )
    return path


def test_labels_equal_predictor_and_faults_are_logged(model, data, tmp_path, caplog) -> None:
    with caplog.at_level(logging.WARNING, logger="emocap"):
        assert label_corpus(model, data, tmp_path / "out.parquet", format_=None, images=tmp_path / "pics") == 4
    assert "1 of 4 images are missing, such as gone.jpg; only their captions are scored" in caplog.text
    assert "1 of 4 images rejected, such as bad.jpg: not a readable image but text" in caplog.text
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    predictor = EmotionPredictor.from_pretrained(model)
    image_paths = [tmp_path / "pics" / "a.jpg", None, None, tmp_path / "pics" / "b.jpg"]
    for row, image in zip(rows, image_paths, strict=True):
        alone = predictor.predict(image, row["caption"])
        assert row["emotions_emocap"] == [prediction.emotion for prediction in alone]
        by_label = {prediction.emotion: prediction.probability for prediction in alone}
        np.testing.assert_allclose(row["probabilities"], [by_label[label] for label in predictor.labels], atol=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "out.parquet", "pairs.csv", "pics"]


def test_evaluate_returns_metrics_of_model_and_prior(model, data, tmp_path) -> None:
    metrics = evaluate_corpus(model, data, format_="table", images=tmp_path / "pics").scores
    assert list(metrics) == ["prior", "AnB+"]
    # targets are happy, sad, awe, sad; the constant prediction ranks sad, happy, awe
    assert metrics["prior"]["top1_accuracy"] == 0.5
    assert metrics["prior"]["top2_accuracy"] == 0.75
    assert 0 <= metrics["AnB+"]["top1_accuracy"] <= 1


def test_rejects_features_that_cannot_be_reproduced(model, data, tmp_path) -> None:
    card = model / "emocap.json"
    card.write_text(card.read_text().replace('"fingerprint": "', '"fingerprint": "x'))
    with pytest.raises(EmocapError, match="extract them with the model.s settings"):
        label_corpus(model, data, tmp_path / "out.csv", format_=None, images=tmp_path / "pics")
    assert not (tmp_path / "out.csv").exists()


def test_store_replaces_images(model, data, tmp_path, caplog) -> None:
    grid = GridExtractor(rows=1, columns=2, dim=16)
    extract(["a.jpg", "b.jpg"], tmp_path / "pics", grid, tmp_path / "store")
    label_corpus(model, data, tmp_path / "extracted.parquet", format_=None, images=tmp_path / "pics")
    with caplog.at_level(logging.WARNING, logger="emocap"):
        label_corpus(model, data, tmp_path / "stored.parquet", format_=None, images=None, store=tmp_path / "store")
    assert "contains no features of 2 of 4 images, such as bad.jpg; only their captions are scored" in caplog.text
    extracted, from_store = (
        pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in ("extracted", "stored")
    )
    assert extracted == from_store
    captions_only = evaluate_corpus(model, data, format_="table", images=None).scores
    stored = evaluate_corpus(model, data, format_="table", images=None, store=tmp_path / "store").scores
    assert stored == evaluate_corpus(model, data, format_="table", images=tmp_path / "pics").scores
    assert stored["AnB+"]["bce"] != captions_only["AnB+"]["bce"]


def test_refuses_store_with_a_flipped_bit(model, data, tmp_path) -> None:
    extract(["a.jpg", "b.jpg"], tmp_path / "pics", GridExtractor(rows=1, columns=2, dim=16), tmp_path / "store")
    features = tmp_path / "store/features-00000.npy"
    features.write_bytes(features.read_bytes()[:-1] + b"\x01")
    with pytest.raises(EmocapError, match=r"features-00000\.npy: SHA-256 is .*, expected .*has changed"):
        label_corpus(model, data, tmp_path / "out.csv", format_=None, images=None, store=tmp_path / "store")


def test_rejects_images_with_store(model, data, tmp_path) -> None:
    extract(["a.jpg"], tmp_path / "pics", GridExtractor(rows=1, columns=2, dim=16), tmp_path / "store")
    with pytest.raises(EmocapError, match=r"give the images \(.*pics\) or their features \(.*store\), not both"):
        evaluate_corpus(model, data, format_="table", images=tmp_path / "pics", store=tmp_path / "store")


def test_rejects_other_features_unless_allowed(model, data, tmp_path, caplog) -> None:
    out = tmp_path / "out.csv"
    for name, grid in (("seed", GridExtractor(1, 2, 16, seed=1)), ("wide", GridExtractor(1, 2, 17))):
        extract(["a.jpg"], tmp_path / "pics", grid, tmp_path / name)
    label = partial(label_corpus, model, data, out, format_=None, images=None)
    with pytest.raises(EmocapError, match="--extractor grid --set rows=1 .*, or give --allow-other-features"):
        label(store=tmp_path / "seed")
    assert not out.exists()
    with caplog.at_level(logging.WARNING, logger="emocap"):
        assert label(store=tmp_path / "seed", allow_other_features=True) == 4
    assert "its predictions may be unreliable" in caplog.text
    with pytest.raises(EmocapError, match="trained on features of dimension 16, these have 17"):
        label(store=tmp_path / "wide", allow_other_features=True)


def test_model_of_imported_features_takes_no_images(model, data, tmp_path) -> None:
    card = model / "emocap.json"
    card.write_text(card.read_text().replace('"extractor": "grid"', '"extractor": "elsewhere"'))
    predictor = EmotionPredictor.from_pretrained(model)
    assert len(predictor.predict(None, "a dog")) == 3
    with pytest.raises(EmocapError, match="trained on elsewhere features, which emocap cannot compute from an image"):
        predictor.predict(tmp_path / "pics" / "a.jpg", "a dog")


def test_missing_extractor_weights_error_names_remedy(model, data, tmp_path) -> None:
    card = model / "emocap.json"
    values = json.loads(card.read_text())
    values["features"] |= {"extractor": "vit", "settings": {"weights": str(tmp_path / "gone")}}
    card.write_text(json.dumps(values))
    with pytest.raises(EmocapError, match="the extractor of its images .*gone.*in emocap.json there"):
        EmotionPredictor.from_pretrained(model).predict(tmp_path / "pics" / "a.jpg", "a dog")


def test_rejects_other_extractor_weights_unless_allowed(model, tmp_path, data) -> None:
    card = model / "emocap.json"
    card.write_text(card.read_text().replace('"fingerprint": "', '"fingerprint": "x'))
    image = tmp_path / "pics" / "a.jpg"
    with pytest.raises(EmocapError, match="or give --allow-other-features"):
        EmotionPredictor.from_pretrained(model).predict(image, "a dog")
    assert EmotionPredictor.from_pretrained(model).predict(None, "a dog")  # a caption alone needs no features
    assert EmotionPredictor.from_pretrained(model, allow_other_features=True).predict(image, "a dog")


@pytest.mark.parametrize("p", [0, 4])
def test_rejects_p_out_of_range(model, data, tmp_path, p: int) -> None:
    with pytest.raises(EmocapError, match=f"--p {p}: the model knows 3 emotions"):
        label_corpus(model, data, tmp_path / "out.csv", format_=None, images=None, p=p)


def test_rejects_non_finite_weights(model, data, tmp_path) -> None:
    tensors = load_file(model / "model.safetensors")
    tensors["fc.bias"][0] = float("nan")
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EmocapError, match="not finite|contain NaN"):
        label_corpus(model, data, tmp_path / "out.csv", format_=None, images=None)
    with pytest.raises(EmocapError, match="not finite|contain NaN"):
        EmotionPredictor.from_pretrained(model).predict(None, "a dog")
    assert not (tmp_path / "out.csv").exists()


def test_uses_temperature_and_thresholds_of_the_model(model, data, tmp_path) -> None:
    def predictions(folder):
        label_corpus(folder, data, tmp_path / "out.parquet", format_=None, images=None)
        predictor = EmotionPredictor.from_pretrained(folder)
        alone = {one.emotion: one.probability for one in predictor.predict(None, "the dog")}
        labelled = pq.read_table(tmp_path / "out.parquet")["probabilities"].to_pylist()
        return np.array(labelled), np.array([alone[label] for label in predictor.labels])

    plain, alone = predictions(model)
    assert plain[0] == pytest.approx(alone, abs=1e-6)
    before = evaluate_corpus(model, data, format_=None, images=None).scores["AnB+"]
    card = json.loads((model / "emocap.json").read_text())
    changed = card | {"temperature": 3.0, "threshold": 1e-6, "thresholds": [1e-6, 1.0, 1.0]}
    (model / "emocap.json").write_text(json.dumps(changed))
    scaled, scaled_alone = predictions(model)
    expected = 1 / (1 + np.exp(-np.log(plain / (1 - plain)) / 3))
    assert scaled == pytest.approx(expected, abs=1e-6)
    assert scaled_alone == pytest.approx(expected[0], abs=1e-6)
    after = evaluate_corpus(model, data, format_=None, images=None).scores["AnB+"]
    assert after["micro_f1"] == pytest.approx(0.5)  # all 4 x 3 are predicted and 4 are true: precision 1/3, recall 1
    assert after["mean_average_precision"] == pytest.approx(before["mean_average_precision"])
    (model / "emocap.json").write_text(json.dumps(card | {"thresholds": [0.5]}))
    with pytest.raises(EmocapError, match="1 thresholds for 3 labels"):
        predictions(model)


def test_rejects_rows_of_unreadable_images_with_reason(model, data, tmp_path) -> None:
    with data.open("a") as file:
        file.write("a.jpg,,sad\n")
    out, rejected = tmp_path / "out.parquet", tmp_path / "rejected.csv"
    assert label_corpus(model, data, out, format_=None, images=tmp_path / "pics", rejected=rejected) == 2
    assert pq.read_table(out)["image"].to_pylist() == ["a.jpg", "b.jpg"]
    with rejected.open() as file:
        rows = list(csv.DictReader(file))
    assert ["caption" in row["reason"] for row in rows] == [True, False, False]
    assert [row["reason"].split(":")[0] for row in rows[1:]] == ["bad.jpg", "gone.jpg"]
    assert list(rows[0]) == ["row", "reason", "image", "caption", "emotions"]
    assert [row["row"] for row in rows] == [f"{data}: line {line}" for line in (6, 3, 4)]
    assert [(row["image"], row["emotions"]) for row in rows] == [
        ("a.jpg", "sad"),
        ("bad.jpg", "sad"),
        ("gone.jpg", "awe"),
    ]
    expected = EmotionPredictor.from_pretrained(model).predict(tmp_path / "pics" / "b.jpg", "the long night at sea")
    row = dict(zip(("happy", "sad", "awe"), pq.read_table(out)["probabilities"].to_pylist()[1], strict=True))
    assert row == pytest.approx({prediction.emotion: prediction.probability for prediction in expected}, abs=1e-3)


def test_writes_no_rejected_file_without_rejected_rows(model, data, tmp_path) -> None:
    data.write_text("image,caption\na.jpg,the dog\n")
    rejected = tmp_path / "rejected.csv"
    assert label_corpus(model, data, tmp_path / "o.csv", format_=None, images=tmp_path / "pics", rejected=rejected) == 1
    assert not rejected.exists()
    data.write_text("image,caption\nbad.jpg,the dog\n")
    with pytest.raises(EmocapError, match=r"none of 1 images can be used; the first: bad\.jpg"):
        label_corpus(model, data, tmp_path / "p.csv", format_=None, images=tmp_path / "pics", rejected=rejected)
    assert not (tmp_path / "p.csv").exists()


@pytest.mark.parametrize("apply", ["evaluate", "label", "predict"])
def test_refuses_data_of_which_no_image_exists(model, data, tmp_path, apply) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "cover.jpg").write_bytes((tmp_path / "pics" / "a.jpg").read_bytes())
    extract(["cover.jpg"], tmp_path / "elsewhere", GridExtractor(rows=1, columns=2, dim=16), tmp_path / "store")
    with data.open("a") as file:
        file.write(",a caption alone,happy\n")
    call = partial(evaluate_corpus, model, data, format_=None)
    if apply != "evaluate":
        rejected = tmp_path / "rejected.csv" if apply == "predict" else None
        call = partial(label_corpus, model, data, tmp_path / "out.csv", format_=None, rejected=rejected)
    with pytest.raises(EmocapError, match=r"elsewhere: holds none of the 4 images that are named, such as a\.jpg"):
        call(images=tmp_path / "elsewhere")
    with pytest.raises(EmocapError, match=r"store: contains no features of any of the 4 images .*, such as a\.jpg"):
        call(images=None, store=tmp_path / "store")
    for name in ("a.jpg", "b.jpg", "gone.jpg"):
        (tmp_path / "pics" / name).write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(EmocapError, match="none of 4 images can be used; .*Git LFS pointer"):
        call(images=tmp_path / "pics")
    assert not list(tmp_path.glob("out*")) + list(tmp_path.glob("rejected*"))


def test_data_without_images_are_scored_with_warning(model, data, tmp_path, caplog) -> None:
    data.write_text("image,caption\n,the dog\n")
    with caplog.at_level(logging.WARNING, logger="emocap"):
        assert label_corpus(model, data, tmp_path / "out.csv", format_=None, images=tmp_path / "pics") == 1
    assert "the data name no image: the model scores only the captions" in caplog.text


@pytest.mark.parametrize("name", ["pairs.csv", "pics/../pairs.csv", "symbolic.csv", "hard.csv"])
def test_never_writes_over_the_corpus(model, data, tmp_path, name) -> None:
    before = data.read_bytes()
    (tmp_path / "symbolic.csv").symlink_to(data)
    os.link(data, tmp_path / "hard.csv")
    with pytest.raises(EmocapError, match="is the corpus that is to be labelled; choose another file"):
        label_corpus(model, data, tmp_path / name, format_=None, images=None)
    assert data.read_bytes() == before


def test_other_file_of_rejected_rows_is_refused(model, data, tmp_path) -> None:
    out, rejected = tmp_path / "out.csv", tmp_path / "out-rejected.csv"
    rejected.write_text("mine\n")
    label = partial(label_corpus, model, data, out, format_=None, images=tmp_path / "pics", rejected=rejected)
    with pytest.raises(EmocapError, match="not a file of rejected rows that emocap wrote; rename it"):
        label()
    assert (rejected.read_text(), out.exists()) == ("mine\n", False)


def test_own_file_of_rejected_rows_is_replaced_then_removed(model, data, tmp_path, caplog) -> None:
    out, rejected = tmp_path / "out.csv", tmp_path / "out-rejected.csv"
    label = partial(label_corpus, model, data, out, format_=None, images=tmp_path / "pics", rejected=rejected)
    label()
    first = rejected.read_text()
    data.write_text("image,caption,row\na.jpg,a dog,1\na.jpg,,2\n")
    label()
    second = rejected.read_text()
    assert second != first
    assert second.startswith('"row_emocap","reason","image","caption","row"')
    data.write_text("image,caption\na.jpg,a dog\n")
    with caplog.at_level(logging.WARNING, logger="emocap"):
        label()
    assert not rejected.exists()
    assert "out-rejected.csv: removed, since no row is rejected this time" in caplog.text


def test_rejected_rows_without_columns_keep_their_text(model, tmp_path) -> None:
    data, rejected = tmp_path / "own.csv", tmp_path / "out-rejected.csv"
    data.write_text("id,caption,line\n 5 ,a dog,1\n6,a dog,2,too,many\n7,,3\n")
    label_corpus(model, data, tmp_path / "out.csv", format_=None, images=None, rejected=rejected)
    assert '" 5 "' in (tmp_path / "out.csv").read_text()
    rows = rejected.read_text().splitlines()
    assert rows[0] == '"row","reason","id","caption","line","line_emocap"'
    assert rows[1].endswith(',,,"6,a dog,2,too,many"')
    assert rows[2].endswith('"7","","3",')


def test_refuses_link_to_nowhere_as_output(model, data, tmp_path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "nowhere.csv")
    with pytest.raises(EmocapError, match=r"link\.csv: is a link to .*nowhere\.csv, which does not exist; remove it"):
        label_corpus(model, data, tmp_path / "link.csv", format_=None, images=None)


def test_leftovers_of_killed_runs_are_removed(model, data, tmp_path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    folder = tmp_path / "predictions"
    scratch = folder / f".emocap-features.{dead.pid}-x1.emocap.part"
    (scratch / "features").mkdir(parents=True)
    theirs = [f".other.csv.{dead.pid}.emocap.part", f".out.csv.{os.getppid()}.emocap.part"]
    for name in (f".out.csv.{dead.pid}.emocap.part", *theirs):
        (folder / name).write_text("half")
    label_corpus(model, data, folder / "out.csv", format_=None, images=None)
    left = sorted(path.name for path in folder.glob(".*"))
    assert left == theirs, "only what a dead process left of this output is removed"
    (scratch / "features").mkdir(parents=True)
    label_corpus(model, data, folder / "out.csv", format_=None, images=None)
    assert not scratch.exists(), "in the same process, too"


def test_says_what_limits_the_model(model, data, tmp_path, caplog) -> None:
    card = json.loads((model / "emocap.json").read_text())
    (model / "emocap.json").write_text(json.dumps(card | {"synthetic": True, "features": None}))
    label_corpus(model, data, tmp_path / "out.csv", format_=None, images=tmp_path / "pics")
    assert caplog.text.count("the model was trained on drawn scenes") == 1
    assert "the model was trained on captions only and ignores the 4 images" in caplog.text
