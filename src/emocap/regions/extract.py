"""From image files to a store of region features, over all CPU cores."""

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import joblib
import numpy as np
from joblib.externals.loky.process_executor import TerminatedWorkerError
from PIL import Image

from emocap.corpora.pairs import Quarantined
from emocap.errors import EmocapError
from emocap.files import read_json, write_json
from emocap.progress import logger, track
from emocap.regions.grid import GridExtractor
from emocap.regions.images import ImageFault, ImageMissing, full_size, open_image
from emocap.regions.store import write_store

IMAGES_PER_BATCH = 16
# Starting a worker takes about as long as describing this many images.
IMAGES_PER_WORKER = 128
REPORT = "report.json"


class Extractor(Protocol):
    """Finds regions in an image and describes each by `dim` numbers.

    One that is costly to send to a worker process defines `__reduce__` so that it is built there from its settings.

    Attributes:
        name: its key in `EXTRACTORS`.
        settings: JSON-able; `build_extractor(name, settings)` makes the same extractor again.
        dim: numbers per region.
        weights_hash: of its weights; "" where it has none.
        at_least: shortest side in pixels that it needs to see; None where it wants every pixel.
    """

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> dict[str, Any]: ...
    @property
    def dim(self) -> int: ...
    @property
    def weights_hash(self) -> str: ...
    @property
    def at_least(self) -> int | None: ...

    def describe(self, image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
        """Features (R, dim) float32 and boxes_xyxy (R, 4) float32 in pixels of `image`, an upright RGB image."""
        ...


EXTRACTORS: dict[str, Callable[..., Extractor]] = {"grid": GridExtractor}


class Regions(NamedTuple):
    """The regions of one image.

    Attributes:
        features: (R, dim) float32.
        boxes_xyxy: (R, 4) float32, in pixels of the upright image at full size.
        size: width and height of that image in pixels.
    """

    features: np.ndarray
    boxes_xyxy: np.ndarray
    size: tuple[int, int]


@dataclass(frozen=True)
class ExtractionReport:
    """What became of the images of a run; `report.json` in the store holds it.

    Attributes:
        n_images: images that were described.
        missing: images without a file.
        quarantined: images that cannot be used, and why.
    """

    n_images: int
    missing: list[str]
    quarantined: list[Quarantined]


def build_extractor(name: str, settings: Mapping[str, Any] | None = None) -> Extractor:
    """The extractor of this name; settings left out have its defaults.

    Raises:
        EmocapError: an unknown name, or a setting that is unknown or out of range.
    """
    if name not in EXTRACTORS:
        raise EmocapError(f"extractor is {name!r}, expected one of {', '.join(EXTRACTORS)}")
    maker = EXTRACTORS[name]
    known = list(inspect.signature(maker).parameters)
    unknown = [key for key in settings or {} if key not in known]
    if unknown:
        raise EmocapError(f"extractor {name}: unknown setting {unknown[0]!r}, expected some of {', '.join(known)}")
    return maker(**(settings or {}))


def describe_source(source: Path | bytes, extractor: Extractor) -> Regions:
    """The regions of an image file or of its bytes, the same as a store holds for it.

    Raises:
        ImageMissing: there is no such file.
        ImageFault: the image cannot be used.
    """
    image = open_image(source, at_least=extractor.at_least)
    size = full_size(image)
    features, boxes_xyxy = extractor.describe(image)
    scale = np.array([size[0] / image.width, size[1] / image.height] * 2, dtype=np.float32)
    return Regions(features, boxes_xyxy * scale, size)


def extract(
    images: Sequence[str], image_root: Path, extractor: Extractor, out: Path, workers: int | None = None
) -> ExtractionReport:
    """Describe images and write them to a store at `out`, in their order.

    An image that has no file is recorded, one that cannot be used is quarantined; neither stops the run. The number of
    workers does not change a byte of the store.

    Args:
        images: paths below `image_root`, the keys of the store; "" and repeated ones are left out.
        workers: processes; None for one per core where there are enough images, 1 for this process alone.

    Raises:
        EmocapError: the store cannot be written, a worker died, or a feature is not finite.
    """
    if workers is not None and workers < 1:
        raise EmocapError(f"workers is {workers}, expected 1 or more")
    keys = [image for image in dict.fromkeys(images) if image]
    image_root = Path(image_root)
    missing: list[str] = []
    quarantined: list[Quarantined] = []
    with write_store(out, extractor.name, extractor.settings, extractor.weights_hash, extractor.dim) as writer:
        n_workers = workers or max(1, min(joblib.cpu_count(), len(keys) // IMAGES_PER_WORKER))
        outcomes = track(_outcomes(keys, image_root, extractor, n_workers), "features", len(keys), "images")
        n_images = 0
        for key, outcome in zip(keys, outcomes, strict=True):
            if outcome is None:
                missing.append(key)
            elif isinstance(outcome, Quarantined):
                quarantined.append(outcome)
            else:
                writer.add(key, *outcome)
                n_images += 1
        report = ExtractionReport(n_images, missing, quarantined)
        write_json(writer.folder / REPORT, asdict(report))
    return report


def tell_faults(report: ExtractionReport, where: str = "") -> None:
    """Log how many images are missing or set aside, with the first of each."""
    if report.missing:
        logger.warning(
            "%s%d images missing, such as %s: captions alone there", where, len(report.missing), report.missing[0]
        )
    if report.quarantined:
        first = report.quarantined[0]
        logger.warning(
            "%s%d images set aside, such as %s: %s", where, len(report.quarantined), first.where, first.reason
        )


def read_report(store: Path) -> ExtractionReport:
    """The report of the run that wrote the store in this folder.

    Raises:
        EmocapError: there is none, or it is damaged.
    """
    where = Path(store) / REPORT
    found = read_json(where)
    try:
        quarantined = [Quarantined(**row) for row in found["quarantined"]]
        return ExtractionReport(int(found["n_images"]), list(found["missing"]), quarantined)
    except (KeyError, TypeError, ValueError) as error:
        raise EmocapError(f"{where}: damaged ({error}); extract the features again") from None


def _outcomes(
    keys: list[str], image_root: Path, extractor: Extractor, n_workers: int
) -> Iterator[Regions | Quarantined | None]:
    if n_workers == 1:
        yield from (_outcome(key, image_root, extractor) for key in keys)
        return
    batches = [keys[start : start + IMAGES_PER_BATCH] for start in range(0, len(keys), IMAGES_PER_BATCH)]
    parallel = joblib.Parallel(n_jobs=n_workers, return_as="generator", batch_size=1)
    try:
        for batch in parallel(joblib.delayed(_described)(batch, image_root, extractor) for batch in batches):
            yield from batch
    except TerminatedWorkerError as error:
        raise EmocapError(
            f"features: a worker process died, most likely for want of memory; use fewer than {n_workers} workers"
        ) from error


def _described(keys: list[str], image_root: Path, extractor: Extractor) -> list[Regions | Quarantined | None]:
    return [_outcome(key, image_root, extractor) for key in keys]


def _outcome(key: str, image_root: Path, extractor: Extractor) -> Regions | Quarantined | None:
    if Path(key).is_absolute() or ".." in Path(key).parts:
        return Quarantined(key, "points outside the image folder")
    try:
        with warnings.catch_warnings():
            # Decoders warn of every oddity in a file that they then read well.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            return describe_source(image_root / key, extractor)
    except ImageMissing:
        return None
    except ImageFault as fault:
        return Quarantined(key, fault.reason)
