"""Screening: exact limits, a bad record alone, and the same verdict whichever way a record is looked at."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from spanledger.core.errors import PermanentError
from spanledger.core.limits import DEFAULT_LIMITS, ContentLimits
from spanledger.core.reasons import Reason
from spanledger.core.usage import Signal
from spanledger.otlp.frame import read_frame
from spanledger.otlp.screen import Screener, _Walk
from spanledger.otlp.shapes import SHAPES
from spanledger.service.captures import find_folders, read_body
from support.hostile import attribute, log_record, metric, nested_array, nested_map, request, span, text
from support.hostile import field as wire
from support.serving import REQUESTS
from support.splitting import protobuf_body
from support.truth import CAPTURES

SCREENER = Screener(DEFAULT_LIMITS)
BODIES = [read_body(path).delivery for folder in find_folders([CAPTURES]) for path in folder.files]


def test_captured_requests_pass_untouched() -> None:
    for delivery in BODIES:
        body = protobuf_body(delivery)
        screened = SCREENER.screen(delivery.signal, body)
        assert (screened.body, screened.problems) == (body, ())
        assert screened.records > 0


def test_the_frame_holds_what_the_official_messages_hold() -> None:
    for delivery in BODIES:
        body = protobuf_body(delivery)
        (_, groups), *_ = REQUESTS[delivery.signal].FromString(body).ListFields()
        found = read_frame(delivery.signal, body)
        assert len(found) == len(groups)
        for mine, official in zip(found, groups, strict=True):
            records = [record for scope in official.ListFields()[1][1] for record in scope.ListFields()[1][1]]
            assert [type(one).FromString(raw) for one, raw in zip(records, mine.records, strict=True)] == records
            assert type(official.resource).FromString(mine.resource) == official.resource


def test_a_bad_record_is_taken_out_and_told() -> None:
    good = [span(name=f"good {n}") for n in range(3)]
    body = request(good[0], span(trace_id=b"x"), good[1], b"\xff", good[2])
    screened = SCREENER.screen(Signal.TRACES, body)
    assert screened.body == request(*good)
    assert screened.records == 3
    assert [problem.reason for problem in screened.problems] == [Reason.BAD_ID, Reason.UNREADABLE_RECORD]
    assert "span 2 of the request" in screened.problems[0].detail


def test_a_bad_data_point_is_taken_out_of_its_metric() -> None:
    good, bad = wire(7, attribute("k", text("v"))), wire(7, attribute("k", nested_array(99)))
    body = request(metric(good, bad), metric(bad, kind=5), metric(good, good, kind=9))
    screened = SCREENER.screen(Signal.METRICS, body)
    assert screened.body == request(metric(good), metric(kind=5), metric(good, good, kind=9))
    assert (screened.records, len(screened.problems)) == (3, 2)


@given(st.integers(0, 60), st.booleans(), st.integers(2, 94))
def test_depth_is_counted_the_same_by_parser_and_walk(levels: int, maps: bool, limit: int) -> None:
    """The parser decides for small records, the walk for large ones: one rule, two ways."""
    value = nested_map(levels) if maps else nested_array(levels)
    record, deep = span(attribute("k", value)), 2 + levels * (3 if maps else 2)
    limits = ContentLimits(max_nesting_depth=limit)
    found = _Walk(limits).fault(SHAPES["span"].descriptor, record)
    assert (found is None) == (deep <= limit)
    try:
        SHAPES["span"].parser(limit)(record)
    except DecodeError:
        assert deep > limit
    else:
        assert deep <= limit


LIMITS = ContentLimits(max_records=4, max_attributes=3, max_value_bytes=50, max_nesting_depth=10, max_fields=40)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (span(*[attribute("k", text("v"))] * 3), None),
        (span(*[attribute("k", text("v"))] * 4), Reason.TOO_MANY_ATTRIBUTES),
        (span(more=wire(13, b"") * 4), Reason.TOO_MANY_ATTRIBUTES),
        (span(attribute("k", text("v" * 50))), None),
        (span(attribute("k", text("v" * 51))), Reason.VALUE_TOO_LARGE),
        (span(attribute("k", wire(7, b"v" * 50))), None),
        (span(attribute("k", wire(7, b"v" * 51))), Reason.VALUE_TOO_LARGE),
        (span(attribute("k", wire(5, wire(1, text("v" * 46))))), None),  # a list: 46 + 4 around the text
        (span(attribute("k", wire(5, wire(1, text("v" * 47))))), Reason.VALUE_TOO_LARGE),
        (span(attribute("k", text("v" * 25) * 2)), None),
        (span(attribute("k", text("v" * 25) + text("v" * 26))), Reason.VALUE_TOO_LARGE),
        (span(attribute("k", nested_array(4))), None),
        (span(attribute("k", nested_array(5))), Reason.NESTED_TOO_DEEP),
        (span(attribute("k", wire(5, wire(1, b"") * 25))), None),
        (span(*[attribute("k", b"")] * 3, more=b"\x78\x00" * 28), None),  # 3 + 3 * 3 + 28 = 40
        (span(*[attribute("k", b"")] * 3, more=b"\x78\x00" * 29), Reason.TOO_MANY_FIELDS),
        (span(attribute("k", nested_array(500))), Reason.NESTED_TOO_DEEP),
    ],
)
def test_limits_of_a_record_are_held_to_the_unit(record: bytes, reason: Reason | None) -> None:
    screener = Screener(LIMITS)
    screened = screener.screen(Signal.TRACES, request(span(), record))
    assert [problem.reason for problem in screened.problems] == ([] if reason is None else [reason])
    if reason is not None:
        with pytest.raises(PermanentError):
            _ = _only(screener, record)


def _only(screener: Screener, record: bytes) -> bytes:
    """As the pipeline does it: when no record is left, the request is refused."""
    screened = screener.screen(Signal.TRACES, request(record))
    if screened.problems and not screened.records:
        raise PermanentError(screened.problems[0].detail, screened.problems[0].reason)
    return screened.body


@pytest.mark.parametrize("signal", list(Signal))
def test_records_are_counted_over_all_groups(signal: Signal) -> None:
    record = metric(b"", kind=7) if signal is Signal.METRICS else b""
    assert Screener(LIMITS).screen(signal, request(record, record) * 2).records == 4
    for body in (request(record, record) * 2 + request(record), wire(1, b"") * 5, wire(1, wire(2, b"") * 5)):
        with pytest.raises(PermanentError) as caught:
            Screener(LIMITS).screen(signal, body)
        assert caught.value.reason is Reason.TOO_MANY_RECORDS


def test_data_points_of_one_metric_are_records() -> None:
    with pytest.raises(PermanentError) as caught:
        Screener(LIMITS).screen(Signal.METRICS, request(metric(*[b""] * 5)))
    assert caught.value.reason is Reason.TOO_MANY_RECORDS


def test_large_records_together_have_an_end_too() -> None:
    """Walking over large records in Python is slow: a request of many is cut short."""
    large = log_record(*[attribute("k", text("v" * 30))] * 2)
    screened = Screener(LIMITS).screen(Signal.LOGS, request(large, large))
    assert screened.problems == ()
    limits = ContentLimits(max_records=500, max_attributes=3, max_value_bytes=50, max_fields=40)
    screened = Screener(limits).screen(Signal.LOGS, request(*[large] * 200))
    assert {problem.reason for problem in screened.problems} == {Reason.TOO_MANY_FIELDS}


def test_a_fault_of_what_is_shared_refuses_the_request() -> None:
    deep = attribute("k", nested_array(99))
    shared = {
        "a resource": wire(1, wire(1, wire(1, deep)) + wire(2, wire(2, span()))),
        "a scope": wire(1, wire(2, wire(1, wire(3, deep)) + wire(2, span()))),
    }
    for said, body in shared.items():
        with pytest.raises(PermanentError, match=said) as caught:
            SCREENER.screen(Signal.TRACES, body)
        assert caught.value.reason is Reason.NESTED_TOO_DEEP
