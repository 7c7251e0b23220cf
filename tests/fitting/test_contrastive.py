"""The contrastive loss by hand and against plain loops; fine-tuning separates labels that the encoder did not."""

import numpy as np
import torch

from emocap.emotions import Vocabulary
from emocap.fitting import contrastive
from emocap.fitting.contrastive import contrastive_loss, set_head, tuned_layers
from emocap.fitting.upper_layers import LowerLayers
from emocap.training.batching import PairDataset
from emocap.training.predict import pooled_vectors, predict_probabilities


def test_loss_equals_plain_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(7, 5, generator=generator), dim=1)
    labels = (torch.rand(7, 3, generator=generator) < 0.5).float()
    alike, unlike = [], []
    for i in range(7):
        for j in range(7):
            if i != j:
                both, either = (labels[i] * labels[j]).sum(), ((labels[i] + labels[j]) > 0).sum()
                target = both / either if either else torch.tensor(0.0)
                (alike if target > 0 else unlike).append((vectors[i] @ vectors[j] - target) ** 2)
    expected = torch.stack(alike).mean() + torch.stack(unlike).mean()
    torch.testing.assert_close(contrastive_loss(vectors, labels), expected)


def test_loss_of_one_label_is_defined() -> None:
    vectors = torch.eye(2)
    assert contrastive_loss(vectors, torch.ones(2, 1)).item() == 1  # cosine 0 instead of 1
    alone = vectors[:1].clone().requires_grad_()
    contrastive_loss(alone, torch.ones(1, 1)).backward()  # a batch of one caption teaches nothing, and is no error
    assert alone.grad.eq(0).all()


def test_tuning_separates_labels(pairs, tiny_bert, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(contrastive, "LEARNING_RATE", 3e-3)
    monkeypatch.setattr(contrastive, "STEPS", 30)
    monkeypatch.setattr(contrastive, "TRAINED_LAYERS", 2)
    vocabulary = Vocabulary(("happy", "sad", "awe"))
    truth = pairs.targets(vocabulary)
    lower = LowerLayers(str(tiny_bert), vocabulary, contrastive.TRAINED_LAYERS)
    before = {name: weights.clone() for name, weights in lower.network.state_dict().items()}
    network, upper = tuned_layers(lower, pairs, truth, tmp_path, name="tuned", seed=0)
    vectors = upper.vectors(lower.states(pairs.captions))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines, same = unit @ unit.T, truth @ truth.T > 0
    assert cosines[same].mean() - cosines[~same].mean() > 0.5
    assert not list(tmp_path.rglob("*.safetensors"))
    assert all(weights.equal(before[name]) for name, weights in lower.network.state_dict().items())

    data = PairDataset.of(pairs, lower.tokenizer, lower.max_length, None)
    np.testing.assert_allclose(vectors, pooled_vectors(network, data, 64, "vectors"), rtol=1e-4, atol=1e-5)
    weights, intercepts = np.ones((32, 3), dtype=np.float32), np.array([0.0, 1.0, 2.0])
    set_head(network, weights, intercepts, 2.0)
    expected = 1 / (1 + np.exp(-((vectors / 2.0) @ weights + intercepts)))
    np.testing.assert_allclose(predict_probabilities(network, data, 64, "p"), expected, rtol=1e-4, atol=1e-5)
