"""The hub, as a server on loopback: downloads are cached, and an unreachable hub is reported within seconds."""

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
    print("error:", error)
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """The hub's API for one repository, owner/tiny."""

    folder: Path
    commit = "a" * 40

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        names = sorted(p.name for p in self.folder.iterdir())
        if path.startswith("/api/models/owner/tiny/tree/"):
            rows = [
                {"type": "file", "path": n, "size": (self.folder / n).stat().st_size, "oid": "b" * 40} for n in names
            ]
            self.respond(json.dumps(rows).encode())
        elif path.startswith("/api/models/owner/tiny"):
            info = {"id": "owner/tiny", "sha": self.commit, "siblings": [{"rfilename": n} for n in names]}
            self.respond(json.dumps(info).encode())
        elif path.startswith("/owner/tiny/resolve/") and (self.folder / path.rpartition("/")[2]).is_file():
            self.respond((self.folder / path.rpartition("/")[2]).read_bytes())
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def respond(self, body: bytes) -> None:
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
    handler = type("Handler", (Hub,), {"folder": tiny_bert})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
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
    process = subprocess.run([sys.executable, "-c", FIND, name], env=env, capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def test_downloads_once_and_then_uses_the_cache(hub, tiny_bert, tmp_path) -> None:
    folder = Path(find("owner/tiny", hub, tmp_path))
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        assert (folder / name).read_bytes() == (tiny_bert / name).read_bytes()
    assert find("owner/tiny", "http://127.0.0.1:9", tmp_path, HF_HUB_OFFLINE="1") == str(folder)


def test_reports_unknown_name_and_unreachable_hub_briefly(hub, tmp_path) -> None:
    assert "error: owner/none: cannot be fetched from the hub" in find("owner/none", hub, tmp_path)
    start = time.monotonic()
    message = find("owner/tiny", "http://127.0.0.1:9", tmp_path / "other")
    assert message.startswith("error: owner/tiny: cannot be fetched from the hub")
    assert len(message.splitlines()) == 1
    assert time.monotonic() - start < 30, "the client must not retry for long"
