"""The command in a process of its own: it starts, stops gracefully, outlives bad callers and leaves nothing behind."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from .process import PATIENCE, Server

WRITE, PREDICT, EXAMPLE = 0, 2, 3  # numbers of the page's functions

HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture
def start(run, tmp_path):
    servers = []

    def begin(*options: str) -> Server:
        servers.append(Server(tmp_path, run, *options))
        return servers[-1]

    yield begin
    for server in servers:
        server.process.kill()
        server.process.wait()


def test_what_was_accepted_is_answered_before_it_stops_and_nothing_is_left(start) -> None:
    server = start("--no-page", "--limit", "waiting=20")
    asked = {"captions": ["a dog waits at the door alone " * 10] * 20}
    answers: list[int] = []

    def call() -> None:
        with suppress(ConnectionError, http.client.HTTPException):  # came when nothing was accepted any more
            answers.append(server.ask("POST", "/v1/predict", asked)[0])

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    end = time.monotonic() + PATIENCE
    while b"emocap_waiting 0.0" in server.ask("GET", "/metrics")[1] and not answers and time.monotonic() < end:
        time.sleep(0.002)
    assert server.stop() == 0
    for caller in callers:
        caller.join(PATIENCE)
    logged = [json.loads(line) for line in server.log.read_text().splitlines() if '"/v1/predict"' in line]
    assert answers == [200] * len(logged)
    assert len(logged) > 1
    assert list(server.temporary.iterdir()) == []


def test_slow_and_broken_callers_harm_nobody(start) -> None:
    server = start("--no-page", "--limit", "body_seconds=1")
    head = HEAD % 1000
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    for one in slow:
        one.sendall(head + b'{"captions"')
    cut = socket.create_connection(("127.0.0.1", server.port))
    cut.sendall(head)
    cut.close()
    nonsense = socket.create_connection(("127.0.0.1", server.port))
    nonsense.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(200))
    assert server.ask("POST", "/v1/predict", {"captions": ["a dog"]})[0] == 200
    for one in slow:
        one.settimeout(PATIENCE)
        told = b"".join(iter(lambda one=one: one.recv(10_000), b""))
        assert told.startswith(b"HTTP/1.1 408")
        assert b"did not arrive within 1 s" in told
        one.close()
    nonsense.close()
    assert server.ask("GET", "/readyz")[0] == 200
    assert "Traceback" not in server.log.read_text()


def test_fifty_megabytes_get_their_sentence_when_they_have_been_sent(start) -> None:
    server = start("--no-page")
    status, told = server.ask("POST", "/v1/predict", {"captions": ["a" * 50_000_000]})
    assert status == 413
    assert b"more than 16,777,216 bytes; send a smaller picture or less text" in told
    assert server.ask("GET", "/readyz")[0] == 200


def test_slow_heads_take_no_place_for_long_and_too_many_connections_are_told(start) -> None:
    server = start("--no-page", "--limit", "header_seconds=2", "--limit", "connections=20")
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
    for one in slow:
        one.sendall(b"GET /v1/model HTTP/1.1\r\nHost: 127")
    status, told = server.ask("GET", "/v1/model")
    assert (status, json.loads(told)["detail"][:24]) == (429, "too many connections are")
    assert server.ask("GET", "/healthz")[0] == 200
    for one in slow:
        one.settimeout(PATIENCE)
        assert one.recv(100) == b""
        one.close()
    assert server.ask("GET", "/v1/model")[0] == 200


def test_a_caller_that_leaves_before_the_answer_harms_nobody(start) -> None:
    server = start("--no-page")
    body = json.dumps({"captions": ["a dog"] * 20}).encode()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port)) as leaving:
            leaving.sendall(HEAD % len(body) + body)
    end = time.monotonic() + PATIENCE
    while b"emocap_waiting 0.0" not in server.ask("GET", "/metrics")[1]:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert server.ask("POST", "/v1/predict", {"captions": ["a dog"]})[0] == 200
    assert "Traceback" not in server.log.read_text()


def test_the_page_is_behind_the_key_too_and_stopping_does_not_wait_for_it(start, tmp_path) -> None:
    (tmp_path / "key").write_text("a secret key of some length\n")
    server = start("--key-file", str(tmp_path / "key"))
    assert server.ask("GET", "/v1/model")[0] == 401
    assert b"emocap_" not in server.ask("GET", "/config")[1]
    assert server.ask("GET", "/config")[0] == 401
    watching = socket.create_connection(("127.0.0.1", server.port))
    watching.sendall(b"GET /gradio_api/heartbeat/abc HTTP/1.1\r\nHost: localhost\r\n\r\n")
    time.sleep(0.5)
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 15
    watching.close()
    assert "a secret key" not in server.log.read_text()


def file(place: str) -> dict[str, object]:
    """What Gradio takes for an uploaded file."""
    return {"path": place, "meta": {"_type": "gradio.FileData"}}


def test_the_pages_own_routes_give_nothing_away_and_take_no_nonsense(start, run, tmp_path) -> None:
    server = start()
    secret = tmp_path / "secret.txt"
    secret.write_text("PRIVATEWORD")
    for path in (secret, run / "results.json", "http://127.0.0.1:1/x", "../../etc/passwd"):
        assert server.ask("GET", f"/gradio_api/file={path}")[0] in (403, 404)
    for path in ("proxy=http://127.0.0.1:1/", "component_server", "run/predict", "call/predict", "deep_link"):
        assert server.ask("GET", f"/gradio_api/{path}")[0] == server.ask("POST", f"/gradio_api/{path}", {})[0] == 404
    strange = [file(str(secret)), file("http://example.org/PRIVATEWORD.png"), file(f"{secret.parent}/x/../secret.txt")]
    for one in strange:
        for data in ([one, "a dog", [], []], [None, one, [], []], [None, [{"a": one}], [], []]):
            asked = {"data": data, "fn_index": PREDICT, "session_hash": "x"}
            status, told = server.ask("POST", "/gradio_api/queue/join", asked)
            assert (status, json.loads(told)["detail"]) == (
                422, "a file that was not uploaded to this page; upload it first",
            )  # fmt: skip
    for event in ({}, [], 1, *({"data": [], "fn_index": number} for number in (99, -1, "0", None, True))):
        assert server.ask("POST", "/gradio_api/queue/join", event)[0] == 422
    shapes = [["PRIVATEWORD"], [1, 2, 3, 4], ["PRIVATEWORD", "a dog", [], []], [{"a": "PRIVATEWORD"}, "a dog", [], []]]
    for data in shapes:
        asked = {"data": data, "fn_index": PREDICT, "session_hash": "x"}
        assert server.ask("POST", "/gradio_api/queue/join", asked)[0] == 422, data
    gone = file(str(server.temporary / next(server.temporary.glob("emocap-*")).name / "PRIVATEWORD.jpg"))
    odd = [
        (PREDICT, [None, {"PRIVATEWORD": 1}, [], []]), (PREDICT, [None, "a dog", ["PRIVATEWORD"], []]),
        (PREDICT, [None, "a dog", 5, []]), (PREDICT, [gone, "a dog", [], []]), (WRITE, [gone, ["sad"], [], 99]),
        (WRITE, [None, [], [], "PRIVATEWORD"]), (EXAMPLE, ["PRIVATEWORD"]), (EXAMPLE, [99]),
    ]  # fmt: skip
    for number, (function, data) in enumerate(odd):
        asked = {"data": data, "fn_index": function, "session_hash": f"odd{number}"}
        assert server.ask("POST", "/gradio_api/queue/join", asked)[0] == 200
        told = server.ask("GET", f"/gradio_api/queue/data?session_hash=odd{number}")[1]
        assert b'"success":false' in told or b"ec-warn" in told, told
        assert b"Traceback" not in told
        assert str(server.temporary).encode() not in told
    many = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n\r\n' * 99 + b"--x--\r\n"
    nameless = b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\na\r\n--x--\r\n'
    for body in (many, nameless, b"--x", b""):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.request("POST", "/gradio_api/upload", body, {"content-type": "multipart/form-data; boundary=x"})
        assert connection.getresponse().status < 500, body[:100]
    assert server.ask("POST", "/gradio_api/upload", {})[0] < 500
    kept = [one.read_bytes() for one in server.temporary.rglob("*") if one.is_file()]
    assert not any(b"PRIVATEWORD" in content for content in kept)
    assert "PRIVATEWORD" not in server.log.read_text()
    assert "Traceback" not in server.log.read_text()
    assert server.ask("POST", "/v1/predict", {"captions": ["a dog"]})[0] == 200


def test_what_the_page_keeps_is_bounded_and_never_shown_as_a_page(start) -> None:
    server = start("--limit", "kept=300000")
    page = b"<script>alert(1)</script>" + b" " * 100_000
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.html"\r\n\r\n' + page + b"\r\n--x--\r\n"
    statuses = []
    for _ in range(4):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        body = body.replace(b"alert(", b"alert(1")
        connection.request("POST", "/gradio_api/upload", body, {"content-type": "multipart/form-data; boundary=x"})
        answer = connection.getresponse()
        statuses.append(answer.status)
        places = json.loads(answer.read())
        if answer.status == 200:
            connection.request("GET", f"/gradio_api/file={places[0]}")
            shown = connection.getresponse()
            shown.read()
            assert shown.headers["content-disposition"].startswith("attachment")
    assert 200 in statuses
    assert statuses[-1] == 429


def fails(*options: str, **environment: str) -> str:
    found = subprocess.run(
        [sys.executable, "-m", "emocap", "serve", *options],
        capture_output=True, text=True, timeout=PATIENCE, env=os.environ | environment,
    )  # fmt: skip
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1, found.stderr
    return found.stderr


def test_what_cannot_be_served_is_one_line(run, tmp_path) -> None:
    assert "not a model folder (no emocap.json)" in fails("--model", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in fails("--model", str(run), "--port", str(port), "--no-page")
    assert "--limit waiting=²: expected" in fails("--model", str(run), "--limit", "waiting=²")
    assert "serve: waiting is 0, expected more than 0" in fails("--model", str(run), "--limit", "waiting=0")
    assert "--limit size=3: expected NAME=NUMBER" in fails("--model", str(run), "--limit", "size=3")
    assert "serve: --host is empty" in fails("--model", str(run), "--host", "")
    assert "the key has 3 characters, expected 16 or more" in fails("--model", str(run), EMOCAP_API_KEY="abc")


def test_without_a_model_and_a_demo_it_says_what_to_do(tmp_path, monkeypatch) -> None:
    from emocap import EmocapError
    from emocap.app.served_model import load_served

    monkeypatch.chdir(tmp_path)
    with pytest.raises(EmocapError, match=r"no demo here .*run emocap demo, or give --model DIR"):
        load_served(None)
