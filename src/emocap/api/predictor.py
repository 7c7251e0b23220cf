"""The public way to ask a trained model what people are likely to feel."""

import copy
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from emocap.api.explanation import Change, Explanation, WordEffect, boxed, effects, other_wordings, words_of
from emocap.api.requested_emotions import choose_emotions
from emocap.captioning.generation import in_batches
from emocap.corpora.pairs import is_text
from emocap.devices import best_device
from emocap.errors import EmocapError
from emocap.evaluation.scored_predictions import ranking
from emocap.regions.extract import Prepared, prepare_source
from emocap.regions.extractors.base import Extractor, Regions
from emocap.regions.extractors.registry import EXTRACTORS, build_extractor
from emocap.regions.images import MAX_PIXELS
from emocap.regions.store.format import feature_fingerprint
from emocap.training.batching import pad_regions, pad_tokens
from emocap.training.checkpoint import SavedModel, load_model
from emocap.training.predict import finite

BATCH = 64
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
Picture = str | Path | bytes | Image.Image | Prepared | Regions | None


@dataclass(frozen=True)
class EmotionProbability:
    """How likely at least one of a pair's annotators names this emotion."""

    emotion: str
    probability: float


class EmotionPredictor:
    """Emotions that a picture with its caption evokes, from a model folder.

    >>> predictor = EmotionPredictor.from_pretrained("runs/demo/AnB+/model")  # doctest: +SKIP
    >>> predictor.predict("dog.jpg", "A dog waits at the door, all alone.")[0]  # doctest: +SKIP
    EmotionProbability(emotion='sad', probability=0.71)
    """

    def __init__(self, saved: SavedModel, allow_other_features: bool = False) -> None:
        self._saved = saved
        self._device = best_device()
        self._model = saved.model.to(self._device).eval()
        self._allow_other_features = allow_other_features

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, allow_other_features: bool = False) -> "EmotionPredictor":
        """Load a model folder that a study saved.

        Args:
            allow_other_features: use an extractor whose weights are not those that the model was trained with.

        Raises:
            EmocapError: not a model folder, or a broken one.
        """
        return cls(load_model(Path(folder)), allow_other_features)

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions that the model knows, in their fixed order."""
        return self._saved.vocabulary.labels

    def predict(self, image: Picture, caption: str) -> list[EmotionProbability]:
        """Every emotion with its probability, best first.

        Args:
            image: a file, its bytes, a Pillow image, what `prepare` or `regions` made of one, or None for the caption
                alone.
            caption: any text that is not empty.

        Raises:
            EmocapError: the image cannot be read, the caption is empty, or the model knows no images.
        """
        return self.predict_many([(image, caption)])[0]

    def predict_many(self, pairs: Sequence[tuple[Picture, str]]) -> list[list[EmotionProbability]]:
        """`predict` for several pairs in one batch, in their order."""
        if not pairs:
            return []
        for number, (_, caption) in enumerate(pairs, 1):
            check_caption(caption, f"pair {number}: ")
        return self.named(
            self.pair_probabilities(self.features([image for image, _ in pairs]), [caption for _, caption in pairs])
        )

    def named(self, probabilities: np.ndarray) -> list[list[EmotionProbability]]:
        """(N, E) probabilities with their emotions, best first."""
        return [
            [EmotionProbability(self.labels[i], float(row[i])) for i in order]
            for row, order in zip(probabilities, ranking(probabilities), strict=True)
        ]

    def probabilities_for(self, features: np.ndarray | None, captions: Sequence[str]) -> np.ndarray:
        """(N, E) calibrated probabilities of N captions of one picture, emotions as in `labels`.

        Args:
            features: (R, D) of the picture, by `features`; None for captions alone.
        """
        return self.pair_probabilities([features] * len(captions), captions)

    def pair_probabilities(self, features: Sequence[np.ndarray | None], captions: Sequence[str]) -> np.ndarray:
        """(N, E) float32 calibrated probabilities of N pairs, emotions as in `labels`.

        Args:
            features: N times (R, D) by `features`, or None.
            captions: N texts.

        Raises:
            EmocapError: no pairs, or unequal numbers.
        """
        if len(features) != len(captions) or not len(captions):
            raise EmocapError(f"{len(features)} pictures and {len(captions)} captions; give as many of both, and some")
        found = [self._probabilities(features[rows], captions[rows]) for rows in in_batches(len(captions), BATCH)]
        return np.concatenate(found)

    def caption_warnings(self, caption: str) -> list[str]:
        """What keeps the model from reading a text as people would, each in a few words."""
        found = ["holds control characters"] if _CONTROL.search(caption) else []
        if not any(letter.isalnum() for letter in caption):
            found.append("holds no words")
        tokenizer = self._reader
        ids = tokenizer(caption, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
        if len(ids) > self._saved.card.max_length - 2:
            found.append("judged by its beginning, the rest is more than the model reads")
        scripts = {unicodedata.name(letter, "?").split()[0] for letter in caption if letter.isalpha()}
        if 2 * ids.count(tokenizer.unk_token_id) > len(ids) or (scripts and "LATIN" not in scripts):
            found.append("in words that the model hardly knows")
        return found

    @property
    def folder(self) -> Path:
        """Where the model was read from."""
        return self._saved.folder

    @property
    def name(self) -> str:
        """The experiment that it came from, such as AnB+."""
        return self._saved.card.run

    @property
    def frequencies(self) -> list[float] | None:
        """Share of the training pairs that name each emotion; None where it is not known."""
        return self._saved.card.frequencies

    @property
    def sees_pictures(self) -> bool:
        """Whether the model learnt from pictures too."""
        return self._saved.card.features is not None

    def require_features(self, kind: str, dim: int) -> None:
        """Refuse region features of another kind than the model learnt from, unless others are allowed.

        Raises:
            EmocapError: the kinds differ.
        """
        self._saved.require_features(kind, dim, allow_other=self._allow_other_features)

    def _probabilities(self, features: Sequence[np.ndarray | None], captions: Sequence[str]) -> np.ndarray:
        encoded = self._saved.tokenizer(
            list(captions), truncation=True, max_length=self._saved.card.max_length, return_attention_mask=False
        )
        batch = pad_tokens(encoded["input_ids"]) | pad_regions(features)
        with torch.inference_mode():
            logits = self._model(**{key: tensor.to(self._device) for key, tensor in batch.items()}).logits
        return finite(torch.sigmoid(logits.float() / self._saved.card.temperature).cpu().numpy())

    @cached_property
    def _reader(self) -> Any:
        """Word pieces that are never cut. A tokenizer keeps how it cuts, so one for both is not safe in threads."""
        return copy.deepcopy(self._saved.tokenizer)

    @cached_property
    def _extractor(self) -> Extractor:
        """What made the features that the model was trained on; built for the first picture."""
        return model_extractor(self._saved, allow_other=self._allow_other_features)

    def features(self, images: Sequence[Picture]) -> list[np.ndarray | None]:
        """Each picture's (R, D) float16 region features, or None without a picture."""
        return [None if found is None else found.features.astype(np.float16) for found in self.regions(images)]

    def regions(self, images: Sequence[Picture]) -> list[Regions | None]:
        """Each picture's regions as the model sees them, or None without a picture."""
        prepared = [self.prepare(image) for image in images if image is not None and not isinstance(image, Regions)]
        found: list[Regions] = []
        size = self._extractor.batch_size if prepared else 1
        for start in range(0, len(prepared), size):
            values, sizes = zip(*prepared[start : start + size], strict=True)
            found += self._extractor.describe(values, sizes)
        left = iter(found)
        return [image if image is None or isinstance(image, Regions) else next(left) for image in images]

    def prepare(self, image: str | Path | bytes | Image.Image | Prepared, *, max_pixels: int = MAX_PIXELS) -> Prepared:
        """Decode a picture, the part of `regions` that several threads may do at once.

        Args:
            max_pixels: more are refused.

        Raises:
            EmocapError: it cannot be read, is too large, or the model knows no images.
        """
        if isinstance(image, Prepared):
            return image
        if isinstance(image, Image.Image) and image.width * image.height > max_pixels:
            raise EmocapError(
                f"image of {image.width} x {image.height} pixels: more than {max_pixels:,} pixels; make it smaller"
            )
        source = Path(image) if isinstance(image, str) else image
        return prepare_source(source, self._extractor, max_pixels=max_pixels)

    def explain(self, image: Picture, caption: str, emotion: str | None = None) -> Explanation:
        """Which words and regions move an emotion, and what other wordings would do.

        Args:
            image: as for `predict`.
            emotion: one of `labels`; None takes the likeliest.

        Raises:
            EmocapError: as `predict`; or the emotion is not known.
        """
        check_caption(caption)
        wanted, _ = choose_emotions(self.labels, [] if emotion is None else [emotion])
        (found,) = self.regions([image])
        features = None if found is None else found.features.astype(np.float16)
        ids, spans, places = words_of(self._saved.tokenizer, caption, self._saved.card.max_length)
        others = other_wordings(self._saved, caption, spans)
        chances = self.probabilities_for(features, [caption, *(text for *_, text in others)])
        number = wanted[0] if wanted else int(chances[0].argmax())
        by_word, by_region, log_odds, reference = effects(self._saved, self._device, ids, places, features, number)
        changes = [
            Change(
                text,
                caption[start:end],
                start,
                end,
                instead,
                {label: float(move) for label, move in zip(self.labels, after - chances[0], strict=True)},
            )
            for (start, end, instead, text), after in zip(others, chances[1:], strict=True)
        ]
        name = self.labels[number]
        return Explanation(
            emotion=name,
            probability=float(chances[0, number]),
            log_odds=log_odds,
            reference=reference,
            words=[
                WordEffect(caption[start:end], start, end, float(effect))
                for (start, end), effect in zip(spans, by_word, strict=True)
            ],
            regions=[] if found is None else boxed(found, by_region),
            changes=sorted(changes, key=lambda change: -abs(change.moves[name])),
        )


