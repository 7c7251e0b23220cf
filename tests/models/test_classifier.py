"""The classifier: names, pooling, padding, freezing, saving."""

import pytest
import torch
from transformers.models.visual_bert.configuration_visual_bert import VisualBertConfig

from emocap.models.classifier import POOLINGS, EmotionHead, VisualBertForEmotion, set_prior_bias
from emocap.models.initialisation import build_config, load_backbone
from emocap.training.batching import PairDataset
from emocap.training.predict import pooled_vectors, predict_probabilities


def test_names_are_visualbert_and_fc(tiny_model) -> None:
    names = list(tiny_model.state_dict())
    assert {name.split(".")[0] for name in names} == {"visualbert", "fc"}
    assert tiny_model.fc.weight.shape == (3, 32)
    assert tiny_model.config.id2label == {0: "happy", 1: "sad", 2: "awe"}


@pytest.fixture
def pooled_by(tiny_bert, vocabulary):
    """Makes the tiny model with another pooling; all have the same encoder."""

    def make(pooling: str) -> VisualBertForEmotion:
        config = build_config(tiny_bert, vocabulary, pooling=pooling, visual_token_type=0, visual_dim=8)
        return load_backbone(config, tiny_bert, seed=0)[0].eval()

    return make


@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_changes_nothing(pooled_by, tiny_batch, pooling: str) -> None:
    tiny_model = pooled_by(pooling)
    with torch.inference_mode():
        together = tiny_model(**tiny_batch).logits[1]
        alone = tiny_model(
            input_ids=tiny_batch["input_ids"][1:, :3], visual_embeds=tiny_batch["visual_embeds"][1:, :1]
        ).logits[0]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_zero_visual_mask_equals_no_image(tiny_model, tiny_batch) -> None:
    tiny_batch["visual_attention_mask"] = torch.zeros_like(tiny_batch["visual_attention_mask"])
    with torch.inference_mode():
        masked = tiny_model(**tiny_batch).logits
        absent = tiny_model(tiny_batch["input_ids"], tiny_batch["attention_mask"]).logits
    torch.testing.assert_close(masked, absent, atol=1e-5, rtol=1e-5)


def test_mean_pooling_is_the_mean_over_attended_tokens(tiny_model, tiny_batch) -> None:
    with torch.inference_mode():
        states = tiny_model.visualbert(
            **tiny_batch, visual_token_type_ids=torch.zeros(2, 2, dtype=torch.long)
        ).last_hidden_state
        pooled = tiny_model.pool(**tiny_batch)
    by_hand = states[1, [0, 1, 2, 5]].mean(dim=0)
    torch.testing.assert_close(pooled[1], by_hand)


def test_first_pooling_and_its_concatenation_with_mean(tiny_model, pooled_by, tiny_batch) -> None:
    first, both = pooled_by("first"), pooled_by("first+mean")
    for model in (first, both):  # their visual projections are drawn after an fc of another width
        model.visualbert.load_state_dict(tiny_model.visualbert.state_dict())
    with torch.inference_mode():
        states = tiny_model.visualbert(
            **tiny_batch, visual_token_type_ids=torch.zeros(2, 2, dtype=torch.long)
        ).last_hidden_state
        mean = tiny_model.pool(**tiny_batch)
        torch.testing.assert_close(first.pool(**tiny_batch), states[:, 0])
        torch.testing.assert_close(both.pool(**tiny_batch), torch.cat([states[:, 0], mean], dim=1))
    assert first.fc.weight.shape == (3, 32)
    assert both.fc.weight.shape == (3, 64)


@pytest.mark.parametrize("pooling", ["first", "first+mean"])
def test_saved_model_keeps_pooling_and_width(pooled_by, tmp_path, pooling: str) -> None:
    model = pooled_by(pooling)
    data = PairDataset([[2, 5, 7, 3], [2, 8, 3], [2, 9, 6, 11, 3]], [""] * 3)
    vectors = pooled_vectors(model, data, 2, "vectors")
    assert vectors.shape == (3, model.fc.in_features)
    model.save_pretrained(tmp_path)
    loaded = VisualBertForEmotion.from_pretrained(tmp_path).eval()
    assert loaded.pooling == pooling
    with torch.inference_mode():
        expected = torch.sigmoid(EmotionHead(loaded.fc)(torch.tensor(vectors)).logits)
    torch.testing.assert_close(torch.tensor(predict_probabilities(loaded, data, 3, "test")), expected)


