"""OTLP over HTTP: `/v1/traces`, `/v1/logs`, `/v1/metrics`, protobuf and JSON, by the OTLP specification."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import uvicorn

from spanledger.core.delivery import Consumer, Delivery, Encoding
from spanledger.core.errors import ConfigError, PermanentError, RetryableError
from spanledger.core.usage import Signal
from spanledger.otlp.status import error_status, response

LOGGER = logging.getLogger("spanledger.receiver")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CONTENT_TYPES = {"application/x-protobuf": Encoding.PROTOBUF, "application/json": Encoding.JSON}
PATHS = {f"/v1/{signal.value}": signal for signal in Signal}
INTERNAL_RETRY_SECONDS = 5.0
_BACKLOG = 2_048
_GZIP_WINDOW, _DEFLATE_WINDOW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_RPC_INVALID_ARGUMENT, _RPC_UNAVAILABLE = 3, 14


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus
    encoding: Encoding
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class _RefusedError(Exception):
    """A request that is answered with an error before it reaches the consumer."""

    def __init__(self, status: HTTPStatus, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self.status = status
        self.headers = headers
        super().__init__(message)


class _DisconnectedError(Exception):
    """The sender went away before its body was complete."""


class HttpReceiver:
    """An HTTP server for OTLP. Port 0 takes a free one."""

    def __init__(self, consumer: Consumer, endpoint: str, *, max_request_bytes: int) -> None:
        self._consumer = consumer
        self._endpoint = endpoint
        self._max_request_bytes = max_request_bytes
        config = uvicorn.Config(
            self._application,
            interface="asgi3",
            http="httptools",
            ws="none",
            proxy_headers=False,
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
        )
        self._server = uvicorn.Server(config)
        self._socket: socket.socket | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Listen, and give the address as `host:port`.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        host, _, port = self._endpoint.rpartition(":")
        try:
            self._socket = _listen(host.strip("[]"), int(port))
        except OSError as error:
            problem = f"receiver.http.endpoint {self._endpoint}: cannot be listened on ({error}); choose another with"
            raise ConfigError([f"{problem} --http HOST:PORT"]) from None
        # The server's own `serve` would take over the process's signal handlers; the service has its own.
        config = self._server.config
        config.load()
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[self._socket])
        self._serving = asyncio.create_task(self._server.main_loop())
        return f"{host}:{self._socket.getsockname()[1]}"

    async def stop(self, grace_seconds: float) -> None:
        """Take no more requests and finish those under way."""
        if self._serving is None or self._socket is None:
            return
        self._server.should_exit = True
        await self._serving
        self._server.config.timeout_graceful_shutdown = math.ceil(grace_seconds)
        await self._server.shutdown(sockets=[self._socket])

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
            signal = _route(scope, media_type)
            body = await _body(receive, headers.get(b"content-encoding", ""), self._max_request_bytes)
            receipt = await self._consumer.consume(Delivery(signal, encoding, body))
        except _RefusedError as error:
            return _refusal(error.status, _RPC_INVALID_ARGUMENT, str(error), encoding, error.headers)
        except PermanentError as error:
            return _refusal(HTTPStatus.BAD_REQUEST, _RPC_INVALID_ARGUMENT, str(error), encoding)
        except RetryableError as error:
            return _later(str(error), error.retry_after_seconds, encoding)
        except _DisconnectedError:
            raise
        except Exception:
            # A fault of ours must not make the sender drop its data: 503 is retried, 500 is not.
            LOGGER.exception("a request to %s failed", scope["path"])
            return _later("internal error", INTERNAL_RETRY_SECONDS, encoding)
        return _Answer(HTTPStatus.OK, encoding, response(signal, receipt, encoding))


def _listen(host: str, port: int) -> socket.socket:
    """Bind the first address of a host that can be bound, without sharing the port."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


def _route(scope: Message, media_type: str) -> Signal:
    """Signal of a request; refuses what is not an OTLP export."""
    signal = PATHS.get(scope["path"])
    if signal is None:
        raise _RefusedError(HTTPStatus.NOT_FOUND, f"no such path {scope['path']!r}; OTLP has {', '.join(PATHS)}")
    if scope["method"] != "POST":
        raise _RefusedError(
            HTTPStatus.METHOD_NOT_ALLOWED, f"{scope['method']} is not allowed; send POST", ((b"allow", b"POST"),)
        )
    if media_type not in CONTENT_TYPES:
        raise _RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"content type {media_type or '(none)'!r} is not supported; send {' or '.join(CONTENT_TYPES)}",
        )
    return signal


async def _body(receive: Receive, content_encoding: str, max_bytes: int) -> bytes:
    """Read and inflate a body, never more of it than the limit."""
    inflate = _inflater(content_encoding.strip().lower())
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        chunk = message.get("body", b"")
        if inflate is not None and chunk:
            chunk = _inflated(inflate, chunk, max_bytes - size + 1)
        size += len(chunk)
        if size > max_bytes or (inflate is not None and inflate.unconsumed_tail):
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {max_bytes} bytes (max_request_bytes)"
            )
        chunks.append(chunk)
        if not message.get("more_body", False):
            break
    if inflate is not None and size and not inflate.eof:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "the compressed body ends too early")
    return b"".join(chunks)


def _inflater(content_encoding: str) -> zlib._Decompress | None:
    match content_encoding:
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return zlib.decompressobj(_GZIP_WINDOW)
        case "deflate":
            return zlib.decompressobj(_DEFLATE_WINDOW)
        case other:
            raise _RefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"content encoding {other!r} is not supported; send gzip or none"
            )


def _inflated(inflate: zlib._Decompress, chunk: bytes, max_bytes: int) -> bytes:
    try:
        return inflate.decompress(chunk, max_bytes)
    except zlib.error as error:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, f"the compressed body cannot be read: {error}") from None


def _refusal(
    status: HTTPStatus,
    code: int,
    message: str,
    encoding: Encoding,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> _Answer:
    body = error_status(code, message, retry_after_seconds=None, encoding=encoding)
    return _Answer(status, encoding, body, headers)


def _later(message: str, retry_after_seconds: float, encoding: Encoding) -> _Answer:
    body = error_status(_RPC_UNAVAILABLE, message, retry_after_seconds=retry_after_seconds, encoding=encoding)
    retry_after = str(math.ceil(retry_after_seconds)).encode()
    return _Answer(HTTPStatus.SERVICE_UNAVAILABLE, encoding, body, ((b"retry-after", retry_after),))


def _headers(answer: _Answer) -> list[tuple[bytes, bytes]]:
    content_type = next(name for name, encoding in CONTENT_TYPES.items() if encoding is answer.encoding)
    return [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
    ]