def check_caption(caption: str, where: str = "") -> None:
    """Refuse a caption that cannot be judged.

    Raises:
        EmocapError: it is empty or no Unicode text.
    """
    if not isinstance(caption, str) or not caption.strip():
        raise EmocapError(f"{where}the caption is empty; give some text")
    if not is_text(caption):
        raise EmocapError(f"{where}the caption is not Unicode text; give it in UTF-8")


def model_extractor(saved: SavedModel, *, allow_other: bool = False) -> Extractor:
    """The extractor that makes region features as a model saw them.

    Raises:
        EmocapError: the model knows no pictures, its features were imported, or the extractor is not as it was.
    """
    features = saved.card.features
    if features is None:
        raise EmocapError(f"{saved.folder}: learnt from captions alone and cannot use an image; leave it out")
    if features["extractor"] not in EXTRACTORS:
        raise EmocapError(
            f"{saved.folder}: learnt from {features['extractor']} features, which emocap cannot make of a picture; "
            "give a store of such features, or captions alone"
        )
    try:
        extractor = build_extractor(features["extractor"], features["settings"])
    except EmocapError as error:
        raise EmocapError(
            f"{saved.folder}: the extractor of its pictures is not to be had: {error}; bring its weights back, or name "
            "their place in emocap.json there (features, settings, weights)"
        ) from error
    kind = feature_fingerprint(extractor.name, extractor.settings, extractor.weights_hash, extractor.dim)
    saved.require_features(kind, extractor.dim, allow_other=allow_other)
    return extractor
