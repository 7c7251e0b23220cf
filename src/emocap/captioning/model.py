"""The captioner: a VisualBERT that reads regions with emotions as its text, and a BERT that writes what it saw.

transformers' encoder-decoder holds both, so that its `generate` (beams, sampling, cached keys) writes the captions.
What regions show reaches the decoder on two ways: through the encoder, which learnt feelings rather than things, and
through a reader of regions into word vectors, which is added (`emocap.captioning.region_words`).
Emotions are strengthened by classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598): the same picture
without emotions is what the words are pushed away from. Left out: a decoder that shares the encoder's word vectors.
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

from emocap.captioning.region_words import RegionReader
from emocap.models.encoder import fuse_attention, read_pairs

BERT_KEYS = (
    "vocab_size", "hidden_size", "num_attention_heads", "intermediate_size", "hidden_act", "hidden_dropout_prob",
    "attention_probs_dropout_prob", "max_position_embeddings", "type_vocab_size", "initializer_range",
    "layer_norm_eps", "pad_token_id",
)  # fmt: skip


class VisualBertForCaptioning(EncoderDecoderModel):
    """VisualBERT as the encoder of regions and emotions, BERT with cross-attention as the decoder of a caption."""

    def __init__(
        self,
        config: EncoderDecoderConfig | None = None,
        encoder: VisualBertModel | None = None,
        decoder: BertLMHeadModel | None = None,
    ) -> None:
        super().__init__(config, encoder, decoder)
        fuse_attention(self.encoder)
        self.regions = RegionReader(self.encoder.config.visual_embedding_dim, self.encoder.config.hidden_size)

    def encode(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        visual_embeds: torch.Tensor | None = None,
        visual_attention_mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the decoder looks at: states (B, T + R, H) and their mask (B, T + R).

        Args:
            input_ids, attention_mask: (B, T) the emotions' word pieces; no more than the special tokens where no
                emotion is asked for.
            visual_embeds, visual_attention_mask: (B, R, D) and (B, R), or None without pictures.
        """
        output, mask = read_pairs(
            self.encoder,
            self.config.encoder.visual_token_type,
            attention_mask,
            input_ids=input_ids,
            visual_embeds=visual_embeds,
            visual_attention_mask=visual_attention_mask,
        )
        states = output.last_hidden_state
        if visual_embeds is not None:
            words = input_ids.shape[1]
            states = torch.cat([states[:, :words], states[:, words:] + self.regions(visual_embeds)], dim=1)
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
        past_key_values: Any = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput:
        """Logits (B, L, V) of the words that follow `decoder_input_ids` (B, L).

        Either what `encode` takes is given, or `encoder_outputs` with the whole mask (B, T + R) as `attention_mask`.
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
            past_key_values=past_key_values,
            use_cache=use_cache,
            return_dict=True,
            **{key: kwargs[key] for key in ("cache_position", "logits_to_keep") if key in kwargs},
        )
        return Seq2SeqLMOutput(logits=output.logits, past_key_values=output.past_key_values)


def build_captioner(
    encoder: VisualBertModel, backbone: VisualBertModel, tokenizer: Any, *, layers: int | None, seed: int
) -> VisualBertForCaptioning:
    """A captioner ready to train.

    Args:
        encoder: the student's; used as it is.
        backbone: what the decoder's embeddings and lowest layers are copied from.
        layers: of the decoder; None means as many as the backbone has.
        seed: of what the backbone has not: cross-attention, the layer before the words and the reader of regions.
    """
    known = backbone.config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = BertConfig(
            **{key: getattr(known, key) for key in BERT_KEYS},
            num_hidden_layers=known.num_hidden_layers if layers is None else layers,
            is_decoder=True,
            add_cross_attention=True,
        )
        decoder = BertLMHeadModel(config)
        both = EncoderDecoderConfig.from_encoder_decoder_configs(encoder.config, config)
        model = VisualBertForCaptioning(both, encoder, decoder)
    own = decoder.bert.state_dict()
    copied = {name: tensor for name, tensor in backbone.state_dict().items() if name in own}
    decoder.bert.load_state_dict(copied, strict=False)
    for settings in (model.config, model.generation_config):
        settings.decoder_start_token_id = tokenizer.cls_token_id
        settings.eos_token_id = tokenizer.sep_token_id
        settings.pad_token_id = tokenizer.pad_token_id
    return model


class Guidance(LogitsProcessor):
    """Pushes the next word's log-probabilities away from those of the same picture without emotions.

    guided = plain + scale * (with emotions - plain), normalised anew; a scale of 1 changes nothing.
    """

    def __init__(self, model: VisualBertForCaptioning, states: torch.Tensor, mask: torch.Tensor, scale: float) -> None:
        self.model, self.states, self.mask, self.scale = model, states, mask, scale
        self._seen: torch.Tensor | None = None
        self._keys: Any = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Guided log-probabilities (B * copies, V) of the word that follows `input_ids` (B * copies, L)."""
        copies = len(input_ids) // len(self.states)
        follows = self._seen is not None and self._seen.shape == (len(input_ids), input_ids.shape[1] - 1)
        if follows:
            self._follow(input_ids[:, :-1], copies)
        output = self.model(
            encoder_outputs=BaseModelOutput(self.states.repeat_interleave(copies, 0)),
            attention_mask=self.mask.repeat_interleave(copies, 0),
            decoder_input_ids=input_ids[:, -1:] if follows else input_ids,
            past_key_values=self._keys if follows else None,
            use_cache=True,
            logits_to_keep=1,
        )
        self._seen, self._keys = input_ids.clone(), output.past_key_values
        plain = nn.functional.log_softmax(output.logits[:, -1].float(), dim=-1)
        with_emotions = nn.functional.log_softmax(scores.float(), dim=-1)
        return nn.functional.log_softmax(plain + self.scale * (with_emotions - plain), dim=-1)

    def _follow(self, prefix: torch.Tensor, copies: int) -> None:
        """Put the cached keys in the order in which a search kept its beams; a beam goes on within its picture."""
        picture = torch.arange(len(prefix), device=prefix.device) // copies
        assert self._seen is not None, "there were words before"
        same = (prefix[:, None] == self._seen[None]).all(dim=2) & (picture[:, None] == picture)
        kept = same.int().argmax(dim=1)
        assert bool(same.any(dim=1).all()), "every caption goes on from one that was there"
        if not torch.equal(kept, torch.arange(len(kept), device=kept.device)):
            self._keys.reorder_cache(kept)
