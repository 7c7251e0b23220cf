"""Any input gets a response: never a server error, errors in one sentence, and the server goes on."""

import base64
import io
import json
import math
import struct
import time
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

PATHS = ("/v1/predict", "/v1/rank", "/v1/explain", "/v1/caption")


@pytest.fixture
def client(serving):
    return serving(bytes=2_000_000, pixels=1_000_000)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def image_file(kind="PNG", size=(20, 10)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, kind)
    return buffer.getvalue()


def png_of(width: int, height: int, data: bytes) -> bytes:
    """A PNG whose header has this size, with these bytes as its compressed rows."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


BAD_IMAGES = {
    "nothing": b"",
    "text": b"hello",
    "a script": b"#!/bin/sh\nrm -rf /\n",
    "zeros": bytes(1000),
    "half an image": image_file("JPEG")[:200],
    "the beginning of an image": image_file()[:30],
    "a bomb by its header": png_of(50_000, 50_000, zlib.compress(b"")),
    "a bomb by its rows": png_of(1500, 1500, zlib.compress(bytes(1500 * 4501))),
    "rows that are missing": png_of(900, 900, zlib.compress(b"")),
    "no columns": png_of(0, 10, zlib.compress(b"")),
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://example.org/a.png"/></svg>',
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/etc/passwd) run\n",
    "PDF": b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n",
    "a ZIP": b"PK\x03\x04" + bytes(60),
}


@pytest.mark.parametrize("name", list(BAD_IMAGES))
@pytest.mark.parametrize("path", PATHS)
def test_bad_image_is_422_with_one_sentence(client, name, path) -> None:
    request = {"image": encoded(BAD_IMAGES[name])}
    request |= {"emotions": ["sad"]} if path in ("/v1/rank", "/v1/caption") else {}
    request |= {"caption": "a dog"} if path == "/v1/explain" else {}
    request |= {"captions": ["a dog"]} if path in ("/v1/predict", "/v1/rank") else {}
    response = client.post(path, json=request)
    assert response.status_code == 422, response.text
    assert "\n" not in response.json()["detail"]
    assert client.post("/v1/predict", json={"captions": ["a dog"]}).status_code == 200


@pytest.mark.parametrize("tail", [b"<script>alert(1)</script>", b"PK\x03\x04" + bytes(500), b"%PDF-1.4", bytes(10_000)])
def test_polyglot_file_is_read_as_its_image(client, tail) -> None:
    responses = [
        client.post("/v1/predict", json={"image": encoded(data), "captions": ["a dog"]})
        for data in (image_file(), image_file() + tail)
    ]
    assert [response.status_code for response in responses] == [200, 200]
    assert responses[0].json() == responses[1].json()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "kind",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "image/png"],
)
def test_rejects_other_content_types(client, path, kind) -> None:
    response = client.post(
        path, content=json.dumps({"captions": ["a dog"]}), headers={"content-type": kind} if kind else {}
    )
    assert response.status_code in (400, 415, 422)
    assert "\n" not in response.json()["detail"]


BODIES = {
    "nothing": b"",
    "not JSON": b"{captions: [a]}",
    "half": b'{"captions": ["a dog"',
    "a number": b"1",
    "null": b"null",
    "a list": b"[]",
    "depth 1,000": b"[" * 1000 + b"]" * 1000,
    "depth 100,000": b"[" * 100_000,
    "deep objects": b'{"captions":' * 1000 + b"1" + b"}" * 1000,
    "NaN": b'{"captions": NaN}',
    "NaN in a caption": b'{"captions": ["a", NaN]}',
    "an infinite number": b'{"captions": ["a dog"], "top": Infinity}',
    "a number too large": b'{"captions": ["a dog"], "top": 1e999}',
    "a number too long": b'{"captions": ["a dog"], "top": ' + b"9" * 10_000 + b"}",
    "not UTF-8": b'{"captions": ["\xff\xfe"]}',
    "UTF-16": '{"captions": ["a dog"], "x": 1}'.encode("utf-16"),
    "half a surrogate pair": b'{"captions": ["\\ud800"]}',
    "half a surrogate pair as a key": b'{"captions": ["a"], "\\ud800": 1}',
    "half a surrogate pair as an emotion": b'{"captions": ["a"], "emotions": ["\\udfff"]}',
    "half a surrogate pair as an image": b'{"captions": ["a"], "image": "\\ud800"}',
    "a long key": b'{"captions": ["a"], "' + b"k" * 100_000 + b'": 1}',
    "a long emotion": b'{"captions": ["a"], "emotions": ["' + b"e" * 100_000 + b'"]}',
    "many emotions": json.dumps({"captions": ["a"], "emotions": ["sad"] * 10_000}).encode(),
    "many captions": json.dumps({"captions": ["a"] * 100_000}).encode(),
    "a caption of a megabyte": json.dumps({"captions": ["a dog " * 170_000]}).encode(),
    "nothing but spaces": json.dumps({"captions": [" \t\u00a0\u2003"]}).encode(),
}


@pytest.mark.parametrize("name", list(BODIES))
def test_bad_body_gets_one_short_sentence(client, name) -> None:
    response = client.post("/v1/predict", content=BODIES[name], headers={"content-type": "application/json"})
    assert response.status_code in (400, 422), response.text[:300]
    assert set(response.json()) == {"detail"}
    assert len(response.json()["detail"]) < 1000
    assert "\n" not in response.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"captions": [' + b"1," * 150_000 + b"1]}", 422),
        (b"{" + b",".join(b'"k%d":1' % i for i in range(100_000)) + b"}", 422),
        (b'{"captions": [' + b"[]," * 600_000 + b"1]}", 413),
        (b'{"captions": [' + b"1," * 900_000 + b"1]}", 413),
    ],
    ids=["wrong captions", "unknown keys", "empty lists", "many numbers"],
)
def test_many_errors_cost_no_more_than_one(client, body, status) -> None:
    start = time.perf_counter()
    response = client.post("/v1/predict", content=body, headers={"content-type": "application/json"})
    assert response.status_code == status
    assert len(response.json()["detail"]) < 200
    assert time.perf_counter() - start < 2, "collecting every error takes many seconds"


TEXTS = [
    "привет мир", "狗在门口", "كلب وحيد", "כלב", "🐶🐶🐶", "👩\u200d👧", "e\u0301" * 50, "\u202eevil", "a\x00b",
    "\x1b[31mred", "\ufdfd" * 20,
    "Z\u0336\u0310\u035b" * 30, "\ufeffdog", "\u200b", "'; DROP TABLE--", "{{7*7}}", "<b>bold</b>", "%s%n",
    "[MASK] [SEP] [PAD]", "a" * 2000,
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_predicted_and_returned_unchanged(client, text) -> None:
    response = client.post("/v1/predict", json={"captions": [text]})
    assert response.status_code == 200
    (prediction,) = response.json()["predictions"]
    assert prediction["caption"] == text
    assert all(math.isfinite(entry["probability"]) for entry in prediction["emotions"])
    assert client.post("/v1/explain", json={"caption": text}).status_code == 200


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = (
    "image", "captions", "caption", "emotions", "emotion", "avoid", "n", "max_chars", "guidance", "style", "seed",
    "top",
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), body=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5))
def test_any_json_gets_a_response(client, path, body) -> None:
    response = client.post(path, content=json.dumps(body).encode(), headers={"content-type": "application/json"})
    assert response.status_code in (200, 400, 422), response.text
