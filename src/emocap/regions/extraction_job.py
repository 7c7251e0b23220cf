"""The job of an extraction, shared by the processes of a `torchrun`: who fills which shards, and how it is resumed."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from emocap.corpora.pairs import RejectedRow
from emocap.errors import EmocapError
from emocap.files import locked, read_json, sync, write_json
from emocap.progress import logger, track
from emocap.regions.changes import changed_images, digest_of, unchanged_entries
from emocap.regions.decoding import Outcome, decoder, windows
from emocap.regions.describe import Prepared
from emocap.regions.extraction_report import ExtractionReport, write_report
from emocap.regions.extractors.base import Extractor, Regions
from emocap.regions.store.format import FeatureSource, feature_fingerprint, is_complete
from emocap.regions.store.journal import journal_file, read_entries, read_journal, shorten_journal
from emocap.regions.store.reader import FeatureStore
from emocap.regions.store.shard import FeatureFault, ShardWriter
from emocap.regions.store.writer import finish_store, remove_temporary_files

PLAN = "plan.json"
LOCK = ".lock"
BARRIER_TIMEOUT_DAYS = 30


@dataclass(frozen=True)
class ExtractionJob:
    """What is extracted and how.

    Attributes:
        folder: of the unfinished store.
        image_root: folder that the keys are relative to.
        shards: keys of the images of each shard.
        source: of the features.
        workers: that decode images; None chooses.
        batch_size: images described at once.
    """

    folder: Path
    image_root: Path
    shards: Sequence[list[str]]
    extractor: Extractor
    source: FeatureSource
    workers: int | None
    batch_size: int


@contextmanager
def process_rank(folder: Path) -> Iterator[tuple[int, int]]:
    """Give the rank of this process and the number of processes; rank 0 locks the folder against other runs.

    After an error, what was committed stays for the next run; if nothing was committed, nothing stays.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0")) if world > 1 else 0
    if rank:
        yield rank, world
        return
    is_new = not folder.exists()
    with locked(folder / LOCK, f"{folder}: another run is writing there; wait for it or give a different path"):
        try:
            yield rank, world
        except BaseException:
            committed = any(path.stat().st_size for path in folder.glob("images-*.jsonl"))
            if is_new and world == 1 and not committed and not is_complete(folder):
                shutil.rmtree(folder, ignore_errors=True)
            raise


def wait_for_all(world: int) -> None:
    """Wait until every process of a `torchrun` gets here."""
    if world > 1:
        from torch import distributed

        if not distributed.is_initialized():
            distributed.init_process_group("gloo", timeout=timedelta(days=BARRIER_TIMEOUT_DAYS))
        try:
            distributed.barrier()
        except RuntimeError as error:
            raise EmocapError("features: another process of this run failed; see its own error message") from error


def unfinished_folder(out: Path) -> Path:
    """Where a store is written until it is finished."""
    return out.with_name(f".{out.name}.unfinished")


def planned_extractor(out: Path) -> tuple[str, dict[str, Any]] | None:
    """Name and settings of the extractor of a run on this store that was interrupted, None if there is none."""
    where = unfinished_folder(out) / PLAN
    plan = read_json(where) if where.is_file() else None
    if not isinstance(plan, dict) or not {"extractor", "settings"} <= plan.keys():
        return None
    return plan["extractor"], plan["settings"]


def record_plan(job: ExtractionJob) -> None:
    """Record what this run extracts, and refuse to resume a run that extracted something else."""
    keys = [key for shard in job.shards for key in shard]
    source = job.source
    plan = {
        "fingerprint": feature_fingerprint(source.extractor, source.settings, source.weights_hash, source.dim),
        "extractor": source.extractor,
        "settings": source.settings,
        "computed_in": source.computed_in,
        "image_root": str(job.image_root.resolve()),
        "n_images": len(keys),
        "images": sha256("\0".join(keys).encode(errors="surrogatepass")).hexdigest(),
    }
    where = job.folder / PLAN
    if not where.is_file():
        write_json(where, plan)
        return
    recorded = read_json(where)
    if isinstance(recorded, dict) and "kind" in recorded:  # from before the key was renamed
        recorded["fingerprint"] = recorded.pop("kind")
    if isinstance(recorded, dict):  # that of an earlier version names no extractor
        recorded = {key: plan[key] for key in ("extractor", "settings")} | recorded
    # Precision and the place of the weights may differ: they are not part of the fingerprint.
    if not isinstance(recorded, dict) or recorded | {"settings": plan["settings"]} != plan:
        raise EmocapError(
            f"{job.folder}: a run with other images or settings was interrupted there; finish it with its own command, "
            "or delete the folder"
        )


