"""What a file is that is named where an image is expected, by its first bytes.

Left out: what Pillow reads, and formats that are rare in folders of images.
"""

import codecs

START_BYTES = 512
# Brands of the ISO base media format (ISO/IEC 14496-12), as registered at mp4ra.org.
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIF_BRANDS = frozenset((b"mif1", b"mif2", b"msf1"))  # the container, whatever codec is in it
_CONVERT = "convert it to JPEG or PNG"
_VIDEO = "a video; extract a frame of it"
_ERROR_PAGE = "such as an error message saved under the image's name; download it again"
_KINDS = (
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer; fetch the file itself with git lfs pull"),
    (b"/annex/objects/", "a git-annex pointer; fetch the file itself with git annex get"),
    (b"%PDF-", f"PDF; {_CONVERT}"),
    (b"%!PS", f"PostScript; {_CONVERT}"),
    (b"8BPS", f"a Photoshop document; {_CONVERT}"),
    (b"\xff\x0a", f"JPEG XL; {_CONVERT}"),
    (b"\x00\x00\x00\x0cJXL ", f"JPEG XL; {_CONVERT}"),
    (b"\x00\x00\x01\x00", f"an icon; {_CONVERT}"),
    (b"\x1a\x45\xdf\xa3", _VIDEO),  # Matroska, WebM
    (b"\x00\x00\x01\xba", _VIDEO),  # MPEG
    (b"\x00\x05\x16\x07", "metadata that macOS stores beside a file; remove it"),
    (b"PK\x03\x04", "a ZIP archive; unpack it"),
    (b"\x1f\x8b", "compressed with gzip; unpack it"),
    (b"\x93NUMPY", "a NumPy array; write it as PNG"),
)
_CONTROL_CHARACTERS = frozenset(map(chr, range(32))) - set("\t\n\f\r\x1b")


def is_heic(start: bytes) -> bool:
    """Whether a file that begins with these bytes is an image in HEIC, which telephones write, or another HEIF."""
    major, compatible = _brands(start)
    if major in _AVIF_BRANDS or (major in _HEIF_BRANDS and compatible & _AVIF_BRANDS):
        return False
    return major in _HEIC_BRANDS | _HEIF_BRANDS or bool(compatible & _HEIC_BRANDS)


def describe_bytes(start: bytes) -> str | None:
    """What a file is that Pillow does not read, and what to do about it; None if unknown.

    Args:
        start: the first `START_BYTES` of the file, or all of a shorter one.

    >>> describe_bytes(b"%PDF-1.7")
    'PDF; convert it to JPEG or PNG'
    """
    if not start:
        return "an empty file; copy or download it again"
    for prefix, kind in _KINDS:
        if start.startswith(prefix):
            return kind
    major, compatible = _brands(start)
    if (compatible | {major}) & _AVIF_BRANDS:
        return f"AVIF that this Pillow cannot read; install Pillow 11.3 or later, or {_CONVERT}"
    if major == b"crx ":
        return f"a raw file of a camera; {_CONVERT}"
    if major or start[4:8] in (b"moov", b"mdat", b"wide") or (start[:4], start[8:12]) == (b"RIFF", b"AVI "):
        return _VIDEO
    if not any(start):
        return "zeros, as an interrupted download leaves; download it again"
    return _text_kind(start)


def _brands(start: bytes) -> tuple[bytes, frozenset[bytes]]:
    """The major and the compatible brands of an ISO base media file; empty for others."""
    if start[4:8] != b"ftyp":
        return b"", frozenset()
    end = min(int.from_bytes(start[:4], "big"), len(start))
    return start[8:12], frozenset(start[at : at + 4] for at in range(16, end, 4))


def _text_kind(start: bytes) -> str | None:
    encoding = "utf-16" if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(start).strip().lower()  # may end within a character
    except UnicodeDecodeError:
        return None
    if _CONTROL_CHARACTERS & set(text):
        return None
    if "<svg" in text:
        return f"SVG; {_CONVERT}"
    if text.startswith("<!doctype html") or "<html" in text:
        return f"a web page (HTML), {_ERROR_PAGE}"
    if text.startswith(("<?xml", "{")):
        return f"{'XML' if text.startswith('<') else 'JSON'}, {_ERROR_PAGE}"
    return "text; replace or remove it"
