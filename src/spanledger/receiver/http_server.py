"""OTLP over HTTP: `/v1/traces`, `/v1/logs`, `/v1/metrics`, protobuf and JSON, by the OTLP specification."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from spanledger.core.delivery import Consumer, Delivery, Encoding
from spanledger.core.errors import PermanentError, RetryableError
from spanledger.core.events import Event
from spanledger.core.reasons import Reason
from spanledger.core.usage import Signal
from spanledger.logs import tell
from spanledger.otlp.refusals import refusal_of
from spanledger.otlp.status import error_status, response
from spanledger.receiver.gate import Gate, Passage, internal_error
from spanledger.receiver.http_protocol import GuardedProtocol, head_bytes, refuse_connection
from spanledger.receiver.inflating import Inflater
from spanledger.receiver.listener import Listener, Message, Receive, Send
from spanledger.receiver.tls import ServerTls

Headers = tuple[tuple[bytes, bytes], ...]

CONTENT_TYPES = {"application/x-protobuf": Encoding.PROTOBUF, "application/json": Encoding.JSON}
PATHS = {f"/v1/{signal.value}": signal for signal in Signal}
_SHOWN_CHARACTERS = 60
"""How much of what a sender wrote is repeated to it."""

_EXTRA_HEADERS: dict[Reason, Headers] = {
    Reason.METHOD_NOT_ALLOWED: ((b"allow", b"POST"),),
    Reason.UNAUTHENTICATED: ((b"www-authenticate", b"Bearer"),),
}


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus
    encoding: Encoding
    body: bytes
    headers: Headers = ()


class _DisconnectedError(Exception):
    """The sender went away before its body was complete."""


class HttpReceiver:
    """An HTTP server for OTLP. Port 0 takes a free one."""

    def __init__(self, consumer: Consumer, gate: Gate, tls: ServerTls | None = None) -> None:
        self._consumer = consumer
        self._gate = gate
        self._endpoint = gate.limits.http.endpoint
        # The time that an idle connection is kept is told to senders: one that sends just when we close would have to
        # send again, and not every client does.
        keep_alive = f"timeout={max(1, int(gate.limits.idle_timeout_seconds))}"
        handshake_failed = partial(gate.closed, Reason.FAILED_HANDSHAKE)
        self._listener = Listener(
            self._application,
            idle_timeout_seconds=gate.limits.idle_timeout_seconds + 1,
            protocol=partial(GuardedProtocol, guard=gate, refuse=partial(refuse_connection, gate)),
            headers=[("keep-alive", keep_alive)],
            tls=None if tls is None else tls.context(self._refuse_plain_http, handshake_failed),
        )

    async def start(self) -> str:
        """Listen, and give the address as `host:port`.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        return await self._listener.start(
            self._endpoint, setting="receiver.http.endpoint", advice=" with --http HOST:PORT"
        )

    async def stop(self, grace_seconds: float) -> None:
        """Take no more requests and finish those under way."""
        await self._listener.stop(grace_seconds)

    async def _application(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            answer = await self._handle(scope, receive)
        except _DisconnectedError:
            return
        await send({"type": "http.response.start", "status": answer.status.value, "headers": _headers(answer)})
        await send({"type": "http.response.body", "body": answer.body})

    async def _handle(self, scope: Message, receive: Receive) -> _Answer:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        media_type = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        encoding = CONTENT_TYPES.get(media_type, Encoding.PROTOBUF)
        try:
            with self._gate.enter(headers.get(b"authorization")) as passage:
                signal = _route(scope, media_type, self._gate.limits.max_header_bytes)
                body = await self._body(receive, headers, passage)
                receipt = await self._consumer.consume(Delivery(signal, encoding, body, passage.tenant))
        except (PermanentError, RetryableError) as error:
            # Answered here and not kept: an error that its own frame keeps would keep the body too.
            return self._refused(error, encoding)
        except _DisconnectedError:
            raise
        except Exception as error:  # noqa: BLE001 - told with its traceback
            # A fault of ours must not make the sender drop its data: 503 is retried, 500 is not.
            tell(Event.RECEIVER_REQUEST_FAILED, error, target=scope["path"])
            return self._refused(internal_error(), encoding)
        return _Answer(HTTPStatus.OK, encoding, response(signal, receipt, encoding))

    def _refuse_plain_http(self) -> bytes:
        return refuse_connection(self._gate, Reason.WRONG_SCHEME, "this port speaks TLS: send to https://, not http://")

    def _refused(self, error: PermanentError | RetryableError, encoding: Encoding) -> _Answer:
        self._gate.refused(error.reason)
        return _refusal(error, encoding)

    async def _body(self, receive: Receive, headers: Mapping[bytes, str], passage: Passage) -> bytes:
        """Read and decompress a body, never more of it than the limits."""
        limits = self._gate.limits
        content_encoding = headers.get(b"content-encoding", "").strip().lower()
        inflater = None if content_encoding in ("", "identity") else Inflater(content_encoding, limits)
        chunks: list[bytes] = []
        _require_size(int(headers.get(b"content-length", "0")), limits.max_request_bytes)
        received, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _DisconnectedError
            chunk = message.get("body", b"")
            more = message.get("more_body", False)
            received += len(chunk)
            _require_size(received, limits.max_request_bytes)
            if inflater is not None:
                chunk = inflater.feed(chunk)
            passage.hold(len(chunk))
            chunks.append(chunk)
        if inflater is not None:
            inflater.finish()
        return b"".join(chunks)


def _route(scope: Message, media_type: str, max_header_bytes: int) -> Signal:
    """Signal of a request; refuses what is not an OTLP export."""
    if head_bytes(scope) > max_header_bytes:
        raise PermanentError("request line and headers are too large", Reason.HEADERS_TOO_LARGE)
    signal = PATHS.get(scope["path"])
    if signal is None:
        path = scope["path"][:_SHOWN_CHARACTERS]
        raise PermanentError(f"no such path {path!r}; OTLP has {', '.join(PATHS)}", Reason.NO_SUCH_PATH)
    if scope["method"] != "POST":
        raise PermanentError(f"{scope['method']} is not allowed; send POST", Reason.METHOD_NOT_ALLOWED)
    if media_type not in CONTENT_TYPES:
        shown = media_type[:_SHOWN_CHARACTERS] or "(none)"
        raise PermanentError(
            f"content type {shown!r} is not supported; send {' or '.join(CONTENT_TYPES)}",
            Reason.UNSUPPORTED_CONTENT_TYPE,
        )
    return signal


def _require_size(size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise PermanentError(f"the body is larger than {max_bytes} bytes", Reason.BODY_TOO_LARGE)


def _refusal(refused: PermanentError | RetryableError, encoding: Encoding) -> _Answer:
    how = refusal_of(refused.reason)
    delay = refused.retry_after_seconds if isinstance(refused, RetryableError) else None
    body = error_status(how.rpc_code, str(refused), retry_after_seconds=delay, encoding=encoding)
    headers = _EXTRA_HEADERS.get(refused.reason, ())
    if delay is not None:
        headers = (*headers, (b"retry-after", str(math.ceil(delay)).encode()))
    return _Answer(how.http_status, encoding, body, headers)


def _headers(answer: _Answer) -> list[tuple[bytes, bytes]]:
    content_type = next(name for name, encoding in CONTENT_TYPES.items() if encoding is answer.encoding)
    return [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
    ]
