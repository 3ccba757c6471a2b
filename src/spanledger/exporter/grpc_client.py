"""OTLP over gRPC to a destination, as raw bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import cast
from urllib.parse import urlsplit

import grpc

from spanledger.core.usage import Signal
from spanledger.exporter.certificates import Certificates
from spanledger.exporter.client import Accepted, Deferred, Destination, Outcome, Refused
from spanledger.exporter.headers import Headers
from spanledger.exporter.said import said, said_over_grpc, unforeseen
from spanledger.otlp.status import rejected, retry_delay_seconds

_METHODS = {
    Signal.TRACES: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    Signal.LOGS: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    Signal.METRICS: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
_STATUS_DETAILS_KEY = "grpc-status-details-bin"

# OTLP specification, "Failures": these may be tried again; RESOURCE_EXHAUSTED only when the answer says when.
_RETRYABLE = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
_FAULTS_OF_CONFIGURATION = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.NOT_FOUND,
    }
)
_TAKES_NOTHING = _FAULTS_OF_CONFIGURATION | {
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_NEVER_CONNECTED = "failed to connect"


class GrpcClient:
    """One channel for the three signals, and another one when the files of certificates change."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._timeout_seconds = destination.timeout_seconds
        self._headers = Headers(destination.headers, destination.headers_file)
        self._certificates = Certificates(destination.tls)
        self._closing: set[asyncio.Task[None]] = set()
        self._open()

    async def export(self, signal: Signal, body: bytes) -> Outcome:
        """Send one request body; see `OtlpClient`."""
        if self._certificates.renewed():
            self._closing.add(asyncio.create_task(self._channel.close(self._timeout_seconds)))  # calls under way end
            self._open()
        headers = self._headers.current()
        metadata = tuple(headers.items())
        try:
            answer = await self._calls[signal](body, timeout=self._timeout_seconds, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            return _failure(error, headers)
        except Exception as error:  # noqa: BLE001 - whatever the library raises, it is told and tried again
            return Deferred(unforeseen(error), in_doubt=True)
        receipt = rejected(signal, answer, len(body))
        return Accepted(receipt.rejected, said(receipt.message, headers))

    async def close(self) -> None:
        """Close the channel."""
        await asyncio.gather(self._channel.close(None), *self._closing)

    def _open(self) -> None:
        self._closing = {task for task in self._closing if not task.done()}
        self._channel = _channel(self._destination, self._certificates)
        self._calls = {signal: self._channel.unary_unary(method, None, None) for signal, method in _METHODS.items()}


def _channel(destination: Destination, certificates: Certificates) -> grpc.aio.Channel:
    compression = grpc.Compression.Gzip if destination.gzip else grpc.Compression.NoCompression
    parts = urlsplit(destination.endpoint)
    target = parts.netloc
    options = (("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0))
    if parts.scheme != "https":
        return grpc.aio.insecure_channel(target, options=options, compression=compression)
    return grpc.aio.secure_channel(target, certificates.credentials, options=options, compression=compression)


def _failure(error: grpc.aio.AioRpcError, headers: Mapping[str, str]) -> Outcome:
    code = error.code()
    reason = f"{code.name}: {said_over_grpc(error.details() or '', headers)}"
    delay = _retry_delay_seconds(error)
    in_doubt = delay is None and _is_in_doubt(code, error.details() or "")
    if code in _RETRYABLE or code in _FAULTS_OF_CONFIGURATION:
        return Deferred(reason, delay, in_doubt)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and delay is not None:
        return Deferred(reason, delay)
    return Refused(reason, in_doubt)


def _is_in_doubt(code: grpc.StatusCode, details: str) -> bool:
    """Whether a request without RetryInfo in its answer may have been taken.

    gRPC gives a connection that broke the same code as a server that refuses, UNAVAILABLE; only one that never came
    about can be told, by its text.
    """
    return code not in _TAKES_NOTHING and not details.startswith(_NEVER_CONNECTED)


def _retry_delay_seconds(error: grpc.aio.AioRpcError) -> float | None:
    """RetryInfo of the answer's status details, if it has one."""
    # The type stubs tell of objects with fields; what comes are pairs.
    metadata = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
    for key, value in metadata:
        if key == _STATUS_DETAILS_KEY and isinstance(value, bytes):
            return retry_delay_seconds(value)
    return None
