"""Every row of the contract over every transport; after each the service still answers, and has not grown.

One process, `spanledger serve` with its default limits and a file of tokens, serves all rows of a test worker.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from google.protobuf.json_format import Parse
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from contract.conversations import CONVERSATIONS, Conversation
from contract.rows import GOOD, GOOD_JSON, GOOD_TOKEN, GRPC_CODES, HASHED_TOKEN, OTHER_TOKEN, ROWS, Body, Row
from spanledger.core.prometheus_names import prometheus_name
from spanledger.core.reasons import Reason
from spanledger.core.usage import Signal
from spanledger.otlp.refusals import refusal_of
from spanledger.receiver.grpc_server import SERVICES
from spanledger.telemetry import COUNTED_BY_REASON, COUNTERS, Counter
from support.backends import scraped
from support.hostile import MIB, Response, converse, head
from support.processes import Serving, start_serve
from support.serving import Transport

BY_REASON = {
    prometheus_name(COUNTERS[counter].name, COUNTERS[counter].unit, is_counter=True): counter
    for counter in COUNTED_BY_REASON
}
CONTENT_TYPES = {Transport.HTTP_PROTOBUF: "application/x-protobuf", Transport.HTTP_JSON: "application/json"}
KEPT_GROWTH_MIB = 256
"""What all rows together may leave behind: memory that the allocator keeps for next time."""

TOKENS = f"""
tenants:
  tests:
    tokens:
      - {GOOD_TOKEN}
      - {OTHER_TOKEN}
      - sha256:{{hashed}}
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `code` is the HTTP status, or the name of the gRPC code; `said` the message of it."""

    code: int | str
    said: str


@dataclass(frozen=True, slots=True)
class Target:
    """The service under test, and its memory when it had served a few good requests."""

    serving: Serving
    channel: grpc.Channel
    loop: asyncio.AbstractEventLoop
    start_mib: float

    def memory_mib(self, key: str) -> float:
        return _memory_mib(self.serving.process.pid, key)

    def counted(self) -> Tally[tuple[Counter, Reason]]:
        """What the service has counted by reason so far."""
        return Tally(
            {
                (BY_REASON[sample.name], Reason(sample.labels["reason"])): int(sample.value)
                for sample in scraped(self.serving.addresses.admin)
                if sample.name in BY_REASON
            }
        )


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("contract")
    (folder / "tokens.yaml").write_text(TOKENS.format(hashed=_sha256(HASHED_TOKEN)))
    environ = {
        "SPANLEDGER_RECEIVER__AUTH__TOKENS_FILE": str(folder / "tokens.yaml"),
        "SPANLEDGER_RECEIVER__REQUEST_TIMEOUT_SECONDS": "1",
        "SPANLEDGER_RECEIVER__IDLE_TIMEOUT_SECONDS": "1.5",
    }
    loop = asyncio.new_event_loop()
    serving = loop.run_until_complete(start_serve(folder / "ledger.db", environ=environ))
    options = [("grpc.max_send_message_length", -1), ("grpc.max_metadata_size", 4 * MIB)]
    try:
        with grpc.insecure_channel(serving.addresses.grpc, options=options) as channel:
            for transport in Transport:
                for _ in range(20):
                    assert_good(channel, serving, transport)
            yield Target(serving, channel, loop, _memory_mib(serving.process.pid, "VmRSS"))
    finally:
        code, errors = loop.run_until_complete(serving.end(signal.SIGTERM))
        loop.close()
    assert (code, errors) == (0, "")


CASES = [
    pytest.param(row, transport, id=f"{row.name} over {transport}")
    for row in ROWS
    for transport in Transport
    if (row.json if transport is Transport.HTTP_JSON else row.pb) is not None
    and row.only not in {"http" if transport is Transport.GRPC else "grpc"}
]


@pytest.mark.parametrize(("row", "transport"), CASES)
def test_a_row_is_answered_as_the_contract_says(row: Row, transport: Transport, target: Target) -> None:
    body = _built(row.json if transport is Transport.HTTP_JSON else row.pb)
    counted = target.counted()
    before = target.memory_mib("VmRSS")
    _forget_peak(target)
    began = time.monotonic()
    answer = send(target, row, transport, body)
    elapsed = time.monotonic() - began
    expected = GRPC_CODES[row.answer] if transport is Transport.GRPC else row.answer
    assert (answer.code, row.said in answer.said) == (expected, True), answer
    assert target.counted().keys() == counted.keys()  # each said 0 before
    assert_counted(row, transport, target.counted() - counted)
    assert elapsed < row.within_seconds
    assert target.memory_mib("VmHWM") - before < row.growth_mib
    assert_still_well(target, transport)


@pytest.mark.parametrize("conversation", [pytest.param(one, id=one.name) for one in CONVERSATIONS])
def test_a_conversation_goes_as_the_contract_says(conversation: Conversation, target: Target) -> None:
    addresses = target.serving.addresses
    counted = target.counted()
    before = target.memory_mib("VmRSS")
    _forget_peak(target)
    began = time.monotonic()
    port = addresses.admin if conversation.admin else addresses.grpc if conversation.grpc else addresses.http
    assert port is not None
    heard = conversation.talk(port)
    elapsed = time.monotonic() - began
    assert heard == conversation.hears
    assert target.counted().keys() == counted.keys()
    assert set(conversation.counts) <= {reason for _, reason in target.counted() - counted}
    assert conversation.after_seconds <= elapsed < conversation.after_seconds + 15
    assert target.memory_mib("VmHWM") - before < conversation.growth_mib
    assert_still_well(target, Transport.GRPC if conversation.grpc else Transport.HTTP_PROTOBUF)


def assert_counted(row: Row, transport: Transport, counted: Tally[tuple[Counter, Reason]]) -> None:
    """Every refusal is counted once, by a reason that is answered so; and nothing else is."""
    by_grpc_itself = row.is_too_large_for_grpc and transport is Transport.GRPC
    refused = [reason for counter, reason in counted.elements() if counter is Counter.REFUSED]
    assert len(refused) == int(row.answer != 200 and not by_grpc_itself), counted
    for reason in refused:
        assert refusal_of(reason).http_status == row.answer
    if row.reason is not None:
        assert set(counted) == {(Counter.DROPPED if row.answer == 200 else Counter.REFUSED, row.reason)}


def assert_still_well(target: Target, transport: Transport) -> None:
    assert_good(target.channel, target.serving, transport)
    assert target.memory_mib("VmRSS") - target.start_mib < KEPT_GROWTH_MIB


def assert_good(channel: grpc.Channel, serving: Serving, transport: Transport) -> None:
    """A plain request is taken in full: a success without partial success."""
    if transport is Transport.GRPC:
        assert _export(channel, Signal.TRACES, GOOD, f"Bearer {GOOD_TOKEN}", {}) == Answer("OK", "")
        return
    body = GOOD_JSON if transport is Transport.HTTP_JSON else GOOD
    response = _post(serving, Row(name="good"), transport, body)
    assert (response.status, response.body) == (200, b"{}" if transport is Transport.HTTP_JSON else b"")


def send(target: Target, row: Row, transport: Transport, body: bytes) -> Answer:
    if transport is Transport.GRPC:
        metadata = {key: value for key, value in row.headers.items() if key.startswith("x-")}
        return _export(target.channel, Signal(row.signal), body, row.token, metadata)
    response = _post(target.serving, row, transport, body)
    assert response.status != 200 or response.headers["content-type"] == CONTENT_TYPES[transport]
    return Answer(response.status, _said(response, transport))


def _export(channel: grpc.Channel, to: Signal, body: bytes, token: str | None, metadata: dict[str, str]) -> Answer:
    given = [*metadata.items()] if token is None else [("authorization", token), *metadata.items()]
    try:
        answer = channel.unary_unary(f"/{SERVICES[to]}/Export")(body, metadata=given, timeout=30)
    except grpc.RpcError as error:
        return Answer(error.code().name, error.details())
    return Answer("OK", ExportTraceServiceResponse.FromString(answer).partial_success.error_message)


def _post(serving: Serving, row: Row, transport: Transport, body: bytes) -> Response:
    headers = {"content-type": CONTENT_TYPES[transport], **row.headers}
    if row.token is not None:
        headers["authorization"] = row.token
    lines = [f"{name}: {value}" for name, value in headers.items() if value]
    path = row.path or f"/v1/{row.signal}"
    pieces = [head(path, len(body), *lines, method=row.method), body]
    if row.method == "HEAD":
        return Response(converse(serving.addresses.http, pieces[:1], head_only=True)[0].status, {}, b"")
    return converse(serving.addresses.http, pieces)[0]


def _said(response: Response, transport: Transport) -> str:
    """Message of a google.rpc.Status, or of partial success, in the encoding of the request."""
    if response.status == 200:
        partial = ExportTraceServiceResponse()
        if transport is Transport.HTTP_JSON:
            Parse(response.body, partial)
        else:
            partial.ParseFromString(response.body)
        return partial.partial_success.error_message
    if response.headers.get("content-type") == "application/json":
        return Parse(response.body, Status()).message
    return Status.FromString(response.body).message


def _built(body: Body | None) -> bytes:
    assert body is not None
    return body if isinstance(body, bytes) else body()


def _sha256(token: str) -> str:
    import hashlib

    return hashlib.sha256(token.encode()).hexdigest()


def _memory_mib(pid: int, key: str) -> float:
    """Memory of a process: VmRSS now, VmHWM at its highest."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) / 1024


def _forget_peak(target: Target) -> None:
    Path(f"/proc/{target.serving.process.pid}/clear_refs").write_text("5")
