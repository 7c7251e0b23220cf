"""An image in a JSON request: its file's bytes as base64, plain or as the `data:` URL that browsers make of a file."""

import base64
import binascii
from urllib.parse import unquote

# Beside image/...; browsers leave the type out or give this one where they do not know the file's extension.
_UNTYPED = ("", "application/octet-stream", "binary/octet-stream")
_URL_SAFE = str.maketrans("-_", "+/")


def image_bytes(text: str | None) -> bytes | None:
    """An image's bytes.

    Whitespace, percent-encoding (in a `data:` URL), the URL-safe alphabet and missing padding are accepted.

    Raises:
        ValueError: not base64, a `data:` URL of something else, or another URL, which is not fetched.

    >>> image_bytes("data:image/gif;base64,R0lGODlh") == image_bytes("R0lGODlh") == b"GIF89a"
    True
    """
    if text is None:
        return None
    start = text[:100].lstrip()[:5].lower()
    if start in ("http:", "https", "file:"):
        raise ValueError("is a URL; URLs are not fetched, send the file's bytes as base64")
    data = _data_of_url(text.lstrip()) if start == "data:" else text
    encoded = "".join(data.split()).translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64; send the file's bytes as base64") from None


def _data_of_url(url: str) -> str:
    header, comma, data = url.partition(",")
    media_type, *parameters = (part.strip().lower() for part in header[len("data:") :].split(";"))
    if not media_type.startswith("image/") and media_type not in _UNTYPED:
        raise ValueError(f"is a data: URL of {media_type[:60]}, expected one of an image")
    if "base64" not in parameters:
        raise ValueError("is a data: URL without base64; send the file's bytes as data:image/png;base64,...")
    if not comma:
        raise ValueError("is a data: URL that has no data; send the file's bytes as data:image/png;base64,...")
    return unquote(data) if "%" in data else data
