"""A model over a user's corpus: pictures used, faults told, nothing left behind."""

import logging
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from emocap import EmocapError, EmotionPredictor
from emocap.inference.corpus import evaluate_corpus, label_corpus
from emocap.models.backbone import build_config, load_backbone
from emocap.regions.grid import GridExtractor
from emocap.regions.store import kind_of
from emocap.training.checkpoint import ModelCard, load_tokenizer, save_model


@pytest.fixture
def model(tiny_bert, vocabulary, tmp_path) -> Path:
    grid = GridExtractor(rows=1, columns=2, dim=16)
    features = {
        "kind": kind_of("grid", grid.settings, "", 16),
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
    (tmp_path / "pics" / "bad.jpg").write_text("no picture")
    path = tmp_path / "pairs.csv"
    path.write_text(
        "image,caption,emotions\na.jpg,the dog,happy\nbad.jpg,the cat,sad\n"
        "gone.jpg,a boat,awe\nb.jpg,the long night at sea,sad\n"
    )
    return path


def test_labels_are_what_the_predictor_says_and_faults_are_told(model, data, tmp_path, caplog) -> None:
    with caplog.at_level(logging.WARNING, logger="emocap"):
        assert label_corpus(model, data, tmp_path / "out.parquet", format_=None, images=tmp_path / "pics") == 4
    told = caplog.text
    assert "1 images missing, such as gone.jpg" in told
    assert "1 images set aside" in told
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    predictor = EmotionPredictor.from_pretrained(model)
    pictures = [tmp_path / "pics" / "a.jpg", None, None, tmp_path / "pics" / "b.jpg"]
    for row, picture in zip(rows, pictures, strict=True):
        alone = predictor.predict(picture, row["caption"])
        assert row["emotions"] == [found.emotion for found in alone]
        by_label = {found.emotion: found.probability for found in alone}
        np.testing.assert_allclose(row["probabilities"], [by_label[label] for label in predictor.labels], atol=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "out.parquet", "pairs.csv", "pics"]


def test_evaluate_gives_the_models_metrics(model, data, tmp_path) -> None:
    found = evaluate_corpus(model, data, format_="table", images=tmp_path / "pics")
    assert list(found) == ["prior", "AnB+"]
    # happy, sad, awe, sad; the constant answer is sad, happy, awe
    assert found["prior"]["top1_accuracy"] == 0.5
    assert found["prior"]["top2_accuracy"] == 0.75
    assert 0 <= found["AnB+"]["top1_accuracy"] <= 1


def test_features_that_cannot_be_made_again_are_refused(model, data, tmp_path) -> None:
    card = model / "emocap.json"
    card.write_text(card.read_text().replace('"kind": "', '"kind": "x'))
    with pytest.raises(EmocapError, match="extract them as the model's were"):
        label_corpus(model, data, tmp_path / "out.csv", format_=None, images=tmp_path / "pics")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("p", [0, 4])
def test_p_is_checked(model, data, tmp_path, p: int) -> None:
    with pytest.raises(EmocapError, match=f"--p {p}: the model knows 3 emotions"):
        label_corpus(model, data, tmp_path / "out.csv", format_=None, images=None, p=p)


def test_weights_that_are_not_finite_are_refused(model, data, tmp_path) -> None:
    tensors = load_file(model / "model.safetensors")
    tensors["fc.bias"][0] = float("nan")
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EmocapError, match="answers are not finite"):
        label_corpus(model, data, tmp_path / "out.csv", format_=None, images=None)
    with pytest.raises(EmocapError, match="answers are not finite"):
        EmotionPredictor.from_pretrained(model).predict(None, "a dog")
    assert not (tmp_path / "out.csv").exists()
