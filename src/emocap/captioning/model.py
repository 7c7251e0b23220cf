"""The captioner: an encoder of image regions and conditions, and a decoder that generates the caption.

Both are parts of transformers' encoder-decoder, so that its `generate` (beam search, sampling, key-value cache) works.
The encoder is a student's VisualBERT or a small one (`emocap.captioning.light_encoder`). VisualBERT was trained on
emotions rather than objects, so a projection of regions to word vectors (`emocap.captioning.region_words`) is added to
its states; the small encoder reads the projected regions. The conditions are emotions and a style.
Left out: weights shared between the embeddings of encoder and decoder.
"""

from typing import Any

import numpy as np
import torch
from transformers.modeling_outputs import Seq2SeqLMOutput
from transformers.models.bert.modeling_bert import BertLMHeadModel, BertModel
from transformers.models.encoder_decoder.configuration_encoder_decoder import EncoderDecoderConfig
from transformers.models.encoder_decoder.modeling_encoder_decoder import EncoderDecoderModel
from transformers.models.gpt2.modeling_gpt2 import GPT2LMHeadModel
from transformers.models.visual_bert.modeling_visual_bert import VisualBertModel

from emocap.captioning.decoders import bert_decoder, copy_backbone, gpt2_decoder
from emocap.captioning.light_encoder import encode_light
from emocap.captioning.region_words import RegionProjector
from emocap.models.encoder import encode_pairs, use_sdpa

# transformers 5.24 renamed the argument of cached keys; `generate` passes it under the new name only.
CACHE = "cache" if "cache" in Seq2SeqLMOutput.__dataclass_fields__ else "past_key_values"


class VisualBertForCaptioning(EncoderDecoderModel):
    """An encoder of regions and conditions, and BERT or GPT-2 with cross-attention as the decoder of captions.

    Attributes:
        kept_tokens: (V,) tokenizer ids of the decoder's tokens, ascending; None if it has all of the tokenizer's.
    """

    kept_tokens: torch.Tensor | None

    def __init__(
        self,
        config: EncoderDecoderConfig | None = None,
        encoder: VisualBertModel | BertModel | None = None,
        decoder: BertLMHeadModel | GPT2LMHeadModel | None = None,
    ) -> None:
        super().__init__(config, encoder, decoder)
        if not self.is_light:
            use_sdpa(self.encoder)
        self.regions = RegionProjector(self.encoder.config.visual_embedding_dim, self.encoder.config.hidden_size)
        n_kept = getattr(self.config, "n_kept_tokens", None)
        self.register_buffer("kept_tokens", None if n_kept is None else torch.zeros(n_kept, dtype=torch.long))

    @property
    def is_light(self) -> bool:
        """Whether the encoder is the small one of `emocap.captioning.light_encoder`."""
        return isinstance(self.encoder, BertModel)

    def encode(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        visual_embeds: torch.Tensor | None = None,
        visual_attention_mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the decoder attends to: states (B, T + R, H) and their mask (B, T + R).

        Args:
            input_ids, attention_mask: (B, T) the conditions' tokens by `Prompts`; only the special tokens where nothing
                is requested.
            visual_embeds, visual_attention_mask: (B, R, D) and (B, R), or None without images.
        """
        regions = None if visual_embeds is None else self.regions(visual_embeds)
        if self.is_light:
            return encode_light(self.encoder, input_ids, attention_mask, regions, visual_attention_mask)
        output, mask = encode_pairs(
            self.encoder,
            self.config.encoder.visual_token_type,
            attention_mask,
            input_ids=input_ids,
            visual_embeds=visual_embeds,
            visual_attention_mask=visual_attention_mask,
        )
        states = output.last_hidden_state
        if regions is not None:
            n_tokens = input_ids.shape[1]
            states = torch.cat([states[:, :n_tokens], states[:, n_tokens:] + regions], dim=1)
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
            assert input_ids is not None, "conditions or encoder_outputs are needed"
            assert attention_mask is not None, "conditions come with their mask"
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
    encoder: VisualBertModel | BertModel,
    backbone: VisualBertModel,
    tokens: Any,
    *,
    layers: int | None,
    seed: int,
    copy_layers: bool = True,
    dropout: float | None = None,
    kept: np.ndarray | None = None,
) -> VisualBertForCaptioning:
    """A captioner ready to train.

    Args:
        encoder: of the student, or a new light one; used without a copy.
        backbone: the source of the decoder's embeddings and lowest layers.
        tokens: `CaptionTokens`, or the tokenizer where all its tokens are kept.
        layers: of the decoder; None means as many as the backbone has.
        seed: of the new weights.
        copy_layers: whether the decoder is BERT with the backbone's layers, apart from cross-attention, or GPT-2 with
            new ones.
        dropout: of the decoder; None means the backbone's.
        kept: (V,) ascending tokenizer ids of the decoder's tokens; None keeps all.
    """
    layers = backbone.config.num_hidden_layers if layers is None else layers
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        size = backbone.config.vocab_size if kept is None else len(kept)
        build = bert_decoder if copy_layers else gpt2_decoder
        decoder = build(backbone.config, tokens, layers=layers, vocab_size=size, dropout=dropout)
        joint_config = EncoderDecoderConfig.from_encoder_decoder_configs(encoder.config, decoder.config)
        joint_config.n_kept_tokens = None if kept is None else len(kept)
        model = VisualBertForCaptioning(joint_config, encoder, decoder)
    copy_backbone(decoder, backbone, kept)
    if kept is not None:
        assert model.kept_tokens is not None, "the configuration has their number"
        model.kept_tokens.copy_(torch.as_tensor(kept))
    for target in (model.config, model.generation_config):
        target.decoder_start_token_id = tokens.cls_token_id
        target.eos_token_id = tokens.sep_token_id
        target.pad_token_id = tokens.pad_token_id
    return model
