"""Generation with a trained captioner: captions for emotions, and the likelihood of a given caption."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import SuppressTokensLogitsProcessor
from transformers.modeling_outputs import BaseModelOutput

from emocap.captioning.data import IGNORED, Prompts
from emocap.captioning.model import ClassifierFreeGuidance, VisualBertForCaptioning
from emocap.training.batching import pad_regions, pad_tokens

Features = Sequence[np.ndarray | None]
_SPACED = re.compile(r" ([.,!?:;%)\]}'’]|n't\b)")
_APOSTROPHE = re.compile(r"(['’]) (?=(?:s|t|re|ve|ll|d|m)\b)")
_HYPHEN = re.compile(r"(?<=\w) - (?=\w)")
_OPENED = re.compile(r"([(\[{]) ")


class CaptionGenerator:
    """Generates and scores captions: a captioner with its tokenizer, the emotions' prompts and a device.

    Args:
        model: set to evaluation mode.
        tokenizer: of subword tokens.
        prompts: the emotions as text.
        max_length: tokens of a caption, special ones included.
    """

    def __init__(
        self, model: VisualBertForCaptioning, tokenizer: Any, prompts: Prompts, max_length: int, device: torch.device
    ) -> None:
        self.model, self.tokenizer, self.prompts, self.device = model.to(device).eval(), tokenizer, prompts, device
        self.max_length = max_length
        end = tokenizer.sep_token_id
        special = {
            *tokenizer.all_special_ids,
            *(i for t, i in tokenizer.get_vocab().items() if t.startswith("[unused")),
            *range(len(tokenizer), model.config.decoder.vocab_size),  # rows that only pad the embeddings
        }
        self._suppress_special = SuppressTokensLogitsProcessor(sorted(special - {end}), device=str(device))

    @torch.inference_mode()
    def generate(
        self,
        features: Features,
        emotions: Sequence[Sequence[int]],
        *,
        n: int = 1,
        guidance: float = 1.0,
        beams: int | None = None,
        top_p: float = 0.9,
        seed: int = 0,
    ) -> list[list[str]]:
        """n captions for each of B images; with `beams` the most likely first.

        Args:
            features: B times (R, D), or None without an image.
            emotions: B lists of emotion indices; an empty list requests none.
            n: captions per image.
            guidance: scale of classifier-free guidance; 1 is the trained model, 0 ignores the emotions.
            beams: width of beam search; None samples with nucleus sampling (`top_p`).
            seed: of the sampling.
        """
        states, mask = self._encode(features, emotions)
        processors: list[Any] = [self._suppress_special]
        if guidance != 1.0 and any(map(len, emotions)):
            unconditional = self._encode(features, [[] for _ in emotions])
            processors = [ClassifierFreeGuidance(self.model, *unconditional, guidance), self._suppress_special]
        options: dict[str, Any] = {"do_sample": True, "top_p": top_p, "top_k": 0}
        if beams is not None:
            options = {"do_sample": False, "num_beams": max(beams, n)}
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            sequences = self.model.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=states),
                attention_mask=mask,
                num_return_sequences=n,
                max_new_tokens=self.max_length - 1,
                logits_processor=processors,
                **options,
            )
        texts = [self._decode(ids) for ids in sequences]
        return [texts[start : start + n] for start in range(0, len(texts), n)]

    @torch.inference_mode()
    def mean_log_likelihood(self, features: Features, captions: Sequence[str]) -> np.ndarray:
        """(B,) mean log-probability in nats of each caption's tokens, its end included, without an emotion.

        Args:
            features: B times (R, D) or None; or one entry for all captions.
        """
        encoded = self.tokenizer(
            list(captions), truncation=True, max_length=self.max_length, return_attention_mask=False
        )["input_ids"]
        states, mask = self._encode(features, [[] for _ in features])
        if len(features) < len(captions):
            states, mask = (tensor.expand(len(captions), *tensor.shape[1:]) for tensor in (states, mask))
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

    def _encode(self, features: Features, emotions: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        batch = self.prompts.batch(emotions) | pad_regions(features)
        return self.model.encode(**{key: tensor.to(self.device) for key, tensor in batch.items()})

    def _decode(self, ids: torch.Tensor) -> str:
        return detokenize(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


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
