"""What page and REST answer, for one model: predictions, orders, explanations and captions, each within the limits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from PIL import Image

from emocap.app.engine import Engine
from emocap.app.limits import Limits
from emocap.app.served import Served
from emocap.errors import EmocapError
from emocap.evaluation.rerank import Ranked
from emocap.inference.captioner import order_captions
from emocap.inference.choice import Unintended, choose_emotions, unintended
from emocap.inference.explanation import Explanation
from emocap.inference.predictor import EmotionProbability, check_caption
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
    """Answers questions about one model.

    Args:
        on_batch: told the number of jobs and captions of each batch.
    """

    def __init__(
        self, served: Served, limits: Limits, on_batch: Callable[[int, int], None] = lambda jobs, captions: None
    ) -> None:
        self.served, self.limits = served, limits
        self._engine = Engine(served.predictor, batch=limits.batch, on_batch=on_batch)
        self._accepted = 0
        self._decoders = ThreadPoolExecutor(2, thread_name_prefix="emocap-decode")

    @property
    def accepted(self) -> int:
        """Questions that are not answered yet."""
        return self._accepted

    @property
    def is_full(self) -> bool:
        """Whether the next question would be refused."""
        return self._accepted >= self.limits.waiting

    @property
    def is_ready(self) -> bool:
        """Whether questions are answered."""
        return self._engine.is_ready

    def stop(self) -> None:
        """Finish what was accepted, and take no more."""
        self._decoders.shutdown()
        self._engine.stop()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """A place among the questions that are being answered, for as long as a question may take."""
        if self.is_full:
            raise Busy(f"{self._accepted} requests are waiting already; ask again in a moment")
        self._accepted += 1
        try:
            async with asyncio.timeout(self.limits.seconds):
                yield
        except TimeoutError:
            raise TooSlow(f"no answer within {self.limits.seconds:g} s; ask for less, or again later") from None
        finally:
            self._accepted -= 1

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
        predictor = self.served.predictor
        meant, _ = choose_emotions(predictor.labels, wanted)
        async with self._turn():
            found = await self._engine.probabilities(await self._prepared(image), captions)
        return [
            Prediction(
                caption,
                emotions,
                unintended(predictor.labels, row, self.served.frequencies, meant),
                predictor.oddities(caption),
            )
            for caption, emotions, row in zip(captions, predictor.named(found), found, strict=True)
        ]

    async def rank(
        self,
        image: bytes | None,
        captions: Sequence[str],
        emotions: Sequence[str],
        avoid: Sequence[str] = (),
        max_chars: int | None = None,
        strength: float | None = None,
    ) -> list[Ranked]:
        """Captions ordered by the emotions that are wanted, held to the picture where a captioner can judge that.

        Raises:
            EmocapError: as above.
        """
        self._check(captions)
        predictor, captioner = self.served.predictor, self.served.captioner

        def work(prepared: Prepared | None) -> list[Ranked]:
            if captioner is not None and prepared is not None:
                return captioner.rank(prepared, captions, emotions, avoid=avoid, max_chars=max_chars, strength=strength)
            weight = 1.0 if strength is None else strength
            return order_captions(
                predictor, prepared, captions, emotions, avoid=avoid, max_chars=max_chars, strength=weight
            )

        return await self._run(image, work)

    async def explain(self, image: bytes | None, caption: str, emotion: str | None = None) -> Explanation:
        """Which words and regions move an emotion.

        Raises:
            EmocapError: as above.
        """
        self._check([caption])
        return await self._run(image, lambda prepared: self.served.predictor.explain(prepared, caption, emotion))

    async def write(
        self,
        image: bytes,
        emotions: Sequence[str],
        n: int = 5,
        avoid: Sequence[str] = (),
        max_chars: int | None = None,
        guidance: float | None = None,
        seed: int = 0,
    ) -> list[Ranked]:
        """Captions written for a picture and the emotions that are wanted.

        Raises:
            NoCaptioner: the model writes none.
            EmocapError: as above.
        """
        captioner = self.served.captioner
        if captioner is None:
            raise NoCaptioner("this model writes no captions; serve a run with a captioner, or rank your own")
        if not 1 <= n <= MOST_WRITTEN:
            raise EmocapError(f"n is {n}, expected 1 to {MOST_WRITTEN}")
        return await self._run(
            image,
            lambda prepared: captioner.caption(
                prepared, emotions, n, avoid=avoid, max_chars=max_chars, guidance=guidance, seed=seed
            ),
        )

    async def picture(self, image: bytes) -> Image.Image:
        """The picture itself, RGB and upright.

        Raises:
            EmocapError: it cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._decoders, open_image, image, self.limits.pixels)

    async def _run(self, image: bytes | None, work: Callable[[Prepared | None], T]) -> T:
        """`work` on a decoded picture, alone in the thread of the models."""
        async with self._turn():
            prepared = await self._prepared(image)
            return await self._engine.run(lambda: work(prepared))

    async def _prepared(self, image: bytes | None) -> Prepared | None:
        if image is None:
            return None

        def decode() -> Prepared:
            return self.served.predictor.prepare(image, max_pixels=self.limits.pixels)

        return await asyncio.get_running_loop().run_in_executor(self._decoders, decode)

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
