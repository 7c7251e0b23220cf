"""Files that are no images are named as what they are."""

import io
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from emocap.regions.file_kinds import START_BYTES, describe_bytes, is_heic


def media(major: bytes, *compatible: bytes) -> bytes:
    """The beginning of an ISO base media file of these brands."""
    size = 16 + 4 * len(compatible)
    return size.to_bytes(4, "big") + b"ftyp" + major + bytes(4) + b"".join(compatible) + b"\0\0\1\0meta" + bytes(200)


def zip_archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "text")
    return file.getvalue()


def array_file() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "Git LFS .*git lfs pull"),
        (b"/annex/objects/SHA256E-s1--ab.jpg\n", "git-annex"),
        (b"%PDF-1.4\n%\xe2\xe3", "PDF"),
        (b"<!DOCTYPE html>\n<html lang=en>", "web page .HTML.*download it again"),
        (b"\xef\xbb\xbf\r\n <HTML><head><title>404", "web page"),
        ("\ufeff<html>".encode("utf-16-le"), "web page"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "XML, such as an error message"),
        (b'{"error": "rate limit"}', "JSON, such as an error message"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg">', "SVG"),
        (b"<svg width='10'/>", "SVG"),
        ("Bild des Caf\u00e9s".encode(), "text"),
        (("x" * (START_BYTES - 1) + "\u00e9").encode()[:START_BYTES], "text"),  # cut within a character
        (media(b"isom", b"iso2", b"avc1", b"mp41"), "a video"),
        (media(b"qt  "), "a video"),
        (b"\0\0\0\x08wide\0\0\1\0mdat", "a video"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86", "a video"),
        (b"RIFF\x24\0\0\0AVI LIST", "a video"),
        (media(b"crx ", b"crx ", b"isom"), "raw file of a camera"),
        (media(b"avif", b"mif1", b"miaf"), "AVIF"),
        (media(b"mif1", b"avif", b"miaf"), "AVIF"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (zip_archive(), "ZIP"),
        (array_file(), "NumPy array"),
        (bytes(300), "zeros"),
    ],
)
def test_other_files_are_named(start, kind) -> None:
    described = describe_bytes(start[:START_BYTES])
    assert described is not None
    assert re.search(kind, described)
    assert "; " in described


@pytest.mark.parametrize(
    "start", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0\0\x10JFIF", b"\x01\x02\x03", b"caf\xe9 in Latin-1"]
)
def test_unknown_bytes_have_no_name(start) -> None:
    assert describe_bytes(start) is None


@pytest.mark.parametrize(
    "start",
    [
        media(b"heic", b"mif1", b"heic"),
        media(b"heix"),
        media(b"mif1", b"heic"),
        media(b"msf1", b"hevc"),
        media(b"MiHE", b"heic"),
    ],
)
def test_heic_is_recognised_by_brands(start) -> None:
    assert is_heic(start)
    assert is_heic(start[:16]) or start[8:12] == b"MiHE"


def test_other_media_are_no_heic() -> None:
    for start in (media(b"avif", b"mif1"), media(b"mif1", b"avif", b"miaf"), media(b"isom", b"mp42"), b"", b"ftypheic"):
        assert not is_heic(start)
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    assert not is_heic(file.getvalue())
