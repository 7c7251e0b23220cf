"""The server: a model's page and REST in one process, until it is told to stop; then it finishes what it accepted."""

import asyncio
import ipaddress
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from emocap.app.limits import Limits
from emocap.app.metrics import Metrics
from emocap.app.middleware import Gate
from emocap.app.rest import build_rest
from emocap.app.served_model import Served
from emocap.app.service import Service
from emocap.errors import EmocapError
from emocap.progress import logger

HARD = 4  # times as many connections as may ask are closed unheard
ENDS = (signal.SIGTERM, signal.SIGHUP)
LOCAL = ("localhost", "127.0.0.1", "::1")


def build_app(
    served: Served,
    limits: Limits,
    folder: Path,
    *,
    page: bool = True,
    key: str | None = None,
    hosts: Collection[str] | None = None,
) -> tuple[Gate, Service]:
    """The whole application, and what answers in it.

    Args:
        folder: for files while the server runs.
        page: whether there is a web page.
        key: that REST asks for and that opens the page, or None.
        hosts: names that a request may call the server by; None for all.
    """
    metrics = Metrics()
    service = Service(
        served,
        limits,
        on_batch=lambda jobs, captions: metrics.batch.observe(captions),
        on_question=lambda kind: metrics.questions.labels(kind).inc(),
    )
    metrics.watch(lambda: service.accepted)
    app = build_rest(service, metrics, needs_key=key is not None)
    look = None
    if page:
        from emocap.app.page import mount_page

        app, look = mount_page(app, service, folder, key)
    gate = Gate(app, limits, metrics, lambda: service.is_full, key=key, hosts=hosts, look=look)
    return gate, service


def serve(
    load: Callable[[], Served],
    limits: Limits,
    *,
    host: str,
    port: int,
    page: bool = True,
    key: str | None = None,
    names: Collection[str] = (),
) -> None:
    """Serve until a signal comes.

    Args:
        load: gives what is served.
        names: that a request may call the server by, besides this machine's own; asked for where it listens on that.

    Raises:
        EmocapError: the port cannot be had, or the model cannot be loaded.
    """
    for number in ENDS:
        signal.signal(number, _leave)
    hosts = (*LOCAL, host, *(name.lower() for name in names)) if _is_loopback(host) or names else None
    with _listening(host, port) as listening, tempfile.TemporaryDirectory(prefix="emocap-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # read when Gradio is imported
        served = load()
        gate, service = build_app(served, limits, Path(folder), page=page, key=key, hosts=hosts)
        config = uvicorn.Config(
            gate,
            http=_protocol(limits),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=int(limits.seconds) + 1,
            ws="none",
        )
        shown = f"[{host}]" if ":" in host else host
        logger.info("%s: http://%s:%d (stop with Ctrl-C)", served.folder, shown, listening.getsockname()[1])
        _log_requests()
        server = _Server(config, gate, service)
        # The library sends itself the signal again when it has stopped; by then there is only cleaning up to do.
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        signal.signal(signal.SIGHUP, lambda number, frame: server.handle_exit(signal.SIGTERM, frame))
        try:
            with suppress(KeyboardInterrupt):
                server.run(sockets=[listening])
        finally:
            service.stop()


def _is_loopback(host: str) -> bool:
    try:
        return host in LOCAL or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


class _Server(uvicorn.Server):
    """Says that it is stopping, and ends the page's endless streams, so that only questions are waited for."""

    def __init__(self, config: uvicorn.Config, gate: Gate, service: Service) -> None:
        super().__init__(config)
        self._gate, self._service = gate, service
        gate.connections = lambda: len(self.server_state.connections)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal to stop."""
        self._service.begin_stop()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more, and finish what was accepted."""
        self._gate.end_streams()
        await super().shutdown(sockets)


def _protocol(limits: Limits) -> type[HttpToolsProtocol]:
    """The library's HTTP, with a time for a request's head to arrive, and an end to connections."""

    class Patient(HttpToolsProtocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            if len(self.connections) >= HARD * limits.connections:
                transport.abort()
                return
            super().connection_made(transport)
            # An answer goes out in two pieces; without this the second waits for the caller's word on the first.
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def _watch(self) -> None:
            if self.cycle is not None and not self.cycle.response_complete:
                self._forget()
            elif self._late is None:
                self._late = self.loop.call_later(limits.header_seconds, self._close)

        def _forget(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _close(self) -> None:
            self._late = None
            if self.cycle is None or self.cycle.response_complete:
                self.transport.close()

    return Patient


def _listening(host: str, port: int) -> socket.socket:
    if not host.strip():
        raise EmocapError("serve: --host is empty; give an address, 0.0.0.0 for all")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise EmocapError(f"serve: cannot listen on {host}:{port} ({error}); choose another place") from error


def _log_requests() -> None:
    """From here on a line of JSON for each request, and nothing that may hold what was asked."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    requests = logging.getLogger("emocap.requests")
    requests.handlers[:] = [handler]
    requests.setLevel(logging.INFO)
    requests.propagate = False
    logger.setLevel(logging.CRITICAL)
    library = logging.getLogger("uvicorn")
    library.setLevel(logging.CRITICAL)
