"""Scoring a corpus: in parts, resumable, in the order of the pairs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from emocap.corpora.pairs_builder import PairsBuilder
from emocap.errors import EmocapError
from emocap.pseudo_labels import score as module
from emocap.pseudo_labels.score import score
from emocap.training.checkpoint import ModelCard, load_model, load_tokenizer, save_model

CAPTIONS = [
    "the dog",
    "a happy child runs by the sea",
    "storm",
    "the cat sits",
    "night rain on the field at last",
    "sad",
]


@pytest.fixture
def saved(tiny_model, tiny_bert, vocabulary, tmp_path):
    card = ModelCard(list(vocabulary.labels), vocabulary.hash, 16, None, "teacher")
    save_model(tmp_path / "model", tiny_model, load_tokenizer(tiny_bert), card)
    return load_model(tmp_path / "model")


@pytest.fixture
def pairs():
    builder = PairsBuilder("made")
    for number, caption in enumerate(CAPTIONS):
        builder.add("x", str(number), "", caption)
    return builder.build()


def test_probabilities_are_in_the_order_of_pairs(saved, pairs, tmp_path) -> None:
    scores = score(saved, pairs, None, tmp_path / "scores", 4)
    for row, caption in enumerate(CAPTIONS):
        with torch.inference_mode():
            alone = saved.model(torch.tensor([saved.tokenizer(caption)["input_ids"]])).logits
        np.testing.assert_allclose(scores[row], torch.sigmoid(alone)[0].numpy(), atol=1e-6)


def test_resumes_after_the_last_saved_part(saved, pairs, tmp_path, monkeypatch) -> None:
    whole = score(saved, pairs, None, tmp_path / "whole", 4)
    monkeypatch.setattr(module, "PAIRS_PER_PART", 4)
    first = score(saved, pairs, None, tmp_path / "parts", 4)
    np.testing.assert_allclose(first, whole, atol=1e-6)
    (tmp_path / "parts" / "part-00001.npy").unlink()
    calls = []
    monkeypatch.setattr(
        module,
        "predict_calibrated",
        lambda saved, data, *rest: calls.append(len(data)) or np.zeros((len(data), 3), np.float32),
    )
    again = score(saved, pairs, None, tmp_path / "parts", 4)
    assert calls == [2]
    assert (again[:4] == first[:4]).all()


def test_rejects_part_of_wrong_shape(saved, pairs, tmp_path) -> None:
    (tmp_path / "scores").mkdir()
    np.save(tmp_path / "scores" / "part-00000.npy", np.zeros((2, 3), np.float32))
    with pytest.raises(EmocapError, match=r"part-00000\.npy: shape is \(2, 3\), expected \(6, 3\); delete it"):
        score(saved, pairs, None, tmp_path / "scores", 4)


def test_scores_are_calibrated(saved, pairs, tmp_path) -> None:
    plain = score(saved, pairs, None, tmp_path / "plain", 4)
    warm = replace(saved, card=replace(saved.card, temperature=3.0))
    expected = 1 / (1 + np.exp(-np.log(plain / (1 - plain)) / 3))
    np.testing.assert_allclose(score(warm, pairs, None, tmp_path / "warm", 4), expected, atol=1e-6)
