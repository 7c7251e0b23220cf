"""The captioner: a VisualBERT encoder of image regions and emotions, and a BERT decoder that generates the caption.

Both are parts of transformers' encoder-decoder, so that its `generate` (beam search, sampling, key-value cache) works.
The content of regions reaches the decoder in two ways: through the encoder, which was trained on emotions rather than
objects, and through a projection of regions to word vectors that is added (`emocap.captioning.region_words`).
Emotions are amplified by classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598) against the same image
without emotions. Left out: weights shared between the embeddings of encoder and decoder.
"""

from typing import Any

import torch
from torch import nn
from transformers import LogitsProcessor
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput
from transformers.models.bert.configuration_bert import BertConfig
from transformers.models.bert.modeling_bert import BertLMHeadModel
from transformers.models.encoder_decoder.configuration_encoder_decoder import EncoderDecoderConfig
from transformers.models.encoder_decoder.modeling_encoder_decoder import EncoderDecoderModel
from transformers.models.visual_bert.modeling_visual_bert import VisualBertModel

from emocap.captioning.region_words import RegionProjector
from emocap.models.encoder import encode_pairs, use_sdpa

BERT_KEYS = (
    "vocab_size", "hidden_size", "num_attention_heads", "intermediate_size", "hidden_act", "hidden_dropout_prob",
    "attention_probs_dropout_prob", "max_position_embeddings", "type_vocab_size", "initializer_range",
    "layer_norm_eps", "pad_token_id",
)  # fmt: skip
# transformers 5.24 renamed the argument of cached keys; `generate` passes it under the new name only.
CACHE = "cache" if "cache" in Seq2SeqLMOutput.__dataclass_fields__ else "past_key_values"


