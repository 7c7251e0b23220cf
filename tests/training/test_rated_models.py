"""Networks that predict ratings: their outputs, folders and transfer."""

import json
import shutil

import numpy as np
import pytest
import torch

from emocap.classifiers.ensemble import save_ensemble
from emocap.classifiers.load import load_classifier
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.models.initialisation import build_config, load_backbone
from emocap.models.transfer import transfer
from emocap.study.stages.fitting import start_at_frequencies
from emocap.training.checkpoint import ModelCard, load_model, load_tokenizer, save_model

NONE = Vocabulary(())
RATINGS = {"valence": [1.0, 7.0], "arousal": [1.0, 9.0]}


def card_of(vocabulary: Vocabulary, ratings=RATINGS, **fields) -> ModelCard:
    values = {"temperature": 2.0, "frequencies": [0.5] * len(vocabulary), "ratings": ratings} | fields
    return ModelCard(list(vocabulary.labels), vocabulary.hash, 16, None, "teacher", **values)


@pytest.fixture
def rated(tiny_bert, tmp_path):
    """Writes the folder of a model of three emotions, or of none, with two ratings."""

    def write(name: str, vocabulary: Vocabulary, **fields):
        config = build_config(tiny_bert, vocabulary, pooling="mean", visual_token_type=0, n_ratings=2)
        model = load_backbone(config, tiny_bert)[0].eval()
        save_model(tmp_path / name / "model", model, load_tokenizer(tiny_bert), card_of(vocabulary, **fields))
        return tmp_path / name / "model", model

    return write


def edit(path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("alone", [False, True])
def test_temperature_scales_emotions_not_ratings(rated, vocabulary, alone: bool) -> None:
    own = NONE if alone else vocabulary
    folder, model = rated("a", own)
    classifier = load_classifier(folder)
    ids = load_tokenizer(folder)("a dog", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        logits = model(ids).logits
    outputs, n = classifier.probabilities([None], ["a dog"]), len(own)
    assert outputs.shape == (1, n + 2)
    assert outputs[0, :n].tolist() == pytest.approx(torch.sigmoid(logits[0, :n] / 2).tolist())
    assert outputs[0, n:].tolist() == pytest.approx(torch.sigmoid(logits[0, n:]).tolist())
    assert classifier.ratings.names == ["valence", "arousal"]


def test_ensemble_of_rated_models_averages_logits(rated, vocabulary) -> None:
    member, _ = rated("a", vocabulary)
    names = {"kind": "ensemble", "temperature": 1.0, "members": ["one", "two"]}
    folder = member.parent.parent / "ensemble"
    save_ensemble(folder, card_of(vocabulary, **names))
    for name in names["members"]:
        shutil.copytree(member, folder / name)
    outputs = load_classifier(folder).probabilities([None], ["a dog"])
    own = load_classifier(member).raw_probabilities([None], ["a dog"])
    assert outputs.tolist() == [pytest.approx(own[0].tolist(), abs=1e-6)]
    edit(folder / "emocap.json", ratings={"valence": [1.0, 7.0]})
    with pytest.raises(EmocapError, match="its member one predicts other ratings"):
        load_classifier(folder)


def test_folder_of_an_earlier_version_has_no_ratings(rated, tiny_model, tiny_bert, vocabulary, tmp_path) -> None:
    save_model(tmp_path / "old", tiny_model, load_tokenizer(tiny_bert), card_of(vocabulary, {}))
    for file, key in (("config.json", "num_ratings"), ("emocap.json", "ratings")):
        values = json.loads((tmp_path / "old" / file).read_text())
        del values[key]
        (tmp_path / "old" / file).write_text(json.dumps(values))
    saved = load_model(tmp_path / "old")
    assert (saved.card.ratings, saved.model.fc.out_features) == ({}, 3)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config.json", {"num_ratings": 1}, "num_ratings is 1, but the card has 2 ratings"),
        ("emocap.json", {"ratings": {"valence": [7.0, 1.0]}}, "the range of 'valence' is 7 to 1, which is empty"),
        ("emocap.json", {"ratings": {}}, "has neither labels nor ratings"),
    ],
)
def test_folder_with_other_ratings_is_refused(rated, file: str, changes, message: str) -> None:
    folder, _ = rated("a", NONE)
    edit(folder / file, **changes)
    with pytest.raises(EmocapError, match=message):
        load_model(folder)


def test_transfer_gives_the_target_its_outputs(rated, vocabulary) -> None:
    _, base = rated("a", NONE)
    model = transfer(base, None, freeze=True, vocabulary=vocabulary, n_ratings=1)
    assert (model.fc.out_features, model.config.num_ratings, model.config.num_labels) == (4, 1, 3)
    assert torch.equal(
        model.visualbert.encoder.layer[0].output.dense.weight, base.visualbert.encoder.layer[0].output.dense.weight
    )
    assert transfer(base, None, freeze=True).fc.out_features == 2
    with pytest.raises(EmocapError, match="ratings are not the target's"):
        transfer(base, None, freeze=True, copy_head=True, vocabulary=NONE, n_ratings=1)


def test_backbone_with_ratings_gives_no_head(rated, vocabulary) -> None:
    """A configuration does not name ratings, so that the same number of them may be others."""
    folder, base = rated("a", vocabulary)
    config = build_config(folder, vocabulary, pooling="mean", visual_token_type=0, n_ratings=2)
    model = load_backbone(config, folder, seed=1)[0]
    assert torch.equal(model.visualbert.pooler.dense.weight, base.visualbert.pooler.dense.weight)
    assert not torch.equal(model.fc.weight, base.fc.weight)


def test_bias_starts_at_means_of_known_ratings(rated, vocabulary) -> None:
    _, model = rated("a", vocabulary)
    missing = float("nan")
    start_at_frequencies(model, np.array([[1, 0, 0, 0.2, missing], [1, 1, 0, missing, missing]], dtype=np.float32))
    assert torch.sigmoid(model.fc.bias).tolist() == pytest.approx([0.999, 0.5, 0.001, 0.2, 0.5], abs=1e-5)
