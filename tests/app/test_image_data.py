"""Images in JSON requests: base64 and `data:` URLs as browsers, scripts and forms write them."""

import base64

import pytest

from emocap.app.image_data import image_bytes

IMAGE = bytes(range(248, 256)) * 4 + b"?>"  # gives + and / in base64, and padding
CODED = base64.b64encode(IMAGE).decode()
URL_SAFE = base64.urlsafe_b64encode(IMAGE).decode()


@pytest.mark.parametrize(
    "text",
    [
        CODED,
        f" {CODED[:20]}\r\n\t{CODED[20:]}\n",
        CODED.rstrip("="),
        URL_SAFE,
        f"data:image/png;base64,{CODED}",
        f"  DATA:Image/PNG;Base64,\n{CODED[:40]}\n{CODED[40:]}",
        f"data:image/jpeg;charset=utf-8;base64,{CODED}",
        f"data:image/png;name=a dog.png;base64,{CODED}",
        f"data:;base64,{CODED}",
        f"data:application/octet-stream;base64,{CODED}",
        f"data:image/webp;base64,{URL_SAFE.rstrip('=')}",
        "data:image/png;base64," + CODED.replace("=", "%3D").replace("+", "%2B").replace("/", "%2f"),
    ],
)
def test_spellings_of_one_image_are_its_bytes(text) -> None:
    assert set("+/=") < set(CODED)
    assert image_bytes(text) == IMAGE


def test_no_image_stays_none() -> None:
    assert image_bytes(None) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://example.org/a.png", "is a URL; URLs are not fetched"),
        (" HTTP://example.org/a.png", "is a URL; URLs are not fetched"),
        ("file:///etc/passwd", "is a URL; URLs are not fetched"),
        ("data:text/html;base64,PGI+", "is a data: URL of text/html, expected one of an image"),
        ("data:application/pdf;base64,AAAA", "is a data: URL of application/pdf"),
        ("data:image/svg+xml,%3Csvg/%3E", "without base64"),
        ("data:image/png;base64", "has no data"),
        ("data:image/png;base64,!!!!", "is not base64"),
        ("AAAAA", "is not base64"),
        ("AA=A", "is not base64"),
        ("caf\u00e9", "is not base64"),
    ],
)
def test_other_text_is_refused(text, message) -> None:
    with pytest.raises(ValueError, match=message):
        image_bytes(text)


def test_long_media_type_is_cut() -> None:
    with pytest.raises(ValueError, match="is a data: URL of") as caught:
        image_bytes("data:" + "x" * 10_000 + ";base64,AAAA")
    assert len(str(caught.value)) < 200
