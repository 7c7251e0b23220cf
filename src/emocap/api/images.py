"""Images that users give: the accepted types, decoding, and the extractor of a model's region features."""

import os
import re
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from emocap.api.model_folders import image_refused
from emocap.classifiers.base import Classifier
from emocap.errors import EmocapError
from emocap.regions.describe import Prepared
from emocap.regions.extractors.base import Extractor, Regions
from emocap.regions.extractors.registry import EXTRACTORS, build_extractor
from emocap.regions.images import open_image, upright_rgb
from emocap.regions.store.format import feature_fingerprint


class BinaryFile(Protocol):
    """An open file or stream, such as `open(path, "rb")` and `io.BytesIO`."""

    def read(self) -> bytes:
        """The rest of its bytes."""


# What `image_source` turns into a file, its bytes or a Pillow image.
ImageSource = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryFile | np.ndarray | Image.Image
ImageInput = ImageSource | Prepared | Regions | None

THUMBNAIL_SIZE = (32, 32)
CHANNELS = (1, 3, 4)
MIN_CONTRAST = 4  # of 255, in every channel
UNIFORM_IMAGE = "the image has a single colour; captions for it are not based on its content"


def is_uniform(image: Image.Image) -> bool:
    """Whether an RGB image has a single colour, so that it shows nothing."""
    return bool(np.ptp(np.asarray(image.resize(THUMBNAIL_SIZE)), axis=(0, 1)).max() < MIN_CONTRAST)


def image_source(image: ImageSource) -> Path | bytes | Image.Image:
    """An image that a user gives, as a file, the bytes of one, or a Pillow image.

    Args:
        image: a path; bytes of an image file; a binary file object, read from its beginning if it can be rewound; a
            Pillow image of any mode; or an array of uint8 in RGB (H, W, 3), RGBA (H, W, 4) or grey (H, W) or (H, W, 1).
            OpenCV gives BGR, which cannot be told from RGB: reverse its channels by `array[..., ::-1]`.

    Raises:
        EmocapError: anything else, such as arrays of floats, whose range is not known.
    """
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, str | os.PathLike):
        return _path(os.fspath(image))
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, np.ndarray):
        return _image_of_array(image)
    if callable(getattr(image, "read", None)):
        return _content(image)
    if isinstance(image, torch.Tensor):
        raise EmocapError(
            f"image is a tensor of shape {tuple(image.shape)}; give an array of uint8 (height, width, 3), for floats "
            "from 0 to 1 by (tensor * 255).round().byte().permute(1, 2, 0).cpu().numpy()"
        )
    raise EmocapError(
        f"image is {type(image).__name__}, expected a file name, a file's bytes, an open binary file, a Pillow image "
        "or an array of uint8 (height, width, 3) in RGB"
    )


def read_once(image: ImageInput) -> ImageInput:
    """The same image in a form that can be used several times, which an open file cannot.

    Raises:
        EmocapError: as `image_source`.
    """
    return image if image is None or isinstance(image, Prepared | Regions) else image_source(image)


def _path(name: Any) -> Path:
    name = os.fsdecode(name)
    if re.match(r"[a-z][a-z0-9+.-]+://", name, re.IGNORECASE):
        raise EmocapError(f"image {name[:100]!r} is a web address; emocap fetches none, give a file or its bytes")
    if name[:5].lower() == "data:":
        raise EmocapError("image is a data: URL; give the file's bytes, base64.b64decode(url.partition(',')[2])")
    return Path(name)


def _content(file: Any) -> bytes:
    try:
        if callable(getattr(file, "seekable", None)) and file.seekable():
            file.seek(0)
        content = file.read()
    except (OSError, ValueError) as error:  # ValueError: closed
        raise EmocapError(f"image of an open file: cannot be read ({error}); open it again") from error
    if not isinstance(content, bytes | bytearray):
        raise EmocapError(
            f"image of an open file: gives {type(content).__name__}, expected bytes; open it with mode 'rb'"
        )
    return bytes(content)


def _image_of_array(array: np.ndarray) -> Image.Image:
    where = f"image is an array of {array.dtype} and shape {array.shape}"
    expected = "expected uint8 and (height, width, 3) in RGB, (height, width, 4) in RGBA or (height, width) in grey"
    if array.dtype != np.uint8:
        advice = "; floats from 0 to 1 by (array * 255).round().astype(np.uint8)" if array.dtype.kind == "f" else ""
        raise EmocapError(f"{where}, {expected}{advice}")
    if array.ndim == 3 and array.shape[2] not in CHANNELS and array.shape[0] in CHANNELS:
        raise EmocapError(f"{where}, {expected}; move the channels to the end by array.transpose(1, 2, 0)")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in CHANNELS):
        raise EmocapError(f"{where}, {expected}; give one image at a time")
    if not array.size:
        raise EmocapError(f"{where}: an image without pixels; leave it out")
    plain = np.ascontiguousarray(array)
    return Image.fromarray(plain[:, :, 0] if plain.ndim == 3 and plain.shape[2] == 1 else plain)


def load_image(image: ImageInput) -> Image.Image:
    """An upright RGB image.

    Raises:
        EmocapError: it cannot be read, or only its regions were given.
    """
    if image is None or isinstance(image, Prepared | Regions):
        raise EmocapError("a similarity needs the image itself; give its file")
    source = image_source(image)
    return upright_rgb(source) if isinstance(source, Image.Image) else open_image(source)


def model_extractor(classifier: Classifier, *, allow_other: bool = False) -> Extractor:
    """The extractor that computes region features as in the training of a model.

    Raises:
        EmocapError: the model uses no images, its features were imported, or the extractor has changed.
    """
    features = classifier.card.features
    if features is None:
        raise EmocapError(image_refused(classifier.folder))
    if features["extractor"] not in EXTRACTORS:
        raise EmocapError(
            f"{classifier.folder}: was trained on {features['extractor']} features, which emocap cannot compute from "
            "an image; give a store of such features, or captions only"
        )
    try:
        extractor = build_extractor(features["extractor"], features["settings"])
    except EmocapError as error:
        raise EmocapError(
            f"{classifier.folder}: the extractor of its images is unavailable: {error}; restore its weights, or change "
            "their path in emocap.json there (features, settings, weights)"
        ) from error
    fingerprint = feature_fingerprint(extractor.name, extractor.settings, extractor.weights_hash, extractor.dim)
    classifier.require_features(fingerprint, extractor.dim, allow_other=allow_other)
    return extractor
