"""From image files to a store of region features: decoded ahead, described in batches, kept shard by shard."""

import os
import shutil
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from PIL import Image

from emocap.corpora.pairs import RejectedRow
from emocap.errors import EmocapError
from emocap.files import locked, read_json, sync, write_json
from emocap.progress import logger, track
from emocap.regions.extractors.base import Extractor, Regions
from emocap.regions.images import FORMATS, MAX_PIXELS, ImageFault, ImageMissing, full_size, open_image, upright_rgb
from emocap.regions.store.format import feature_fingerprint, is_complete
from emocap.regions.store.writer import (
    IMAGES_PER_SHARD,
    REPORT,
    FeatureFault,
    FeatureSource,
    ShardWriter,
    finish_store,
    read_entries,
    require_free,
    sweep,
)

PLAN = "plan.json"
# A window is sorted by shape before it is cut into batches, and is what a kill can cost.
BATCHES_PER_WINDOW = 8
WINDOW_BYTES = 2**30
# Starting a worker process takes about as long as describing this many images.
IMAGES_PER_PROCESS = 128
IMAGES_PER_TASK = 16
TASKS_AHEAD = 4
DAYS_FOR_OTHERS = 30


class Prepared(NamedTuple):
    """A decoded image: what the extractor's `describe` needs, and width and height at full size in pixels."""

    value: np.ndarray
    size: tuple[int, int]


@dataclass(frozen=True)
class ExtractionReport:
    """What became of the images of a run; `report.json` in the store holds it.

    Attributes:
        n_images: images that were described.
        missing: images without a file.
        rejected: images that cannot be used, and why.
    """

    n_images: int
    missing: list[str]
    rejected: list[RejectedRow]


def images_below(folder: Path) -> list[str]:
    """Paths below a folder of all files that are named like images, sorted.

    Raises:
        EmocapError: no such folder, or no images in it.
    """
    if not folder.is_dir():
        raise EmocapError(f"{folder}: no such folder; give the folder of the images")
    Image.init()
    endings = {ending for ending, form in Image.EXTENSION.items() if form in FORMATS}
    found = (path for path in folder.rglob("*") if path.suffix.lower() in endings and path.is_file())
    images = sorted(path.relative_to(folder).as_posix() for path in found)
    if not images:
        raise EmocapError(f"{folder}: holds no images ({', '.join(FORMATS)})")
    return images


def prepare_source(source: Path | bytes | Image.Image, extractor: Extractor, max_pixels: int = MAX_PIXELS) -> Prepared:
    """Decode an image file, its bytes or an image of at most `max_pixels`.

    Raises:
        ImageMissing: there is no such file.
        ImageFault: the image cannot be used.
    """
    if isinstance(source, Image.Image):
        image = upright_rgb(source)
    else:
        image = open_image(source, max_pixels, at_least=extractor.at_least)
    return Prepared(extractor.prepare(image), full_size(image))


def describe_source(source: Path | bytes | Image.Image, extractor: Extractor) -> Regions:
    """The regions of one image, the same as a store holds for it.

    Raises:
        ImageMissing: there is no such file.
        ImageFault: the image cannot be used.
    """
    value, size = prepare_source(source, extractor)
    return extractor.describe([value], [size])[0]


