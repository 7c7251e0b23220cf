"""`emocap serve` in a process: it starts, stops gracefully, survives bad clients and leaves no files behind."""

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress

import pytest

from emocap import EmocapError
from emocap.app.server import allowed_hosts

from ..cli.process import emocap, emocap_process
from .process import TIMEOUT, Server

GENERATE, PREDICT, EXAMPLE = 1, 3, 4  # numbers of the page's functions

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


def test_stop_answers_accepted_requests_and_leaves_no_files(start) -> None:
    server = start("--no-page", "--limit", "waiting=20")
    request = {"captions": ["a dog waits at the door alone " * 10] * 20}
    statuses: list[int] = []

    def call() -> None:
        with suppress(ConnectionError, http.client.HTTPException):  # made when nothing was accepted any more
            statuses.append(server.request("POST", "/v1/predict", request)[0])

    clients = [threading.Thread(target=call) for _ in range(8)]
    for client in clients:
        client.start()
    deadline = time.monotonic() + TIMEOUT
    while (
        b"emocap_waiting 0.0" in server.request("GET", "/metrics")[1] and not statuses and time.monotonic() < deadline
    ):
        time.sleep(0.002)
    assert server.stop() == 0
    for client in clients:
        client.join(TIMEOUT)
    logged = [json.loads(line) for line in server.log.read_text().splitlines() if '"/v1/predict"' in line]
    assert statuses == [200] * len(logged)
    assert len(logged) > 1
    assert list(server.temporary.iterdir()) == []


def test_ctrl_c_stops_as_sigterm_does(start) -> None:
    server = start("--no-page")
    assert server.request("GET", "/healthz")[0] == 200
    assert server.stop(signal.SIGINT) == 0
    assert "stopped by" not in server.log.read_text()
    assert list(server.temporary.iterdir()) == []


def test_slow_and_broken_clients_do_not_block_others(start) -> None:
    server = start("--no-page", "--limit", "body_seconds=1")
    head = HEAD % 1000
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    for connection in slow:
        connection.sendall(head + b'{"captions"')
    cut = socket.create_connection(("127.0.0.1", server.port))
    cut.sendall(head)
    cut.close()
    nonsense = socket.create_connection(("127.0.0.1", server.port))
    nonsense.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(200))
    assert server.request("POST", "/v1/predict", {"captions": ["a dog"]})[0] == 200
    for connection in slow:
        connection.settimeout(TIMEOUT)
        response = b"".join(iter(lambda connection=connection: connection.recv(10_000), b""))
        assert response.startswith(b"HTTP/1.1 408")
        assert b"did not arrive within 1 s" in response
        connection.close()
    nonsense.close()
    assert server.request("GET", "/readyz")[0] == 200
    assert "Traceback" not in server.log.read_text()


def test_fifty_megabytes_get_413_after_sending(start) -> None:
    server = start("--no-page")
    status, response = server.request("POST", "/v1/predict", {"captions": ["a" * 50_000_000]})
    assert status == 413
    assert b"more than 16,777,216 bytes; send a smaller image or less text" in response
    assert server.request("GET", "/readyz")[0] == 200


def test_closes_slow_headers_and_rejects_too_many_connections(start) -> None:
    server = start("--no-page", "--limit", "header_seconds=2", "--limit", "connections=20")
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
    for connection in slow:
        connection.sendall(b"GET /v1/model HTTP/1.1\r\nHost: 127")
    status, response = server.request("GET", "/v1/model")
    assert (status, json.loads(response)["detail"][:25]) == (429, "too many open connections")
    assert server.request("GET", "/healthz")[0] == 200
    for connection in slow:
        connection.settimeout(TIMEOUT)
        assert connection.recv(100) == b""
        connection.close()
    assert server.request("GET", "/v1/model")[0] == 200


