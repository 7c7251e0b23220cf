"""What page and REST offer for one model: predictions, rankings, explanations and captions, within the limits."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from PIL import Image

from emocap.api.caption_checks import check_caption
from emocap.api.explanation import Explanation
from emocap.api.images import UNIFORM_IMAGE, ImageInput, is_uniform
from emocap.api.prediction import EmotionProbability
from emocap.api.ranking import RankingRequest, with_remarks
from emocap.api.remarks import remarks_on_ranking
from emocap.api.requested_emotions import UnintendedEmotion, resolve_emotions, unintended_emotions
from emocap.app.engine import Engine
from emocap.app.limits import Limits
from emocap.app.served_model import ServedModel
from emocap.captioning.rerank import RankedCaption
from emocap.errors import EmocapError
from emocap.regions.describe import Prepared
from emocap.regions.images import open_image

MAX_GENERATED = 20
T = TypeVar("T")


class ServerBusy(EmocapError):
    """As many requests are waiting as the limits allow.

    Attributes:
        retry_after: seconds until those that wait are probably answered.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many requests are waiting; try again in {retry_after} s")
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Those of a response with status 429."""
        return {"retry-after": str(self.retry_after)}


class DeadlineExceeded(EmocapError):
    """The response was not ready in time."""


class NoCaptioner(EmocapError):
    """The model has no captioner."""


@dataclass(frozen=True)
class Prediction:
    """The prediction for a caption.

    Attributes:
        caption: unchanged.
        emotions: all emotions, most likely first; empty for a model of ratings alone.
        unintended: emotions that are strong although nobody asked for them.
        remarks: why the model may misread the caption.
        ratings: name of each rating of the model to its value in the rating's own units.
    """

    caption: str
    emotions: list[EmotionProbability]
    unintended: list[UnintendedEmotion]
    remarks: list[str]
    ratings: dict[str, float]


@dataclass(frozen=True)
class Predictions:
    """The predictions for an image's captions.

    Attributes:
        predictions: one per caption, in the order of the request.
        ranked: the captions, best first; empty unless they were ranked.
        remarks: on the model, the image and the captions together.
    """

    predictions: list[Prediction]
    ranked: list[RankedCaption]
    remarks: list[str]


@dataclass(frozen=True)
class Generated:
    """Generated captions.

    Attributes:
        ranked: the captions, best first.
        note: that the image has a single colour; None for others.
        remarks: on the model, the image and the captions together.
    """

    ranked: list[RankedCaption]
    note: str | None
    remarks: list[str]


class Service:
    """Predictions, rankings, explanations and captions of one model.

    Args:
        on_batch: called with the number of jobs and captions of each batch.
        on_request: called with the kind of each request that is accepted.
    """

    def __init__(
        self,
        served: ServedModel,
        limits: Limits,
        on_batch: Callable[[int, int], None] = lambda n_jobs, n_captions: None,
        on_request: Callable[[str], None] = lambda kind: None,
    ) -> None:
        self.served, self.limits = served, limits
        self._on_request = on_request
        self._engine = Engine(served.predictor, batch=limits.batch, on_batch=on_batch)
        self._n_accepted = self._n_slow = 0
        self._is_stopping = False
        self._decoders = ThreadPoolExecutor(2, thread_name_prefix="emocap-decode")

    @property
    def accepted(self) -> int:
        """Number of requests that are not answered, or that still cost work although their deadline has passed."""
        return max(self._n_accepted, self._engine.depth)

    @property
    def is_full(self) -> bool:
        """Whether the next request would be rejected."""
        return self.accepted >= self.limits.waiting

    @property
    def retry_after(self) -> int:
        """Seconds, at least 1, until the requests that wait are probably answered: their number by recent times."""
        n_fast = self.accepted - self._n_slow
        estimate = n_fast * self._engine.prediction_seconds + self._n_slow * self._engine.other_seconds
        return max(1, math.ceil(min(estimate, self.limits.seconds)))

    def require_place(self, *, is_slow: bool = False) -> None:
        """Refuse a request that would have to wait longer than the limits allow.

        Args:
            is_slow: whether it is an explanation or caption generation.

        Raises:
            ServerBusy: too many requests wait.
        """
        if self.is_full or (is_slow and self._n_slow >= self.limits.slow):
            raise ServerBusy(self.retry_after)

    @property
    def is_ready(self) -> bool:
        """Whether the server is not stopping."""
        return self._engine.is_ready and not self._is_stopping

    def begin_stop(self) -> None:
        """Report from now on that the server is not ready; requests are still answered."""
        self._is_stopping = True

    def stop(self) -> None:
        """Finish what was accepted, and accept no more."""
        self._decoders.shutdown()
        self._engine.stop()

    async def predict(self, image: bytes | None, captions: Sequence[str], emotions: Sequence[str] = ()) -> Predictions:
        """Predict the emotions of each caption with the image.

        Args:
            image: bytes of a file, or None for the captions alone.
            captions: an empty one stands for the image alone.
            emotions: target emotions, which are never unintended.

        Raises:
            ServerBusy, DeadlineExceeded: the server cannot answer now.
            EmocapError: the image, a caption or an emotion cannot be used.
        """
        self._check(captions, may_be_empty=image is not None)
        targets, _ = resolve_emotions(self.served.predictor.labels, emotions)
        async with self._slot("predict"):
            outputs, features = await self._engine.predict(await self._prepare(image), captions)
        return Predictions(self._predictions(captions, outputs, targets), [], self._remarks(features))

    async def rank(
        self,
        image: bytes | None,
        captions: Sequence[str],
        emotions: Sequence[str] = (),
        avoid: Sequence[str] = (),
        max_chars: int | None = None,
        strength: float | None = None,
    ) -> Predictions:
        """Predictions in the order of the captions, and the captions ranked by the target emotions.

        Without target emotions the captions keep their order. With an image and a captioner the ranking also counts
        the captions' faithfulness to the image. No caption is changed or left out.

        Raises:
            EmocapError: as `predict`.
        """
        self._check(captions, may_be_empty=image is not None and not emotions)
        predictor, captioner = self.served.predictor, self.served.captioner
        scorer = captioner if image is not None and emotions else None
        if strength is None:
            strength = 1.0 if scorer is None else scorer.strength
        request = RankingRequest.of(predictor.labels, emotions, avoid, strength=strength, max_chars=max_chars)
        async with self._slot("rank"):
            prepared: ImageInput = await self._prepare(image)
            faithfulness = None
            if scorer is not None:
                (prepared,) = await self._engine.run(lambda: predictor.regions([prepared]))
                (features,) = predictor.features([prepared])
                faithfulness = await self._engine.run(lambda: scorer.faithfulness(features, captions))
            outputs, described = await self._engine.predict(prepared, captions)
        probabilities = outputs[:, : len(predictor.labels)]
        ranked = request.rank(captions, probabilities, faithfulness)
        if not request.target_emotions:
            ranked.sort(key=lambda candidate: candidate.number)
        predictions = self._predictions(captions, outputs, request.target_emotions)
        ranked = with_remarks(ranked, [prediction.remarks for prediction in predictions])
        gains = self._gains(probabilities, request.target_emotions)
        return Predictions(predictions, ranked, self._remarks(described) + gains)

    async def explain(
        self, image: bytes | None, caption: str, emotion: str | None = None
    ) -> tuple[Explanation, Image.Image | None]:
        """Which words and regions raise or lower an emotion or a rating, and the image itself, RGB and upright.

        The explanation's remarks begin with those on the model, the image and the caption.

        Raises:
            EmocapError: as `predict`.
        """
        self._check([caption], may_be_empty=image is not None)
        predictor = self.served.predictor

        def work() -> Explanation:
            (regions,) = predictor.regions([prepared])
            found = predictor.explain(regions, caption, emotion, between=self._engine.serve_waiting)
            remarks = [*predictor.model_remarks(), *predictor.remarks(regions, caption)]
            return replace(found, remarks=[*(remark.text for remark in remarks), *found.remarks])

        async with self._slot("explain", is_slow=True):
            prepared = await self._prepare(image)
            explanation = await self._engine.run(work)
            return explanation, None if image is None else await self._decode(lambda: self._open(image))

    async def generate(
        self,
        image: bytes,
        emotions: Sequence[str],
        n: int = 5,
        avoid: Sequence[str] = (),
        max_chars: int | None = None,
        guidance: float | None = None,
        style: str | None = None,
        seed: int = 0,
    ) -> Generated:
        """Captions generated for an image and the target emotions; without any, ordinary ones or those of a style.

        Raises:
            NoCaptioner: the model has no captioner.
            EmocapError: as `predict`, or the captioner does not know the style.
        """
        captioner = self.served.captioner
        if captioner is None:
            raise NoCaptioner("this model has no captioner; serve a run with one, or rank your own captions")
        if not 1 <= n <= MAX_GENERATED:
            raise EmocapError(f"n is {n}, expected 1 to {MAX_GENERATED}")
        predictor = captioner.ranker

        def work() -> tuple[list[RankedCaption], list[str]]:
            (regions,) = predictor.regions([prepared])
            ranked = captioner.caption(
                regions, emotions, n, style=style, avoid=avoid, max_chars=max_chars, guidance=guidance, seed=seed
            )
            (features,) = predictor.features([regions])
            probabilities = predictor.probabilities_for(features, [candidate.caption for candidate in ranked])
            targets, _ = resolve_emotions(predictor.labels, emotions)
            return ranked, self._remarks(features) + self._gains(probabilities, targets)

        async with self._slot("caption", is_slow=True):
            prepared = await self._prepare(image)
            uniform = await self._decode(lambda: is_uniform(self._open(image)))
            ranked, remarks = await self._engine.run(work)
        return Generated(ranked, UNIFORM_IMAGE if uniform else None, remarks)

    @asynccontextmanager
    async def _slot(self, kind: str, is_slow: bool = False) -> AsyncIterator[None]:
        """One of the `waiting` places, until the deadline at most."""
        self.require_place(is_slow=is_slow)
        self._on_request(kind)
        self._n_accepted += 1
        self._n_slow += is_slow
        try:
            async with asyncio.timeout(self.limits.seconds):
                yield
        except TimeoutError:
            seconds = self.limits.seconds
            raise DeadlineExceeded(f"no response within {seconds:g} s; send less, or try again later") from None
        finally:
            self._n_accepted -= 1
            self._n_slow -= is_slow

    def _predictions(self, captions: Sequence[str], outputs: np.ndarray, targets: Sequence[int]) -> list[Prediction]:
        predictor = self.served.predictor
        labels = predictor.labels
        return [
            Prediction(
                caption,
                found.emotions,
                unintended_emotions(labels, row[: len(labels)], self.served.frequencies, targets),
                predictor.caption_warnings(caption),
                found.ratings,
            )
            for caption, found, row in zip(captions, predictor.with_labels(outputs), outputs, strict=True)
        ]

    def _remarks(self, features: np.ndarray | None) -> list[str]:
        """The remarks on the model and on an image of these features."""
        predictor = self.served.predictor
        return [remark.text for remark in (*predictor.model_remarks(), *predictor.image_remarks(features))]

    def _gains(self, probabilities: np.ndarray, targets: Sequence[int]) -> list[str]:
        """The remarks on captions of these (N, E) probabilities that were ranked by target emotions."""
        labels, frequencies = self.served.predictor.labels, self.served.frequencies
        known = None if frequencies is None else frequencies.tolist()
        found = remarks_on_ranking(labels, probabilities, known, [labels[index] for index in targets])
        return [remark.text for remark in found]

    async def _prepare(self, image: bytes | None) -> Prepared | None:
        predictor, pixels = self.served.predictor, self.limits.pixels
        if image is None:
            if not predictor.uses_captions:
                raise EmocapError("this model was trained on images alone and needs an image; give one")
            return None
        if not predictor.uses_images:
            raise EmocapError("this model was trained on captions only and cannot use an image; leave it out")
        return await self._decode(lambda: predictor.prepare(image, max_pixels=pixels))

    def _open(self, image: bytes) -> Image.Image:
        return open_image(image, self.limits.pixels)

    async def _decode(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._decoders, function)

    def _check(self, captions: Sequence[str], *, may_be_empty: bool = False) -> None:
        if not captions:
            raise EmocapError("no captions; give at least one")
        if len(captions) > self.limits.captions:
            raise EmocapError(f"{len(captions)} captions, expected at most {self.limits.captions}")
        for number, caption in enumerate(captions, 1):
            where = f"caption {number}: " if len(captions) > 1 else ""
            check_caption(caption, where, may_be_empty=may_be_empty)
            if len(caption) > self.limits.characters:
                raise EmocapError(
                    f"{where}{len(caption):,} characters, expected at most {self.limits.characters:,}; shorten it"
                )
