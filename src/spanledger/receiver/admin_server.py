"""Health and metrics over HTTP, on a port of their own: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Protocol

import orjson

from spanledger.config.receivers import Receiver
from spanledger.core.events import Event
from spanledger.core.reasons import Reason
from spanledger.logs import tell
from spanledger.otlp.refusals import refusal_of
from spanledger.receiver.http_protocol import GuardedProtocol, head_bytes, last_answer
from spanledger.receiver.listener import Listener, Message, Receive, Send
from spanledger.telemetry import Counter, Counters

_JSON, _TEXT = "application/json", "text/plain; charset=utf-8"
ALIVE = b"alive\n"
"""What `/healthz` says."""

_METHODS = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether telemetry can be taken, and the facts that this stands on: texts, numbers and truth values by name."""

    ready: bool
    facts: dict[str, str | int | float | bool | None]


class Subject(Protocol):
    """What is asked."""

    async def readiness(self) -> Readiness:
        """Whether telemetry can be taken now."""
        ...

    async def scrape(self) -> tuple[bytes, str]:
        """The metrics in Prometheus' text format, and its content type."""
        ...


class AdminServer:
    """Answers for a subject. Its connections are held against the receivers' limits and counted apart."""

    def __init__(self, subject: Subject, endpoint: str, limits: Receiver, counters: Counters) -> None:
        self._subject = subject
        self._endpoint = endpoint
        self.limits = limits
        self._counters = counters
        self._listener = Listener(
            self._application,
            idle_timeout_seconds=limits.idle_timeout_seconds + 1,
            protocol=partial(GuardedProtocol, guard=self, refuse=self._refuse),
        )

    async def start(self) -> str:
        """Listen, and give the address as `host:port`.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        return await self._listener.start(self._endpoint, setting="admin.endpoint", advice=", or null")

    async def stop(self, grace_seconds: float) -> None:
        """Take no more questions."""
        await self._listener.stop(grace_seconds)

    def closed(self, reason: Reason) -> None:
        """Count a connection that was ended."""
        self._counters.add(Counter.ADMIN_CONNECTIONS_CLOSED, reason=reason)

    def _refuse(self, reason: Reason, message: str) -> bytes:
        self.closed(reason)
        return last_answer(refusal_of(reason).http_status, _TEXT, f"{message}\n".encode())

    async def _application(self, scope: Message, _: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            if head_bytes(scope) > self.limits.max_header_bytes:
                self.closed(Reason.HEADERS_TOO_LARGE)
                status, content_type, body = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _TEXT, b"too large\n"
            else:
                status, content_type, body = await self._answer(scope["method"], scope["path"])
        except Exception as error:  # noqa: BLE001 - told with its traceback
            tell(Event.ADMIN_QUESTION_FAILED, error, path=scope["path"])
            status, content_type, body = HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, b"not now\n"
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status.value, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, method: str, path: str) -> tuple[HTTPStatus, str, bytes]:
        if method not in _METHODS:
            return HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"send GET\n"
        match path:
            case "/healthz":
                return HTTPStatus.OK, _TEXT, ALIVE
            case "/readyz":
                readiness = await self._subject.readiness()
                status = HTTPStatus.OK if readiness.ready else HTTPStatus.SERVICE_UNAVAILABLE
                return status, _JSON, orjson.dumps({"ready": readiness.ready, **readiness.facts}) + b"\n"
            case "/metrics":
                text, content_type = await self._subject.scrape()
                return HTTPStatus.OK, content_type, text
            case _:
                return HTTPStatus.NOT_FOUND, _TEXT, b"/healthz, /readyz and /metrics are here\n"
