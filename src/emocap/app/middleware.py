"""What every request passes before it is read: key, size, time, a place in the queue; and what is kept of it after.

The log holds when, where to, how long and how it ended, never what was asked or answered.
"""

import asyncio
import hmac
import json
import logging
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from emocap.app.limits import Limits
from emocap.app.metrics import Metrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger("emocap.requests")
QUESTIONS = ("/v1/predict", "/v1/rank", "/v1/explain", "/v1/caption")
KNOWN = (*QUESTIONS, "/v1/model", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs")
FAILED = "something failed here; the server's log has it by the answer's x-request-id"
STREAMS, EVENTS = "/gradio_api/heartbeat/", "/gradio_api/queue/data"
ASIDE = ("/healthz", "/readyz", "/metrics")
GUARDED = ("/v1/", "/metrics")
# The page's own scripts evaluate templates; no script, style, picture or answer may come from another host.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self' data: blob:; font-src 'self' data:; form-action 'self'; "
    "object-src 'none'; base-uri 'self'; frame-ancestors 'self'"
)
# A refused body is read on, and forgotten, up to so much and so long, for a caller that looks up only when it has sent.
MOST_PIECES = 200_000
DRAINED_BYTES, DRAINED_SECONDS = 128 * 2**20, 5.0
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class Refused(Exception):
    """A request that is not let in.

    Attributes:
        status: of the answer.
        detail: one sentence.
        retry_after: seconds, or None.
    """

    def __init__(self, status: int, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_after = status, detail, retry_after


class Gate:
    """ASGI middleware around page and REST.

    Args:
        app: what is guarded.
        is_full: whether a question would find no place.
        key: that `Authorization: Bearer` must bring, or None.
        hosts: names that a request may call the server by; None for all.
        look: refuses what a request to the page must not hold, by its path and body; None where there is no page.

    Attributes:
        connections: how many are open; the server sets it.
    """

    def __init__(
        self,
        app: App,
        limits: Limits,
        metrics: Metrics,
        is_full: Callable[[], bool],
        *,
        key: str | None = None,
        hosts: Collection[str] | None = None,
        look: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self._app, self._limits, self._metrics, self._is_full = app, limits, metrics, is_full
        self._key, self._hosts, self._look = key, hosts, look
        self._streams: set[asyncio.Task[None]] = set()
        self._reading = 0
        self.connections: Callable[[], int] = lambda: 0

    def end_streams(self) -> None:
        """Cut what would go on for as long as a page is open."""
        for stream in self._streams:
            stream.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        number = uuid.uuid4().hex[:16]
        status = 0
        size = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS, (b"x-request-id", number.encode())]
            await send(message)

        try:
            self._admit(scope)
            body = await self._body(scope, receive)
            size = len(body)
            if self._look is not None:
                self._look(scope["path"], body)
            if scope["path"].startswith(STREAMS):
                await self._stream(scope, receive, noted)
            else:
                await self._app(scope, _replayed(body, receive), noted)
        except Refused as refusal:
            await _refuse(noted, refusal)
        except Exception as error:
            note_fault(error, number)
            if status == 0:
                await _refuse(noted, Refused(500, FAILED))
        finally:
            self._note(scope, number, status, size, time.perf_counter() - start)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = asyncio.create_task(self._passed(scope, receive, send))
        self._streams.add(stream)
        try:
            await asyncio.wait([stream])
            if not stream.cancelled() and (error := stream.exception()) is not None:
                raise error
        finally:
            stream.cancel()
            self._streams.discard(stream)

    async def _passed(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        path, headers = scope["path"], dict(scope["headers"])
        if path not in ASIDE and self.connections() > self._limits.connections:
            raise Refused(429, "too many connections are open already; ask again in a moment", retry_after=1)
        host = headers.get(b"host", b"").decode("latin-1")
        if self._hosts is not None and path not in ASIDE and _name(host) not in self._hosts:
            raise Refused(400, "this server does not go by that name; start it with --host-name NAME")
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and scope["method"] == "POST" and origin.partition("://")[2] != host:
            raise Refused(403, "another site's page may not ask this server")
        if self._key is not None and path.startswith(GUARDED):
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._key.encode()):
                raise Refused(401, "no valid key; send Authorization: Bearer KEY")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > max(self._limits.bytes, DRAINED_BYTES):
            raise self._too_large()
        if path in QUESTIONS and self._is_full():
            raise Refused(429, "too many requests are waiting already; ask again in a moment", retry_after=1)
        if path.startswith(STREAMS) and len(self._streams) >= self._limits.connections // 2:
            raise Refused(429, "too many pages are open already; try again in a moment", retry_after=1)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return b""
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while True:
                    message = await _next(receive)
                    part = message.get("body", b"")
                    parts.append(part)
                    size += len(part)
                    self._reading += len(part)
                    if self._reading > self._limits.kept:
                        raise Refused(429, "too much is being sent already; ask again in a moment", retry_after=1)
                    if size > self._limits.bytes:
                        parts.clear()
                        await _drain(receive, message)
                        raise self._too_large()
                    if not message.get("more_body", False):
                        return _bounded(b"".join(parts))
        except TimeoutError:
            raise Refused(
                408, f"the request did not arrive within {self._limits.body_seconds:g} s; send it again"
            ) from None
        finally:
            self._reading -= size

    def _too_large(self) -> Refused:
        return Refused(413, f"more than {self._limits.bytes:,} bytes; send a smaller picture or less text")

    def _note(self, scope: Scope, number: str, status: int, size: int, seconds: float) -> None:
        path = scope["path"]
        route = path if path in KNOWN else "other" if path.startswith("/v1/") else "page"
        self._metrics.requests.labels(route, str(status)).inc()
        if not path.startswith((STREAMS, EVENTS)):  # open for as long as the page likes
            self._metrics.seconds.labels(route).observe(seconds)
        logger.info(
            json.dumps(
                {
                    "time": _now(),
                    "request": number,
                    "method": scope["method"],
                    "route": route,
                    "status": status,
                    "bytes": size,
                    "ms": round(1e3 * seconds, 1),
                }
            )
        )


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def note_fault(error: Exception, number: str | None = None) -> str:
    """Log what failed and where, without the error's own words, which may hold what was asked; gives its number."""
    number = uuid.uuid4().hex[:16] if number is None else number
    stack = [f"{Path(one.filename).name}:{one.lineno}" for one in traceback.extract_tb(error.__traceback__)]
    said = {"time": _now(), "request": number, "error": type(error).__name__, "at": stack[-8:]}
    logger.error(json.dumps(said))
    return number


def _bounded(body: bytes) -> bytes:
    """Refuse JSON of so many pieces that reading it would hold up everybody."""
    if body[:1] in b"{[ \t\r\n" and sum(body.count(mark) for mark in (b"[", b"{", b",")) > MOST_PIECES:
        raise Refused(413, f"more than {MOST_PIECES:,} pieces; ask for less at once")
    return body


def _name(host: str) -> str:
    """The name in a Host header, without its port.

    >>> _name("localhost:8000"), _name("[::1]:8000"), _name("::1")
    ('localhost', '::1', '::1')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower() if host.count(":") < 2 else host


async def _next(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Refused(400, "the connection was cut before the request was whole")
    return message


async def _drain(receive: Receive, message: Message) -> None:
    """Read what is left of a body, within bounds."""
    left = DRAINED_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAINED_SECONDS):
            while message.get("more_body", False) and left > 0:
                message = await _next(receive)
                left -= len(message.get("body", b""))


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body as one message, and whatever the connection says after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _refuse(send: Send, refusal: Refused) -> None:
    body = json.dumps({"detail": refusal.detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.retry_after is not None:
        headers.append((b"retry-after", str(refusal.retry_after).encode()))
    if refusal.status in (408, 413):
        headers.append((b"connection", b"close"))  # what is left of the request is not waited for
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
