"""uvicorn's HTTP protocol with a limit on connections and on the time for a request's headers to arrive."""

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from emocap.app.limits import Limits

# Up to `connections` are served, up to this many times as many get status 429, further ones are closed at once.
CONNECTIONS_FACTOR = 4


def limited_protocol(limits: Limits) -> type[HttpToolsProtocol]:
    """The protocol class for these limits."""

    class LimitedProtocol(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            if len(self.connections) >= CONNECTIONS_FACTOR * limits.connections:
                transport.abort()
                return
            super().connection_made(transport)
            # Headers and body are sent separately; without this the body waits for the client's acknowledgement.
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._update_timer()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._update_timer()

        def connection_lost(self, exc: Exception | None) -> None:
            self._cancel_timer()
            super().connection_lost(exc)

        def _update_timer(self) -> None:
            if self.cycle is not None and not self.cycle.response_complete:
                self._cancel_timer()
            elif self._timer is None:
                self._timer = self.loop.call_later(limits.header_seconds, self._time_out)

        def _cancel_timer(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _time_out(self) -> None:
            self._timer = None
            if self.cycle is None or self.cycle.response_complete:
                self.transport.close()

    return LimitedProtocol