def extract(
    images: Sequence[str],
    image_root: Path,
    extractor: Extractor,
    out: Path,
    workers: int | None = None,
    batch_size: int | None = None,
) -> ExtractionReport:
    """Describe images and write them to a store at `out`, in their order.

    An image that has no file is recorded, one that cannot be used is rejected; neither stops the run. What is done
    lies in a hidden folder beside `out`: after a kill the same call goes on there. Under `torchrun` each process takes
    every so many shards of a disk that all see. The number of workers and of processes changes no byte of the grid's
    store, and of a network's only what rounding does.

    Args:
        images: paths below `image_root`, the keys of the store; "" and repeated ones are left out.
        workers: that decode; None for one per core.
        batch_size: images described at once; None for the extractor's own.

    Raises:
        EmocapError: something is at `out`, another run is writing there or left something unfinished there, the store
            cannot be written, a worker died, or a feature is not finite.
    """
    for name, value in (("workers", workers), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise EmocapError(f"{name} is {value}, expected 1 or more")
    keys = [image for image in dict.fromkeys(images) if image]
    parts = [keys[start : start + IMAGES_PER_SHARD] for start in range(0, len(keys), IMAGES_PER_SHARD)] or [[]]
    maker = FeatureSource(
        extractor.name,
        extractor.settings,
        extractor.weights_hash,
        extractor.dim,
        extractor.names,
        computed_in=extractor.computed_in,
    )
    out = Path(os.path.abspath(out))  # noqa: PTH100  a link at its end stays a link
    require_free(out)
    unfinished = out.with_name(f".{out.name}.unfinished")
    try:
        with _turns(unfinished) as (rank, world):
            if rank == 0:
                require_free(out)
                _agree(unfinished, maker, keys, Path(image_root))
            _wait(world)
            job = _Job(Path(image_root), extractor, workers, batch_size or extractor.batch_size)
            _describe_parts(unfinished, parts, maker, job, rank, world)
            _wait(world)
            if rank == 0:
                _finish(unfinished, out, len(parts), len(keys), maker)
            _wait(world)
    except OSError as error:
        raise EmocapError(
            f"{out}: cannot be written ({error.strerror or error}); free space or choose another place, "
            "the same command then goes on"
        ) from error
    return read_report(out)


def tell_faults(report: ExtractionReport, where: str = "", then: str = "") -> None:
    """Log how many images are missing, and what happens then, or set aside, with the first of each."""
    if report.missing:
        logger.warning("%s%d images missing, such as %s%s", where, len(report.missing), report.missing[0], then)
    if report.rejected:
        first = report.rejected[0]
        logger.warning("%s%d images set aside, such as %s: %s", where, len(report.rejected), first.where, first.reason)


def read_report(store: Path) -> ExtractionReport:
    """The report of the run that wrote the store in this folder.

    Raises:
        EmocapError: there is none, or it is damaged.
    """
    where = Path(store) / REPORT
    found = read_json(where)
    try:
        rejected = [RejectedRow(**row) for row in found["rejected"]]
        return ExtractionReport(int(found["n_images"]), list(found["missing"]), rejected)
    except (KeyError, TypeError, ValueError) as error:
        raise EmocapError(f"{where}: damaged ({error}); extract the features again") from None


@dataclass(frozen=True)
class _Job:
    """How images become regions."""

    image_root: Path
    extractor: Extractor
    workers: int | None
    batch_size: int


Outcome = Prepared | RejectedRow | None


def _describe_parts(
    folder: Path, parts: list[list[str]], maker: FeatureSource, job: _Job, rank: int, world: int
) -> None:
    """Fill the shards of this process from where they stand."""
    if (folder / "header.json").is_file():
        return  # a kill came between the last shard and the store's place
    todo = {}
    for number in range(rank, len(parts), world):
        with ShardWriter(folder, number, maker) as writer:
            done = [entry.image for entry in writer.entries]
        if done != parts[number][: len(done)]:
            raise EmocapError(f"{folder}: holds other images than were asked for; delete it and begin again")
        todo[number] = parts[number][len(done) :]
    total = sum(map(len, todo.values()))
    n_done = sum(map(len, parts[rank::world])) - total
    if n_done:
        logger.info("features: goes on behind %d images", n_done)

    def work() -> Iterator[list[tuple[str, Outcome]]]:
        with _decoder(job, total) as decode:
            for number, left in todo.items():
                with ShardWriter(folder, number, maker) as writer:
                    for window in _windows(zip(left, decode(left), strict=True), job.batch_size):
                        _write(writer, window, job)
                        yield window

    what = "features" if world == 1 else f"features, process 1 of {world}"
    for _ in track(work(), what, total, "images", len) if rank == 0 else work():
        pass


def _windows(outcomes: Iterable[tuple[str, Outcome]], batch_size: int) -> Iterator[list[tuple[str, Outcome]]]:
    """Several batches at a time, fewer where the decoded images are large."""
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


def _write(writer: ShardWriter, window: list[tuple[str, Outcome]], job: _Job) -> None:
    """Describe a window's images, those of like shape together, and commit them in their order."""
    images = {key: outcome for key, outcome in window if isinstance(outcome, Prepared)}
    order = sorted(images, key=lambda key: (images[key].size[0] / images[key].size[1], images[key].size[1]))
    regions: dict[str, Regions] = {}
    for start in range(0, len(order), job.batch_size):
        batch = order[start : start + job.batch_size]
        values, sizes = zip(*(images[key] for key in batch), strict=True)
        regions |= zip(batch, job.extractor.describe(values, sizes), strict=True)
    for key, outcome in window:
        if isinstance(outcome, Prepared):
            try:
                writer.add(key, regions[key])
            except FeatureFault as fault:
                writer.leave_out(key, str(fault).partition(": ")[2])
        else:
            writer.leave_out(key, outcome.reason if outcome is not None else None)
    writer.commit()


@contextmanager
def _decoder(job: _Job, total: int) -> Iterator[Callable[[list[str]], Iterator[Outcome]]]:
    """A function from keys to what became of them, worked out ahead by processes or threads."""
    n_cores = max(1, joblib.cpu_count() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    if job.extractor.in_processes:
        n_workers = job.workers or max(1, min(n_cores, total // IMAGES_PER_PROCESS))
    else:
        n_workers = job.workers or n_cores

    def decode(executor: Executor | None, keys: list[str]) -> Iterator[Outcome]:
        if executor is None:
            yield from (_outcome(key, job.image_root, job.extractor) for key in keys)
            return
        per_task = IMAGES_PER_TASK if job.extractor.in_processes else 1
        ahead: deque[Future[list[Outcome]]] = deque()
        most_bytes = 1
        for start in range(0, len(keys), per_task):
            task = keys[start : start + per_task]
            ahead.append(executor.submit(_outcomes, task, job.image_root, job.extractor))
            while len(ahead) > min(TASKS_AHEAD * n_workers, max(1, WINDOW_BYTES // most_bytes)):
                found = ahead.popleft().result()
                most_bytes = max(most_bytes, sum(map(_n_bytes, found)))
                yield from found
        while ahead:
            yield from ahead.popleft().result()

    with warnings.catch_warnings():
        _take_odd_files()
        if not job.extractor.in_processes:
            with ThreadPoolExecutor(n_workers) as threads:
                yield partial(decode, threads)
        elif n_workers == 1:
            yield partial(decode, None)
        else:
            try:
                yield partial(decode, get_reusable_executor(max_workers=n_workers, initializer=_take_odd_files))
            except TerminatedWorkerError as error:
                raise EmocapError(
                    "features: a worker process died, most likely for want of memory; "
                    f"use fewer than {n_workers} workers"
                ) from error


def _take_odd_files() -> None:
    """Decoders warn of every oddity in a file that they then read well."""
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _n_bytes(outcome: Outcome) -> int:
    return outcome.value.nbytes if isinstance(outcome, Prepared) else 0


def _outcomes(keys: list[str], image_root: Path, extractor: Extractor) -> list[Outcome]:
    return [_outcome(key, image_root, extractor) for key in keys]


def _outcome(key: str, image_root: Path, extractor: Extractor) -> Outcome:
    if Path(key).is_absolute() or ".." in Path(key).parts:
        return RejectedRow(key, "points outside the image folder")
    try:
        return prepare_source(image_root / key, extractor)
    except ImageMissing:
        return None
    except ImageFault as fault:
        return RejectedRow(key, fault.reason)


@contextmanager
def _turns(folder: Path) -> Iterator[tuple[int, int]]:
    """This process's number and how many there are; the first holds the folder against other runs.

    An error leaves what was committed for the next run, and nothing where nothing was.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0")) if world > 1 else 0
    if rank:
        yield rank, world
        return
    is_ours = not folder.exists()
    with locked(folder / ".lock", f"{folder}: another run is writing there; wait for it or give another place"):
        try:
            yield rank, world
        except BaseException:
            committed = any(path.stat().st_size for path in folder.glob("images-*.jsonl"))
            if is_ours and world == 1 and not committed and not is_complete(folder):
                shutil.rmtree(folder, ignore_errors=True)
            raise


def _wait(world: int) -> None:
    """Until every process of a `torchrun` is here."""
    if world > 1:
        from torch import distributed

        if not distributed.is_initialized():
            distributed.init_process_group("gloo", timeout=timedelta(days=DAYS_FOR_OTHERS))
        try:
            distributed.barrier()
        except RuntimeError as error:
            raise EmocapError("features: another process of this run failed; its own message says why") from error


def _agree(folder: Path, maker: FeatureSource, keys: list[str], image_root: Path) -> None:
    """Note what this run is of, and refuse what an unlike run left unfinished."""
    plan = {
        "kind": feature_fingerprint(maker.extractor, maker.settings, maker.weights_hash, maker.dim),
        "computed_in": maker.computed_in,
        "image_root": str(image_root.resolve()),
        "n_images": len(keys),
        "images": sha256("\0".join(keys).encode(errors="surrogatepass")).hexdigest(),
    }
    where = folder / PLAN
    if not where.is_file():
        write_json(where, plan)
    elif read_json(where) != plan:
        raise EmocapError(
            f"{folder}: a run with other images or settings was stopped there; finish it by its own command, "
            "or delete the folder"
        )


def _finish(folder: Path, out: Path, n_shards: int, n_images: int, maker: FeatureSource) -> None:
    if not is_complete(folder):
        entries = read_entries(folder, n_shards)
        if len(entries) != n_images:
            raise EmocapError(f"{folder}: holds {len(entries):,} images of {n_images:,}; the same command goes on")
        report = ExtractionReport(
            sum(entry.size is not None for entry in entries),
            [entry.image for entry in entries if entry.size is None and entry.fault is None],
            [RejectedRow(entry.image, entry.fault) for entry in entries if entry.fault is not None],
        )
        write_json(folder / REPORT, asdict(report))
        finish_store(folder, n_shards, maker)
    sweep(folder)
    folder.rename(out)  # fails where something came to lie there meanwhile
    sync(out.parent)
    # Only now, so that a run that a kill stopped before is still known by its plan, and held by its lock.
    for name in (PLAN, ".lock"):
        (out / name).unlink(missing_ok=True)
