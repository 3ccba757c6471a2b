"""Limits of what happens at once: requests, bytes, connections, streams; and peers that are gone."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
import requests
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from contract.conversations import HTTP2_PREFACE
from contract.rows import LIMITS
from spanledger.config.receivers import Auth, Grpc, Http, Receiver
from spanledger.core.delivery import Delivery, Receipt
from spanledger.core.events import Event
from spanledger.core.reasons import Reason
from spanledger.core.usage import Signal
from spanledger.otlp.refusals import refusal_of
from spanledger.receiver.gate import Gate
from spanledger.receiver.grpc_server import SERVICES, GrpcReceiver
from spanledger.receiver.http_server import HttpReceiver
from spanledger.service.receivers import Receivers
from spanledger.telemetry import Counter, Counters
from support.consumers import ScriptedConsumer, receiving
from support.hostile import (
    Response,
    attribute,
    connect,
    converse,
    gzipped,
    head,
    nested_array,
    request,
    span,
    sparse,
    text,
)
from support.logged import messages_of
from support.serving import running

EXPORT = f"/{SERVICES[Signal.TRACES]}/Export"
GZIP, JSON = {"content-encoding": "gzip"}, {"content-type": "application/json"}
PROTOBUF = "content-type: application/x-protobuf"
RECEIVERS = pytest.mark.parametrize("kind", [GrpcReceiver, HttpReceiver])


@dataclass(slots=True)
class HoldingConsumer:
    """Holds every delivery until it is let go, and notes how many it held at once."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    now: int = 0
    most: int = 0

    async def consume(self, _: Delivery) -> Receipt:
        self.now += 1
        self.most = max(self.most, self.now)
        self.came.release()
        await self.go.wait()
        self.now -= 1
        return Receipt()


def limited(counters: Counters, **limits: object) -> Gate:
    here = {"endpoint": "127.0.0.1:0"}
    grpc_limits = limits.pop("grpc", {})
    return Gate(Receiver(grpc=Grpc(**here, **grpc_limits), http=Http(**here), **limits), counters)


async def ask(kind: type, address: str, body: bytes, *, compressed: bool = False) -> tuple[str, Status | None]:
    """Send one request; gives the code and, when it was refused, the Status."""
    if kind is HttpReceiver:
        response = await asyncio.to_thread(_post, address, body, compressed)
        return str(response.status), None if response.status == 200 else Status.FromString(response.body)
    compression = grpc.Compression.Gzip if compressed else None
    async with grpc.aio.insecure_channel(address, compression=compression) as channel:
        try:
            await channel.unary_unary(EXPORT)(body, timeout=20)
        except grpc.aio.AioRpcError as error:
            details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
            return error.code().name, Status.FromString(details)
        return "200", None


def _post(address: str, body: bytes, compressed: bool) -> Response:
    sent, encoding = (gzipped(body), "gzip") if compressed else (body, "identity")
    return converse(address, [head("/v1/traces", len(sent), PROTOBUF, f"content-encoding: {encoding}"), sent])[0]


@RECEIVERS
@pytest.mark.parametrize(
    ("limits", "body", "compressed"),
    [
        ({"max_concurrent_requests": 1}, b"", False),
        ({"max_request_bytes": 60, "max_inflated_bytes": 40, "max_buffered_bytes": 100}, b"\x0a\x00" * 30, False),
        # As they come two would have room, but not as they are then.
        ({"max_request_bytes": 30, "max_inflated_bytes": 60, "max_buffered_bytes": 90}, b"\x0a\x00" * 30, True),
    ],
    ids=["requests", "bytes", "inflated bytes"],
)
def test_what_has_no_room_is_told_to_come_back(
    kind: type, limits: dict[str, object], body: bytes, *, compressed: bool
) -> None:
    counters = Counters()

    async def run() -> tuple[list[tuple[str, Status | None]], tuple[str, Status | None]]:
        consumer = HoldingConsumer()
        async with receiving(consumer, kind, limited(counters, **limits)) as address:
            first = asyncio.create_task(ask(kind, address, body, compressed=compressed))
            await asyncio.wait_for(consumer.came.acquire(), 10)
            refused = await ask(kind, address, body, compressed=compressed)
            consumer.go.set()
            return [await first, await ask(kind, address, body, compressed=compressed)], refused

    taken, (code, status) = asyncio.run(run())
    assert taken == [("200", None)] * 2
    assert code == ("UNAVAILABLE" if kind is GrpcReceiver else "503")
    assert status is not None
    info = RetryInfo()
    assert status.details[0].Unpack(info)
    assert info.retry_delay.ToSeconds() == 1
    assert counters.by_label(Counter.REFUSED) == {Reason.TOO_BUSY: 1}


