"""From a folder of images to a store of region features."""

import os
from collections.abc import Sequence
from pathlib import Path

from emocap.corpora.image_names import (
    IMAGE_EXTENSIONS,
    ImageNameFault,
    plain_image_name,
    require_existing,
    resolve_image_names,
)
from emocap.errors import EmocapError
from emocap.files import is_system_file, read_text
from emocap.progress import logger
from emocap.regions.changes import changed_images
from emocap.regions.extraction_job import (
    ExtractionJob,
    fill_shards,
    finish_job,
    process_rank,
    record_plan,
    unfinished_folder,
    wait_for_all,
)
from emocap.regions.extraction_report import ExtractionReport, read_report
from emocap.regions.extractors.base import Extractor
from emocap.regions.images import FORMATS, is_image_file
from emocap.regions.store.format import FeatureSource, is_complete
from emocap.regions.store.reader import FeatureStore
from emocap.regions.store.writer import IMAGES_PER_SHARD, require_free


def images_below(folder: Path) -> list[str]:
    """Relative paths of all images below a folder, sorted.

    Files with the extension of an image are taken as they are, so that damaged ones are reported; all others only if
    their content is that of an image. Files that macOS and Windows add are ignored.

    Raises:
        EmocapError: no such folder, or no images in it.
    """
    if not folder.is_dir():
        raise EmocapError(f"{folder}: no such folder; give the folder of the images")
    files = (path for path in folder.rglob("*") if path.is_file() and not is_system_file(path.relative_to(folder)))
    images = sorted(
        path.relative_to(folder).as_posix()
        for path in files
        if path.suffix.lower() in IMAGE_EXTENSIONS or is_image_file(path)
    )
    if not images:
        raise EmocapError(f"{folder}: holds no images ({', '.join(FORMATS)})")
    return images


def listed_images(names: Path, folder: Path) -> list[str]:
    """The images that a text file names, one a line, as paths relative to a folder where they lie below it.

    Names may be absolute, have spaces around, Windows separators or another spelling than their file
    (`emocap.corpora.image_names`). Names that cannot be a file below the folder stay as they are, for the report.

    Raises:
        EmocapError: `names` cannot be read or names nothing.
    """
    keys = []
    for line in read_text(names).split("\n"):
        try:
            keys.append(plain_image_name(line, folder))
        except ImageNameFault as fault:
            keys.append(fault.name.strip())
    if not any(keys):
        raise EmocapError(f"{names}: names no images; give their paths relative to {folder}, one per line")
    found = resolve_image_names(keys, folder)
    if found:
        name, real = next(iter(found.items()))
        logger.info(
            "%s: %d names in another spelling than their files, such as %s for %s", names, len(found), name, real
        )
    return [found.get(key, key) for key in keys]


def extract(
    images: Sequence[str],
    image_root: Path,
    extractor: Extractor,
    out: Path,
    workers: int | None = None,
    batch_size: int | None = None,
) -> ExtractionReport:
    """Describe images and write them to a store at `out`, in their order.

    Missing and unusable images are reported and do not stop the run. Until the store is finished, it is a hidden folder
    next to `out`; after an interruption the same call resumes. Under `torchrun` the processes divide the shards among
    themselves; all must see the same file system. The store of the grid extractor does not depend on the number of
    workers and processes; that of a network only up to rounding.

    Args:
        images: paths below `image_root`, the keys of the store; "" and duplicates are left out.
        workers: processes or threads that decode; None for one per core.
        batch_size: images described at once; None for the extractor's own.

    Raises:
        EmocapError: none of the images exists, `out` exists, another run is writing there or left something unfinished
            there, the store cannot be written, or a worker died.
    """
    for name, value in (("workers", workers), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise EmocapError(f"{name} is {value}, expected 1 or more")
    out = Path(os.path.abspath(out))  # noqa: PTH100  does not resolve a symbolic link
    require_new(out, Path(image_root))
    require_existing(images, Path(image_root))
    job = _job(images, Path(image_root), extractor, out, workers, batch_size or extractor.batch_size)
    try:
        with process_rank(job.folder) as (rank, world):
            if rank == 0:
                require_free(out)
                record_plan(job)
            wait_for_all(world)
            fill_shards(job, rank, world)
            wait_for_all(world)
            if rank == 0:
                finish_job(job, out)
            wait_for_all(world)
    except OSError as error:
        raise EmocapError(
            f"{out}: cannot be written ({error.strerror or error}); free space or choose a different path, "
            "then run the same command again"
        ) from error
    return read_report(out)


def require_new(out: Path, image_root: Path) -> None:
    """Require that a store can be written to `out`; what is wrong with a store that is there is said.

    Raises:
        EmocapError: it is a store, whose images may have changed since, a file, or a folder that is not empty.
    """
    if is_complete(out) and (changed := changed_images(FeatureStore.open(out), image_root)):
        raise EmocapError(
            f"{out}: a feature store exists there already, and {len(changed)} of its images, such as {changed[0]}, "
            "have changed since; delete it first to extract them again"
        )
    require_free(out)


def _job(
    images: Sequence[str], image_root: Path, extractor: Extractor, out: Path, workers: int | None, batch_size: int
) -> ExtractionJob:
    keys = [image for image in dict.fromkeys(images) if image]
    return ExtractionJob(
        folder=unfinished_folder(out),
        image_root=image_root,
        shards=[keys[start : start + IMAGES_PER_SHARD] for start in range(0, len(keys), IMAGES_PER_SHARD)] or [[]],
        extractor=extractor,
        source=FeatureSource(
            extractor.name,
            extractor.settings,
            extractor.weights_hash,
            extractor.dim,
            extractor.names,
            computed_in=extractor.computed_in,
        ),
        workers=workers,
        batch_size=batch_size,
    )
