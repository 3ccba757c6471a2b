"""OTLP over gRPC by the specification: every status, as a client sees it."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanledger.core.delivery import Delivery, Encoding, Receipt
from spanledger.core.errors import ConfigError, PermanentError, RetryableError
from spanledger.core.events import Event
from spanledger.core.reasons import Reason
from spanledger.core.usage import Signal
from spanledger.receiver.grpc_server import SERVICES, GrpcReceiver
from spanledger.telemetry import Counter, Counters
from support.consumers import ScriptedConsumer, gate_of, receiving
from support.logged import messages_of

LIMIT = 10_000


def export(
    consumer: ScriptedConsumer,
    body: bytes,
    *,
    signal: Signal = Signal.TRACES,
    gzip: bool = False,
    counters: Counters | None = None,
) -> bytes | grpc.aio.AioRpcError:
    """One export: the answer's bytes, or the error."""
    compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression

    async def run() -> bytes | grpc.aio.AioRpcError:
        gate = gate_of(max_request_bytes=LIMIT, max_inflated_bytes=LIMIT, counters=counters)
        async with (
            receiving(consumer, GrpcReceiver, gate) as address,
            grpc.aio.insecure_channel(address, compression=compression) as channel,
        ):
            try:
                return await channel.unary_unary(f"/{SERVICES[signal]}/Export")(body, timeout=10)
            except grpc.aio.AioRpcError as error:
                return error

    return asyncio.run(run())


def status_of(error: bytes | grpc.aio.AioRpcError) -> Status:
    assert isinstance(error, grpc.aio.AioRpcError)
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    return Status.FromString(details)


@pytest.mark.parametrize("signal", list(Signal))
@pytest.mark.parametrize("gzip", [False, True])
def test_a_body_arrives_as_it_was_sent(signal: Signal, gzip: bool) -> None:
    consumer = ScriptedConsumer()
    assert export(consumer, b"body" * 100, signal=signal, gzip=gzip) == b""
    assert consumer.deliveries == [Delivery(signal, Encoding.PROTOBUF, b"body" * 100)]


def test_an_empty_request_succeeds() -> None:
    assert export(ScriptedConsumer(), b"") == b""


def test_partial_success_tells_count_and_reason() -> None:
    answer = export(ScriptedConsumer([Receipt(3, "unreadable")]), b"")
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    assert (partial.rejected_spans, partial.error_message) == (3, "unreadable")


def test_a_bad_body_is_invalid_argument() -> None:
    error = export(ScriptedConsumer([PermanentError("byte 3 is bad")]), b"x")
    assert isinstance(error, grpc.aio.AioRpcError)
    assert (error.code(), error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "byte 3 is bad")
    assert status_of(error) == Status(code=3, message="byte 3 is bad")


def test_not_now_is_unavailable_with_retry_info() -> None:
    error = export(ScriptedConsumer([RetryableError("disk full", retry_after_seconds=1.5)]), b"x")
    assert isinstance(error, grpc.aio.AioRpcError)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    info = RetryInfo()
    assert status_of(error).details[0].Unpack(info)
    assert info.retry_delay.ToTimedelta().total_seconds() == 1.5


def test_a_fault_of_ours_is_told_as_one_to_try_again(caplog: pytest.LogCaptureFixture) -> None:
    counters = Counters()
    error = export(ScriptedConsumer([KeyError("bug")]), b"x", counters=counters)
    assert isinstance(error, grpc.aio.AioRpcError)
    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "internal error")
    assert messages_of(caplog, Event.RECEIVER_REQUEST_FAILED) == [
        "a request to opentelemetry.proto.collector.trace.v1.TraceService failed"
    ]
    assert counters.by_label(Counter.REFUSED) == {Reason.INTERNAL_ERROR: 1}


@pytest.mark.parametrize("gzip", [False, True])
def test_a_body_over_the_limit_is_refused(gzip: bool) -> None:
    error = export(ScriptedConsumer(), bytes(LIMIT + 1), gzip=gzip)
    assert isinstance(error, grpc.aio.AioRpcError)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_taken_port_is_told_in_our_words_alone(capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> tuple[str, str]:
        async with receiving(ScriptedConsumer(), GrpcReceiver) as address:
            with pytest.raises(ConfigError) as caught:
                await GrpcReceiver(ScriptedConsumer(), gate_of(address)).start()
        return address, str(caught.value)

    address, told = asyncio.run(run())
    why = OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    assert told == (
        f"receiver.grpc.endpoint {address}: cannot be listened on ({why}); choose another with --grpc HOST:PORT"
    )
    assert capfd.readouterr().err == "", "gRPC's own line"


@pytest.mark.parametrize("method", ["/opentelemetry.proto.collector.trace.v1.TraceService/Import", "/nobody/Export"])
def test_a_method_that_otlp_does_not_have_is_unimplemented(method: str) -> None:
    async def run() -> grpc.StatusCode:
        async with (
            receiving(ScriptedConsumer(), GrpcReceiver) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(method)(b"", timeout=10)
            return caught.value.code()

    assert asyncio.run(run()) is grpc.StatusCode.UNIMPLEMENTED


def test_a_compression_that_otlp_does_not_have_is_unimplemented() -> None:
    consumer = ScriptedConsumer()

    async def run() -> grpc.StatusCode:
        async with (
            receiving(consumer, GrpcReceiver) as address,
            grpc.aio.insecure_channel(address, compression=grpc.Compression.Deflate) as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(f"/{SERVICES[Signal.LOGS]}/Export")(bytes(1000), timeout=10)
            return caught.value.code()

    assert asyncio.run(run()) is grpc.StatusCode.UNIMPLEMENTED
    assert consumer.deliveries == []


def test_a_request_without_a_message_is_refused() -> None:
    async def nothing() -> AsyncIterator[bytes]:
        return
        yield b""

    async def run() -> grpc.StatusCode:
        async with (
            receiving(ScriptedConsumer(), GrpcReceiver) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.stream_unary(f"/{SERVICES[Signal.LOGS]}/Export")(nothing(), timeout=10)
            return caught.value.code()

    assert asyncio.run(run()) is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_message_that_does_not_arrive_is_not_waited_for() -> None:
    async def stuck() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async def run() -> grpc.StatusCode:
        gate = gate_of(request_timeout_seconds=0.2)
        async with (
            receiving(ScriptedConsumer(), GrpcReceiver, gate) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.stream_unary(f"/{SERVICES[Signal.LOGS]}/Export")(stuck(), timeout=10)
            return caught.value.code()

    assert asyncio.run(run()) is grpc.StatusCode.DEADLINE_EXCEEDED
