"""`emocap serve` in a process of its own."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from ..forked import ForkedProcess

TIMEOUT = 60.0


class Server:
    """`emocap serve` in a process.

    Attributes:
        port: the port that it listens on.
    """

    def __init__(self, folder: Path, model: Path, *options: str, forked: bool = True) -> None:
        self.log = folder / "serve.log"
        self.log.touch()
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        arguments = ["serve", "--model", str(model), "--port", "0", *options]
        self.process: ForkedProcess | subprocess.Popen[bytes]
        if forked:
            self.process = ForkedProcess(*arguments, log=self.log, TMPDIR=str(self.temporary))
        else:
            environment = os.environ | {"TMPDIR": str(self.temporary)}
            command = [sys.executable, "-m", "emocap", *arguments]
            self.process = subprocess.Popen(command, stderr=self.log.open("w"), env=environment)
        deadline = time.monotonic() + TIMEOUT
        while not (match := re.search(r"http://127.0.0.1:(\d+)", self.log.read_text())):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(self.log.read_text())
            time.sleep(0.05)
        self.port = int(match[1])

    def request(self, method: str, path: str, body: object = None, timeout: float = TIMEOUT) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.request(
            method, path, None if body is None else json.dumps(body), {"content-type": "application/json"}
        )
        response = connection.getresponse()
        return response.status, response.read()

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT)