def fill_shards(job: ExtractionJob, rank: int, world: int) -> None:
    """Describe the images of this process's shards that are not committed yet."""
    if is_complete(job.folder):
        if changed := changed_images(FeatureStore.open(job.folder), job.image_root):
            raise EmocapError(
                f"{job.folder}: {len(changed)} images, such as {changed[0]}, have changed since they were described; "
                "delete the folder and run the same command again"
            )
        return  # the run was interrupted after the last shard, before the store was renamed
    remaining = {}
    for number in range(rank, len(job.shards), world):
        with ShardWriter(job.folder, number, job.source) as writer:
            done = [entry.image for entry in writer.entries]
        done = _without_changed(job, number, done)
        if done != job.shards[number][: len(done)]:
            raise EmocapError(f"{job.folder}: holds images that were not asked for; delete it and start again")
        remaining[number] = job.shards[number][len(done) :]
    total = sum(map(len, remaining.values()))
    n_done = sum(map(len, job.shards[rank::world])) - total
    if n_done:
        logger.info("features: resumes after %d images", n_done)
    description = "features" if world == 1 else f"features, process 1 of {world}"
    committed = _committed_windows(job, remaining, total)
    for _ in track(committed, description, total, "images", len) if rank == 0 else committed:
        pass


def _without_changed(job: ExtractionJob, number: int, done: list[str]) -> list[str]:
    """The committed images of a shard up to the first whose file has changed; those after it are described again."""
    entries = read_journal(journal_file(job.folder, number))
    n = unchanged_entries(entries, job.image_root)
    if n < len(entries):
        shorten_journal(job.folder, number, n)
        logger.warning(
            "features: %s has changed since it was described; it and %d other images are described again",
            entries[n].image,
            len(entries) - n - 1,
        )
    return done[:n]


def _committed_windows(
    job: ExtractionJob, remaining: dict[int, list[str]], total: int
) -> Iterator[list[tuple[str, Outcome]]]:
    """Describe and commit window by window, yielding each window that was committed."""
    with decoder(job.image_root, job.extractor, job.workers, total) as decode:
        for number, keys in remaining.items():
            with ShardWriter(job.folder, number, job.source) as writer:
                for window in windows(zip(keys, decode(keys), strict=True), job.batch_size):
                    write_window(writer, window, job)
                    yield window


def write_window(writer: ShardWriter, window: list[tuple[str, Outcome]], job: ExtractionJob) -> None:
    """Describe the images of a window, similar shapes together, and commit them in their order."""
    images = {key: outcome for key, outcome in window if isinstance(outcome, Prepared)}
    order = sorted(images, key=lambda key: (images[key].size[0] / images[key].size[1], images[key].size[1]))
    regions: dict[str, Regions] = {}
    for start in range(0, len(order), job.batch_size):
        batch = order[start : start + job.batch_size]
        values, sizes = [images[key].value for key in batch], [images[key].size for key in batch]
        regions |= zip(batch, job.extractor.describe(values, sizes), strict=True)
    for key, outcome in window:
        if isinstance(outcome, Prepared):
            try:
                writer.add(key, regions[key], outcome.digest or None)
            except FeatureFault as fault:
                writer.leave_out(key, str(fault).partition(": ")[2], outcome.digest or None)
        elif outcome is None:
            writer.leave_out(key, None)
        else:
            writer.leave_out(key, outcome.reason, digest_of(job.image_root / key))
    writer.commit()


def finish_job(job: ExtractionJob, out: Path) -> None:
    """Turn the committed shards into the store at `out`."""
    folder, n_images = job.folder, sum(map(len, job.shards))
    if not is_complete(folder):
        entries = read_entries(folder, len(job.shards))
        if len(entries) != n_images:
            raise EmocapError(f"{folder}: holds {len(entries):,} images of {n_images:,}; run the same command again")
        report = ExtractionReport(
            n_images=sum(entry.size is not None for entry in entries),
            missing=[entry.image for entry in entries if entry.size is None and entry.fault is None],
            rejected=[RejectedRow(entry.image, entry.fault) for entry in entries if entry.fault is not None],
        )
        write_report(report, folder)
        finish_store(folder, len(job.shards), job.source)
    remove_temporary_files(folder)
    folder.rename(out)  # fails if something was written to `out` in the meantime
    sync(out.parent)
    # Only now, so that a run interrupted earlier still has its plan and its lock.
    for name in (PLAN, LOCK):
        (out / name).unlink(missing_ok=True)
