"""uvicorn's HTTP/1.1 connection with an end to waiting: slow, idle and endless senders are cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from spanledger.config.receivers import Receiver
from spanledger.core.delivery import Encoding
from spanledger.core.reasons import Reason
from spanledger.otlp.refusals import refusal_of
from spanledger.otlp.status import error_status
from spanledger.receiver.gate import Gate
from spanledger.receiver.listener import Message

_TLS_HANDSHAKE = b"\x16\x03"
"""How a TLS connection begins: a record of a handshake, of any version."""


class Guard(Protocol):
    """What a connection is held against, and who counts."""

    @property
    def limits(self) -> Receiver:
        """How many connections there may be, and how slow and how wordy a sender."""
        ...

    def closed(self, reason: Reason) -> None:
        """Count a connection that was closed without an answer."""
        ...


Refuse = Callable[[Reason, str], bytes]
"""Counts what never became a request, and gives the answer after which its connection ends."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection. It is always in one of three states, and two of them end by themselves.

    - idle: from the start, or the last answer, to the first byte of a request; `idle_timeout_seconds`
    - reading: from there to the last byte of the request, answered or not; `request_timeout_seconds`
    - working: until the answer is written
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        guard: Guard,
        refuse: Refuse,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._guard = guard
        self._answer_of = refuse
        self._deadline: asyncio.TimerHandle | None = None
        self._begins_tls = False
        self._in_head = False
        self._in_message = False
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A sender connected: it is idle, or one too many."""
        super().connection_made(transport)
        if len(self.connections) > self._guard.limits.max_connections:
            self._cut(Reason.TOO_MANY_CONNECTIONS)
            return
        self._wait(self._guard.limits.idle_timeout_seconds, Reason.IDLE_CONNECTION)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: wait for nothing more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a request line with headers that does not end is refused."""
        self._begins_tls = data.startswith(_TLS_HANDSHAKE)
        super().data_received(data)
        if not self._in_head:
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > self._guard.limits.max_header_bytes:
            self._refuse(Reason.HEADERS_TOO_LARGE, "request line and headers are too large")

    def on_message_begin(self) -> None:
        """The first byte of a request: from here on it has to arrive in time."""
        self._in_head = self._in_message = True
        self._wait(self._guard.limits.request_timeout_seconds, Reason.SLOW_REQUEST)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Request line and headers are there; the receiver looks at their size."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The last byte of a request, which may have been answered already."""
        self._in_message = False
        super().on_message_complete()
        if self.cycle.response_complete:
            self._wait(self._guard.limits.idle_timeout_seconds, Reason.IDLE_CONNECTION)
        else:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """An answer is written: the connection is idle unless more is on its way."""
        super().on_response_complete()
        if self.cycle.response_complete and not self._in_message and not self.transport.is_closing():
            self._wait(self._guard.limits.idle_timeout_seconds, Reason.IDLE_CONNECTION)

    def shutdown(self) -> None:
        """The service stops: a request with headers may still arrive and be answered; any other connection ends."""
        is_working = self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]
        if self._in_head and not is_working:
            self.end()
        else:
            super().shutdown()

    def end(self) -> None:
        """The service has stopped: what did not arrive or was not answered by now never will be."""
        self._cut(Reason.STOPPING)

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP: answer as OTLP does."""
        if self._begins_tls:
            self._refuse(Reason.WRONG_SCHEME, "this port is plain HTTP: send to http://, not https://")
            return
        self._refuse(Reason.BAD_HTTP, "this is not an HTTP/1.1 request")

    def _wait(self, seconds: float, reason: Reason) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(seconds, self._cut, reason)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut(self, reason: Reason) -> None:
        """Close at once, without an answer: a sender that is slow to write may be slow to read too."""
        self._guard.closed(reason)
        self.transport.abort()

    def _refuse(self, reason: Reason, message: str) -> None:
        """Answer what never became a request, and close."""
        if self.transport.is_closing():
            return
        self.transport.write(self._answer_of(reason, message))
        self.transport.close()


def refuse_connection(gate: Gate, reason: Reason, message: str) -> bytes:
    """Count what never became a request, and give the answer after which its connection ends."""
    gate.refused(reason)
    refusal = refusal_of(reason)
    body = error_status(refusal.rpc_code, message, retry_after_seconds=None, encoding=Encoding.PROTOBUF)
    return last_answer(refusal.http_status, "application/x-protobuf", body)


def last_answer(status: HTTPStatus, content_type: str, body: bytes) -> bytes:
    """The whole of an answer that a connection ends with."""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"content-type: {content_type}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


def head_bytes(scope: Message) -> int:
    """Size of a request's target and headers."""
    target = len(scope["raw_path"]) + len(scope["query_string"])
    return target + sum(len(name) + len(value) for name, value in scope["headers"])