class VisualBertForCaptioning(EncoderDecoderModel):
    """VisualBERT as the encoder of regions and emotions, BERT with cross-attention as the decoder of captions."""

    def __init__(
        self,
        config: EncoderDecoderConfig | None = None,
        encoder: VisualBertModel | None = None,
        decoder: BertLMHeadModel | None = None,
    ) -> None:
        super().__init__(config, encoder, decoder)
        use_sdpa(self.encoder)
        self.regions = RegionProjector(self.encoder.config.visual_embedding_dim, self.encoder.config.hidden_size)

    def encode(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        visual_embeds: torch.Tensor | None = None,
        visual_attention_mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the decoder attends to: states (B, T + R, H) and their mask (B, T + R).

        Args:
            input_ids, attention_mask: (B, T) the emotions' subword tokens; only the special tokens where no emotion
                is requested.
            visual_embeds, visual_attention_mask: (B, R, D) and (B, R), or None without images.
        """
        output, mask = encode_pairs(
            self.encoder,
            self.config.encoder.visual_token_type,
            attention_mask,
            input_ids=input_ids,
            visual_embeds=visual_embeds,
            visual_attention_mask=visual_attention_mask,
        )
        states = output.last_hidden_state
        if visual_embeds is not None:
            n_tokens = input_ids.shape[1]
            states = torch.cat([states[:, :n_tokens], states[:, n_tokens:] + self.regions(visual_embeds)], dim=1)
        return states, mask

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        visual_embeds: torch.Tensor | None = None,
        visual_attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        decoder_attention_mask: torch.Tensor | None = None,
        encoder_outputs: Any = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput:
        """Logits (B, L, V) of the tokens that follow `decoder_input_ids` (B, L).

        Takes either the arguments of `encode`, or `encoder_outputs` with the whole mask (B, T + R) as `attention_mask`.
        """
        if encoder_outputs is None:
            assert input_ids is not None, "emotions or encoder_outputs are needed"
            assert attention_mask is not None, "emotions come with their mask"
            states, attention_mask = self.encode(input_ids, attention_mask, visual_embeds, visual_attention_mask)
        else:
            states = encoder_outputs[0]
        output = self.decoder(
            input_ids=decoder_input_ids,
            attention_mask=decoder_attention_mask,
            encoder_hidden_states=states,
            encoder_attention_mask=attention_mask,
            use_cache=use_cache,
            return_dict=True,
            **{key: kwargs[key] for key in (CACHE, "cache_position", "logits_to_keep") if key in kwargs},
        )
        return Seq2SeqLMOutput(logits=output.logits, **{CACHE: output.get(CACHE)})


def build_captioner(
    encoder: VisualBertModel, backbone: VisualBertModel, tokenizer: Any, *, layers: int | None, seed: int
) -> VisualBertForCaptioning:
    """A captioner ready to train.

    Args:
        encoder: of the student; used without a copy.
        backbone: the source of the decoder's embeddings and lowest layers.
        layers: of the decoder; None means as many as the backbone has.
        seed: of the new weights: cross-attention, the layer before the output and the projector of regions.
    """
    backbone_config = backbone.config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = BertConfig(
            **{key: getattr(backbone_config, key) for key in BERT_KEYS},
            num_hidden_layers=backbone_config.num_hidden_layers if layers is None else layers,
            is_decoder=True,
            add_cross_attention=True,
        )
        decoder = BertLMHeadModel(config)
        joint_config = EncoderDecoderConfig.from_encoder_decoder_configs(encoder.config, config)
        model = VisualBertForCaptioning(joint_config, encoder, decoder)
    decoder_weights = decoder.bert.state_dict()
    copied = {name: tensor for name, tensor in backbone.state_dict().items() if name in decoder_weights}
    decoder.bert.load_state_dict(copied, strict=False)
    for settings in (model.config, model.generation_config):
        settings.decoder_start_token_id = tokenizer.cls_token_id
        settings.eos_token_id = tokenizer.sep_token_id
        settings.pad_token_id = tokenizer.pad_token_id
    return model


class ClassifierFreeGuidance(LogitsProcessor):
    """Classifier-free guidance: moves next-token log-probabilities away from those of the same image without emotions.

    guided = log_softmax(unconditional + scale * (conditional - unconditional)); a scale of 1 changes nothing.
    """

    def __init__(self, model: VisualBertForCaptioning, states: torch.Tensor, mask: torch.Tensor, scale: float) -> None:
        self.model, self.states, self.mask, self.scale = model, states, mask, scale
        self._prefix: torch.Tensor | None = None
        self._cache: Any = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Guided log-probabilities (B * copies, V) of the token that follows `input_ids` (B * copies, L)."""
        copies = len(input_ids) // len(self.states)
        continues = self._prefix is not None and self._prefix.shape == (len(input_ids), input_ids.shape[1] - 1)
        if continues:
            self._reorder_cache(input_ids[:, :-1], copies)
        output = self.model(
            encoder_outputs=BaseModelOutput(self.states.repeat_interleave(copies, 0)),
            attention_mask=self.mask.repeat_interleave(copies, 0),
            decoder_input_ids=input_ids[:, -1:] if continues else input_ids,
            use_cache=True,
            logits_to_keep=1,
            **({CACHE: self._cache} if continues else {}),
        )
        self._prefix, self._cache = input_ids.clone(), output[CACHE]
        unconditional = nn.functional.log_softmax(output.logits[:, -1].float(), dim=-1)
        conditional = nn.functional.log_softmax(scores.float(), dim=-1)
        return nn.functional.log_softmax(unconditional + self.scale * (conditional - unconditional), dim=-1)

    def _reorder_cache(self, prefix: torch.Tensor, copies: int) -> None:
        """Reorder the cache as beam search reordered its beams, which stay within their image."""
        image_index = torch.arange(len(prefix), device=prefix.device) // copies
        assert self._prefix is not None, "there is a previous step"
        same = (prefix[:, None] == self._prefix[None]).all(dim=2) & (image_index[:, None] == image_index)
        parents = same.int().argmax(dim=1)
        assert bool(same.any(dim=1).all()), "every beam continues a beam of the previous step"
        if not torch.equal(parents, torch.arange(len(parents), device=parents.device)):
            self._cache.reorder_cache(parents)
