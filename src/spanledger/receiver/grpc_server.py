"""OTLP over gRPC: the three Export services, with raw bytes in and out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import grpc

from spanledger.core.delivery import Consumer, Delivery, Encoding
from spanledger.core.errors import ConfigError, PermanentError, RetryableError
from spanledger.core.usage import Signal
from spanledger.otlp.status import error_status, response

LOGGER = logging.getLogger("spanledger.receiver")

STATUS_DETAILS_KEY = "grpc-status-details-bin"
SERVICES = {
    Signal.TRACES: "opentelemetry.proto.collector.trace.v1.TraceService",
    Signal.LOGS: "opentelemetry.proto.collector.logs.v1.LogsService",
    Signal.METRICS: "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
INTERNAL_RETRY_SECONDS = 5.0

Context = grpc.aio.ServicerContext[bytes, bytes]


class GrpcReceiver:
    """A gRPC server for OTLP. Port 0 takes a free one."""

    def __init__(self, consumer: Consumer, endpoint: str, *, max_request_bytes: int) -> None:
        self._consumer = consumer
        self._endpoint = endpoint
        # Without SO_REUSEPORT a second service on the same port fails at its start instead of taking half the requests.
        options = (("grpc.max_receive_message_length", max_request_bytes), ("grpc.so_reuseport", 0))
        self._server = grpc.aio.server(options=options)
        for signal, service in SERVICES.items():
            handler = grpc.unary_unary_rpc_method_handler(self._export(signal))
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))

    async def start(self) -> str:
        """Listen, and give the address as `host:port`.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        try:
            port = self._server.add_insecure_port(self._endpoint)
        except RuntimeError as error:
            raise ConfigError([_taken(self._endpoint, error)]) from None
        await self._server.start()
        return f"{self._endpoint.rpartition(':')[0]}:{port}"

    async def stop(self, grace_seconds: float) -> None:
        """Take no more requests and finish those under way."""
        await self._server.stop(grace_seconds)

    def _export(self, signal: Signal) -> Callable[[bytes, Context], Awaitable[bytes]]:
        async def export(body: bytes, context: Context) -> bytes:
            try:
                receipt = await self._consumer.consume(Delivery(signal, Encoding.PROTOBUF, body))
            except PermanentError as error:
                await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(error), None)
            except RetryableError as error:
                await _abort(context, grpc.StatusCode.UNAVAILABLE, str(error), error.retry_after_seconds)
            except Exception:
                # A fault of ours must not make the sender drop its data: UNAVAILABLE is retried, INTERNAL is not.
                LOGGER.exception("a %s request failed", signal)
                await _abort(context, grpc.StatusCode.UNAVAILABLE, "internal error", INTERNAL_RETRY_SECONDS)
            else:
                return response(signal, receipt, Encoding.PROTOBUF)
            raise AssertionError("abort raises")

        return export


async def _abort(context: Context, code: grpc.StatusCode, message: str, retry_after_seconds: float | None) -> None:
    number = int(code.value[0])
    details = error_status(number, message, retry_after_seconds=retry_after_seconds, encoding=Encoding.PROTOBUF)
    await context.abort(code, message, ((STATUS_DETAILS_KEY, details),))


def _taken(endpoint: str, error: Exception) -> str:
    return f"receiver.grpc.endpoint {endpoint}: cannot be listened on ({error}); choose another with --grpc HOST:PORT"
