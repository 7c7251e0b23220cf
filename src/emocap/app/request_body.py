"""Reads the body of a request within the limits on its size, its time and the memory of all bodies together."""

import asyncio
from contextlib import suppress

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from emocap.app.limits import Limits

MAX_JSON_TOKENS = 200_000
# How much of a body that is too large is read and dropped, for clients that look for a response only after sending.
DRAINED_BYTES, DRAINED_SECONDS = 128 * 2**20, 5.0
RETRY_SOON = {"retry-after": "1"}
# The connection cannot be used again while the rest of the body is unread.
CLOSE = {"connection": "close"}


class BodyReader:
    """Reads bodies, and counts the bytes of all that are being read."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes_in_memory = 0

    def check_length(self, content_length: bytes) -> None:
        """Reject by its Content-Length header a body that is too large even to be read and dropped.

        Raises:
            HTTPException: 413.
        """
        if content_length.isdigit() and int(content_length) > max(self._limits.bytes, DRAINED_BYTES):
            raise self._too_large()

    async def read(self, receive: Receive) -> bytes:
        """The whole body.

        Raises:
            HTTPException: 400, 408, 413 or 429.
        """
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while True:
                    message = await _next_message(receive)
                    part = message.get("body", b"")
                    parts.append(part)
                    size += len(part)
                    self._bytes_in_memory += len(part)
                    if self._bytes_in_memory > self._limits.stored_bytes:
                        raise HTTPException(429, "too many uploads in progress; try again in a moment", RETRY_SOON)
                    if size > self._limits.bytes:
                        parts.clear()
                        await _drain(receive, message)
                        raise self._too_large()
                    if not message.get("more_body", False):
                        return _check_json_tokens(b"".join(parts))
        except TimeoutError:
            seconds = self._limits.body_seconds
            raise HTTPException(408, f"the request did not arrive within {seconds:g} s; send it again", CLOSE) from None
        finally:
            self._bytes_in_memory -= size

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"more than {self._limits.bytes:,} bytes; send a smaller image or less text", CLOSE)


def replay(body: bytes, receive: Receive) -> Receive:
    """An ASGI `receive` that gives a body which was read already, then whatever the connection brings."""
    is_sent = False

    async def receive_again() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _check_json_tokens(body: bytes) -> bytes:
    """Reject JSON with so many values that parsing it would block the server."""
    if body[:1] in b"{[ \t\r\n" and sum(body.count(mark) for mark in (b"[", b"{", b",")) > MAX_JSON_TOKENS:
        raise HTTPException(413, f"more than {MAX_JSON_TOKENS:,} JSON values; send less at once", CLOSE)
    return body


async def _next_message(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise HTTPException(400, "the connection was closed before the request was complete")
    return message


async def _drain(receive: Receive, message: Message) -> None:
    """Read and drop the rest of a body, within bounds."""
    n_left = DRAINED_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAINED_SECONDS):
            while message.get("more_body", False) and n_left > 0:
                message = await _next_message(receive)
                n_left -= len(message.get("body", b""))
