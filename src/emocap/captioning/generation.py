"""Generation with a trained captioner: captions for emotions and a style, and the likelihood of a given caption."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import SuppressTokensLogitsProcessor
from transformers.modeling_outputs import BaseModelOutput

from emocap.captioning.caption_tokens import CaptionTokens
from emocap.captioning.guidance import ClassifierFreeGuidance
from emocap.captioning.model import VisualBertForCaptioning
from emocap.captioning.prompts import IGNORED, Prompts
from emocap.training.batching import pad_regions, pad_tokens

Features = Sequence[np.ndarray | None]
_SPACED = re.compile(r" ([.,!?:;%)\]}'’]|n't\b)")
_APOSTROPHE = re.compile(r"(['’]) (?=(?:s|t|re|ve|ll|d|m)\b)")
_HYPHEN = re.compile(r"(?<=\w) - (?=\w)")
_OPENED = re.compile(r"([(\[{]) ")


class CaptionGenerator:
    """Generates and scores captions: a captioner with its tokenizer, the prompts of its conditions and a device.

    Args:
        model: set to evaluation mode.
        tokenizer: of subword tokens.
        prompts: the emotions and styles as input of the encoder.
        max_length: tokens of a caption, special ones included.
    """

    def __init__(
        self, model: VisualBertForCaptioning, tokenizer: Any, prompts: Prompts, max_length: int, device: torch.device
    ) -> None:
        self.model, self.prompts, self.device = model.to(device).eval(), prompts, device
        self.tokens = CaptionTokens(tokenizer, None if model.kept_tokens is None else model.kept_tokens.cpu().numpy())
        self.max_length = max_length
        suppressed = self.tokens.never_generated(model.config.decoder.vocab_size)
        self._suppress_special = SuppressTokensLogitsProcessor(suppressed, device=str(device))

    @torch.inference_mode()
    def generate(
        self,
        features: Features,
        emotions: Sequence[Sequence[int]],
        styles: Sequence[str | None] | None = None,
        *,
        n: int = 1,
        guidance: float = 1.0,
        style_guidance: float = 1.0,
        guidance_steps: int | None = None,
        beams: int | None = None,
        length_penalty: float = 1.0,
        top_p: float = 0.9,
        seed: int = 0,
    ) -> list[list[str]]:
        """n captions for each of B images; with `beams` the most likely first.

        Args:
            features: B times (R, D), or None without an image.
            emotions: B lists of emotion indices; an empty list requests none.
            styles: B names of styles, or None where no style is requested; None requests none at all.
            n: captions per image.
            guidance: scale of classifier-free guidance against the same image and style without emotions; 1 is the
                trained model, 0 ignores the emotions.
            style_guidance: the same for the style, against the same image and emotions without it.
            guidance_steps: number of first tokens that are guided; None guides all.
            beams: width of beam search; None samples with nucleus sampling (`top_p`).
            length_penalty: exponent of the length that a beam's log-likelihood is divided by.
            seed: of the sampling.

        Raises:
            EmocapError: a style that the captioner does not know.
        """
        styles = [None] * len(emotions) if styles is None else styles
        states, mask = self._encode(features, emotions, styles)
        processors: list[Any] = []
        if guidance != 1.0 and any(map(len, emotions)):
            reference = self._encode(features, [[] for _ in emotions], styles)
            processors.append(ClassifierFreeGuidance(self.model, *reference, guidance, guidance_steps))
        if style_guidance != 1.0 and any(style is not None for style in styles):
            reference = self._encode(features, emotions, [None] * len(styles))
            processors.append(ClassifierFreeGuidance(self.model, *reference, style_guidance, guidance_steps))
        options: dict[str, Any] = {"do_sample": True, "top_p": top_p, "top_k": 0}
        if beams is not None:
            options = {"do_sample": False, "num_beams": max(beams, n), "length_penalty": length_penalty}
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            sequences = self.model.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=states),
                attention_mask=mask,
                num_return_sequences=n,
                max_new_tokens=self.max_length - 1,
                logits_processor=[*processors, self._suppress_special],
                **options,
            )
        texts = [detokenize(self.tokens.decode(ids.tolist())) for ids in sequences]
        return [texts[start : start + n] for start in range(0, len(texts), n)]

    @torch.inference_mode()
    def mean_log_likelihood(
        self, features: Features, captions: Sequence[str], counts: Sequence[int] | None = None
    ) -> np.ndarray:
        """(B,) mean log-probability in nats of each caption's tokens, its end included, without emotion and style.

        Args:
            features: of each image (R, D) or None.
            captions: B captions, those of the first image first.
            counts: number of captions of each image; None means one each, or all of a single image.
        """
        encoded = self.tokens.encode(captions, self.max_length)
        states, mask = self._encode(features, [[] for _ in features], [None] * len(features))
        counts = counts or ([len(captions)] if len(features) == 1 else [1] * len(features))
        repeats = torch.tensor(counts, device=self.device)
        states, mask = (tensor.repeat_interleave(repeats, 0) for tensor in (states, mask))
        inputs, targets = pad_tokens([ids[:-1] for ids in encoded]), pad_tokens([ids[1:] for ids in encoded])
        labels = targets["input_ids"].masked_fill(targets["attention_mask"] == 0, IGNORED).to(self.device)
        logits = self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            attention_mask=mask,
            decoder_input_ids=inputs["input_ids"].to(self.device),
            decoder_attention_mask=inputs["attention_mask"].to(self.device),
            use_cache=False,
        ).logits.float()
        losses = nn.functional.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
        return -(losses.sum(1) / (labels != IGNORED).sum(1)).cpu().numpy().astype(np.float64)

    def _encode(
        self, features: Features, emotions: Sequence[Sequence[int]], styles: Sequence[str | None]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        conditions = [
            [*indices, *([] if style is None else [self.prompts.style_index(style)])]
            for indices, style in zip(emotions, styles, strict=True)
        ]
        batch = self.prompts.batch(conditions) | pad_regions(features)
        return self.model.encode(**{key: tensor.to(self.device) for key, tensor in batch.items()})


def detokenize(words: str) -> str:
    """Text from decoded tokens, which an uncased WordPiece tokenizer lower-cases and separates by spaces.

    >>> detokenize("a dog ' s home : the bird - house ( old ) , isn ' t it ?")
    "A dog's home: the bird-house (old), isn't it?"
    """
    text = " ".join(words.split())
    text = _OPENED.sub(r"\1", _SPACED.sub(r"\1", text))
    text = _HYPHEN.sub("-", _APOSTROPHE.sub(r"\1", text))
    return text[:1].upper() + text[1:]


def batch_slices(rows: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` rows that cover all `rows`."""
    return (slice(start, start + size) for start in range(0, rows, size))
