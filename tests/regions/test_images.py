"""Decoding: images of every format become upright RGB, and unusable ones are reported in one line."""

import io
import struct
import sys
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from emocap.errors import EmocapError
from emocap.regions import images
from emocap.regions.images import ImageFault, ImageMissing, full_size, is_image_file, open_image

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")


def saved(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png_header(width, height):
    """A PNG of zeros with `width` x `height` in its header, truncated after the first bytes of data."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "CMYK", "YCbCr", "RGBA", "LA", "I;16", "I", "F"])
def test_white_stays_white_in_every_mode(mode):
    if mode == "I;16":
        image = Image.fromarray(np.full((3, 5), 65535, np.uint16))
    elif mode == "I":
        image = Image.fromarray(np.full((3, 5), 65535, np.int32))
    elif mode == "F":
        image = Image.fromarray(np.ones((3, 5), np.float32))
    else:
        image = Image.new("RGB", (5, 3), "white").convert(mode)
    form = "TIFF" if mode in {"CMYK", "YCbCr", "I", "F"} else "PNG"
    # Pillow 12 does not read back the YCbCr TIFF that it writes without compression.
    options = {"compression": "tiff_lzw"} if mode == "YCbCr" else {}
    opened = open_image(saved(image, form, **options))
    assert opened.mode == "RGB"
    assert opened.size == full_size(opened) == (5, 3)
    assert np.asarray(opened).min() >= 254


def test_sixteen_bits_are_scaled_not_clipped():
    levels = np.array([[0, 257 * 10, 257 * 128, 65535]], np.uint16)
    assert np.asarray(open_image(saved(Image.fromarray(levels))))[0, :, 0].tolist() == [0, 10, 128, 255]


def test_dark_sixteen_bit_image_stays_dark():
    assert np.asarray(open_image(saved(Image.fromarray(np.full((4, 4), 200, np.uint16))))).max() <= 1


def test_reads_float_with_nan_and_infinity():
    values = np.array([[0.0, 0.5, 1.0, np.nan, np.inf, -3.0]], np.float32)
    pixels = np.asarray(open_image(saved(Image.fromarray(values), "TIFF")))[0, :, 0]
    assert pixels.tolist() == [0, 128, 255, 0, 0, 0]


def test_transparency_is_composited_on_white():
    clear = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    half = Image.new("RGBA", (2, 2), (0, 0, 0, 128))
    assert open_image(saved(clear)).getpixel((0, 0)) == (255, 255, 255)
    assert open_image(saved(half)).getpixel((0, 0)) == (127, 127, 127)


def test_transparent_palette_colour_becomes_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    opened = open_image(saved(image, transparency=0))
    assert [opened.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (40, 50, 60)]


def test_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    opened = open_image(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert opened.getpixel((1, 1)) == (255, 0, 0)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_exif_orientation_rotates_image_upright(form):
    image = Image.new("RGB", (32, 16), "black")
    image.paste("white", (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6
    opened = open_image(saved(image, form, exif=exif))
    assert opened.size == full_size(opened) == (16, 32)
    assert opened.getpixel((8, 4))[0] > 250
    assert opened.getpixel((8, 28))[0] < 5


def test_reads_image_with_damaged_exif():
    data = saved(Image.new("RGB", (8, 8)), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert open_image(data).size == (8, 8)


def test_large_jpeg_is_decoded_at_sufficient_size():
    exif = Image.Exif()
    exif[0x0112] = 8
    data = saved(Image.new("RGB", (800, 640)), "JPEG", exif=exif)
    opened = open_image(data, at_least=150)
    assert opened.size == (160, 200)
    assert full_size(opened) == (640, 800)
    assert open_image(data, at_least=700).size == (640, 800)


def test_text_file_named_jpg_is_a_fault(tmp_path):
    file = tmp_path / "photo.jpg"
    file.write_text("not a photograph")
    with pytest.raises(ImageFault, match=r"photo\.jpg: not a readable image but text") as fault:
        open_image(file)
    assert fault.value.reason == "not a readable image but text; replace or remove it"
    assert isinstance(fault.value, EmocapError)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
def test_truncated_file_is_a_fault(form):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = saved(noise, form)
    for keep in (len(data) // 2, 30, 3):
        with pytest.raises(ImageFault) as fault:
            open_image(data[:keep])
        assert "\n" not in str(fault.value)


def test_damaged_bytes_raise_only_image_fault():
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    for form in ("JPEG", "PNG", "GIF", "TIFF", "BMP"):
        data = saved(noise, form)
        for _ in range(60):
            damaged = bytearray(data)
            for place in rng.integers(0, len(data), 4):
                damaged[place] = rng.integers(0, 256)
            try:
                assert open_image(bytes(damaged), max_pixels=1_000_000).mode == "RGB"
            except ImageFault:
                continue


@pytest.mark.parametrize("size", [(20_000, 15_000), (12_000, 10_000)])
def test_refuses_too_many_pixels_before_allocating(size):
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageFault, match="more than 100,000,000 pixels; make it smaller"):
            open_image(png_header(*size))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def test_pixel_limit_is_independent_of_pillow(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_image(saved(Image.new("RGB", (20, 20))), max_pixels=400).size == (20, 20)
    assert Image.MAX_IMAGE_PIXELS == 10
    with pytest.raises(ImageFault, match="more than 399 pixels"):
        open_image(saved(Image.new("RGB", (20, 20))), max_pixels=399)


def test_empty_images_are_faults():
    for data in (png_header(0, 5), b""):
        with pytest.raises(ImageFault):
            open_image(data)


def test_missing_image_is_not_a_fault(tmp_path):
    (tmp_path / "file").write_text("x")
    for name in ("no.jpg", "no/such.jpg", "file/below.jpg"):
        with pytest.raises(ImageMissing, match="no such image"):
            open_image(tmp_path / name)
    assert not issubclass(ImageMissing, ImageFault)


def test_irregular_file_is_a_fault(tmp_path):
    with pytest.raises(ImageFault, match="not a file"):
        open_image(tmp_path)
    for name in ("a" * 5000, "nul\0"):
        with pytest.raises(ImageFault, match="cannot be read"):
            open_image(tmp_path / name)


HEIC = bytes.fromhex("00000018") + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(100)


@pytest.fixture
def heic_plugin(monkeypatch):
    """Makes pillow-heif look installed: its opener registers a decoder of red images."""

    class Opened(ImageFile.ImageFile):
        format = "HEIF"

        def _open(self):
            if len(self.fp.read()) > 200:
                raise ValueError("broken")
            self._size, self._mode = (20, 10), "RGB"

        def load(self):
            self.im = Image.new("RGB", self.size, "red").im
            return Image.Image.load(self)

    class PillowHeif:
        @staticmethod
        def register_heif_opener():
            Image.register_open("HEIF", Opened)

    monkeypatch.setitem(sys.modules, "pillow_heif", PillowHeif)
    images._heic_formats.cache_clear()
    yield
    images._heic_formats.cache_clear()
    Image.OPEN.pop("HEIF", None)
    Image.ID.remove("HEIF")


@pytest.fixture
def no_heic_plugin(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    images._heic_formats.cache_clear()
    yield
    images._heic_formats.cache_clear()


def test_heic_is_named_without_its_decoder(no_heic_plugin):
    with pytest.raises(ImageFault, match="an image in HEIC; install pillow-heif to read it, or convert it"):
        open_image(HEIC)


def test_heic_is_read_with_its_decoder(heic_plugin):
    opened = open_image(HEIC, at_least=5)
    assert (opened.mode, opened.size, opened.getpixel((0, 0))) == ("RGB", (20, 10), (255, 0, 0))
    with pytest.raises(ImageFault, match="more than 199 pixels"):
        open_image(HEIC, max_pixels=199)
    with pytest.raises(ImageFault, match="cannot be decoded"):
        open_image(HEIC + bytes(200))


def test_real_heic_is_read(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.new("RGB", (64, 32), "red")).save(tmp_path / "photo.jpg")
    assert open_image(tmp_path / "photo.jpg").size == (64, 32)
    assert open_image(tmp_path / "photo.jpg").getpixel((5, 5))[0] > 240
    with pytest.raises(ImageFault, match="HEIC"):
        open_image((tmp_path / "photo.jpg").read_bytes()[:-60])


def test_images_are_recognised_by_content(tmp_path):
    image = Image.new("RGB", (8, 8), "red")
    contents = {form: saved(image, form) for form in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")}
    contents |= {
        "heic": HEIC,
        "huge": png_header(50_000, 50_000),
        "a.53": contents["PNG"],
        "b.jpg_large": contents["JPEG"],
    }
    others = {"text": b"BM P6 GIF", "empty": b"", "raw.nef": contents["TIFF"], "pdf": b"%PDF-1.7", "zeros": bytes(99)}
    for name, content in (contents | others).items():
        (tmp_path / name).write_bytes(content)
    assert [name for name in contents if not is_image_file(tmp_path / name)] == []
    assert [name for name in others if is_image_file(tmp_path / name)] == []
    assert not is_image_file(tmp_path / "absent")
