"""OTLP over HTTP by the specification: every status, content type and encoding, as a client sees it."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import zlib
from collections.abc import Callable, Iterator

import pytest
import requests
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from spanledger.core.delivery import Delivery, Encoding, Receipt
from spanledger.core.errors import ConfigError, PermanentError, RetryableError
from spanledger.core.events import Event
from spanledger.core.reasons import Reason
from spanledger.core.usage import Signal
from spanledger.receiver.http_server import HttpReceiver
from spanledger.telemetry import Counter, Counters
from support.consumers import ScriptedConsumer, gate_of, receiving
from support.logged import messages_of

PROTOBUF, JSON = "application/x-protobuf", "application/json"
LIMIT = 1_000


def ask(consumer: ScriptedConsumer, talk: Callable[[str], object], counters: Counters | None = None) -> object:
    """Run a receiver with a small limit and a blocking client beside it."""

    async def run() -> object:
        gate = gate_of(max_request_bytes=LIMIT, max_inflated_bytes=LIMIT, counters=counters)
        async with receiving(consumer, HttpReceiver, gate) as address:
            return await asyncio.to_thread(talk, address)

    return asyncio.run(run())


def post(
    consumer: ScriptedConsumer,
    body: bytes | Iterator[bytes] = b"",
    *,
    path: str = "/v1/logs",
    counters: Counters | None = None,
    **headers: str,
) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"content-type": PROTOBUF} | named

    def talk(address: str) -> requests.Response:
        return requests.post(f"http://{address}{path}", body, headers=given, timeout=10)

    answer = ask(consumer, talk, counters)
    assert isinstance(answer, requests.Response)
    return answer


@pytest.mark.parametrize("signal", list(Signal))
@pytest.mark.parametrize(("content_type", "encoding"), [(PROTOBUF, Encoding.PROTOBUF), (JSON, Encoding.JSON)])
def test_a_body_arrives_as_it_was_sent(signal: Signal, content_type: str, encoding: Encoding) -> None:
    consumer = ScriptedConsumer()
    answer = post(consumer, b"\x00body", path=f"/v1/{signal}", content_type=content_type)
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
    assert answer.content == (b"" if encoding is Encoding.PROTOBUF else b"{}")
    assert consumer.deliveries == [Delivery(signal, encoding, b"\x00body")]


@pytest.mark.parametrize("content_type", [f"{JSON}; charset=utf-8", "Application/JSON"])
def test_parameters_and_case_of_a_content_type_do_not_matter(content_type: str) -> None:
    consumer = ScriptedConsumer()
    assert post(consumer, b"{}", content_type=content_type).status_code == 200
    assert consumer.deliveries[0].encoding is Encoding.JSON


@pytest.mark.parametrize(
    ("content_encoding", "compress"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes), ("GZIP", gzip.compress)],
)
def test_compressed_bodies_are_inflated(content_encoding: str, compress: Callable[[bytes], bytes]) -> None:
    consumer = ScriptedConsumer()
    assert post(consumer, compress(b"body"), content_encoding=content_encoding).status_code == 200
    assert consumer.deliveries[0].body == b"body"


def test_a_chunked_body_is_put_together() -> None:
    consumer = ScriptedConsumer()
    assert post(consumer, iter([b"one,", b"two,", b"three"])).status_code == 200
    assert consumer.deliveries[0].body == b"one,two,three"


def test_an_empty_request_succeeds() -> None:
    consumer = ScriptedConsumer()
    assert post(consumer, b"").status_code == 200
    assert post(consumer, b"", content_encoding="gzip").status_code == 200


def test_partial_success_tells_count_and_reason() -> None:
    consumer = ScriptedConsumer([Receipt(2, "unreadable"), Receipt(2, "unreadable")])
    partial = ExportLogsServiceResponse.FromString(post(consumer).content).partial_success
    assert (partial.rejected_log_records, partial.error_message) == (2, "unreadable")
    in_json = post(consumer, b"{}", content_type=JSON).json()
    assert in_json == {"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "unreadable"}}


def test_a_bad_body_is_400_with_a_status_in_the_encoding_asked() -> None:
    consumer = ScriptedConsumer([PermanentError("byte 3 is bad"), PermanentError("byte 3 is bad")])
    answer = post(consumer, b"x")
    assert answer.status_code == 400
    assert Status.FromString(answer.content) == Status(code=3, message="byte 3 is bad")
    in_json = post(consumer, b"x", content_type=JSON)
    assert (in_json.status_code, in_json.json()) == (400, {"code": 3, "message": "byte 3 is bad"})


def test_not_now_is_503_with_retry_after_in_header_and_status() -> None:
    consumer = ScriptedConsumer([RetryableError("disk full", retry_after_seconds=1.5)])
    answer = post(consumer)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    info = RetryInfo()
    assert Status.FromString(answer.content).details[0].Unpack(info)
    assert info.retry_delay.ToTimedelta().total_seconds() == 1.5


def test_a_fault_of_ours_is_told_as_one_to_try_again(caplog: pytest.LogCaptureFixture) -> None:
    counters = Counters()
    answer = post(ScriptedConsumer([KeyError("bug")]), b"{}", counters=counters, content_type=JSON)
    assert (answer.status_code, answer.json()["message"]) == (503, "internal error")
    assert messages_of(caplog, Event.RECEIVER_REQUEST_FAILED) == ["a request to /v1/logs failed"]
    assert counters.by_label(Counter.REFUSED) == {Reason.INTERNAL_ERROR: 1}


@pytest.mark.parametrize(
    ("path", "headers", "status", "said"),
    [
        ("/v1/profiles", {}, 404, "no such path '/v1/profiles'"),
        ("/", {}, 404, "/v1/traces, /v1/metrics"),
        ("/v1/logs", {"content_type": "text/plain"}, 415, "send application/x-protobuf or application/json"),
        ("/v1/logs", {"content_encoding": "br"}, 415, "'br' is not supported"),
        ("/v1/logs", {"content_encoding": "gzip"}, 400, "cannot be read"),
    ],
)
def test_what_is_no_export_is_refused_with_a_reason(path: str, headers: dict[str, str], status: int, said: str) -> None:
    consumer = ScriptedConsumer()
    answer = post(consumer, b"body", path=path, **headers)
    message = Status.FromString(answer.content).message
    assert answer.status_code == status
    assert said.split(",")[0] in message
    assert consumer.deliveries == []


def test_only_post_is_allowed() -> None:
    answer = ask(ScriptedConsumer(), lambda address: requests.get(f"http://{address}/v1/logs", timeout=10))
    assert isinstance(answer, requests.Response)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_cut_compressed_body_is_refused() -> None:
    answer = post(ScriptedConsumer(), gzip.compress(b"body")[:-9], content_encoding="gzip")
    assert answer.status_code == 400
    assert Status.FromString(answer.content).message == "the compressed body ends too early"


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_body_over_the_limit_is_413_compressed_or_not(compress: Callable[[bytes], bytes]) -> None:
    encoding = "gzip" if compress is gzip.compress else "identity"
    consumer = ScriptedConsumer()
    assert post(consumer, compress(bytes(LIMIT)), content_encoding=encoding).status_code == 200
    answer = post(consumer, compress(bytes(LIMIT + 1)), content_encoding=encoding)
    assert answer.status_code == 413
    assert "1000 bytes" in Status.FromString(answer.content).message
    assert len(consumer.deliveries) == 1


def test_a_sender_that_goes_away_leaves_nothing() -> None:
    consumer = ScriptedConsumer()

    def hang_up(address: str) -> int:
        host, _, port = address.partition(":")
        head = f"POST /v1/logs HTTP/1.1\r\nhost: {host}\r\ncontent-type: {PROTOBUF}\r\ncontent-length: 100\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(head.encode() + b"half")
        return requests.post(f"http://{address}/v1/traces", headers={"content-type": PROTOBUF}, timeout=10).status_code

    assert ask(consumer, hang_up) == 200
    assert [delivery.signal for delivery in consumer.deliveries] == [Signal.TRACES]


def test_a_connection_is_kept_alive() -> None:
    def twice(address: str) -> list[int]:
        with requests.Session() as session:
            headers = {"content-type": JSON}
            return [
                session.post(f"http://{address}/v1/logs", b"{}", headers=headers, timeout=10).status_code
                for _ in range(3)
            ]

    assert ask(ScriptedConsumer(), twice) == [200, 200, 200]


def test_a_taken_port_is_told_with_the_flag_that_changes_it() -> None:
    async def run() -> None:
        async with receiving(ScriptedConsumer(), HttpReceiver) as address:
            second = HttpReceiver(ScriptedConsumer(), gate_of(address))
            with pytest.raises(ConfigError, match=r"receiver\.http\.endpoint .* --http HOST:PORT"):
                await second.start()
            await second.stop(0)

    asyncio.run(run())


def test_the_json_status_is_valid_json() -> None:
    answer = post(ScriptedConsumer([RetryableError('say "later"', retry_after_seconds=3)]), b"{}", content_type=JSON)
    assert json.loads(answer.content) == {
        "code": 14,
        "message": 'say "later"',
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"}],
    }
