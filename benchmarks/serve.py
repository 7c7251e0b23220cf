"""How fast a served model answers, and what it does when far more is asked than it can do.

python benchmarks/serve.py runs/demo              # all of it; the callers run on the same cores as the server
python benchmarks/serve.py runs/demo overload     # or one: start, latency, batching, overload, memory
"""

import argparse
import asyncio
import base64
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emocap.app.limits import Limits

CAPTIONS = ("At last the lighthouse celebrates.", "The old dog lost its home, and nobody knows why.")
CALLERS = 16
SECONDS = 20.0


@dataclass
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen[bytes]
    port: int
    begun: float


@contextmanager
def serving(model: Path, *options: str) -> Iterator[Server]:
    """`emocap serve` until the block ends."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, "-m", "emocap", "serve", "--model", str(model), "--port", "0", *options]
        process = subprocess.Popen(command, stderr=log)
        try:
            while True:
                log.seek(0)
                told = log.read()
                if found := re.search(r"http://127.0.0.1:(\d+)", told):
                    break
                if process.poll() is not None:
                    raise SystemExit(told)
                time.sleep(0.02)
            yield Server(process, int(found[1]), begun)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def question(path: str, picture: bytes | None, n_captions: int = 1) -> bytes:
    """A request as it goes over the wire."""
    asked: dict[str, object] = {} if picture is None else {"image": base64.b64encode(picture).decode()}
    if path == "/v1/explain":
        asked["caption"] = CAPTIONS[0]
    else:
        asked["captions"] = [CAPTIONS[number % len(CAPTIONS)] for number in range(n_captions)]
    body = json.dumps(asked).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Content-Type: application/json\r\n\r\n" + body


class Caller:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> int:
        """The status of the answer; a connection that the server closed while it was idle is opened again."""
        try:
            return await self._ask(request)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            if isinstance(error, asyncio.IncompleteReadError) and error.partial:
                raise
            self._writer = None
            return await self._ask(request)

    async def _ask(self, request: bytes) -> int:
        if self._writer is None or self._writer.is_closing():
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        assert self._reader is not None, "opened with the writer"
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None, head
        await self._reader.readexactly(int(length[1]))
        return int(head.split(b" ", 2)[1])


async def one_by_one(port: int, request: bytes, n: int) -> list[float]:
    """Seconds of n requests, each asked after the one before."""
    caller = Caller(port)
    found = []
    for _ in range(n):
        start = time.perf_counter()
        status = await caller.ask(request)
        assert status == 200, status
        found.append(time.perf_counter() - start)
    return found


async def together(port: int, request: bytes, callers: int, seconds: float) -> float:
    """ModelPredictions per second with so many callers, each asking again when it has an answer or was refused."""
    end = time.perf_counter() + seconds
    answered = 0

    async def call() -> None:
        nonlocal answered
        caller = Caller(port)
        while time.perf_counter() < end:
            status = await caller.ask(request)
            answered += status == 200

    begun = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(callers)))
    return answered / (time.perf_counter() - begun)


async def at_a_rate(port: int, request: bytes, rate: float, seconds: float) -> tuple[Counter[int], list[float]]:
    """Statuses, and seconds of the accepted ones, of requests that come at random, so many per second."""
    dice = random.Random(0)  # noqa: S311
    idle: list[Caller] = []
    statuses: Counter[int] = Counter()
    accepted: list[float] = []

    async def call() -> None:
        caller = idle.pop() if idle else Caller(port)
        start = time.perf_counter()
        status = await caller.ask(request)
        statuses[status] += 1
        if status == 200:
            accepted.append(time.perf_counter() - start)
        idle.append(caller)

    tasks = []
    begun = time.perf_counter()
    due = 0.0
    while due < seconds:
        due += dice.expovariate(rate)
        await asyncio.sleep(max(0.0, begun + due - time.perf_counter()))
        tasks.append(asyncio.create_task(call()))
    await asyncio.gather(*tasks)
    return statuses, accepted


def start(model: Path, picture: Path) -> None:
    """From the command to the first prediction, over REST and on the page."""
    with serving(model) as server:
        asyncio.run(one_by_one(server.port, question("/v1/predict", picture.read_bytes()), 1))
        print(f"first prediction over REST {time.perf_counter() - server.begun:.1f} s after the command")
    chromium = os.environ.get("EMOCAP_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        print("no Chromium, so the page was not timed")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, serving(model) as server:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.locator("#examples tbody tr td").first.click()
        page.wait_for_selector("#results .ec-card")
        print(f"first prediction on the page {time.perf_counter() - server.begun:.1f} s after the command")
        browser.close()


def latency(model: Path, picture: Path) -> None:
    """One request at a time."""
    with serving(model, "--no-page") as server:
        for path, n in (("/v1/predict", 200), ("/v1/explain", 10)):
            request = question(path, picture.read_bytes())
            asyncio.run(one_by_one(server.port, request, 5))
            found = 1e3 * np.array(asyncio.run(one_by_one(server.port, request, n)))
            print(f"{path}, a picture and a caption: median {np.median(found):.0f} ms, p95 {_p95(found):.0f} ms")


def batching(model: Path, picture: Path) -> None:
    """Throughput one by one, of many callers without batches, and of many callers with batches."""
    for what, content in (("a picture and a caption", picture.read_bytes()), ("a caption", None)):
        request = question("/v1/predict", content)
        rates = {}
        for name, callers, batch in (("one by one", 1, 1), ("no batches", CALLERS, 1), ("batches", CALLERS, 32)):
            with serving(model, "--no-page", "--limit", f"waiting={CALLERS}", "--limit", f"batch={batch}") as server:
                asyncio.run(together(server.port, request, callers, 3))
                rates[name] = asyncio.run(together(server.port, request, callers, SECONDS / 2))
        print(f"{what}, per second: " + ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items()), end="; ")
        print(f"batches are {rates['batches'] / rates['one by one']:.2f} times one by one, ", end="")
        print(f"{rates['batches'] / rates['no batches']:.2f} times as many callers without")


def overload(model: Path, picture: Path) -> None:
    """Four times the rate that it can sustain, against no load."""
    request = question("/v1/predict", picture.read_bytes())
    with serving(model, "--no-page") as server:
        asyncio.run(one_by_one(server.port, request, 20))
        calm = 1e3 * np.array(asyncio.run(one_by_one(server.port, request, 300)))
        rate = asyncio.run(together(server.port, request, Limits().waiting, SECONDS / 2))
        statuses, accepted = asyncio.run(at_a_rate(server.port, request, 4 * rate, SECONDS))
        busy = 1e3 * np.array(accepted)
        print(f"sustained {rate:.0f} per second; at 4 times that for {SECONDS:.0f} s: {dict(statuses)}")
        print(f"p95 of accepted {_p95(busy):.0f} ms, of no load {_p95(calm):.0f} ms: ", end="")
        print(f"{_p95(busy) / _p95(calm):.2f} times (medians {np.median(busy):.0f} and {np.median(calm):.0f} ms)")
        asyncio.run(one_by_one(server.port, request, 1))


def memory(model: Path, picture: Path) -> None:
    """Resident memory after 500 requests and after 5,000 more."""
    request = question("/v1/predict", picture.read_bytes(), n_captions=4)
    with serving(model, "--no-page", "--limit", f"waiting={CALLERS}") as server:

        async def ask(n: int) -> None:
            left = iter(range(n))

            async def call() -> None:
                caller = Caller(server.port)
                for _ in left:
                    assert await caller.ask(request) == 200

            await asyncio.gather(*(call() for _ in range(CALLERS)))

        asyncio.run(ask(500))
        sizes = [_resident(server.process.pid)]
        for _ in range(5):
            asyncio.run(ask(1000))
            sizes.append(_resident(server.process.pid))
        print("resident memory after 500 requests and each 1,000 more, MiB: " + ", ".join(f"{s:.0f}" for s in sizes))


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _p95(values: np.ndarray) -> float:
    return float(np.percentile(values, 95))


if __name__ == "__main__":
    PARTS = {"start": start, "latency": latency, "batching": batching, "overload": overload, "memory": memory}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a run of the demo")
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    arguments = parser.parse_args()
    shown = sorted((arguments.model / "gallery").glob("*.jpg"))[0]
    print(f"{os.cpu_count()} cores, callers on the same; {shown.stat().st_size:,} bytes of picture")
    for part in arguments.parts or PARTS:
        PARTS[part](arguments.model, shown)
