"""Decoding image files and bytes to upright RGB; embedded colour profiles are ignored."""

import contextlib
import functools
import importlib
import io
import stat
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from emocap.errors import EmocapError
from emocap.regions.file_kinds import START_BYTES, describe_bytes, is_heic

MAX_PIXELS = 100_000_000
# Left out: formats that call other programs (EPS), and those that photographs are not stored in.
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
HEIC_UNREADABLE = "an image in HEIC; install pillow-heif to read it, or convert it to JPEG or PNG"
HEIC_DAMAGED = "HEIC that cannot be decoded; copy or download it again, or convert it to JPEG or PNG"
_ORIENTATION = 0x0112
_limit_lock = threading.Lock()


class ImageFault(EmocapError):
    """An image that cannot be used.

    Attributes:
        reason: the error without the file name, the same text for the same type of error.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class ImageMissing(EmocapError):
    """There is no such file; a run continues without the image."""


def open_image(source: Path | bytes, max_pixels: int = MAX_PIXELS, at_least: int | None = None) -> Image.Image:
    """The image in RGB, rotated upright by its EXIF orientation and fully decoded.

    Transparent pixels are composited on white, an animation gives its first frame, and 16-bit, 32-bit and float
    greyscale is scaled to 8 bits.

    Args:
        source: a file, or the bytes of one.
        max_pixels: maximum number of pixels; checked in the header before any memory is allocated.
        at_least: shortest side in pixels that is sufficient; a larger JPEG may then be decoded at a half, a quarter or
            an eighth of its size, which is faster. `full_size` gives the size before that.

    Raises:
        ImageMissing: there is no such file.
        ImageFault: not an image, damaged, truncated, empty or too large.
    """
    where = f"image of {len(source):,} bytes" if isinstance(source, bytes) else str(source)
    with contextlib.closing(_open_file(source, where)) as file:
        # Damaged files raise nearly any exception in Pillow's decoders.
        try:
            start = file.read(START_BYTES)
            file.seek(0)
            with _pillow_limit(max_pixels):
                image = Image.open(file, formats=_formats_of(start))
        except UnidentifiedImageError:
            raise ImageFault(where, _unidentified_reason(start)) from None
        except Image.DecompressionBombError:
            raise ImageFault(where, _size_reason(max_pixels)) from None
        except Exception as error:
            raise ImageFault(where, _damage_reason(error)) from error
        width, height = image.size
        if width < 1 or height < 1:
            raise ImageFault(where, "an image without pixels; replace or remove it")
        if width * height > max_pixels:
            raise ImageFault(where, _size_reason(max_pixels))
        return _decode(image, where, at_least)


def is_image_file(path: Path) -> bool:
    """Whether a file is an image by its content; only its header is read.

    A TIFF counts only without an extension: raw files of cameras and of microscopes are TIFF under other extensions,
    and often only a thumbnail of them can be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(START_BYTES)
            if is_heic(start):
                return True
            file.seek(0)
            with _pillow_limit(MAX_PIXELS):
                return Image.open(file, formats=_readable_formats()).format != "TIFF" or not path.suffix
    except Image.DecompressionBombError:
        return True
    except Exception:  # damaged files raise nearly any exception in Pillow's decoders
        return False


def upright_rgb(image: Image.Image) -> Image.Image:
    """A Pillow image in upright RGB, the same as `open_image` gives for its file.

    Raises:
        ImageFault: damaged, truncated, closed or without pixels.
    """
    where = f"image of {image.width} x {image.height} pixels"
    if min(image.size) < 1:
        raise ImageFault(where, "an image without pixels; replace or remove it")
    return _decode(image, where, None)


def _decode(image: Image.Image, where: str, at_least: int | None) -> Image.Image:
    width, height = image.size
    try:
        if at_least is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (at_least, at_least))
        image.load()
        upright, sideways = _upright(image)
        rgb = _to_rgb(upright)
    except Exception as error:
        raise ImageFault(where, _damage_reason(error)) from error
    rgb = rgb.copy() if rgb is image else rgb
    rgb.info = {"full_size": (height, width) if sideways else (width, height)}
    return rgb


def full_size(image: Image.Image) -> tuple[int, int]:
    """Width and height in pixels of an upright image before `open_image` decoded it at a smaller size."""
    return image.info.get("full_size", image.size)


def _open_file(source: Path | bytes, where: str) -> IO[bytes]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        # Reading a pipe or device could block or never end.
        if not stat.S_ISREG(Path(source).stat().st_mode):
            raise ImageFault(where, "not a file; give the name of an image file")
        return Path(source).open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise ImageMissing(f"{where}: no such image") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ImageFault(where, f"cannot be read ({reason}); check its name and permissions") from error


@contextlib.contextmanager
def _pillow_limit(max_pixels: int) -> Iterator[None]:
    """Let Pillow refuse images far above our limit, and silence its warnings about those near it: we check these."""
    with _limit_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _size_reason(max_pixels: int) -> str:
    return f"more than {max_pixels:,} pixels; make it smaller"


def _damage_reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return "a part of it is larger than its header says; replace or remove it"
    if isinstance(error, MemoryError):
        return "needs more memory than available; make it smaller"
    if "truncated" in str(error).lower():
        return "truncated; copy or download it again"
    words = " ".join(str(error).split())[:120]
    return f"cannot be decoded ({words or type(error).__name__}); replace or remove it"


def _formats_of(start: bytes) -> tuple[str, ...]:
    return _heic_formats() if is_heic(start) else _readable_formats()


def _unidentified_reason(start: bytes) -> str:
    if is_heic(start):
        return HEIC_DAMAGED if _heic_formats() else HEIC_UNREADABLE
    kind = describe_bytes(start)
    if kind is not None:
        return f"not a readable image but {kind}"
    return f"not an image ({', '.join(FORMATS)}); replace or remove it"


@functools.cache
def _readable_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@functools.cache
def _heic_formats() -> tuple[str, ...]:
    """Pillow's name for HEIC, registered where pillow-heif is installed; else none."""
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError:
        return ()
    return ("HEIF",)


def _upright(image: Image.Image) -> tuple[Image.Image, bool]:
    """The image rotated by its EXIF orientation, and whether width and height were swapped."""
    with contextlib.suppress(Exception):  # an image with damaged EXIF is still usable
        orientation = int(image.getexif().get(_ORIENTATION, 1))
        if 2 <= orientation <= 8:
            return ImageOps.exif_transpose(image), orientation >= 5
    return image, False


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_to_eight_bits(image))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    # convert() returns the image itself if it is RGB already; a copy does not hold the file and its metadata.
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> np.ndarray:
    """(H, W) uint8 from 16-bit, 32-bit or float greyscale; values beyond 16 bits are scaled by the brightest pixel."""
    values = np.nan_to_num(np.asarray(image).astype(np.float32), posinf=0.0, neginf=0.0).clip(min=0.0)
    peak = float(values.max())
    if image.mode.startswith("I;16") or (image.mode == "I" and 255 < peak <= 65535):
        top = 65535.0
    elif image.mode == "F" and peak <= 1.0:
        top = 1.0
    else:
        top = 255.0 if peak <= 255 else peak
    return np.round(values * (255.0 / top)).astype(np.uint8)
