"""The emotion classifier: an encoder, such as VisualBERT, and one linear layer `fc` on one pooled vector per pair.

`fc` has E outputs for emotions and behind them R for ratings, whose sigmoid is the value from 0 to 1 on their scales.
"""

from typing import Any, ClassVar, Self

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.visual_bert.configuration_visual_bert import VisualBertConfig
from transformers.models.visual_bert.modeling_visual_bert import VisualBertPreTrainedModel

from emocap.models.encoder import build_visualbert, encode_pairs

POOLINGS = ("pooler", "mean", "first", "first+mean")


class EmotionNetwork(PreTrainedModel):
    """What the networks share: an encoder of pairs, one pooled vector per pair, and one linear layer `fc` on it.

    A subclass sets the names below, and defines `encode`, `lower`, `layers`, `upper` and `pooler`.

    Attributes:
        kind: of its model card.
        body_name: name of the encoder among its parameters.
        visual_names: how the names of the parameters begin that embed regions.
        pooling: see `VisualBertForEmotion`.
        fc: the linear layer.
        n_copied: number of lowest layers that `emocap.models.transfer` copied; None where nothing was initialised anew.
    """

    kind: ClassVar[str]
    body_name: ClassVar[str]
    visual_names: ClassVar[str]
    pooling: str
    fc: nn.Linear
    n_copied: int | None = None

    def _add_head(self, config: PretrainedConfig) -> None:
        self.pooling = getattr(config, "pooling", "pooler")
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling is {self.pooling!r}, expected one of {', '.join(POOLINGS)}")
        width = config.hidden_size * (2 if self.pooling == "first+mean" else 1)
        self.fc = nn.Linear(width, config.num_labels + n_ratings_of(config))
        self._frozen: list[nn.Module] = []

    @property
    def body(self) -> Any:
        """The encoder, of transformers."""
        return getattr(self, self.body_name)

    @property
    def layers(self) -> list[nn.Module]:
        """The encoder's layers, from its input to its output."""
        raise NotImplementedError

    @property
    def upper(self) -> list[nn.Module]:
        """What the encoder has above its layers, such as a pooler or a last layer norm."""
        raise NotImplementedError

    @property
    def pooler(self) -> nn.Module | None:
        """The encoder's own pooler."""
        raise NotImplementedError

    @property
    def lower(self) -> list[nn.Module]:
        """What the encoder has below its layers or shares among them: the embeddings, those of regions too."""
        raise NotImplementedError

    def encode(
        self,
        attention_mask: torch.Tensor,
        *,
        input_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        visual_embeds: torch.Tensor | None = None,
        visual_attention_mask: torch.Tensor | None = None,
    ) -> tuple[Any, torch.Tensor]:
        """The encoder's output for text and regions, the first token first, and the mask of what it attended to.

        Args:
            attention_mask: (B, T).
            input_ids, inputs_embeds: (B, T) or (B, T, W); exactly one is given.
            visual_embeds: (B, R, D), or None without images.
            visual_attention_mask: (B, R); None means no padding.
        """
        raise NotImplementedError

    def pool(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        visual_embeds: torch.Tensor | None = None,
        visual_attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """One pooled vector per pair: (B, H), or (B, 2H) if pooling is "first+mean".

        Args:
            input_ids: (B, T) int64 caption tokens, or `inputs_embeds` (B, T, W) instead, W being the width of the word
                embeddings.
            attention_mask: (B, T), 1 for tokens and 0 for padding; None means no padding.
            visual_embeds: (B, R, D) region features, or None for captions only.
            visual_attention_mask: (B, R), 1 for regions and 0 for padding and missing images.
        """
        text = input_ids if input_ids is not None else inputs_embeds
        assert text is not None, "input_ids or inputs_embeds is needed"
        if attention_mask is None:
            attention_mask = torch.ones(text.shape[:2], device=text.device, dtype=torch.long)
        output, mask = self.encode(
            attention_mask,
            input_ids=input_ids,
            inputs_embeds=inputs_embeds,
            visual_embeds=visual_embeds,
            visual_attention_mask=visual_attention_mask,
        )
        if self.pooling == "pooler":
            return output.pooler_output
        states = output.last_hidden_state
        if self.pooling == "first":
            return states[:, 0]
        weights = mask.to(states.dtype).unsqueeze(-1)
        mean = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        return mean if self.pooling == "mean" else torch.cat([states[:, 0], mean], dim=1)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        visual_embeds: torch.Tensor | None = None,
        visual_attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Logits (B, E + R), and the mean binary cross-entropy if `labels` (B, E + R), 0 to 1 or NaN, are given."""
        pooled = self.pool(input_ids, attention_mask, visual_embeds, visual_attention_mask, inputs_embeds)
        return emotion_output(self.fc(pooled), labels)

    def freeze(self, modules: list[nn.Module]) -> None:
        """Freeze these modules: no gradients, and always in evaluation mode (no dropout)."""
        self._frozen = modules
        for module in modules:
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Training mode for all but the frozen modules."""
        super().train(mode)
        for module in getattr(self, "_frozen", ()):
            module.eval()
        return self


class VisualBertForEmotion(EmotionNetwork, VisualBertPreTrainedModel):
    """Multi-label emotion classifier, and regressor of ratings, over caption tokens and image regions.

    Parameter names are `visualbert.*` and `fc.*`. The configuration adds to VisualBERT's: `pooling`, "pooler" (the
    founding study: tanh layer on the first token), "mean" (mean of the last hidden states of all attended tokens and
    regions), "first" (last hidden state of the first token) or "first+mean" (both concatenated, so that `fc` has 2H
    inputs), `visual_token_type` (0 as in VisualBERT's own code and weights, 1 as in transformers' documentation), and
    `num_ratings`, the number R of ratings (0 if absent).

    Raises:
        ValueError: unknown pooling, or a visual token type outside the configuration's `type_vocab_size`.
    """

    base_model_prefix = "visualbert"
    body_name = "visualbert"
    kind = "visual_bert"
    visual_names = "visualbert.embeddings.visual_"

    def __init__(self, config: VisualBertConfig) -> None:
        super().__init__(config)
        self.visual_token_type = getattr(config, "visual_token_type", 0)
        if not 0 <= self.visual_token_type < config.type_vocab_size:
            raise ValueError(f"visual_token_type is {self.visual_token_type}, expected below {config.type_vocab_size}")
        self.visualbert = build_visualbert(config)
        self._add_head(config)
        self.post_init()

    @property
    def layers(self) -> list[nn.Module]:
        """As `EmotionNetwork.layers`."""
        return list(self.visualbert.encoder.layer)

    @property
    def lower(self) -> list[nn.Module]:
        """The embeddings."""
        return [self.visualbert.embeddings]

    @property
    def upper(self) -> list[nn.Module]:
        """The pooler."""
        return [self.visualbert.pooler]

    @property
    def pooler(self) -> nn.Module:
        """The layer that VisualBERT applies to the first token."""
        return self.visualbert.pooler

    def encode(self, attention_mask: torch.Tensor, **inputs: Any) -> tuple[Any, torch.Tensor]:
        """As `EmotionNetwork.encode`; the regions follow the padded text."""
        return encode_pairs(self.visualbert, self.visual_token_type, attention_mask, **inputs)


def n_ratings_of(config: PretrainedConfig) -> int:
    """The number of ratings that a configuration has; those of earlier versions have none."""
    return int(getattr(config, "num_ratings", 0))


def masked_bce(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The mean binary cross-entropy over the cells whose target is not NaN; 0 if all are.

    >>> round(masked_bce(torch.zeros(1, 2), torch.tensor([[0.5, float("nan")]])).item(), 4)  # log 2
    0.6931
    """
    is_known = ~torch.isnan(targets)
    cells = nn.functional.binary_cross_entropy_with_logits(logits, torch.nan_to_num(targets), reduction="none")
    return (cells * is_known).sum() / is_known.sum().clamp(min=1)


def emotion_output(logits: torch.Tensor, labels: torch.Tensor | None) -> SequenceClassifierOutput:
    """Logits (B, E + R), with the mean binary cross-entropy if there are targets (B, E + R), without those NaN."""
    loss = None if labels is None else masked_bce(logits.float(), labels.float())
    return SequenceClassifierOutput(loss=loss, logits=logits)


class EmotionHead(nn.Module):
    """`fc` alone on pooled vectors, for training with a frozen encoder."""

    def __init__(self, fc: nn.Linear) -> None:
        super().__init__()
        self.fc = fc

    def forward(self, pooled: torch.Tensor, labels: torch.Tensor | None = None) -> SequenceClassifierOutput:
        """Logits (B, E + R) of pooled vectors (B, H), and the loss if `labels` (B, E + R) are given."""
        return emotion_output(self.fc(pooled), labels)


def set_prior_bias(fc: nn.Linear, frequencies: torch.Tensor) -> None:
    """Initialise `fc`'s bias with the log-odds of label frequencies and mean ratings (E + R,), clipped to 0.001..0.999.

    >>> fc = nn.Linear(2, 2); set_prior_bias(fc, torch.tensor([0.5, 0.0]))
    >>> [round(share, 5) for share in torch.sigmoid(fc.bias).tolist()]
    [0.5, 0.001]
    """
    with torch.no_grad():
        fc.bias.copy_(torch.logit(frequencies.to(fc.bias.dtype).clamp(1e-3, 1 - 1e-3)))
