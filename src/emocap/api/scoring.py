"""The predictions of a saved model for a corpus of the user, with the features of its images."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from emocap.api.images import model_extractor
from emocap.api.model_folders import caption_refused
from emocap.api.remarks import remarks_on_model
from emocap.classifiers.base import Classifier, StoredFeatures
from emocap.classifiers.load import load_classifier
from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError
from emocap.files import scratch_folder
from emocap.progress import logger
from emocap.regions.extract import extract
from emocap.regions.extraction_report import log_rejected, require_described
from emocap.regions.store.reader import FeatureStore

CAPTION_ONLY = "; only their captions are scored"


def load_for_corpus(folder: Path) -> Classifier:
    """A model of any kind; what limits all its predictions is logged.

    Raises:
        EmocapError: as `load_classifier`.
    """
    classifier = load_classifier(folder)
    for remark in remarks_on_model(classifier.card):
        logger.warning("%s", remark.text)
    return classifier


@contextmanager
def image_features(
    model: Classifier,
    pairs: Pairs,
    scratch: Path,
    stored: Path | None,
    allow_other_features: bool,
    consequence: str = CAPTION_ONLY,
) -> Iterator[tuple[FeatureStore | None, dict[str, str]]]:
    """Region features, if the model uses them and there are images, and the faults of unreadable images.

    Args:
        scratch: existing folder in which features are stored for the time of the block.
        stored: feature store of the images; None extracts them.
        consequence: of an unreadable image, for warnings.

    Raises:
        EmocapError: images and a store are given, nothing can be written in `scratch`, no image can be used, or a model
            of images alone is given none.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise EmocapError("a corpus is scored in one process only; start it without torchrun")
    if not model.uses_captions and (not pairs.distinct_images() or (stored is None and pairs.image_root is None)):
        raise EmocapError(caption_refused(model.folder))
    with scratch_folder(scratch, "emocap-features") as folder:
        store, faults = None, {}
        if stored is not None:
            store = FeatureStore.open(stored)
            store.verify_before_use()
            model.require_features(store.fingerprint, store.header.dim, allow_other=allow_other_features)
            faults = dict.fromkeys(_absent(pairs, store, stored, consequence), f"no features in {stored}")
        elif model.uses_images and pairs.image_root is not None:
            extractor = model_extractor(model, allow_other=allow_other_features)
            path = folder / "features"
            report = extract(pairs.distinct_images(), pairs.image_root, extractor, path)
            log_rejected(report, consequence=consequence)
            require_described(report)
            faults = dict.fromkeys(report.missing, "no such image")
            faults |= {fault.where: fault.reason for fault in report.rejected}
            store = FeatureStore.open(path)
        elif model.uses_images:
            logger.warning("no --images: the model scores only the captions")
        elif pairs.image_root is not None:
            logger.warning(
                "the model was trained on captions only and ignores the %d images", len(pairs.distinct_images())
            )
        if store is not None and not len(pairs.distinct_images()):
            logger.warning("the data name no image: the model scores only the captions")
        yield store, faults


def _absent(pairs: Pairs, store: FeatureStore, where: Path, consequence: str) -> list[str]:
    """The images that a store has no features of; they are counted, and must not be all."""
    images = pairs.distinct_images()
    absent = [image for image in images if image not in store]
    if absent and len(absent) == len(images):
        raise EmocapError(
            f"{where}: contains no features of any of the {len(images):,} images that are named, such as {absent[0]}; "
            "its images must have the names that the data give them"
        )
    if absent:
        logger.warning(
            "%s: contains no features of %d of %d images, such as %s%s",
            where, len(absent), len(images), absent[0], consequence,
        )  # fmt: skip
    return absent


def corpus_outputs(model: Classifier, pairs: Pairs, store: FeatureStore | None) -> np.ndarray:
    """(N, E + R) float32 calibrated probabilities and ratings of N pairs, each from 0 to 1.

    A pair whose image has no features is scored without it; a model of images alone then knows nothing of it.
    """
    n_unseen = 0 if model.uses_captions else sum(store is None or image not in store for image in pairs.images)
    if n_unseen:
        text = "%d of %d pairs have no image to read; their predictions mean nothing, as the model learned images alone"
        logger.warning(text, n_unseen, len(pairs))
    return model.probabilities(StoredFeatures(store, pairs.images), pairs.captions, "scoring")
