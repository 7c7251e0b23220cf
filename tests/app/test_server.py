"""The command in a process of its own: it starts, stops gracefully, outlives bad callers and leaves nothing behind."""

import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from .process import PATIENCE, Server


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
    callers = [
        threading.Thread(target=lambda: answers.append(server.ask("POST", "/v1/predict", asked)[0])) for _ in range(8)
    ]
    for caller in callers:
        caller.start()
    end = time.monotonic() + PATIENCE
    while b"emocap_waiting 0.0" in server.ask("GET", "/metrics")[1] and not answers and time.monotonic() < end:
        pass
    assert server.stop() == 0
    for caller in callers:
        caller.join(PATIENCE)
    assert answers == [200] * 8
    assert list(server.temporary.iterdir()) == []


def test_slow_and_broken_callers_harm_nobody(start) -> None:
    server = start("--no-page", "--limit", "body_seconds=1")
    head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
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


def test_a_caller_that_leaves_before_the_answer_harms_nobody(start) -> None:
    server = start("--no-page")
    body = json.dumps({"captions": ["a dog"] * 20}).encode()
    head = (
        f"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port)) as leaving:
            leaving.sendall(head.encode() + body)
    end = time.monotonic() + PATIENCE
    while b"emocap_waiting 0.0" not in server.ask("GET", "/metrics")[1]:
        assert time.monotonic() < end
    assert server.ask("POST", "/v1/predict", {"captions": ["a dog"]})[0] == 200
    assert "Traceback" not in server.log.read_text()


def test_the_page_is_behind_the_key_too_and_stopping_does_not_wait_for_it(start, tmp_path) -> None:
    (tmp_path / "key").write_text("a secret key\n")
    server = start("--key-file", str(tmp_path / "key"))
    assert server.ask("GET", "/v1/model")[0] == 401
    assert b"emocap_" not in server.ask("GET", "/config")[1]
    assert server.ask("GET", "/config")[0] == 401
    watching = socket.create_connection(("127.0.0.1", server.port))
    watching.sendall(b"GET /gradio_api/heartbeat/abc HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(0.5)
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 15
    watching.close()
    assert "a secret key" not in server.log.read_text()


def test_the_pages_own_routes_give_nothing_away_and_take_no_nonsense(start, run) -> None:
    server = start()
    for path in ("/etc/passwd", str(run / "results.json"), "http://127.0.0.1:1/x", "../../etc/passwd"):
        assert server.ask("GET", f"/gradio_api/file={path}")[0] in (403, 404)
    assert server.ask("GET", "/gradio_api/proxy=http://127.0.0.1:1/")[0] == 400
    events = [
        {}, [], {"data": [None] * 4, "fn_index": 99, "session_hash": "x"}, {"data": "x", "fn_index": 0},
        {"data": [1, 2, 3, 4], "fn_index": 0, "session_hash": "x"},
        {"data": [{"path": "/etc/passwd"}, "a dog", [], []], "fn_index": 0, "session_hash": "x"},
        {"data": [None, "a dog", ["nothing"], []], "fn_index": 0, "session_hash": "x"},
    ]  # fmt: skip
    for event in events:
        assert server.ask("POST", "/gradio_api/queue/join", event)[0] < 500, event
    assert server.ask("POST", "/gradio_api/upload", {})[0] < 500
    assert b"root:" not in server.ask("GET", "/gradio_api/queue/data?session_hash=x")[1]
    assert server.ask("POST", "/v1/predict", {"captions": ["a dog"]})[0] == 200


def fails(*options: str, **environment: str) -> str:
    found = subprocess.run(
        [sys.executable, "-m", "emocap", "serve", *options],
        capture_output=True, text=True, timeout=PATIENCE, env=os.environ | environment,
    )  # fmt: skip
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1, found.stderr
    return found.stderr


def test_what_cannot_be_served_is_one_line(run, tmp_path) -> None:
    assert "holds" in fails("--model", str(tmp_path)) or "not a model folder" in fails("--model", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in fails("--model", str(run), "--port", str(port), "--no-page")
    assert "--limit size=3: expected NAME=NUMBER" in fails("--model", str(run), "--limit", "size=3")
    assert "the key has 3 characters, expected 8 or more" in fails("--model", str(run), EMOCAP_API_KEY="abc")


def test_without_a_model_and_a_demo_it_says_what_to_do(tmp_path, monkeypatch) -> None:
    from emocap import EmocapError
    from emocap.app.served import load_served

    monkeypatch.chdir(tmp_path)
    with pytest.raises(EmocapError, match=r"no demo here .*run emocap demo, or give --model DIR"):
        load_served(None)
