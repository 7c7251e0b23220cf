"""Region features of a table's images, by the best extractor that needs no network."""

from pathlib import Path

from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError
from emocap.progress import logger
from emocap.regions.extract import extract
from emocap.regions.extraction_report import log_rejected, require_described
from emocap.regions.extractors.base import Extractor
from emocap.regions.extractors.registry import build_extractor, extractor_and_settings
from emocap.regions.store.reader import FeatureStore

EXTRACTOR, SETTINGS = "timm:tf_efficientnet_lite2", {"rows": 3, "columns": 3, "power": 0.5}


def extracted_features(pairs: Pairs, out: Path) -> tuple[FeatureStore, list[str]]:
    """A store of the features of every image that can be read, and remarks on the others.

    Raises:
        EmocapError: none of the images exists or can be read.
    """
    assert pairs.image_root is not None, "there are images"
    extractor, remarks = _extractor()
    report = extract(pairs.distinct_images(), pairs.image_root, extractor, out)
    log_rejected(report, consequence="; their captions are used alone")
    require_described(report)
    n_lost = len(report.missing) + len(report.rejected)
    if n_lost:
        first = report.missing[0] if report.missing else report.rejected[0].where
        remarks.append(f"{n_lost:,} images missing or unreadable, such as {first}; their captions are used alone")
    return FeatureStore.open(out), remarks


def _extractor() -> tuple[Extractor, list[str]]:
    try:
        return build_extractor(*extractor_and_settings(EXTRACTOR, SETTINGS)), []
    except EmocapError as error:
        logger.warning("train: %s; images are described by colours and edges instead", error)
        return build_extractor("grid", {}), [f"images are described by colours and edges alone ({error})"]
