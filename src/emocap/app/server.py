"""The server: a model's page and REST in one process, until it is told to stop; then it finishes what it accepted."""

import logging
import os
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import uvicorn

from emocap.app.gate import Gate
from emocap.app.limits import Limits
from emocap.app.metrics import Metrics
from emocap.app.rest import build_rest
from emocap.app.served import Served
from emocap.app.service import Service
from emocap.errors import EmocapError
from emocap.progress import logger


def build_app(
    served: Served, limits: Limits, folder: Path, *, page: bool = True, key: str | None = None
) -> tuple[Gate, Service]:
    """The whole application, and what answers in it.

    Args:
        folder: for files while the server runs.
        page: whether there is a web page.
        key: that REST asks for and that opens the page, or None.
    """
    metrics = Metrics()
    service = Service(served, limits, on_batch=lambda jobs, captions: metrics.batch.observe(captions))
    metrics.watch(lambda: service.accepted)
    app = build_rest(service, metrics)
    if page:
        from emocap.app.web import mount_page

        app = mount_page(app, service, folder, key)
    return Gate(app, limits, metrics, lambda: service.is_full, key), service


def serve(served: Served, limits: Limits, *, host: str, port: int, page: bool = True, key: str | None = None) -> None:
    """Serve until a signal comes.

    Raises:
        EmocapError: the port cannot be had.
    """
    _log_requests()
    with _listening(host, port) as listening, tempfile.TemporaryDirectory(prefix="emocap-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # read when Gradio is imported
        gate, service = build_app(served, limits, Path(folder), page=page, key=key)
        config = uvicorn.Config(
            gate,
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=limits.connections,
            timeout_graceful_shutdown=int(limits.seconds) + 1,
            ws="none",
        )
        shown = f"[{host}]" if ":" in host else host
        logger.info("%s: http://%s:%d (stop with Ctrl-C)", served.folder, shown, listening.getsockname()[1])
        # The library sends itself the signal again when it has stopped; by then there is only cleaning up to do.
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        try:
            with suppress(KeyboardInterrupt):
                _Server(config, gate).run(sockets=[listening])
        finally:
            service.stop()


class _Server(uvicorn.Server):
    """Ends the page's endless streams when it is to stop, so that only questions are waited for."""

    def __init__(self, config: uvicorn.Config, gate: Gate) -> None:
        super().__init__(config)
        self._gate = gate

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more, and finish what was accepted."""
        self._gate.end_streams()
        await super().shutdown(sockets)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise EmocapError(f"serve: cannot listen on {host}:{port} ({error}); choose another place") from error


def _log_requests() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    requests = logging.getLogger("emocap.requests")
    requests.handlers[:] = [handler]
    requests.setLevel(logging.INFO)
    requests.propagate = False
