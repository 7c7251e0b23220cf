"""One thread that runs the models; waiting predictions share a forward pass.

No request waits for a batch to fill up: the next batch collects while one is computed, so that a single request is
answered at once and many share the cost of a pass. Explanations and caption generation run in turn with the batches; a
long one lets a batch run between its steps, and ends at the next step once nobody waits for its result.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emocap.api.images import ImageInput
from emocap.api.predictor import EmotionPredictor

RECENT = 0.2  # weight of the latest job in a mean time


@dataclass
class Job:
    """Work for the thread: captions of one image to predict, or any other function.

    Attributes:
        is_abandoned: whether nobody waits for the result any more.
    """

    captions: Sequence[str] = ()
    image: ImageInput = None
    function: Callable[[], Any] | None = None
    future: "Future[Any]" = field(default_factory=Future)
    is_abandoned: bool = False


class Abandoned(Exception):
    """Nobody waits for the result of the function that runs."""


class Engine:
    """Runs jobs: waiting predictions in batches, and other jobs in turn with these.

    Args:
        predictor: predicts the emotions and ratings of captions.
        batch: captions per forward pass, except where one job has more.
        on_batch: called with the number of jobs and captions of each batch.
        clock: time in seconds.

    Attributes:
        prediction_seconds, other_seconds: recent mean times per job of each kind, 0 before the first one. A prediction
            takes its share of its batch; what runs between the steps of another job is not part of that job's time.
    """

    def __init__(
        self,
        predictor: EmotionPredictor,
        *,
        batch: int,
        on_batch: Callable[[int, int], None] = lambda n_jobs, n_captions: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._predictor, self._clock = predictor, clock
        self._batch, self._on_batch = batch, on_batch
        self._predictions: deque[Job] = deque()
        self._others: deque[Job] = deque()
        self._running: list[Job] = []
        self.prediction_seconds = self.other_seconds = 0.0
        self._batch_seconds = 0.0  # all batches so far
        self._condition = threading.Condition()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._loop, name="emocap-engine", daemon=True)
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        """Whether new jobs will run."""
        return self._thread.is_alive() and not self._is_stopping

    @property
    def depth(self) -> int:
        """Number of jobs that wait or run, without those that were cancelled before they ran."""
        with self._condition:
            return sum(not job.future.done() for job in (*self._running, *self._predictions, *self._others))

    async def predict(self, image: ImageInput, captions: Sequence[str]) -> tuple[np.ndarray, np.ndarray | None]:
        """(N, E + R) outputs of N captions of one image, and the (regions, D) features of the image, if any.

        Raises:
            EmocapError: the image or a caption cannot be used.
        """
        return await self._submit(Job(captions=captions, image=image), self._predictions)

    async def run(self, function: Callable[[], Any]) -> Any:
        """Run a function in the thread of the models; returns or raises what it does.

        A long function calls `serve_waiting` between its steps.
        """
        return await self._submit(Job(function=function), self._others)

    def serve_waiting(self) -> None:
        """Run a batch of the predictions that wait; called by a function of `run`, in its thread.

        Raises:
            Abandoned: nobody waits for that function's result any more.
        """
        with self._condition:
            outer = self._running
            if outer and all(job.is_abandoned for job in outer):
                raise Abandoned
            jobs = _started(self._next_batch()) if self._predictions else []
            self._running = [*outer, *jobs]
        if jobs:
            self._run(jobs)
        self._running = outer

    def stop(self) -> None:
        """Finish all jobs, then end the thread."""
        with self._condition:
            self._is_stopping = True
            self._condition.notify()
        self._thread.join()

    async def _submit(self, job: Job, queue: deque[Job]) -> Any:
        with self._condition:
            queue.append(job)
            self._condition.notify()
        try:
            return await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            job.is_abandoned = True
            raise

    def _loop(self) -> None:
        is_others_turn = False
        while True:
            with self._condition:
                while not (self._predictions or self._others or self._is_stopping):
                    self._condition.wait()
                if not (self._predictions or self._others):
                    return
                is_other = bool(self._others) and (is_others_turn or not self._predictions)
                self._running = _started([self._others.popleft()] if is_other else self._next_batch())
            is_others_turn = not is_other
            if self._running:
                self._run(self._running)
            self._running = []

    def _next_batch(self) -> list[Job]:
        """The first prediction, and after it all that fit into the batch."""
        jobs = [self._predictions.popleft()]
        size = len(jobs[0].captions)
        while self._predictions and (size := size + len(self._predictions[0].captions)) <= self._batch:
            jobs.append(self._predictions.popleft())
        return jobs

    def _run(self, jobs: Sequence[Job]) -> None:
        function = jobs[0].function
        start, batches_before = self._clock(), self._batch_seconds
        try:
            results = [function()] if function is not None else self._predict(jobs)
        except Exception as error:
            if len(jobs) > 1:  # the bad input of one must not fail the others
                for job in jobs:
                    self._run([job])
                return
            jobs[0].future.set_exception(error)
            return
        seconds = self._clock() - start
        if function is not None:
            own = seconds - (self._batch_seconds - batches_before)
            self.other_seconds = _mean_with(self.other_seconds, own)
        else:
            self._batch_seconds += seconds
            self.prediction_seconds = _mean_with(self.prediction_seconds, seconds / len(jobs))
        for job, result in zip(jobs, results, strict=True):
            job.future.set_result(result)

    def _predict(self, jobs: Sequence[Job]) -> list[tuple[np.ndarray, np.ndarray | None]]:
        features = self._predictor.features([job.image for job in jobs])
        sizes = [len(job.captions) for job in jobs]
        self._on_batch(len(jobs), sum(sizes))
        outputs = self._predictor.pair_outputs(
            [image_features for image_features, size in zip(features, sizes, strict=True) for _ in range(size)],
            [caption for job in jobs for caption in job.captions],
        )
        return list(zip(np.split(outputs, np.cumsum(sizes[:-1])), features, strict=True))


def _started(jobs: Sequence[Job]) -> list[Job]:
    """The jobs that were not cancelled while they waited, marked as running."""
    return [job for job in jobs if job.future.set_running_or_notify_cancel()]


def _mean_with(mean: float, value: float) -> float:
    """A mean in which earlier values count less; the first value is the mean."""
    return value if mean == 0 else (1 - RECENT) * mean + RECENT * value
