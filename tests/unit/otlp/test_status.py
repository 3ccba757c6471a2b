"""Answers: what one side writes the other reads, in both encodings."""

from __future__ import annotations

import json

import pytest
from google.rpc.status_pb2 import Status

from spanledger.core.delivery import Encoding, Receipt
from spanledger.core.usage import Signal
from spanledger.otlp.status import error_status, rejected, response, retry_delay_seconds, status_message


@pytest.mark.parametrize("signal", list(Signal))
def test_full_success_is_an_empty_message(signal: Signal) -> None:
    assert response(signal, Receipt(), Encoding.PROTOBUF) == b""
    assert response(signal, Receipt(), Encoding.JSON) == b"{}"
    assert rejected(signal, b"", 100) == Receipt()


@pytest.mark.parametrize("signal", list(Signal))
def test_partial_success_comes_back_as_it_was(signal: Signal) -> None:
    receipt = Receipt(3, "bad_count: input_tokens")
    assert rejected(signal, response(signal, receipt, Encoding.PROTOBUF), 100) == receipt
    (partial,) = json.loads(response(signal, receipt, Encoding.JSON)).values()
    # OTLP/JSON writes 64-bit integers as text.
    assert sorted(map(str, partial.values())) == ["3", "bad_count: input_tokens"]


def test_a_warning_alone_is_told() -> None:
    assert rejected(Signal.LOGS, response(Signal.LOGS, Receipt(0, "old"), Encoding.PROTOBUF), 100) == Receipt(0, "old")


@pytest.mark.parametrize(("told", "taken"), [(-1000, 0), (-(2**63), 0), (49, 49), (50, 50), (51, 50), (2**63 - 1, 50)])
def test_no_more_records_are_refused_than_a_request_can_have_and_no_less_than_none(told: int, taken: int) -> None:
    answer = response(Signal.LOGS, Receipt(told, "lies"), Encoding.PROTOBUF)
    assert rejected(Signal.LOGS, answer, 100).rejected == taken  # a record is two bytes at least


@pytest.mark.parametrize(
    "value", [b"\xff\xff\xff", b"\x0a\xff", b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"]
)
def test_a_delay_that_cannot_be_read_or_is_past_is_none(value: bytes) -> None:
    status = Status(code=14)
    status.details.add(type_url="type.googleapis.com/google.rpc.RetryInfo", value=value)
    assert not retry_delay_seconds(status.SerializeToString())


def test_an_answer_that_is_none_says_nothing() -> None:
    assert rejected(Signal.LOGS, b"<html>", 100) == Receipt()
    assert retry_delay_seconds(b"<html>") is None
    assert status_message(b"<html>") == ""


@pytest.mark.parametrize("delay", [None, 0.0, 0.25, 7.0])
def test_a_delay_comes_back_as_it_was(delay: float | None) -> None:
    status = error_status(14, "disk full", retry_after_seconds=delay, encoding=Encoding.PROTOBUF)
    assert retry_delay_seconds(status) == delay
    assert status_message(status) == "disk full"


def test_an_error_in_json_is_a_status_object() -> None:
    status = json.loads(error_status(14, "disk full", retry_after_seconds=2.5, encoding=Encoding.JSON))
    assert (status["code"], status["message"]) == (14, "disk full")
    assert status["details"] == [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.5s"}]
