"""Metrics as deltas, from records to the sink."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from spanledger.core.errors import RetryableError
from spanledger.core.gauges import Gauge
from spanledger.core.money import parse_usd
from spanledger.core.semconv import Metric
from spanledger.core.usage import Signal
from spanledger.ledger.ledger import Ledger
from spanledger.service.sink import OtlpSink
from support.replaying import read_folder, replay_folders
from support.serving import REQUESTS, Transport, running, send, standing
from support.truth import CAPTURES, served

FOLDER = CAPTURES / "s03_subagent"
DELIVERIES = [body.delivery for body in read_folder(FOLDER)]
COST_PICOUSD = parse_usd(str(served(FOLDER).cost_usd))
DELTA = {"metrics__temporality": "delta", "metrics__interval_seconds": "0.05"}


def together(*sinks: OtlpSink) -> OtlpSink:
    """What a backend has that got all of it."""
    return OtlpSink(bodies={Signal.METRICS: [body for sink in sinks for body in sink.bodies[Signal.METRICS]]})


def unconfirmed(ledger_path: Path) -> int:
    ledger = Ledger.read(ledger_path)
    amount = ledger.deltas.unconfirmed("default", Metric.COST)
    ledger.close()
    return amount


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_deltas_add_up_to_the_ledger_and_adjustments_stay_cumulative(protocol: str, tmp_path: Path) -> None:
    ledger_path = tmp_path / "ledger.db"

    async def run() -> list[OtlpSink]:
        sinks = []
        for part in (DELIVERIES[:10], DELIVERIES[10:]):
            async with running(ledger_path, **DELTA, exporter__protocol=protocol) as up:
                await send(Transport.GRPC, up.addresses, part)
                await up.service.rest()
            sinks.append(up.sink)
        return sinks

    sinks = asyncio.run(run())
    left = standing(ledger_path)
    reference = replay_folders([FOLDER], tmp_path / "reference.db")
    assert left.balances == reference.balances
    assert left.figures.metrics[Metric.COST] == COST_PICOUSD
    points = [point for sink in sinks for point in sink.sum_points() if point.metric in set(Metric)]
    assert {(point.monotonic, point.cumulative) for point in points} == {(True, False), (False, True)}
    assert together(*sinks).metric_totals() == left.figures.metrics
    assert unconfirmed(ledger_path) == 0


def test_windows_of_a_series_follow_one_another(tmp_path: Path) -> None:
    async def run() -> OtlpSink:
        async with running(tmp_path / "ledger.db", **DELTA) as up:
            for delivery in DELIVERIES:
                await send(Transport.GRPC, up.addresses, [delivery])
            await up.service.rest()
        return up.sink

    sink = asyncio.run(run())
    last: dict[object, int] = {}
    for point in sink.sum_points():
        if point.cumulative:
            continue
        assert point.start_unix_nano < point.time_unix_nano
        assert last.get((point.metric, point.attributes), 0) <= point.start_unix_nano
        last[point.metric, point.attributes] = point.time_unix_nano


def test_a_destination_that_refuses_for_a_while_misses_nothing(tmp_path: Path) -> None:
    async def run() -> OtlpSink:
        async with running(tmp_path / "ledger.db", **DELTA, exporter__protocol="http/protobuf") as up:
            await send(Transport.GRPC, up.addresses, DELIVERIES[:8])
            up.sink.answers.extend([RetryableError("full", retry_after_seconds=0.01)] * 7)
            await send(Transport.GRPC, up.addresses, DELIVERIES[8:])
            await up.service.rest()
            await up.sink.wait_for(lambda: not up.sink.answers, 30)
        return up.sink

    sink = asyncio.run(run())
    assert sink.metric_totals() == standing(tmp_path / "ledger.db").figures.metrics
    assert unconfirmed(tmp_path / "ledger.db") == 0


def test_a_ledger_that_told_cumulative_sums_goes_on_with_what_is_new(tmp_path: Path) -> None:
    ledger_path = tmp_path / "ledger.db"

    async def run(part: slice, **settings: str) -> OtlpSink:
        async with running(ledger_path, **settings) as up:
            await send(Transport.GRPC, up.addresses, DELIVERIES[part])
            await up.service.rest()
        return up.sink

    before, after = asyncio.run(run(slice(6))), asyncio.run(run(slice(6, None), metrics__temporality="delta"))
    assert after.metric_totals()[Metric.REQUESTS] > 0
    assert together(before, after).metric_totals() == standing(ledger_path).figures.metrics


def test_what_is_in_doubt_shows_as_a_gauge(tmp_path: Path) -> None:
    async def run() -> OtlpSink:
        async with running(tmp_path / "ledger.db", **DELTA) as up:
            await send(Transport.GRPC, up.addresses, DELIVERIES)
        return up.sink

    sink = asyncio.run(run())
    request = REQUESTS[Signal.METRICS].FromString(sink.bodies[Signal.METRICS][-1])
    metrics = {m.name: m for g in request.resource_metrics for s in g.scope_metrics for m in s.metrics}
    (point,) = metrics[Gauge.UNCONFIRMED_COST].gauge.data_points
    assert point.as_double == 0
