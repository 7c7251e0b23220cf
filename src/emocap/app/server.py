"""The server process: page and REST of one model until a signal; then it finishes the accepted requests."""

import ipaddress
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType

import uvicorn

from emocap.app.limits import Limits
from emocap.app.metrics import Metrics
from emocap.app.middleware import RequestMiddleware
from emocap.app.protocol import limited_protocol
from emocap.app.rest import build_rest
from emocap.app.served_model import ServedModel
from emocap.app.service import Service
from emocap.errors import EmocapError
from emocap.progress import logger

# Windows has no SIGHUP.
STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def build_app(
    served: ServedModel,
    limits: Limits,
    folder: Path,
    *,
    page: bool = True,
    key: str | None = None,
    hosts: Collection[str] | None = None,
) -> tuple[RequestMiddleware, Service]:
    """The ASGI application, and the service behind it.

    Args:
        folder: for files while the server runs.
        page: whether there is a web page.
        key: that REST requires and that opens the page, or None.
        hosts: host names that a request may use; None for all.
    """
    metrics = Metrics()
    service = Service(
        served,
        limits,
        on_batch=lambda n_jobs, n_captions: metrics.batch.observe(n_captions),
        on_request=lambda kind: metrics.model_requests.labels(kind).inc(),
    )
    metrics.watch(lambda: service.accepted)
    app = build_rest(service, metrics, needs_key=key is not None)
    page_guard = None
    if page:
        from emocap.app.page_mount import mount_page

        app, page_guard = mount_page(app, service, folder, key)
    middleware = RequestMiddleware(
        app, limits, metrics, service.require_place, key=key, hosts=hosts, page_guard=page_guard
    )
    return middleware, service


def serve(
    load: Callable[[], ServedModel],
    limits: Limits,
    *,
    host: str,
    port: int,
    page: bool = True,
    key: str | None = None,
    names: Collection[str] = (),
) -> None:
    """Serve until a signal.

    Args:
        load: loads the model.
        names: host names that a request may use besides those of loopback; without any, and if the server listens on
            another address, all are allowed.

    Raises:
        EmocapError: the port is unavailable, a name is invalid, or the model cannot be loaded.
    """
    hosts = allowed_hosts(host, names)
    for number in STOP_SIGNALS:
        signal.signal(number, _exit)
    with _listen(host, port) as listening, tempfile.TemporaryDirectory(prefix="emocap-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # read when Gradio is imported
        served = load()
        middleware, service = build_app(served, limits, Path(folder), page=page, key=key, hosts=hosts)
        config = uvicorn.Config(
            middleware,
            http=limited_protocol(limits),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=int(limits.seconds) + 1,
            ws="none",
        )
        address = f"[{host}]" if ":" in host else host
        logger.info("%s: http://%s:%d (stop with Ctrl-C)", served.folder, address, listening.getsockname()[1])
        _log_only_requests()
        server = _Server(config, middleware, service)
        # When uvicorn has stopped it raises its signals again, and only cleaning up is left to do.
        interrupt = signal.getsignal(signal.SIGINT)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, frame: None)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, lambda number, frame: server.handle_exit(signal.SIGTERM, frame))
        try:
            server.run(sockets=[listening])
        finally:
            signal.signal(signal.SIGINT, interrupt)  # a further Ctrl-C does not wait for the model
            service.stop()


class _Server(uvicorn.Server):
    """A server that reports that it is stopping, and cancels the page's endless streams, which it would wait for."""

    def __init__(self, config: uvicorn.Config, middleware: RequestMiddleware, service: Service) -> None:
        super().__init__(config)
        self._middleware, self._service = middleware, service
        middleware.n_connections = lambda: len(self.server_state.connections)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal to stop."""
        self._service.begin_stop()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more requests, and finish those that were accepted."""
        self._middleware.end_streams()
        await super().shutdown(sockets)


def allowed_hosts(host: str, names: Collection[str]) -> tuple[str, ...] | None:
    """The host names that requests may use, so that no web page elsewhere can reach a local server; None for all."""
    for name in names:
        domain = name.removeprefix("*.")
        if "*" in domain or not domain.strip(" .") or (":" in domain and not _is_address(domain)):
            raise EmocapError(
                f"--host-name {name}: expected a name such as example.org without a port, or *.example.org"
            )
    return (*LOOPBACK, host, *names) if _is_loopback(host) or names else None


def _is_loopback(host: str) -> bool:
    return host in LOOPBACK or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _listen(host: str, port: int) -> socket.socket:
    if not host.strip():
        raise EmocapError("serve: --host is empty; give an address, 0.0.0.0 for all")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise EmocapError(f"serve: cannot listen on {host}:{port} ({error}); choose another address or port") from error


def _log_only_requests() -> None:
    """From here on log a line of JSON per request, and nothing that may quote a request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    requests = logging.getLogger("emocap.requests")
    requests.handlers[:] = [handler]
    requests.setLevel(logging.INFO)
    requests.propagate = False
    logger.setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
