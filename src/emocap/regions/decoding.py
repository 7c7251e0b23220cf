"""Decoding images ahead of the extractor, by threads or processes."""

import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path

import joblib
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.backend import resource_tracker as loky_resource_tracker
from joblib.externals.loky.process_executor import TerminatedWorkerError

from emocap.corpora.image_names import ImageNameFault, plain_image_name
from emocap.corpora.pairs import RejectedRow
from emocap.errors import EmocapError
from emocap.regions.changes import digest_of
from emocap.regions.describe import Prepared, prepare_source
from emocap.regions.extractors.base import Extractor
from emocap.regions.images import ImageFault, ImageMissing

# A window is sorted by shape before it is cut into batches; an interruption loses at most one window.
BATCHES_PER_WINDOW = 8
WINDOW_BYTES = 2**30
# Starting a worker process takes about as long as describing this many images.
IMAGES_PER_PROCESS = 128
IMAGES_PER_TASK = 16
TASKS_AHEAD = 4
FEEDER = "QueueFeederThread"  # its name in multiprocessing and in loky
SECONDS_TO_END = 5.0

# The decoded image, why it was rejected, or None if its file is missing.
Outcome = Prepared | RejectedRow | None


@contextmanager
def decoder(
    image_root: Path, extractor: Extractor, workers: int | None, n_images: int
) -> Iterator[Callable[[list[str]], Iterator[Outcome]]]:
    """Give a function that turns keys into outcomes, in order, decoding ahead.

    Args:
        image_root: folder that the keys are relative to.
        workers: number of processes or threads; None chooses by the cores and the number of images.
        n_images: images to decode in total.

    Raises:
        EmocapError: a worker process died.
    """
    n_cores = max(1, joblib.cpu_count() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    if extractor.in_processes:
        n_workers = workers or max(1, min(n_cores, n_images // IMAGES_PER_PROCESS))
    else:
        n_workers = workers or n_cores
    decode = partial(_decode, image_root=image_root, extractor=extractor, n_workers=n_workers)
    with warnings.catch_warnings():
        _ignore_decoder_warnings()
        if not extractor.in_processes:
            threads = ThreadPoolExecutor(n_workers)
            try:
                yield partial(decode, threads)
            finally:
                threads.shutdown(cancel_futures=True)
        elif n_workers == 1:
            yield partial(decode, None)
        else:
            with _processes(n_workers) as processes:
                yield partial(decode, processes)


@contextmanager
def _processes(n_workers: int) -> Iterator[Executor]:
    """Worker processes, which end at once if the block fails or is interrupted."""
    executor = None
    try:
        for tracker in (loky_resource_tracker, resource_tracker):
            tracker.ensure_running()  # else it starts with the workers, and lets signals arrive
        with _signals_wait():
            executor = get_reusable_executor(max_workers=n_workers, initializer=_initialise_worker)
            executor.submit(int)  # starts the processes
        yield executor
    except BaseException as error:
        if executor is not None:
            _kill(executor)
        if isinstance(error, TerminatedWorkerError):
            raise EmocapError(
                f"features: a worker process died, probably out of memory; use fewer than {n_workers} workers"
            ) from error
        raise


def _kill(executor: Executor) -> None:
    """End the processes of loky's executor, whose thread may raise a KeyError about the tasks that are lost.

    That thread then leaves its queue open, and the thread that feeds the queue would end, and release semaphores, only
    while the interpreter does, which loky's resource tracker reports on standard error.
    """
    queue = executor._call_queue  # type: ignore[attr-defined]
    hook, threading.excepthook = threading.excepthook, lambda _: None
    try:
        executor.shutdown(kill_workers=True)  # type: ignore[call-arg]  # loky's own argument
        queue.close()
        for thread in threading.enumerate():
            if thread.name == FEEDER:
                thread.join(SECONDS_TO_END)
    finally:
        threading.excepthook = hook


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Let signals arrive only after the block; processes that it starts keep them waiting until they say otherwise."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _initialise_worker() -> None:
    """Leave Ctrl-C, which a terminal sends to all of its processes, to the process that ends this one."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    _ignore_decoder_warnings()


def windows(outcomes: Iterable[tuple[str, Outcome]], batch_size: int) -> Iterator[list[tuple[str, Outcome]]]:
    """Group outcomes into several batches at a time, fewer if the decoded images are large."""
    window: list[tuple[str, Outcome]] = []
    n_bytes = 0
    for key, outcome in outcomes:
        window.append((key, outcome))
        n_bytes += _n_bytes(outcome)
        if len(window) == BATCHES_PER_WINDOW * batch_size or n_bytes > WINDOW_BYTES:
            yield window
            window, n_bytes = [], 0
    if window:
        yield window


def _decode(
    executor: Executor | None, keys: list[str], *, image_root: Path, extractor: Extractor, n_workers: int
) -> Iterator[Outcome]:
    if executor is None:
        yield from (_outcome(key, image_root, extractor) for key in keys)
        return
    per_task = IMAGES_PER_TASK if extractor.in_processes else 1
    ahead: deque[Future[list[Outcome]]] = deque()
    most_bytes = 1
    for start in range(0, len(keys), per_task):
        task = keys[start : start + per_task]
        ahead.append(executor.submit(_outcomes, task, image_root, extractor))
        while len(ahead) > min(TASKS_AHEAD * n_workers, max(1, WINDOW_BYTES // most_bytes)):
            outcomes = ahead.popleft().result()
            most_bytes = max(most_bytes, sum(map(_n_bytes, outcomes)))
            yield from outcomes
    while ahead:
        yield from ahead.popleft().result()


def _ignore_decoder_warnings() -> None:
    """Silence Pillow's warnings about irregular files that it then reads correctly."""
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _n_bytes(outcome: Outcome) -> int:
    return outcome.value.nbytes if isinstance(outcome, Prepared) else 0


def _outcomes(keys: list[str], image_root: Path, extractor: Extractor) -> list[Outcome]:
    return [_outcome(key, image_root, extractor) for key in keys]


def _outcome(key: str, image_root: Path, extractor: Extractor) -> Outcome:
    try:
        plain_image_name(key, image_root)
        digest = digest_of(image_root / key)  # first: that of a file replaced meanwhile would hide the change
        return prepare_source(image_root / key, extractor)._replace(digest=digest or "")
    except ImageMissing:
        return None
    except (ImageNameFault, ImageFault) as fault:
        return RejectedRow(key, fault.reason)