@RECEIVERS
def test_one_connection_too_many_is_closed(kind: type) -> None:
    counters = Counters()

    def talk(address: str) -> list[bytes]:
        opening = HTTP2_PREFACE if kind is GrpcReceiver else b"POST"
        with connect(address) as first:
            first.sendall(opening)
            if kind is GrpcReceiver:
                assert first.recv(1)
            with connect(address) as second:
                second.sendall(opening)
                try:
                    return [second.recv(1_000)]
                except ConnectionResetError:
                    return [b""]

    async def run() -> list[bytes]:
        async with receiving(ScriptedConsumer(), kind, limited(counters, max_connections=1)) as address:
            return await asyncio.to_thread(talk, address)

    assert asyncio.run(run()) == [b""]
    if kind is HttpReceiver:  # gRPC's own library turns them away, and tells nobody
        assert counters.by_label(Counter.CONNECTIONS_CLOSED)[Reason.TOO_MANY_CONNECTIONS] == 1


def test_one_connection_too_many_to_the_admin_port_is_closed(tmp_path: Path) -> None:
    question = head("/healthz", None, method="GET")

    def talk(address: str) -> tuple[bytes, bytes]:
        with connect(address) as first:
            first.sendall(question)
            answer = first.recv(1_000)
            with connect(address) as second:
                return answer[:15], second.recv(1_000)

    async def run() -> tuple[tuple[bytes, bytes], dict[Reason, int]]:
        async with running(tmp_path / "ledger.db", receiver__max_connections="1") as up:
            assert up.addresses.admin is not None
            heard = await asyncio.to_thread(talk, up.addresses.admin)
            return heard, up.service.counters.by_label(Counter.ADMIN_CONNECTIONS_CLOSED)

    assert asyncio.run(run()) == ((b"HTTP/1.1 200 OK", b""), {Reason.TOO_MANY_CONNECTIONS: 1})


