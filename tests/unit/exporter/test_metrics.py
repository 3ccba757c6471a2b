"""Exports in parts: each within its size, every point once, and what becomes of one part holds no other up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import pytest

from spanledger.core.events import Event
from spanledger.core.gauges import Gauge, reading
from spanledger.core.semconv import METRICS, Metric
from spanledger.core.usage import Signal
from spanledger.core.views import SeriesKey
from spanledger.exporter.client import Accepted, Deferred, Outcome, Refused
from spanledger.exporter.metrics import MetricsExporter, Part, RequestLimits, Sent, metrics_parts, with_body
from spanledger.otlp.encode import SeriesPoint, decode_sums
from spanledger.telemetry import Counter, Counters
from support.logged import messages_of

RESOURCE = {"service.name": "s", "service.version": "1"}
POINTS = [SeriesPoint(METRICS[Metric.COST], (("model", f"model-{number:03}"),), 0, 1, number) for number in range(100)]
READINGS = [reading(Gauge.OUTBOX_PAYLOADS, 1, destination=f"d{number}", state="pending") for number in range(20)]


def parts_of(max_request_bytes: int | None, points: Sequence[SeriesPoint] = POINTS) -> list[Part]:
    return metrics_parts(points, READINGS, RESOURCE, 1, limits=RequestLimits(max_request_bytes=max_request_bytes))


def test_an_export_that_fits_is_one_request() -> None:
    (part,) = parts_of(None)
    assert part.keys == {SeriesKey(Metric.COST, point.labels) for point in POINTS}
    assert len(parts_of(len(part.body))) == 1
    assert len(parts_of(len(part.body) - 1)) == 2, "one byte over"


def test_parts_are_no_larger_than_their_limit_and_tell_each_point_once() -> None:
    (whole,) = parts_of(None)
    parts = parts_of(1_000)
    assert len(parts) > len(whole.body) / 1_000
    assert max(len(part.body) for part in parts) <= 1_000
    for part in parts:
        assert {key.labels for key in part.keys} == {point.attributes for point in decode_sums(part.body)}
    told = sorted((point.attributes, point.value) for part in parts for point in decode_sums(part.body))
    assert told == sorted((point.attributes, point.value) for point in decode_sums(whole.body))
    assert sum(part.body.count(b"\x07pending") for part in parts) == len(READINGS)


def test_a_point_that_is_larger_than_the_limit_goes_alone() -> None:
    assert len(parts_of(1)) == len(POINTS) + len(READINGS)


def test_a_request_of_others_is_put_behind_the_last_part_where_it_fits() -> None:
    parts = [Part(b"1234"), Part(b"123")]
    assert with_body(parts, b"45", RequestLimits(max_request_bytes=5)) == [Part(b"1234"), Part(b"12345")]
    assert with_body(parts, b"456", RequestLimits(max_request_bytes=5)) == [*parts, Part(b"456")]
    assert with_body(parts, b"456", RequestLimits()) == [Part(b"1234"), Part(b"123456")]


class Answering:
    """Gives outcomes in turn and keeps what was sent."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes = deque(outcomes)
        self.bodies: list[bytes] = []

    async def export(self, signal: Signal, body: bytes) -> Outcome:
        assert signal is Signal.METRICS
        self.bodies.append(body)
        return self.outcomes.popleft()

    async def close(self) -> None:
        """Nothing is open."""


AWAY, LOST = Deferred("away"), Deferred("no answer", in_doubt=True)


@pytest.mark.parametrize(
    ("outcomes", "ends", "failed"),
    [
        ([Accepted(), Accepted(), Accepted()], None, 0),
        ([Refused("no"), Accepted(), Accepted()], None, 1),
        ([LOST, Accepted(), Refused("no")], None, 2),
        ([Accepted(), AWAY], [Accepted(), AWAY, AWAY], 2),
    ],
)
def test_what_becomes_of_a_part_holds_no_other_up_but_where_nothing_is_taken(
    outcomes: list[Outcome], ends: list[Outcome] | None, failed: int
) -> None:
    parts = [Part(b"1"), Part(b"2"), Part(b"3")]
    ended: list[Sent] = []
    counters = Counters()

    async def begin() -> list[Part]:
        return parts

    async def end(sent: Sent) -> None:
        ended.append(sent)

    client = Answering(outcomes)

    async def run() -> bool:
        return await MetricsExporter(begin, end, "default", client, counters, interval_seconds=60).export()

    assert asyncio.run(run()) == (failed == 0)
    assert ended == [list(zip(parts, ends or outcomes, strict=True))]
    assert client.bodies == [part.body for part in parts[: len(outcomes)]]
    assert counters.snapshot()[Counter.METRIC_EXPORTS_FAILED] == failed


def test_points_that_a_destination_refuses_alone_are_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    counters = Counters()

    async def begin() -> list[Part]:
        return [Part(b"1"), Part(b"2")]

    async def end(_: Sent) -> None:
        """Nobody asks."""

    client = Answering([Accepted(2, "too old"), Accepted(1, "too many")])

    async def run() -> bool:
        return await MetricsExporter(begin, end, "default", client, counters, interval_seconds=60).export()

    assert asyncio.run(run()), "what the destination refuses for good is not sent again"
    assert counters.snapshot()[Counter.RECORDS_REJECTED_BY_DESTINATION] == 2 + 1
    assert counters.snapshot()[Counter.METRIC_EXPORTS_FAILED] == 0
    assert "2 data points refused: too old" in messages_of(caplog, Event.METRICS_NOT_SENT)[0]
