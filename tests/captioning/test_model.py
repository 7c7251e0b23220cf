"""The captioner: origin of its weights, invariance to padding and caching, and guidance by hand."""

import numpy as np
import pytest
import torch
from transformers.modeling_outputs import BaseModelOutput

from emocap.captioning.guidance import ClassifierFreeGuidance
from emocap.captioning.model import VisualBertForCaptioning, build_captioner


class Tokens:
    cls_token_id, sep_token_id, pad_token_id = 2, 3, 0


@pytest.fixture
def captioner(tiny_model):
    return build_captioner(tiny_model.visualbert, tiny_model.visualbert, Tokens, layers=2, seed=0).eval()


@pytest.fixture
def inputs(tiny_batch):
    return {**tiny_batch, "decoder_input_ids": torch.tensor([[2, 9, 10, 11], [2, 12, 0, 0]])}


def test_decoder_starts_from_lowest_backbone_layers(captioner, tiny_model) -> None:
    backbone, decoder = tiny_model.visualbert.state_dict(), captioner.decoder.bert.state_dict()
    for name in ("embeddings.word_embeddings.weight", "encoder.layer.1.output.dense.weight"):
        assert torch.equal(decoder[name], backbone[name])
    assert len(captioner.decoder.bert.encoder.layer) == 2
    words = captioner.decoder.cls.predictions.decoder.weight
    assert words is captioner.decoder.bert.embeddings.word_embeddings.weight


def test_new_weights_depend_on_seed(tiny_model) -> None:
    def initialised(seed):
        model = build_captioner(tiny_model.visualbert, tiny_model.visualbert, Tokens, layers=1, seed=seed)
        attention = model.decoder.bert.encoder.layer[0].crossattention
        return attention.self.query.weight.clone(), model.regions[0].weight.clone()

    for first, again, other in zip(initialised(0), initialised(0), initialised(1), strict=True):
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


@torch.inference_mode()
def test_projected_regions_are_added_at_region_positions_only(captioner, tiny_batch) -> None:
    states, _ = captioner.encode(**tiny_batch)
    projected = captioner.regions(tiny_batch["visual_embeds"])
    for weight in captioner.regions.parameters():
        weight.zero_()
    alone, _ = captioner.encode(**tiny_batch)
    torch.testing.assert_close(states[:, :5], alone[:, :5])
    torch.testing.assert_close(states[:, 5:], alone[:, 5:] + projected)
    assert projected.abs().max() > 0.01


def test_copies_all_layers_by_default(tiny_model) -> None:
    model = build_captioner(tiny_model.visualbert, tiny_model.visualbert, Tokens, layers=None, seed=0)
    assert len(model.decoder.bert.encoder.layer) == 3


@torch.inference_mode()
def test_padding_changes_nothing(captioner, inputs) -> None:
    batched = captioner(**inputs, decoder_attention_mask=torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])).logits
    alone = captioner(
        input_ids=inputs["input_ids"][1:, :3],
        attention_mask=inputs["attention_mask"][1:, :3],
        visual_embeds=inputs["visual_embeds"][1:, :1],
        visual_attention_mask=inputs["visual_attention_mask"][1:, :1],
        decoder_input_ids=torch.tensor([[2, 12]]),
    ).logits
    torch.testing.assert_close(batched[1:, :2], alone, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_decoder_is_causal_and_uses_image_and_emotions(captioner, inputs) -> None:
    whole = captioner(**inputs).logits
    shorter = captioner(**{**inputs, "decoder_input_ids": inputs["decoder_input_ids"][:, :2]}).logits
    torch.testing.assert_close(whole[:, :2], shorter, atol=1e-5, rtol=0)
    for key in ("input_ids", "visual_embeds"):
        other = {**inputs, key: inputs[key].flip(0)}
        assert not torch.allclose(captioner(**other).logits, whole, atol=1e-4), key


@torch.inference_mode()
def test_cache_changes_nothing(captioner, tiny_batch) -> None:
    states, mask = captioner.encode(**tiny_batch)

    def generated(use_cache: bool) -> torch.Tensor:
        return captioner.generate(
            encoder_outputs=BaseModelOutput(states),
            attention_mask=mask,
            max_new_tokens=8,
            num_beams=2,
            use_cache=use_cache,
        )

    assert torch.equal(generated(True), generated(False))


@torch.inference_mode()
def test_guidance_equals_formula(captioner, tiny_batch) -> None:
    states, mask = captioner.encode(**tiny_batch)
    prefix = torch.tensor([[2, 9], [2, 9], [2, 10], [2, 10]])  # two candidates for each of two images
    scores = torch.randn(4, captioner.config.decoder.vocab_size, generator=torch.Generator().manual_seed(1))
    plain = torch.log_softmax(
        captioner(
            encoder_outputs=BaseModelOutput(states[[0, 0, 1, 1]]),
            attention_mask=mask[[0, 0, 1, 1]],
            decoder_input_ids=prefix,
        ).logits[:, -1],
        -1,
    )
    conditional = torch.log_softmax(scores, -1)
    for scale, expected in (
        (1.0, conditional),
        (0.0, plain),
        (3.0, torch.log_softmax(plain + 3 * (conditional - plain), -1)),
    ):
        guided = ClassifierFreeGuidance(captioner, states, mask, scale)(prefix, scores)
        torch.testing.assert_close(guided, expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("options", [{"num_beams": 3, "num_return_sequences": 3}, {"do_sample": True, "top_k": 0}])
def test_cached_guidance_equals_uncached_guidance(captioner, tiny_batch, options) -> None:
    """Beams are reordered at every step, and the cache with them."""
    states, mask = captioner.encode(**tiny_batch)
    plain = captioner.encode(**{**tiny_batch, "input_ids": tiny_batch["input_ids"].flip(0)})

    class WithoutCache(ClassifierFreeGuidance):
        def __call__(self, input_ids, scores):
            self._prefix = None
            return super().__call__(input_ids, scores)

    def generated(guidance_class):
        torch.manual_seed(0)
        return captioner.generate(
            encoder_outputs=BaseModelOutput(states),
            attention_mask=mask,
            max_new_tokens=10,
            logits_processor=[guidance_class(captioner, *plain, 4.0)],
            output_scores=True,
            return_dict_in_generate=True,
            **options,
        )

    cached, uncached = generated(ClassifierFreeGuidance), generated(WithoutCache)
    assert torch.equal(cached.sequences, uncached.sequences)
    for expected, actual in zip(cached.scores, uncached.scores, strict=True):
        torch.testing.assert_close(expected, actual, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_saving_and_loading_changes_nothing(captioner, inputs, tmp_path) -> None:
    captioner.save_pretrained(tmp_path)
    loaded = VisualBertForCaptioning.from_pretrained(tmp_path).eval()
    np.testing.assert_array_equal(captioner(**inputs).logits.numpy(), loaded(**inputs).logits.numpy())
    assert loaded.generation_config.decoder_start_token_id == Tokens.cls_token_id
