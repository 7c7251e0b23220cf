"""ASGI middleware around page and REST: host names, key, limits and the request log."""

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Callable, Collection

from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emocap.app.limits import Limits
from emocap.app.metrics import Metrics
from emocap.app.request_body import RETRY_SOON, BodyReader, replay
from emocap.app.request_log import INTERNAL_ERROR, log_failure, log_request, new_request_id
from emocap.app.service import ServerBusy

MODEL_ROUTES = ("/v1/predict", "/v1/rank", "/v1/explain", "/v1/caption")
ROUTES = (*MODEL_ROUTES, "/v1/model", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs")
# Probes and scrapers call these by address, and must be answered under any load.
PROBES = ("/healthz", "/readyz", "/metrics")
WITH_KEY = ("/v1/", "/metrics")
STREAMS, EVENTS = "/gradio_api/heartbeat/", "/gradio_api/queue/data"
# The page's own scripts evaluate templates; no script, style, image or response may come from another host.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self' data: blob:; font-src 'self' data:; form-action 'self'; "
    "object-src 'none'; base-uri 'self'; frame-ancestors 'self'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
BODY_SIZE, HOST_ALLOWED = "emocap.body_size", "emocap.host_allowed"  # keys of the ASGI scope


async def _accept_host(scope: Scope, receive: Receive, send: Send) -> None:
    scope[HOST_ALLOWED] = True


async def _drop(message: Message) -> None:
    """Starlette's own refusal is plain text."""


class RequestMiddleware:
    """Checks every request, passes it on or rejects it, and logs it.

    Args:
        app: the application.
        require_place: raises ServerBusy where no further request to the model may be accepted.
        key: that `Authorization: Bearer` must have, or None.
        hosts: host names that a request may use, checked by Starlette's TrustedHostMiddleware; None for all.
        page_guard: raises HTTPException for a bad request to the page, by path and body; None if there is no page.

    Attributes:
        n_connections: number of open connections; the server sets it.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        metrics: Metrics,
        require_place: Callable[[], None],
        *,
        key: str | None = None,
        hosts: Collection[str] | None = None,
        page_guard: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self._app, self._limits, self._metrics, self._require_place = app, limits, metrics, require_place
        self._key, self._page_guard = key, page_guard
        patterns = ["*"] if hosts is None else [_host_pattern(host) for host in hosts]
        self._trusted_host = TrustedHostMiddleware(_accept_host, patterns, www_redirect=False)
        self._bodies = BodyReader(limits)
        self._streams: set[asyncio.Task[None]] = set()
        self.n_connections: Callable[[], int] = lambda: 0

    def end_streams(self) -> None:
        """Cancel responses that would go on for as long as a page is open."""
        for stream in self._streams:
            stream.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        request_id = new_request_id()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS, (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            is_probe = scope["path"] in PROBES
            if not is_probe and self.n_connections() > self._limits.connections:
                raise HTTPException(429, "too many open connections; try again in a moment", RETRY_SOON)
            if not is_probe:
                await self._check_host(scope, receive)
            await self._handle(scope, receive, send_with_headers)
        except HTTPException as error:
            response = JSONResponse({"detail": error.detail}, error.status_code, error.headers)
            await response(scope, receive, send_with_headers)
        except ServerBusy as error:
            await JSONResponse({"detail": str(error)}, 429, error.headers)(scope, receive, send_with_headers)
        except Exception as error:
            log_failure(error, request_id)
            if status == 0:
                await JSONResponse({"detail": INTERNAL_ERROR}, 500)(scope, receive, send_with_headers)
        finally:
            self._record(scope, request_id, status, time.perf_counter() - start)

    async def _check_host(self, scope: Scope, receive: Receive) -> None:
        """Refuse a host name that is not allowed, in the form of all other errors."""
        checked = dict(scope)
        await self._trusted_host(checked, receive, _drop)
        if HOST_ALLOWED not in checked:
            raise HTTPException(400, "host name not allowed; start the server with --host-name NAME to allow it")

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request whose host name is allowed, and pass it on."""
        self._check_headers(scope)
        body = b"" if scope["method"] in ("GET", "HEAD", "OPTIONS") else await self._bodies.read(receive)
        scope[BODY_SIZE] = len(body)
        if self._page_guard is not None:
            self._page_guard(scope["path"], body)
        if scope["path"].startswith(STREAMS):
            await self._stream(scope, receive, send)
        else:
            await self._app(scope, replay(body, receive), send)

    def _check_headers(self, scope: Scope) -> None:
        path, headers = scope["path"], dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        host = headers.get(b"host", b"").decode("latin-1")
        if origin and scope["method"] == "POST" and origin.partition("://")[2] != host:
            raise HTTPException(403, "cross-origin requests are not allowed")
        if self._key is not None and path.startswith(WITH_KEY):
            scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(key.strip(), self._key.encode()):
                message = "missing or wrong key; send Authorization: Bearer KEY"
                raise HTTPException(401, message, {"www-authenticate": "Bearer"})
        self._bodies.check_length(headers.get(b"content-length", b"0"))
        if path in MODEL_ROUTES:
            self._require_place()
        if path.startswith(STREAMS) and len(self._streams) >= self._limits.connections // 2:
            raise HTTPException(429, "too many open pages; try again in a moment", RETRY_SOON)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request whose response `end_streams` can cancel."""

        async def respond() -> None:
            await self._app(scope, receive, send)

        stream = asyncio.create_task(respond())
        self._streams.add(stream)
        try:
            await asyncio.wait([stream])
            if not stream.cancelled() and (error := stream.exception()) is not None:
                raise error
        finally:
            stream.cancel()
            self._streams.discard(stream)

    def _record(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        """Count and log a finished request."""
        path = scope["path"]
        route = path if path in ROUTES else "other" if path.startswith("/v1/") else "page"
        self._metrics.requests.labels(route, str(status)).inc()
        if not path.startswith((STREAMS, EVENTS)):  # these stay open as long as the page
            self._metrics.seconds.labels(route).observe(seconds)
        log_request(request_id, scope["method"], route, status, scope.get(BODY_SIZE, 0), seconds)


def _host_pattern(host: str) -> str:
    """A host as TrustedHostMiddleware compares it: IPv6 addresses are in brackets.

    >>> _host_pattern("localhost"), _host_pattern("::1"), _host_pattern("127.0.0.1")
    ('localhost', '[::1]', '127.0.0.1')
    """
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host
