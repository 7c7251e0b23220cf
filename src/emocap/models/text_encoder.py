"""Region tokens in any text encoder of transformers that takes `inputs_embeds`: BERT, MPNet, RoBERTa, DistilBERT ...

Regions are embedded as in VisualBERT (Li et al. 2019, arXiv 1908.03557): a linear projection, to which the encoder's
own embedding layer adds a position, that of the first token for all regions, and a token type, and applies its layer
norm and dropout. Where an encoder lacks one of these, the bias of the projection takes its place, since it is the same
for all regions. Left out: position and token type embeddings of regions apart from those of text.
"""

import inspect
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, PretrainedConfig, PreTrainedModel
from transformers.models.mpnet.modeling_mpnet import MPNetModel

from emocap.models.classifier import EmotionNetwork
from emocap.models.mpnet import use_positions


class RegionEmbeddings(nn.Module):
    """The projection of region features to the width of word embeddings."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.projection = nn.Linear(dim, width)

    def forward(self, visual_embeds: torch.Tensor) -> torch.Tensor:
        """(B, R, W) embeddings of region features (B, R, D)."""
        return self.projection(visual_embeds)


class TextEncoderForEmotion(EmotionNetwork):
    """Multi-label emotion classifier, and regressor of ratings, over caption tokens and image regions.

    Parameter names are `encoder.*`, as transformers' AutoModel has them, `visual_embeddings.*` and `fc.*`. The
    configuration is the encoder's own; it adds `visual_embedding_dim`, the dimension D of region features, and what
    `VisualBertForEmotion` adds to VisualBERT's. Pooling "pooler" is for encoders that have one.

    Raises:
        ValueError: unknown pooling, a pooler that the encoder lacks, or a visual token type that it lacks.
    """

    base_model_prefix = "encoder"
    body_name = "encoder"
    kind = "text_encoder"
    visual_names = "visual_embeddings."
    _supports_sdpa = True

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.visual_token_type = getattr(config, "visual_token_type", 0)
        if not 0 <= self.visual_token_type < n_token_types(config):
            raise ValueError(f"visual_token_type is {self.visual_token_type}, expected below {n_token_types(config)}")
        self.encoder = build_encoder(config)
        width = self.encoder.get_input_embeddings().embedding_dim
        self.visual_embeddings = RegionEmbeddings(config.visual_embedding_dim, width)
        self._add_head(config)
        if self.pooling == "pooler" and self.pooler is None:
            raise ValueError(f"pooling is 'pooler', but {config.model_type} has no pooler; choose mean or first")
        self._takes = set(inspect.signature(self.encoder.forward).parameters)
        self.post_init()

    @property
    def layers(self) -> list[nn.Module]:
        """As `EmotionNetwork.layers`."""
        return list(self._layer_list[1])

    @property
    def upper(self) -> list[nn.Module]:
        """What the encoder declares after its layers."""
        names = [name for name, _ in self.encoder.named_children()]
        holder = self._layer_list[0].split(".")[0]
        return [self.encoder.get_submodule(name) for name in names[names.index(holder) + 1 :]]

    @property
    def lower(self) -> list[nn.Module]:
        """The embeddings of regions and words, and what the layers share, such as MPNet's relative positions."""
        path = self._layer_list[0]
        beside: list[nn.Module] = []
        module: nn.Module = self.encoder
        for name in path.split("."):
            beside += [child for child in module.children() if child is not module.get_submodule(name)]
            module = module.get_submodule(name)
        above = {id(module) for module in self.upper}
        return [self.visual_embeddings, *(module for module in beside if id(module) not in above)]

    @property
    def pooler(self) -> nn.Module | None:
        """As `EmotionNetwork.pooler`."""
        return getattr(self.encoder, "pooler", None)

    @property
    def _layer_list(self) -> tuple[str, nn.ModuleList]:
        """The name of the encoder's list of layers below `encoder`, and the list."""
        lists = [(name, module) for name, module in self.encoder.named_modules() if isinstance(module, nn.ModuleList)]
        return next((found for found in lists if len(found[1]) == self.config.num_hidden_layers), lists[0])

    def encode(
        self,
        attention_mask: torch.Tensor,
        *,
        input_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        visual_embeds: torch.Tensor | None = None,
        visual_attention_mask: torch.Tensor | None = None,
    ) -> tuple[Any, torch.Tensor]:
        """As `EmotionNetwork.encode`; each row holds its tokens, its regions, and all padding after them.

        So whatever an encoder derives from the place in the sequence does not depend on the padding.
        """
        if inputs_embeds is None:
            inputs_embeds = self.encoder.get_input_embeddings()(input_ids)
        mask = attention_mask
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        types = torch.zeros_like(positions)
        if visual_embeds is not None:
            regions = self.visual_embeddings(visual_embeds).to(inputs_embeds.dtype)
            if visual_attention_mask is None:
                visual_attention_mask = mask.new_ones(regions.shape[:2])
            mask = torch.cat([mask, visual_attention_mask.to(mask.dtype)], dim=1)
            order = mask.argsort(dim=1, descending=True, stable=True)
            of_region = positions.new_zeros(regions.shape[:2])
            positions = torch.cat([positions, of_region], dim=1).gather(1, order)
            types = torch.cat([types, of_region + self.visual_token_type], dim=1).gather(1, order)
            embeds = torch.cat([inputs_embeds, regions], dim=1)
            inputs_embeds = embeds.gather(1, order.unsqueeze(-1).expand_as(embeds))
            mask = mask.gather(1, order)
        inputs: dict[str, torch.Tensor] = {"inputs_embeds": inputs_embeds, "attention_mask": mask}
        if "position_ids" in self._takes:
            inputs["position_ids"] = positions + first_position(self.encoder)
        if self.visual_token_type:
            inputs["token_type_ids"] = types
        return self.encoder(**inputs, return_dict=True), mask


def build_encoder(config: PretrainedConfig) -> PreTrainedModel:
    """A randomly initialised encoder, with `scaled_dot_product_attention` where it can."""
    # A copy holds no attention implementation, which a classifier's configuration does and MPNet's own class refuses.
    encoder = AutoModel.from_config(type(config).from_dict(config.to_dict()))
    if isinstance(encoder, MPNetModel):
        use_positions(encoder)
    return encoder


def n_token_types(config: PretrainedConfig) -> int:
    """The number of token types of an encoder; 1 if it has no embeddings of them."""
    return max(1, getattr(config, "type_vocab_size", None) or 1)


def first_position(encoder: nn.Module) -> int:
    """The position id of a text's first token: RoBERTa and its kin count from the padding's id + 1."""
    for name, module in encoder.named_modules():
        if name.rpartition(".")[2] == "position_embeddings" and isinstance(module, nn.Embedding):
            return 0 if module.padding_idx is None else module.padding_idx + 1
    return 0


def longest_text(model: EmotionNetwork) -> int:
    """The largest number of tokens that a network takes."""
    return model.config.max_position_embeddings - first_position(model.body)
