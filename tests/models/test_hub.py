"""The hub, as a server on loopback: fetched once, then found in the cache; out of reach, told within seconds."""

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

FIND = """
import sys
from emocap.errors import EmocapError
from emocap.models.backbones import find_backbone
try:
    print(find_backbone(sys.argv[1]).folder)
except EmocapError as error:
    print("refused:", error)
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """What a client asks of the hub for one repository, owner/tiny."""

    folder: Path
    commit = "a" * 40

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        names = sorted(p.name for p in self.folder.iterdir())
        if path.startswith("/api/models/owner/tiny/tree/"):
            rows = [
                {"type": "file", "path": n, "size": (self.folder / n).stat().st_size, "oid": "b" * 40} for n in names
            ]
            self.answer(json.dumps(rows).encode())
        elif path.startswith("/api/models/owner/tiny"):
            info = {"id": "owner/tiny", "sha": self.commit, "siblings": [{"rfilename": n} for n in names]}
            self.answer(json.dumps(info).encode())
        elif path.startswith("/owner/tiny/resolve/") and (self.folder / path.rpartition("/")[2]).is_file():
            self.answer((self.folder / path.rpartition("/")[2]).read_bytes())
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hash(body) & 0xFFFFFFFF:040x}"')
        self.send_header("X-Repo-Commit", self.commit)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def hub(tiny_bert):
    kind = type("Served", (Hub,), {"folder": tiny_bert})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def find(name: str, endpoint: str, home: Path, **changes: str) -> str:
    env = (
        os.environ
        | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
        | changes
    )
    done = subprocess.run([sys.executable, "-c", FIND, name], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_name_on_the_hub_is_fetched_once_and_then_cached(hub, tiny_bert, tmp_path) -> None:
    folder = Path(find("owner/tiny", hub, tmp_path))
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        assert (folder / name).read_bytes() == (tiny_bert / name).read_bytes()
    assert find("owner/tiny", "http://127.0.0.1:9", tmp_path, HF_HUB_OFFLINE="1") == str(folder)


def test_a_name_that_is_not_there_and_a_hub_out_of_reach_are_one_line(hub, tmp_path) -> None:
    assert "refused: owner/none: cannot be fetched from the hub" in find("owner/none", hub, tmp_path)
    start = time.monotonic()
    told = find("owner/tiny", "http://127.0.0.1:9", tmp_path / "other")
    assert told.startswith("refused: owner/tiny: cannot be fetched from the hub")
    assert len(told.splitlines()) == 1
    assert time.monotonic() - start < 30, "the client must not retry for long"
