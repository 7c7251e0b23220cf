"""Images that users give: the accepted types, decoding, and the extractor of a model's region features."""

from pathlib import Path

import numpy as np
from PIL import Image

from emocap.errors import EmocapError
from emocap.regions.describe import Prepared
from emocap.regions.extractors.base import Extractor, Regions
from emocap.regions.extractors.registry import EXTRACTORS, build_extractor
from emocap.regions.images import open_image, upright_rgb
from emocap.regions.store.format import feature_fingerprint
from emocap.training.checkpoint import SavedModel

ImageInput = str | Path | bytes | Image.Image | Prepared | Regions | None

THUMBNAIL_SIZE = (32, 32)
MIN_CONTRAST = 4  # of 255, in every channel
UNIFORM_IMAGE = "the image has a single colour; captions for it are not based on its content"


def is_uniform(image: Image.Image) -> bool:
    """Whether an RGB image has a single colour, so that it shows nothing."""
    return bool(np.ptp(np.asarray(image.resize(THUMBNAIL_SIZE)), axis=(0, 1)).max() < MIN_CONTRAST)


def load_image(image: ImageInput) -> Image.Image:
    """An upright RGB image.

    Raises:
        EmocapError: it cannot be read, or only its regions were given.
    """
    if image is None or isinstance(image, Prepared | Regions):
        raise EmocapError("a similarity needs the image itself; give its file")
    if isinstance(image, Image.Image):
        return upright_rgb(image)
    return open_image(Path(image) if isinstance(image, str) else image)


def model_extractor(saved: SavedModel, *, allow_other: bool = False) -> Extractor:
    """The extractor that computes region features as in the training of a model.

    Raises:
        EmocapError: the model uses no images, its features were imported, or the extractor has changed.
    """
    features = saved.card.features
    if features is None:
        raise EmocapError(f"{saved.folder}: was trained on captions only and cannot use an image; leave it out")
    if features["extractor"] not in EXTRACTORS:
        raise EmocapError(
            f"{saved.folder}: was trained on {features['extractor']} features, which emocap cannot compute from an "
            "image; give a store of such features, or captions only"
        )
    try:
        extractor = build_extractor(features["extractor"], features["settings"])
    except EmocapError as error:
        raise EmocapError(
            f"{saved.folder}: the extractor of its images is unavailable: {error}; restore its weights, or change "
            "their path in emocap.json there (features, settings, weights)"
        ) from error
    fingerprint = feature_fingerprint(extractor.name, extractor.settings, extractor.weights_hash, extractor.dim)
    saved.require_features(fingerprint, extractor.dim, allow_other=allow_other)
    return extractor
