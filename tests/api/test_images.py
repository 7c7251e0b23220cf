"""Images as programs have them: all accepted forms of one give the same pixels, all others one EmocapError."""

import io
import os

import numpy as np
import pytest
import torch
from PIL import Image

from emocap import EmocapError
from emocap.api.images import image_source, load_image, read_once


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def png(image: Image.Image, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def test_all_forms_give_the_same_pixels(pixels, tmp_path) -> None:
    image = Image.fromarray(pixels)
    written = io.BytesIO()
    image.save(written, "PNG")  # its position is at the end
    path = tmp_path / "a.png"
    path.write_bytes(png(image))
    with path.open("rb") as file, path.open("rb", buffering=0) as unbuffered:
        forms = [
            path, str(path), os.fsencode(path).decode(), png(image), bytearray(png(image)), memoryview(png(image)),
            written, file, unbuffered, image, pixels, np.asfortranarray(pixels), pixels[:, ::-1][:, ::-1],
        ]  # fmt: skip
        for form in forms:
            np.testing.assert_array_equal(np.asarray(load_image(form)), pixels)


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 1), (7, 5, 3), (7, 5, 4), (3, 5), (4, 4, 4)])
def test_arrays_equal_their_image_in_a_file(shape) -> None:
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    saved = Image.fromarray(array[:, :, 0] if shape[2:] == (1,) else array)
    np.testing.assert_array_equal(np.asarray(load_image(array)), np.asarray(load_image(png(saved))))


def test_pillow_images_of_every_mode_are_read() -> None:
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "LA", "PA", "RGBX", "RGBa", "I;16"):
        image = Image.new(mode, (5, 3))
        assert (load_image(image).mode, load_image(image).size) == ("RGB", (5, 3)), mode


def test_orientation_of_open_files_is_honoured(pixels) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = png(Image.fromarray(pixels), exif=exif)
    with Image.open(io.BytesIO(data)) as opened:
        forms = [load_image(form) for form in (data, io.BytesIO(data), opened)]
    assert {form.size for form in forms} == {(40, 60)}
    assert len({form.tobytes() for form in forms}) == 1


def test_stream_is_read_once(pixels) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "wb") as file:
        file.write(png(Image.fromarray(pixels[:4, :4])))
    with os.fdopen(read, "rb") as stream:
        image = read_once(stream)
    for _ in range(2):
        np.testing.assert_array_equal(np.asarray(load_image(image)), pixels[:4, :4])
    assert read_once(None) is None


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 3)), r"array of float64 and shape \(4, 4, 3\), expected uint8 .*\(array \* 255\)"),
        (np.zeros((4, 4, 3), np.float16), r"\.astype\(np\.uint8\)"),
        (np.zeros((4, 4), bool), "array of bool"),
        (np.zeros((4, 4), np.uint16), "array of uint16"),
        (np.zeros((4, 4, 3), object), "array of object"),
        (np.zeros((3, 8, 8), np.uint8), r"move the channels to the end by array\.transpose\(1, 2, 0\)"),
        (np.zeros((1, 8, 8), np.uint8), "move the channels"),
        (np.zeros((2, 8, 8, 3), np.uint8), "give one image at a time"),
        (np.zeros((8, 8, 2), np.uint8), "expected uint8 and"),
        (np.zeros(8, np.uint8), "expected uint8 and"),
        (np.uint8(3)[None].reshape(()), "expected uint8 and"),
        (np.zeros((0, 8, 3), np.uint8), "without pixels"),
        (np.zeros((8, 0), np.uint8), "without pixels"),
    ],
)
def test_other_arrays_are_refused(array, message) -> None:
    with pytest.raises(EmocapError, match=message) as caught:
        image_source(array)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(3, 4, 4), r"tensor of shape \(3, 4, 4\); give an array .*permute\(1, 2, 0\)"),
        (3, "image is int, expected a file name"),
        ([[1, 2], [3, 4]], "image is list"),
        (io.StringIO("text"), "gives str, expected bytes; open it with mode 'rb'"),
        (io.BytesIO(b""), "image of 0 bytes: not a readable image but an empty file"),
        ("https://example.org/a.png", "is a web address; emocap fetches none"),
        ("data:image/png;base64,AAAA", "is a data: URL"),
    ],
)
def test_other_objects_are_refused(image, message) -> None:
    with pytest.raises(EmocapError, match=message):
        load_image(image)


def test_closed_file_is_refused(pixels) -> None:
    file = io.BytesIO(png(Image.fromarray(pixels)))
    file.close()
    with pytest.raises(EmocapError, match="open it again"):
        load_image(file)
