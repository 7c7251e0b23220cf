"""One thread that owns the models: what waits for a prediction goes through the model together.

A batch is not waited for. While one is computed the next gathers, so that a lone request is answered at once and many
share the cost of a pass. Explanations and writing take their turn alone, one between two batches.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emocap.api.predictor import EmotionPredictor, Picture


@dataclass
class Job:
    """Work for the thread: captions of one picture to be judged, or else anything that is to be run alone."""

    captions: Sequence[str] = ()
    image: Picture = None
    alone: Callable[[], Any] | None = None
    future: "Future[Any]" = field(default_factory=Future)


class Engine:
    """Runs jobs, predictions that wait together in one batch, and other work in turn with them.

    Args:
        predictor: judges captions.
        batch: captions that go through the model at once, except where one job has more.
        on_batch: told the number of jobs and captions of each batch.
    """

    def __init__(
        self,
        predictor: EmotionPredictor,
        *,
        batch: int,
        on_batch: Callable[[int, int], None] = lambda jobs, captions: None,
    ) -> None:
        self._predictor = predictor
        self._batch, self._on_batch = batch, on_batch
        self._predictions: deque[Job] = deque()
        self._others: deque[Job] = deque()
        self._running: list[Job] = []
        self._news = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="emocap-engine", daemon=True)
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        """Whether jobs are done."""
        return self._thread.is_alive() and not self._stopping

    @property
    def depth(self) -> int:
        """Jobs that wait or run, without those that were given up before they ran."""
        with self._news:
            return sum(not job.future.done() for job in (*self._running, *self._predictions, *self._others))

    async def probabilities(self, image: Picture, captions: Sequence[str]) -> np.ndarray:
        """(N, E) of N captions of one picture.

        Raises:
            EmocapError: the picture or a caption cannot be used.
        """
        return await self._answer(Job(captions=captions, image=image), self._predictions)

    async def run(self, work: Callable[[], Any]) -> Any:
        """What `work` returns or raises, run in the thread of the models."""
        return await self._answer(Job(alone=work), self._others)

    def stop(self) -> None:
        """Do what waits, and end the thread."""
        with self._news:
            self._stopping = True
            self._news.notify()
        self._thread.join()

    async def _answer(self, job: Job, waiting: deque[Job]) -> Any:
        with self._news:
            waiting.append(job)
            self._news.notify()
        return await asyncio.wrap_future(job.future)

    def _work(self) -> None:
        others_turn = False
        while True:
            with self._news:
                while not (self._predictions or self._others or self._stopping):
                    self._news.wait()
                if not (self._predictions or self._others):
                    return
                is_other = bool(self._others) and (others_turn or not self._predictions)
                taken = [self._others.popleft()] if is_other else self._gathered()
                self._running = [job for job in taken if job.future.set_running_or_notify_cancel()]
            others_turn = not is_other
            if self._running:
                self._do(self._running)
            self._running = []

    def _gathered(self) -> list[Job]:
        """The first prediction, and behind it all that fit into the batch."""
        taken = [self._predictions.popleft()]
        size = len(taken[0].captions)
        while self._predictions and (size := size + len(self._predictions[0].captions)) <= self._batch:
            taken.append(self._predictions.popleft())
        return taken

    def _do(self, jobs: Sequence[Job]) -> None:
        try:
            answers = [jobs[0].alone()] if jobs[0].alone is not None else self._judged(jobs)
        except Exception as error:
            if len(jobs) > 1:  # what one of them brought must not harm the others
                for job in jobs:
                    self._do([job])
                return
            jobs[0].future.set_exception(error)
            return
        for job, answer in zip(jobs, answers, strict=True):
            job.future.set_result(answer)

    def _judged(self, jobs: Sequence[Job]) -> list[np.ndarray]:
        features = self._predictor.features([job.image for job in jobs])
        sizes = [len(job.captions) for job in jobs]
        self._on_batch(len(jobs), sum(sizes))
        found = self._predictor.pair_probabilities(
            [of_one for of_one, size in zip(features, sizes, strict=True) for _ in range(size)],
            [caption for job in jobs for caption in job.captions],
        )
        return np.split(found, np.cumsum(sizes[:-1]))
