"""Response times and throughput of a served model, and its behaviour under overload.

python benchmarks/serve.py runs/demo              # everything; the clients run on the same cores as the server
python benchmarks/serve.py runs/demo overload     # or one part: start, latency, batching, overload, page, memory
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

CAPTIONS = ("At last the lighthouse celebrates.", "The old dog lost its home, and nobody knows why.")
N_CLIENTS = 16
N_WAITING = 3
N_AT_ONCE = 20
LONG_CAPTION = " ".join(CAPTIONS * 20)
SECONDS = 20.0


@dataclass
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen[bytes]
    port: int
    started: float


@contextmanager
def serving(model: Path, *options: str) -> Iterator[Server]:
    """`emocap serve` until the block ends."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, "-m", "emocap", "serve", "--model", str(model), "--port", "0", *options]
        process = subprocess.Popen(command, stderr=log)
        try:
            while True:
                log.seek(0)
                output = log.read()
                if match := re.search(r"http://127.0.0.1:(\d+)", output):
                    break
                if process.poll() is not None:
                    raise SystemExit(output)
                time.sleep(0.02)
            yield Server(process, int(match[1]), started)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def encode_request(path: str, image: bytes | None, n_captions: int = 1, caption: str = CAPTIONS[0]) -> bytes:
    """An HTTP request."""
    fields: dict[str, object] = {} if image is None else {"image": base64.b64encode(image).decode()}
    if path == "/v1/explain":
        fields["caption"] = caption
    else:
        fields["captions"] = [CAPTIONS[number % len(CAPTIONS)] for number in range(n_captions)]
    body = json.dumps(fields).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Content-Type: application/json\r\n\r\n" + body