def test_visual_token_type_matters(tiny_model, tiny_batch) -> None:
    with torch.inference_mode():
        zero = tiny_model(**tiny_batch).logits
        tiny_model.visual_token_type = 1
        assert not torch.allclose(zero, tiny_model(**tiny_batch).logits)


def test_loss_is_the_mean_binary_cross_entropy(tiny_model, tiny_batch) -> None:
    labels = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.3, 1.0]])
    output = tiny_model(**tiny_batch, labels=labels)
    p = torch.sigmoid(output.logits)
    by_hand = -(labels * p.log() + (1 - labels) * (1 - p).log()).mean()
    torch.testing.assert_close(output.loss, by_hand)


def test_frozen_modules_stay_in_evaluation_mode(tiny_model) -> None:
    tiny_model.freeze([tiny_model.visualbert])
    tiny_model.train()
    assert tiny_model.fc.training
    assert not any(module.training for module in tiny_model.visualbert.modules())
    assert [n for n, p in tiny_model.named_parameters() if p.requires_grad] == ["fc.weight", "fc.bias"]


def test_saves_and_loads_the_same_model(tiny_model, tiny_batch, tmp_path) -> None:
    tiny_model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    loaded = VisualBertForEmotion.from_pretrained(tmp_path).eval()
    assert loaded.config.id2label == tiny_model.config.id2label
    assert loaded.pooling == "mean"
    with torch.inference_mode():
        assert torch.equal(loaded(**tiny_batch).logits, tiny_model(**tiny_batch).logits)


def test_loads_state_dict_with_the_founding_names() -> None:
    config = VisualBertConfig(visual_embedding_dim=2048, num_labels=29)
    with torch.device("meta"):
        model = VisualBertForEmotion(config)
    names = founding_names()
    assert list(model.state_dict()) == names
    assert model.fc.weight.shape == (29, 768)
    state = {name: torch.zeros(value.shape) for name, value in model.state_dict().items()}
    model.load_state_dict(state, strict=True, assign=True)
    assert model.fc.bias.tolist() == [0.0] * 29


def founding_names() -> list[str]:
    """Names of VisualBERT-base's parameters and of `fc`, derived from the architecture, not from our code."""
    embeddings = [
        "word_embeddings.weight",
        "position_embeddings.weight",
        "token_type_embeddings.weight",
        "LayerNorm.weight",
        "LayerNorm.bias",
        "visual_token_type_embeddings.weight",
        "visual_position_embeddings.weight",
        "visual_projection.weight",
        "visual_projection.bias",
    ]
    linear = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
    layer = [*linear, "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"]
    return [
        *(f"visualbert.embeddings.{name}" for name in embeddings),
        *(
            f"visualbert.encoder.layer.{i}.{part}.{kind}"
            for i in range(12)
            for part in layer
            for kind in ("weight", "bias")
        ),
        "visualbert.pooler.dense.weight",
        "visualbert.pooler.dense.bias",
        "fc.weight",
        "fc.bias",
    ]


def test_rejects_invalid_settings() -> None:
    with pytest.raises(ValueError, match=r"pooling is 'max', expected one of pooler, mean, first, first\+mean"):
        VisualBertForEmotion(VisualBertConfig(pooling="max"))
    with pytest.raises(ValueError, match="visual_token_type is 2, expected below 2"):
        VisualBertForEmotion(VisualBertConfig(visual_token_type=2))


def test_head_on_pooled_vectors_equals_the_model(tiny_model, tiny_batch) -> None:
    with torch.inference_mode():
        pooled = tiny_model.pool(**tiny_batch)
        assert torch.equal(EmotionHead(tiny_model.fc)(pooled).logits, tiny_model(**tiny_batch).logits)


def test_prior_bias_is_the_log_odds() -> None:
    fc = torch.nn.Linear(4, 2)
    set_prior_bias(fc, torch.tensor([0.25, 0.5]))
    torch.testing.assert_close(torch.sigmoid(fc.bias), torch.tensor([0.25, 0.5]))