def test_client_that_disconnects_early_blocks_nobody(start) -> None:
    server = start("--no-page")
    body = json.dumps({"captions": ["a dog"] * 20}).encode()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(HEAD % len(body) + body)
    deadline = time.monotonic() + TIMEOUT
    while b"emocap_waiting 0.0" not in server.request("GET", "/metrics")[1]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert server.request("POST", "/v1/predict", {"captions": ["a dog"]})[0] == 200
    assert "Traceback" not in server.log.read_text()


def test_page_requires_key_and_does_not_delay_stop(start, tmp_path) -> None:
    (tmp_path / "key").write_text("a secret key of some length\n")
    server = start("--key-file", str(tmp_path / "key"))
    assert server.request("GET", "/v1/model")[0] == 401
    assert b"emocap_" not in server.request("GET", "/config")[1]
    assert server.request("GET", "/config")[0] == 401
    watching = socket.create_connection(("127.0.0.1", server.port))
    watching.sendall(b"GET /gradio_api/heartbeat/abc HTTP/1.1\r\nHost: localhost\r\n\r\n")
    time.sleep(0.5)
    start_of_stop = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - start_of_stop < 15
    watching.close()
    assert "a secret key" not in server.log.read_text()


def file(path: str) -> dict[str, object]:
    """What Gradio takes for an uploaded file."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def test_page_routes_reveal_nothing_and_reject_bad_requests(start, run, tmp_path) -> None:
    server = start()
    secret = tmp_path / "secret.txt"
    secret.write_text("PRIVATEWORD")
    for path in (secret, run / "results.json", "http://127.0.0.1:1/x", "../../etc/passwd"):
        assert server.request("GET", f"/gradio_api/file={path}")[0] in (403, 404)
    for path in ("proxy=http://127.0.0.1:1/", "component_server", "run/predict", "call/predict", "deep_link"):
        assert (
            server.request("GET", f"/gradio_api/{path}")[0]
            == server.request("POST", f"/gradio_api/{path}", {})[0]
            == 404
        )
    foreign = [file(str(secret)), file("http://example.org/PRIVATEWORD.png"), file(f"{secret.parent}/x/../secret.txt")]
    for value in foreign:
        for data in ([value, "a dog", [], []], [None, value, [], []], [None, [{"a": value}], [], []]):
            event = {"data": data, "fn_index": PREDICT, "session_hash": "x"}
            status, response = server.request("POST", "/gradio_api/queue/join", event)
            assert (status, json.loads(response)["detail"]) == (
                422, "not a file that was uploaded to this page; upload it first",
            )  # fmt: skip
    for event in ({}, [], 1, *({"data": [], "fn_index": number} for number in (99, -1, "0", None, True))):
        assert server.request("POST", "/gradio_api/queue/join", event)[0] == 422
    shapes = [["PRIVATEWORD"], [1, 2, 3, 4], ["PRIVATEWORD", "a dog", [], []], [{"a": "PRIVATEWORD"}, "a dog", [], []]]
    for data in shapes:
        event = {"data": data, "fn_index": PREDICT, "session_hash": "x"}
        assert server.request("POST", "/gradio_api/queue/join", event)[0] == 422, data
    deleted = file(str(server.temporary / next(server.temporary.glob("emocap-*")).name / "PRIVATEWORD.jpg"))
    odd = [
        (PREDICT, [None, {"PRIVATEWORD": 1}, [], []]), (PREDICT, [None, "a dog", ["PRIVATEWORD"], []]),
        (PREDICT, [None, "a dog", 5, []]), (PREDICT, [deleted, "a dog", [], []]),
        (GENERATE, [deleted, ["sad"], [], "romantic", 99]), (GENERATE, [None, [], [], "", "PRIVATEWORD"]),
        (GENERATE, [None, [], [], {"PRIVATEWORD": 1}, 99]),
        (EXAMPLE, ["PRIVATEWORD"]), (EXAMPLE, [99]),
    ]  # fmt: skip
    for number, (function, data) in enumerate(odd):
        event = {"data": data, "fn_index": function, "session_hash": f"odd{number}"}
        assert server.request("POST", "/gradio_api/queue/join", event)[0] == 200
        response = server.request("GET", f"/gradio_api/queue/data?session_hash=odd{number}")[1]
        assert b'"success":false' in response or b"ec-warn" in response, response
        assert b"Traceback" not in response
        assert str(server.temporary).encode() not in response
    many = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n\r\n' * 99 + b"--x--\r\n"
    nameless = b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\na\r\n--x--\r\n'
    for body in (many, nameless, b"--x", b""):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
        connection.request("POST", "/gradio_api/upload", body, {"content-type": "multipart/form-data; boundary=x"})
        assert connection.getresponse().status < 500, body[:100]
    assert server.request("POST", "/gradio_api/upload", {})[0] < 500
    stored = [path.read_bytes() for path in server.temporary.rglob("*") if path.is_file()]
    assert not any(b"PRIVATEWORD" in content for content in stored)
    assert "PRIVATEWORD" not in server.log.read_text()
    assert "Traceback" not in server.log.read_text()
    assert server.request("POST", "/v1/predict", {"captions": ["a dog"]})[0] == 200


def test_uploads_are_limited_and_never_served_as_html(start) -> None:
    server = start("--limit", "stored_bytes=300000")
    page = b"<script>alert(1)</script>" + b" " * 100_000
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.html"\r\n\r\n' + page + b"\r\n--x--\r\n"
    statuses = []
    for _ in range(4):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
        body = body.replace(b"alert(", b"alert(1")
        connection.request("POST", "/gradio_api/upload", body, {"content-type": "multipart/form-data; boundary=x"})
        response = connection.getresponse()
        statuses.append(response.status)
        paths = json.loads(response.read())
        if response.status == 200:
            connection.request("GET", f"/gradio_api/file={paths[0]}")
            download = connection.getresponse()
            download.read()
            assert download.headers["content-disposition"].startswith("attachment")
    assert 200 in statuses
    assert statuses[-1] == 429


def error_of(*options: str, **environment: str) -> str:
    """The one line that `emocap serve` prints as it fails."""
    return one_line(emocap("serve", *options, **environment))


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_startup_error_is_one_line(run, tmp_path) -> None:
    in_its_own_process = emocap_process("serve", "--model", str(tmp_path))
    assert "not a model folder (no emocap.json)" in one_line(in_its_own_process)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in error_of("--model", str(run), "--port", str(port), "--no-page")
    assert "--limit waiting=²: expected" in error_of("--model", str(run), "--limit", "waiting=²")
    assert "serve: waiting is 0, expected more than 0" in error_of("--model", str(run), "--limit", "waiting=0")
    assert "--limit size=3: expected NAME=NUMBER" in error_of("--model", str(run), "--limit", "size=3")
    assert "serve: --host is empty" in error_of("--model", str(run), "--host", "")
    assert "the key has 3 characters, expected 16 or more" in error_of("--model", str(run), EMOCAP_API_KEY="abc")


def test_hosts_are_restricted_on_loopback_or_by_name() -> None:
    local = {"localhost", "127.0.0.1", "::1"}
    for host in local:
        assert set(allowed_hosts(host, ())) == local
    assert allowed_hosts("0.0.0.0", ()) is None
    assert set(allowed_hosts("0.0.0.0", ("example.org", "*.example.org", "fe80::1"))) == (
        local | {"0.0.0.0", "example.org", "*.example.org", "fe80::1"}
    )


@pytest.mark.parametrize("name", ["example.org:8000", "*", "ex*mple.org", "*example.org", " "])
def test_rejects_bad_host_name(name) -> None:
    with pytest.raises(EmocapError, match=r"expected a name such as example.org without a port, or \*.example.org"):
        allowed_hosts("127.0.0.1", (name,))
