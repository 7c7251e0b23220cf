"""The captioner: what its parts are copied from, that padding and cached keys change nothing, and guidance by hand."""

import numpy as np
import pytest
import torch
from transformers.modeling_outputs import BaseModelOutput

from emocap.captioning.model import Guidance, VisualBertForCaptioning, build_captioner


class Tokens:
    cls_token_id, sep_token_id, pad_token_id = 2, 3, 0


@pytest.fixture
def captioner(tiny_model):
    return build_captioner(tiny_model.visualbert, tiny_model.visualbert, Tokens, layers=2, seed=0).eval()


@pytest.fixture
def inputs(tiny_batch):
    return {**tiny_batch, "decoder_input_ids": torch.tensor([[2, 9, 10, 11], [2, 12, 0, 0]])}


def test_the_decoder_starts_from_the_backbones_lowest_layers(captioner, tiny_model) -> None:
    backbone, decoder = tiny_model.visualbert.state_dict(), captioner.decoder.bert.state_dict()
    for name in ("embeddings.word_embeddings.weight", "encoder.layer.1.output.dense.weight"):
        assert torch.equal(decoder[name], backbone[name])
    assert len(captioner.decoder.bert.encoder.layer) == 2
    words = captioner.decoder.cls.predictions.decoder.weight
    assert words is captioner.decoder.bert.embeddings.word_embeddings.weight


def test_what_the_backbone_has_not_is_drawn_by_the_seed(tiny_model) -> None:
    def drawn(seed):
        model = build_captioner(tiny_model.visualbert, tiny_model.visualbert, Tokens, layers=1, seed=seed)
        attention = model.decoder.bert.encoder.layer[0].crossattention
        return attention.self.query.weight.clone(), model.regions[0].weight.clone()

    for first, again, other in zip(drawn(0), drawn(0), drawn(1), strict=True):
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


@torch.inference_mode()
def test_what_is_read_of_regions_is_added_at_their_places_alone(captioner, tiny_batch) -> None:
    states, _ = captioner.encode(**tiny_batch)
    read = captioner.regions(tiny_batch["visual_embeds"])
    for weight in captioner.regions.parameters():
        weight.zero_()
    alone, _ = captioner.encode(**tiny_batch)
    torch.testing.assert_close(states[:, :5], alone[:, :5])
    torch.testing.assert_close(states[:, 5:], alone[:, 5:] + read)
    assert read.abs().max() > 0.01


def test_all_layers_are_copied_unless_told_otherwise(tiny_model) -> None:
    model = build_captioner(tiny_model.visualbert, tiny_model.visualbert, Tokens, layers=None, seed=0)
    assert len(model.decoder.bert.encoder.layer) == 3


@torch.inference_mode()
def test_padding_of_emotions_regions_and_captions_changes_nothing(captioner, inputs) -> None:
    both = captioner(**inputs, decoder_attention_mask=torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])).logits
    alone = captioner(
        input_ids=inputs["input_ids"][1:, :3],
        attention_mask=inputs["attention_mask"][1:, :3],
        visual_embeds=inputs["visual_embeds"][1:, :1],
        visual_attention_mask=inputs["visual_attention_mask"][1:, :1],
        decoder_input_ids=torch.tensor([[2, 12]]),
    ).logits
    torch.testing.assert_close(both[1:, :2], alone, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_a_word_depends_on_those_before_it_alone_and_on_picture_and_emotions(captioner, inputs) -> None:
    whole = captioner(**inputs).logits
    shorter = captioner(**{**inputs, "decoder_input_ids": inputs["decoder_input_ids"][:, :2]}).logits
    torch.testing.assert_close(whole[:, :2], shorter, atol=1e-5, rtol=0)
    for key in ("input_ids", "visual_embeds"):
        other = {**inputs, key: inputs[key].flip(0)}
        assert not torch.allclose(captioner(**other).logits, whole, atol=1e-4), key


@torch.inference_mode()
def test_cached_keys_write_what_no_cache_writes(captioner, tiny_batch) -> None:
    states, mask = captioner.encode(**tiny_batch)

    def written(use_cache: bool) -> torch.Tensor:
        return captioner.generate(
            encoder_outputs=BaseModelOutput(states),
            attention_mask=mask,
            max_new_tokens=8,
            num_beams=2,
            use_cache=use_cache,
        )

    assert torch.equal(written(True), written(False))


@torch.inference_mode()
def test_guidance_is_plain_plus_scale_times_what_emotions_add(captioner, tiny_batch) -> None:
    states, mask = captioner.encode(**tiny_batch)
    prefix = torch.tensor([[2, 9], [2, 9], [2, 10], [2, 10]])  # two candidates of each of two pictures
    scores = torch.randn(4, captioner.config.decoder.vocab_size, generator=torch.Generator().manual_seed(1))
    plain = torch.log_softmax(
        captioner(
            encoder_outputs=BaseModelOutput(states[[0, 0, 1, 1]]),
            attention_mask=mask[[0, 0, 1, 1]],
            decoder_input_ids=prefix,
        ).logits[:, -1],
        -1,
    )
    told = torch.log_softmax(scores, -1)
    for scale, expected in ((1.0, told), (0.0, plain), (3.0, torch.log_softmax(plain + 3 * (told - plain), -1))):
        found = Guidance(captioner, states, mask, scale)(prefix, scores)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("how", [{"num_beams": 3, "num_return_sequences": 3}, {"do_sample": True, "top_k": 0}])
def test_guidance_by_cached_keys_is_guidance_anew_for_every_word(captioner, tiny_batch, how) -> None:
    """Beams change places from word to word, and the keys with them."""
    states, mask = captioner.encode(**tiny_batch)
    plain = captioner.encode(**{**tiny_batch, "input_ids": tiny_batch["input_ids"].flip(0)})

    class Anew(Guidance):
        def __call__(self, input_ids, scores):
            self._seen = None
            return super().__call__(input_ids, scores)

    def written(kind):
        torch.manual_seed(0)
        return captioner.generate(
            encoder_outputs=BaseModelOutput(states),
            attention_mask=mask,
            max_new_tokens=10,
            logits_processor=[kind(captioner, *plain, 4.0)],
            output_scores=True,
            return_dict_in_generate=True,
            **how,
        )

    cached, anew = written(Guidance), written(Anew)
    assert torch.equal(cached.sequences, anew.sequences)
    for one, other in zip(cached.scores, anew.scores, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_saved_and_loaded_it_is_the_same(captioner, inputs, tmp_path) -> None:
    captioner.save_pretrained(tmp_path)
    again = VisualBertForCaptioning.from_pretrained(tmp_path).eval()
    np.testing.assert_array_equal(captioner(**inputs).logits.numpy(), again(**inputs).logits.numpy())
    assert again.generation_config.decoder_start_token_id == Tokens.cls_token_id