class Client:
    """A client with one persistent connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, request: bytes) -> int:
        """The status of the response; a connection that the server closed while idle is opened again."""
        try:
            return await self._send(request)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            if isinstance(error, asyncio.IncompleteReadError) and error.partial:
                raise
            self._writer = None
            return await self._send(request)

    async def _send(self, request: bytes) -> int:
        if self._writer is None or self._writer.is_closing():
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        assert self._reader is not None, "opened with the writer"
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None, head
        await self._reader.readexactly(int(length[1]))
        return int(head.split(b" ", 2)[1])


async def sequential(port: int, request: bytes, n: int) -> list[float]:
    """Seconds of n requests, one after the other."""
    client = Client(port)
    seconds = []
    for _ in range(n):
        start = time.perf_counter()
        status = await client.send(request)
        assert status == 200, status
        seconds.append(time.perf_counter() - start)
    return seconds


async def concurrent(port: int, request: bytes, n_clients: int, seconds: float) -> float:
    """Answered requests per second with n clients, each sending the next request after a response or a rejection."""
    end = time.perf_counter() + seconds
    answered = 0

    async def call() -> None:
        nonlocal answered
        client = Client(port)
        while time.perf_counter() < end:
            status = await client.send(request)
            answered += status == 200

    start = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(n_clients)))
    return answered / (time.perf_counter() - start)


async def at_a_rate(port: int, request: bytes, rate: float, seconds: float) -> tuple[Counter[int], list[float]]:
    """Statuses, and seconds of the accepted ones, of requests that arrive as a Poisson process, `rate` per second."""
    generator = random.Random(0)
    idle: list[Client] = []
    statuses: Counter[int] = Counter()
    accepted: list[float] = []

    async def call() -> None:
        client = idle.pop() if idle else Client(port)
        start = time.perf_counter()
        status = await client.send(request)
        statuses[status] += 1
        if status == 200:
            accepted.append(time.perf_counter() - start)
        idle.append(client)

    tasks = []
    start = time.perf_counter()
    due = 0.0
    while due < seconds:
        due += generator.expovariate(rate)
        await asyncio.sleep(max(0.0, start + due - time.perf_counter()))
        tasks.append(asyncio.create_task(call()))
    await asyncio.gather(*tasks)
    return statuses, accepted


def start(model: Path, image: Path) -> None:
    """From the command to the first prediction, over REST and on the page."""
    with serving(model) as server:
        asyncio.run(sequential(server.port, encode_request("/v1/predict", image.read_bytes()), 1))
        print(f"first prediction over REST {time.perf_counter() - server.started:.1f} s after the command")
    chromium = os.environ.get("EMOCAP_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        print("no Chromium: the page was not timed")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, serving(model) as server:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.locator("#examples tbody tr td").first.click()
        page.wait_for_selector("#results .ec-card")
        print(f"first prediction on the page {time.perf_counter() - server.started:.1f} s after the command")
        browser.close()


def latency(model: Path, image: Path) -> None:
    """One request at a time."""
    with serving(model, "--no-page") as server:
        for path, n in (("/v1/predict", 200), ("/v1/explain", 10)):
            request = encode_request(path, image.read_bytes())
            asyncio.run(sequential(server.port, request, 5))
            milliseconds = 1e3 * np.array(asyncio.run(sequential(server.port, request, n)))
            median, p95 = np.median(milliseconds), _p95(milliseconds)
            print(f"{path}, an image and a caption: median {median:.0f} ms, p95 {p95:.0f} ms")


def batching(model: Path, image: Path) -> None:
    """Throughput with one client, with many clients without batching, and with many clients with batching."""
    for what, content in (("an image and a caption", image.read_bytes()), ("a caption", None)):
        request = encode_request("/v1/predict", content)
        rates = {}
        for name, n_clients, batch in (
            ("one client", 1, 1),
            ("no batching", N_CLIENTS, 1),
            ("batching", N_CLIENTS, 32),
        ):
            with serving(model, "--no-page", "--limit", f"waiting={N_CLIENTS}", "--limit", f"batch={batch}") as server:
                asyncio.run(concurrent(server.port, request, n_clients, 3))
                rates[name] = asyncio.run(concurrent(server.port, request, n_clients, SECONDS / 2))
        print(f"{what}, per second: " + ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items()), end="; ")
        print(f"batching is {rates['batching'] / rates['one client']:.2f} times one client, ", end="")
        print(f"{rates['batching'] / rates['no batching']:.2f} times no batching")


def overload(model: Path, image: Path) -> None:
    """Response times at four times the sustained rate, compared to no load, where at most three requests wait."""
    request = encode_request("/v1/predict", image.read_bytes())
    with serving(model, "--no-page", "--limit", f"waiting={N_WAITING}") as server:
        asyncio.run(sequential(server.port, request, 20))
        calm = 1e3 * np.array(asyncio.run(sequential(server.port, request, 300)))
        rate = asyncio.run(concurrent(server.port, request, N_WAITING, SECONDS / 2))
        statuses, accepted = asyncio.run(at_a_rate(server.port, request, 4 * rate, SECONDS))
        busy = 1e3 * np.array(accepted)
        print(f"sustained {rate:.0f} per second; at 4 times that for {SECONDS:.0f} s: {dict(statuses)}")
        print(f"p95 of accepted requests {_p95(busy):.0f} ms, without load {_p95(calm):.0f} ms: ", end="")
        print(f"{_p95(busy) / _p95(calm):.2f} times (medians {np.median(busy):.0f} and {np.median(calm):.0f} ms)")
        asyncio.run(sequential(server.port, request, 1))


def page(model: Path, image: Path) -> None:
    """Twenty requests at once with default limits but the deadline, and predictions during a long explanation."""
    request = encode_request("/v1/predict", image.read_bytes())
    explanation = encode_request("/v1/explain", image.read_bytes(), caption=LONG_CAPTION)

    async def at_once(port: int) -> Counter[int]:
        return Counter(await asyncio.gather(*(Client(port).send(request) for _ in range(N_AT_ONCE))))

    async def explain(port: int) -> tuple[float, list[float]]:
        start, client = time.perf_counter(), Client(port)
        explaining = asyncio.create_task(Client(port).send(explanation))
        await asyncio.sleep(0.1)
        seconds = []
        while not explaining.done():
            begin = time.perf_counter()
            assert await client.send(request) == 200
            seconds.append(time.perf_counter() - begin)
        assert await explaining == 200
        return time.perf_counter() - start, seconds

    with serving(model, "--no-page", "--limit", "seconds=300") as server:
        asyncio.run(sequential(server.port, request, 5))
        print(f"{N_AT_ONCE} requests at once: {dict(asyncio.run(at_once(server.port)))}")
        total, seconds = asyncio.run(explain(server.port))
        print(
            f"an explanation of {len(LONG_CAPTION):,} characters {total:.1f} s; {len(seconds)} predictions meanwhile: "
        )
        print(f"median {1e3 * np.median(seconds):.0f} ms, longest {1e3 * max(seconds):.0f} ms")


def memory(model: Path, image: Path) -> None:
    """Resident memory after 500 requests and after each of 5 times 1,000 more."""
    request = encode_request("/v1/predict", image.read_bytes(), n_captions=4)
    with serving(model, "--no-page", "--limit", f"waiting={N_CLIENTS}") as server:

        async def send(n: int) -> None:
            left = iter(range(n))

            async def call() -> None:
                client = Client(server.port)
                for _ in left:
                    assert await client.send(request) == 200

            await asyncio.gather(*(call() for _ in range(N_CLIENTS)))

        asyncio.run(send(500))
        sizes = [_resident(server.process.pid)]
        for _ in range(5):
            asyncio.run(send(1000))
            sizes.append(_resident(server.process.pid))
        print(
            "resident memory after 500 requests and after each 1,000 more, MiB: " + ", ".join(f"{s:.0f}" for s in sizes)
        )


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _p95(values: np.ndarray) -> float:
    return float(np.percentile(values, 95))


if __name__ == "__main__":
    PARTS = {
        "start": start,
        "latency": latency,
        "batching": batching,
        "overload": overload,
        "page": page,
        "memory": memory,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a run of the demo, with its gallery")
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    arguments = parser.parse_args()
    gallery_image = sorted((arguments.model / "gallery").glob("*.jpg"))[0]
    print(f"{os.cpu_count()} cores, clients on the same; image of {gallery_image.stat().st_size:,} bytes")
    for part in arguments.parts or PARTS:
        PARTS[part](arguments.model, gallery_image)