def test_a_connection_has_no_more_streams_than_allowed() -> None:
    """gRPC's library holds the limit: senders wait, or are turned away so that they may send again."""
    consumer_most = 0

    async def run() -> list[object]:
        nonlocal consumer_most
        consumer = HoldingConsumer()
        gate = limited(Counters(), grpc={"max_concurrent_streams": 2})
        async with (
            receiving(consumer, GrpcReceiver, gate) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            calls = [asyncio.ensure_future(channel.unary_unary(EXPORT)(b"", timeout=20)) for _ in range(6)]
            await asyncio.wait_for(consumer.came.acquire(), 10)
            consumer.go.set()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        consumer_most = consumer.most
        return outcomes

    outcomes = asyncio.run(run())
    refused = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert len(refused) < len(outcomes)
    assert {error.code() for error in refused} <= {grpc.StatusCode.UNAVAILABLE}
    assert consumer_most <= 2


def test_a_grpc_peer_that_does_not_answer_is_let_go() -> None:
    def talk(address: str) -> float:
        began = time.monotonic()
        with connect(address) as connection:
            connection.sendall(HTTP2_PREFACE)
            while connection.recv(1_000):
                pass
        return time.monotonic() - began

    async def run() -> float:
        gate = limited(Counters(), grpc={"keepalive_seconds": 0.5, "keepalive_timeout_seconds": 0.5})
        async with receiving(ScriptedConsumer(), GrpcReceiver, gate) as address:
            return await asyncio.to_thread(talk, address)

    assert 0.5 < asyncio.run(run()) < 20  # idle connections have 45 s


@RECEIVERS
def test_cancelled_requests_leave_nothing(kind: type) -> None:
    """Hundreds of senders that give up: their room is free again."""

    async def run() -> str:
        consumer = HoldingConsumer()
        async with receiving(consumer, kind, limited(Counters(), max_concurrent_requests=60)) as address:
            for _ in range(4):
                await _give_up(kind, address, consumer)
            consumer.go.set()
            for _ in range(100):  # the servers notice at their own pace
                code, _ = await ask(kind, address, b"")
                if code == "200":
                    return code
        return code

    assert asyncio.run(run()) == "200"


async def _give_up(kind: type, address: str, consumer: HoldingConsumer) -> None:
    if kind is GrpcReceiver:
        async with grpc.aio.insecure_channel(address) as channel:
            calls = [channel.unary_unary(EXPORT)(b"") for _ in range(50)]
            tasks = [asyncio.ensure_future(_outcome(call)) for call in calls]
            await asyncio.wait_for(consumer.came.acquire(), 10)
            for call in calls:
                call.cancel()
            await asyncio.gather(*tasks)
        return
    connections = [await asyncio.to_thread(connect, address) for _ in range(10)]
    for connection in connections:
        connection.sendall(head("/v1/traces", 5, PROTOBUF) + b"ha")
        connection.close()


async def _outcome(call: grpc.aio.UnaryUnaryCall) -> None:
    try:
        await call
    except (asyncio.CancelledError, grpc.aio.AioRpcError):
        return


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens.yaml"
    file.write_text("tenants: {a: {tokens: [a-token-of-the-tests]}}")
    return file


@pytest.mark.parametrize(("wide", "known", "warnings"), [(True, False, 1), (True, True, 0), (False, False, 0)])
def test_listening_wider_than_this_machine_without_asking_who_is_warned_of_once(
    wide: bool, known: bool, warnings: int, tokens_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = "0.0.0.0:0" if wide else "localhost:0"

    async def run() -> None:
        auth = Auth(tokens_file=tokens_file if known else None)
        settings = Receiver(grpc=Grpc(endpoint=endpoint), http=Http(endpoint=endpoint), auth=auth)
        receivers = Receivers(settings, ScriptedConsumer(), Counters())
        await receivers.start()
        await receivers.stop()

    with caplog.at_level(logging.WARNING, "spanledger"):
        asyncio.run(run())
    messages = messages_of(caplog, Event.RECEIVER_OPEN)
    assert len(caplog.records) == len(messages) == warnings
    assert all("anybody who reaches 0.0.0.0:0 and 0.0.0.0:0 can send" in message for message in messages)


TWO_ATTRIBUTES = request(span(attribute("a", text("v")), attribute("b", text("v"))))
REPETITIVE = request(*[span(attribute("filler", text(sparse(900_000))))] * 3)
"""2.7 MB, of which 1 MiB is free; gzip makes it about 100 times smaller."""


@pytest.mark.parametrize(
    ("limits", "body", "headers", "reason"),
    [
        ({"max_request_bytes": 60}, TWO_ATTRIBUTES, {}, Reason.BODY_TOO_LARGE),
        ({"max_inflated_bytes": 60}, gzipped(TWO_ATTRIBUTES), GZIP, Reason.INFLATED_TOO_LARGE),
        ({"max_inflation_ratio": 2}, gzipped(REPETITIVE), GZIP, Reason.INFLATED_TOO_MUCH),
        ({"max_header_bytes": 400}, TWO_ATTRIBUTES, {"x-filler": "x" * 400}, Reason.HEADERS_TOO_LARGE),
        ({"max_records": 1}, request(span(), span()), {}, Reason.TOO_MANY_RECORDS),
        ({"max_json_values": 3}, b'{"a":[1,2,3]}', JSON, Reason.TOO_MANY_JSON_VALUES),
        ({"max_attributes": 1}, TWO_ATTRIBUTES, {}, Reason.TOO_MANY_ATTRIBUTES),
        ({"max_value_bytes": 10}, request(span(attribute("a", text("v" * 20)))), {}, Reason.VALUE_TOO_LARGE),
        ({"max_nesting_depth": 3}, request(span(attribute("a", nested_array(1)))), {}, Reason.NESTED_TOO_DEEP),
        ({"max_fields": 5}, TWO_ATTRIBUTES, {}, Reason.TOO_MANY_FIELDS),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) and given and "max" in next(iter(given)) else "",
)
def test_a_limit_that_is_set_lower_refuses_what_the_default_takes(
    limits: dict[str, int], body: bytes, headers: dict[str, str], reason: Reason, tmp_path: Path
) -> None:
    async def run(**settings: int) -> tuple[int, dict[Reason, int]]:
        async with running(tmp_path / "ledger.db", **settings) as up:
            url, given = f"http://{up.addresses.http}/v1/traces", {"content-type": "application/x-protobuf"} | headers
            answer = await asyncio.to_thread(requests.post, url, data=body, headers=given, timeout=20)
            return answer.status_code, up.service.counters.by_label(Counter.REFUSED)

    assert asyncio.run(run()) == (200, {})
    lower = {f"receiver__{name}": limit for name, limit in limits.items()}
    assert asyncio.run(run(**lower)) == (refusal_of(reason).http_status, {reason: 1})


HEADERS = {"host": "localhost", "content-type": "application/x-protobuf", "content-length": "0"}
HEADER_BYTES = len("/v1/traces") + sum(len(name) + len(value) for name, value in HEADERS.items())
"""Target, names and values; what stands between them does not count."""


@pytest.mark.parametrize(
    ("limits", "path", "headers", "body"),
    [
        ({"max_header_bytes": HEADER_BYTES}, "/v1/traces", ("content-type: application/x-protobuf",), b""),
        ({"max_json_values": 3}, "/v1/traces", ("content-type: application/json",), b'{"a":[1,2]}'),
        ({"max_request_bytes": len(TWO_ATTRIBUTES)}, "/v1/traces", (PROTOBUF,), TWO_ATTRIBUTES),
    ],
    ids=["headers", "JSON values", "body"],
)
def test_the_limit_is_the_largest_that_passes(
    limits: dict[str, int], path: str, headers: tuple[str, ...], body: bytes, tmp_path: Path
) -> None:
    """Limits of one record, of the records of a request and of its body by default: `rows.py`."""

    async def run(off: int) -> int:
        lower = {f"receiver__{name}": str(limit - off) for name, limit in limits.items()}
        async with running(tmp_path / "ledger.db", **lower) as up:
            (answer,) = await asyncio.to_thread(converse, up.addresses.http, [head(path, len(body), *headers), body])
            return answer.status

    over = 431 if "max_header_bytes" in limits else 413
    assert [asyncio.run(run(off)) for off in (0, 1)] == [200, over]


def test_the_limit_of_metadata_is_the_largest_that_passes() -> None:
    """gRPC's library adds metadata of its own: a server of the test reads off how much."""
    seen: list[int] = []

    async def ask(address: str) -> str:
        async with grpc.aio.insecure_channel(address) as channel:
            call = channel.unary_unary(EXPORT)(b"", metadata=[("x-filler", "x" * 4_000)], timeout=20)
            return (await call.code()).name

    class Measuring(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation, details):  # type: ignore[no-untyped-def]
            seen.append(sum(len(key) + len(value) for key, value in details.invocation_metadata))
            return await continuation(details)

    async def measure() -> None:
        server = grpc.aio.server(interceptors=[Measuring()])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        await ask(f"127.0.0.1:{port}")
        await server.stop(0)

    async def run(limit: int) -> str:
        async with receiving(ScriptedConsumer(), GrpcReceiver, limited(Counters(), max_header_bytes=limit)) as address:
            return await ask(address)

    asyncio.run(measure())
    assert [asyncio.run(run(limit)) for limit in (seen[0], seen[0] - 1)] == ["OK", "RESOURCE_EXHAUSTED"]


def test_waiting_is_ended_within_a_minute_by_the_default_settings() -> None:
    """30 to 60 seconds: long enough for a poor line, short enough that no connection is held for nothing."""
    assert 30 <= LIMITS.request_timeout_seconds <= 60
    assert 30 <= LIMITS.idle_timeout_seconds <= 60
