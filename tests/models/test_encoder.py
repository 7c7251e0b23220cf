"""`scaled_dot_product_attention` against the library's own attention."""

import pytest
import torch
from transformers.models.visual_bert.configuration_visual_bert import VisualBertConfig
from transformers.models.visual_bert.modeling_visual_bert import VisualBertModel

from emocap.models.encoder import SdpaSelfAttention, build_visualbert

CONFIG = dict(
    vocab_size=50,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    visual_embedding_dim=8,
)


@pytest.fixture
def both():
    torch.manual_seed(0)
    ours = build_visualbert(VisualBertConfig(**CONFIG)).eval()
    library = VisualBertModel(VisualBertConfig(**CONFIG)).eval()
    library.load_state_dict(ours.state_dict())
    return ours, library


@pytest.mark.parametrize("padded", [False, True])
def test_sdpa_equals_the_library(both, tiny_batch, padded: bool) -> None:
    ours, library = both
    if not padded:
        tiny_batch = {k: (torch.ones_like(v) if "mask" in k else v) for k, v in tiny_batch.items()}
    with torch.inference_mode():
        expected, got = library(**tiny_batch), ours(**tiny_batch)
    text, regions = tiny_batch["attention_mask"], tiny_batch["visual_attention_mask"]
    attended = torch.cat([text, regions], dim=1).bool()
    difference = (got.last_hidden_state - expected.last_hidden_state)[attended].abs().max()
    assert difference < 1e-5
    assert (got.pooler_output - expected.pooler_output).abs().max() < 1e-5


def test_gradients_equal_the_library(both, tiny_batch) -> None:
    ours, library = both
    for model in both:
        model(**tiny_batch).pooler_output.square().sum().backward()
    for (name, mine), theirs in zip(ours.named_parameters(), library.parameters(), strict=True):
        if theirs.grad is None:
            assert mine.grad is None, name
        else:
            torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-5, rtol=1e-4, msg=name)


def test_attention_maps_equal_the_library(both, tiny_batch) -> None:
    ours, library = both
    got = ours(**tiny_batch, output_attentions=True).attentions
    expected = library(**tiny_batch, output_attentions=True).attentions
    assert len(got) == 2
    torch.testing.assert_close(got[1], expected[1])


def test_parameter_names_equal_the_library(both) -> None:
    ours, library = both
    assert list(ours.state_dict()) == list(library.state_dict())
    assert all(isinstance(layer.attention.self, SdpaSelfAttention) for layer in ours.encoder.layer)
