"""OTLP over gRPC: the three Export services, with raw bytes in and out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc

from spanledger.config.receivers import Receiver
from spanledger.core.delivery import Consumer, Delivery, Encoding
from spanledger.core.errors import PermanentError, RetryableError
from spanledger.core.events import Event
from spanledger.core.reasons import Reason
from spanledger.core.usage import Signal
from spanledger.logs import tell
from spanledger.otlp.refusals import refusal_of
from spanledger.otlp.status import error_status, response
from spanledger.receiver.gate import Gate, Passage, internal_error
from spanledger.receiver.inflating import GZIP_MAGIC, inflated
from spanledger.receiver.listener import address_error, require_free

STATUS_DETAILS_KEY = "grpc-status-details-bin"
SERVICES = {
    Signal.TRACES: "opentelemetry.proto.collector.trace.v1.TraceService",
    Signal.LOGS: "opentelemetry.proto.collector.logs.v1.LogsService",
    Signal.METRICS: "opentelemetry.proto.collector.metrics.v1.MetricsService",
}

_NONE_AND_GZIP = 0b101
"""The compressions that senders may use, as gRPC numbers them: none 0, deflate 1, gzip 2."""

_HARD_METADATA_FACTOR = 2
"""gRPC itself cuts metadata off at this many times the limit, so that what is a little over is told and counted."""

Context = grpc.aio.ServicerContext[bytes, bytes]
Handler = Callable[[AsyncIterator[bytes], Context], Awaitable[bytes]]


class GrpcReceiver:
    """A gRPC server for OTLP. Port 0 takes a free one.

    Requests are handled as streams of one message: so the sender is known, and there is room, before its message is
    read; and gRPC hands over compressed messages as they came, to be decompressed under our limits.
    """

    def __init__(self, consumer: Consumer, gate: Gate, credentials: grpc.ServerCredentials | None = None) -> None:
        self._consumer = consumer
        self._gate = gate
        self._endpoint = gate.limits.grpc.endpoint
        self._credentials = credentials
        self._server = grpc.aio.server(options=_options(gate.limits))
        for signal, service in SERVICES.items():
            handler = grpc.stream_unary_rpc_method_handler(self._export(signal))
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))

    async def start(self) -> str:
        """Listen, and give the address as `host:port`.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        try:
            require_free(self._endpoint)  # gRPC itself writes a line of its own on standard error, without the reason
            if self._credentials is None:
                port = self._server.add_insecure_port(self._endpoint)
            else:
                port = self._server.add_secure_port(self._endpoint, self._credentials)
        except (OSError, RuntimeError) as error:
            raise address_error("receiver.grpc.endpoint", self._endpoint, error, " with --grpc HOST:PORT") from None
        await self._server.start()
        return f"{self._endpoint.rpartition(':')[0]}:{port}"

    async def stop(self, grace_seconds: float) -> None:
        """Take no more requests and finish those under way."""
        await self._server.stop(grace_seconds)

    def _export(self, signal: Signal) -> Handler:
        async def export(_: AsyncIterator[bytes], context: Context) -> bytes:
            try:
                return await self._answer(signal, context)
            except (PermanentError, RetryableError) as error:
                # Answered here and not kept: an error that its own frame keeps would keep the body too.
                await self._refuse(context, error)
            except Exception as error:  # noqa: BLE001 - told with its traceback
                # A fault of ours must not make the sender drop its data: UNAVAILABLE is retried, INTERNAL is not.
                tell(Event.RECEIVER_REQUEST_FAILED, error, target=SERVICES[signal])
                await self._refuse(context, internal_error())
            raise AssertionError("abort raises")

        return export

    async def _refuse(self, context: Context, error: PermanentError | RetryableError) -> None:
        self._gate.refused(error.reason)
        code = refusal_of(error.reason).rpc_code
        delay = error.retry_after_seconds if isinstance(error, RetryableError) else None
        details = error_status(code, str(error), retry_after_seconds=delay, encoding=Encoding.PROTOBUF)
        await context.abort(_STATUS_CODES[code], str(error), ((STATUS_DETAILS_KEY, details),))

    async def _answer(self, signal: Signal, context: Context) -> bytes:
        metadata = context.invocation_metadata() or ()
        authorization = next((value for key, value in metadata if key == "authorization"), None)
        with self._gate.enter(None if authorization is None else str(authorization)) as passage:
            if sum(len(key) + len(value) for key, value in metadata) > self._gate.limits.max_header_bytes:
                raise PermanentError("the metadata is too large", Reason.HEADERS_TOO_LARGE)
            body = await self._read(context, passage)
            receipt = await self._consumer.consume(Delivery(signal, Encoding.PROTOBUF, body, passage.tenant))
        return response(signal, receipt, Encoding.PROTOBUF)

    async def _read(self, context: Context, passage: Passage) -> bytes:
        limits = self._gate.limits
        try:
            async with asyncio.timeout(limits.request_timeout_seconds):
                message = await context.read()
        except TimeoutError:
            raise PermanentError("the message took too long to arrive", Reason.SLOW_REQUEST) from None
        if not isinstance(message, bytes):
            # gRPC has refused the message already. (Or there was none: no client does that, and it counts here too.)
            raise PermanentError(f"the message is larger than {limits.max_request_bytes} bytes", Reason.BODY_TOO_LARGE)
        passage.hold(len(message))
        if not message.startswith(GZIP_MAGIC):
            return message
        body = inflated(message, "gzip", limits)
        passage.hold(len(body))
        return body


def _options(limits: Receiver) -> list[tuple[str, int]]:
    return [
        # Without SO_REUSEPORT a second service on the same port fails at its start instead of taking half the requests.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", limits.max_request_bytes),
        ("grpc.per_message_decompression", 0),
        ("grpc.compression_enabled_algorithms_bitset", _NONE_AND_GZIP),
        ("grpc.max_metadata_size", limits.max_header_bytes * _HARD_METADATA_FACTOR),
        ("grpc.absolute_max_metadata_size", limits.max_header_bytes * _HARD_METADATA_FACTOR),
        ("grpc.max_concurrent_streams", limits.grpc.max_concurrent_streams),
        ("grpc.max_allowed_incoming_connections", limits.max_connections),
        ("grpc.max_connection_idle_ms", _milliseconds(limits.idle_timeout_seconds)),
        ("grpc.server_handshake_timeout_ms", _milliseconds(limits.request_timeout_seconds)),
        ("grpc.keepalive_time_ms", _milliseconds(limits.grpc.keepalive_seconds)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_timeout_ms", _milliseconds(limits.grpc.keepalive_timeout_seconds)),
        ("grpc.http2.ping_timeout_ms", _milliseconds(limits.grpc.keepalive_timeout_seconds)),
    ]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


_STATUS_CODES = {int(code.value[0]): code for code in grpc.StatusCode}
