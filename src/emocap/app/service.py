"""What page and REST answer, for one model: predictions, orders, explanations and captions, each within the limits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from PIL import Image

from emocap.api.captioner import LEAST_LIKELY, PLAIN, is_plain
from emocap.api.explanation import Explanation
from emocap.api.predictor import EmotionProbability, Picture, check_caption
from emocap.api.requested_emotions import Unintended, choose_emotions, unintended
from emocap.app.engine import Engine
from emocap.app.limits import Limits
from emocap.app.served_model import Served
from emocap.captioning.checkpoint import check_strengths
from emocap.captioning.rerank import Ranked, rerank
from emocap.errors import EmocapError
from emocap.regions.extract import Prepared
from emocap.regions.images import open_image

MOST_WRITTEN = 20
T = TypeVar("T")


class Busy(EmocapError):
    """As many requests are waiting as may; come back later."""


class TooSlow(EmocapError):
    """An answer was not there in time."""


class NoCaptioner(EmocapError):
    """The model writes no captions."""


@dataclass(frozen=True)
class Prediction:
    """A caption with its emotions, best first, what stands out unasked, and remarks on the text."""

    caption: str
    emotions: list[EmotionProbability]
    unintended: list[Unintended]
    remarks: list[str]


class Service:
    """ModelPredictions questions about one model.

    Args:
        on_batch: told the number of jobs and captions of each batch.
        on_question: told the sort of each question that is let in.
    """

    def __init__(
        self,
        served: Served,
        limits: Limits,
        on_batch: Callable[[int, int], None] = lambda jobs, captions: None,
        on_question: Callable[[str], None] = lambda kind: None,
    ) -> None:
        self.served, self.limits = served, limits
        self._on_question = on_question
        self._engine = Engine(served.predictor, batch=limits.batch, on_batch=on_batch)
        self._accepted = self._slow = 0
        self._stopping = False
        self._decoders = ThreadPoolExecutor(2, thread_name_prefix="emocap-decode")

    @property
    def accepted(self) -> int:
        """Questions that are not answered yet, or still cost work though nobody waits for the answer."""
        return max(self._accepted, self._engine.depth)

    @property
    def is_full(self) -> bool:
        """Whether the next question would be refused."""
        return self.accepted >= self.limits.waiting

    @property
    def is_ready(self) -> bool:
        """Whether questions are answered."""
        return self._engine.is_ready and not self._stopping

    def begin_stop(self) -> None:
        """Say so to those who ask whether the server is ready; what comes is still answered."""
        self._stopping = True

    def stop(self) -> None:
        """Finish what was accepted, and take no more."""
        self._decoders.shutdown()
        self._engine.stop()

    async def predict(
        self, image: bytes | None, captions: Sequence[str], wanted: Sequence[str] = ()
    ) -> list[Prediction]:
        """Every caption with the picture.

        Args:
            image: a file's bytes, or None for the captions alone.
            wanted: emotions that are meant, and so never unintended.

        Raises:
            EmocapError: something cannot be used; `Busy` and `TooSlow` where the server cannot answer now.
        """
        self._check(captions)
        meant, _ = choose_emotions(self.served.predictor.labels, wanted)
        async with self._turn("predict"):
            found = await self._engine.probabilities(await self._prepared(image), captions)
        return self._predictions(captions, found, meant)

    async def judge(
        self,
        image: bytes | None,
        captions: Sequence[str],
        emotions: Sequence[str] = (),
        avoid: Sequence[str] = (),
        max_chars: int | None = None,
        strength: float | None = None,
    ) -> tuple[list[Prediction], list[Ranked]]:
        """Predictions in the order asked, and the captions ordered by the emotions that are wanted, if any.

        Where a captioner can judge that, the order is held to the picture; no caption is changed or left out.

        Raises:
            EmocapError: as above.
        """
        self._check(captions)
        predictor, captioner = self.served.predictor, self.served.captioner
        wanted, shunned = choose_emotions(predictor.labels, emotions, avoid)
        likely = captioner if image is not None and wanted else None
        if strength is None:
            strength = 1.0 if likely is None else likely.strength
        check_strengths(1.0, strength)
        async with self._turn("rank"):
            picture: Picture = await self._prepared(image)
            faithfulness = None
            if likely is not None:
                (picture,) = await self._engine.run(lambda: predictor.regions([picture]))
                (features,) = predictor.features([picture])
                faithfulness = await self._engine.run(lambda: likely.faithfulness(features, captions))
            found = await self._engine.probabilities(picture, captions)
        ranked = rerank(
            captions,
            found,
            predictor.labels,
            wanted,
            avoid=shunned,
            faithfulness=faithfulness,
            floor=LEAST_LIKELY,
            strength=strength,
            max_chars=max_chars,
        )
        if not wanted:
            ranked.sort(key=lambda one: one.number)
        predictions = self._predictions(captions, found, wanted)
        return predictions, [replace(one, remarks=[*one.remarks, *predictions[one.number].remarks]) for one in ranked]

    async def explain(
        self, image: bytes | None, caption: str, emotion: str | None = None
    ) -> tuple[Explanation, Image.Image | None]:
        """Which words and regions move an emotion, and the picture itself, RGB and upright.

        Raises:
            EmocapError: as above.
        """
        self._check([caption])
        async with self._turn("explain", slow=True):
            prepared = await self._prepared(image)
            found = await self._engine.run(lambda: self.served.predictor.explain(prepared, caption, emotion))
            return found, None if image is None else await self._decoded(lambda: self._picture(image))

    async def write(
        self,
        image: bytes,
        emotions: Sequence[str],
        n: int = 5,
        avoid: Sequence[str] = (),
        max_chars: int | None = None,
        guidance: float | None = None,
        seed: int = 0,
    ) -> tuple[list[Ranked], str | None]:
        """Captions written for a picture and the emotions that are wanted, and a remark on the picture, if any.

        Raises:
            NoCaptioner: the model writes none.
            EmocapError: as above.
        """
        captioner = self.served.captioner
        if captioner is None:
            raise NoCaptioner("this model writes no captions; serve a run with a captioner, or rank your own")
        if not 1 <= n <= MOST_WRITTEN:
            raise EmocapError(f"n is {n}, expected 1 to {MOST_WRITTEN}")
        async with self._turn("caption", slow=True):
            prepared = await self._prepared(image)
            plain = await self._decoded(lambda: is_plain(self._picture(image)))
            found = await self._engine.run(
                lambda: captioner.caption(
                    prepared, emotions, n, avoid=avoid, max_chars=max_chars, guidance=guidance, seed=seed
                )
            )
        return found, PLAIN if plain else None

    @asynccontextmanager
    async def _turn(self, kind: str, slow: bool = False) -> AsyncIterator[None]:
        """A place among the questions that are being answered, for as long as a question may take."""
        if self.is_full or (slow and self._slow >= self.limits.slow):
            raise Busy("too many requests are waiting already; ask again in a moment")
        self._on_question(kind)
        self._accepted += 1
        self._slow += slow
        try:
            async with asyncio.timeout(self.limits.seconds):
                yield
        except TimeoutError:
            raise TooSlow(f"no answer within {self.limits.seconds:g} s; ask for less, or again later") from None
        finally:
            self._accepted -= 1
            self._slow -= slow

    def _predictions(self, captions: Sequence[str], found: np.ndarray, wanted: Sequence[int]) -> list[Prediction]:
        predictor = self.served.predictor
        return [
            Prediction(
                caption,
                emotions,
                unintended(predictor.labels, row, self.served.frequencies, wanted),
                predictor.caption_warnings(caption),
            )
            for caption, emotions, row in zip(captions, predictor.named(found), found, strict=True)
        ]

    async def _prepared(self, image: bytes | None) -> Prepared | None:
        if image is None:
            return None
        predictor, pixels = self.served.predictor, self.limits.pixels
        return await self._decoded(lambda: predictor.prepare(image, max_pixels=pixels))

    def _picture(self, image: bytes) -> Image.Image:
        return open_image(image, self.limits.pixels)

    async def _decoded(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._decoders, work)

    def _check(self, captions: Sequence[str]) -> None:
        if not captions:
            raise EmocapError("no captions; give at least one")
        if len(captions) > self.limits.captions:
            raise EmocapError(f"{len(captions)} captions, expected at most {self.limits.captions}")
        for number, caption in enumerate(captions, 1):
            where = f"caption {number}: " if len(captions) > 1 else ""
            check_caption(caption, where)
            if len(caption) > self.limits.characters:
                raise EmocapError(
                    f"{where}{len(caption):,} characters, expected at most {self.limits.characters:,}; shorten it"
                )
