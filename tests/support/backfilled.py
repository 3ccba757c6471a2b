"""A month of a fleet in a real Prometheus: booked by the real pipeline, exported by the real encoder, then and there.

Prometheus takes no sample from the future, so the month is one that is over. It ends on its last Friday, in the busiest
hour. Exports come every two hours, and every minute of the last two: sums over ranges are the same from either. To be
looked at it is `detailed`: exports come every hour, so that bars of an hour have their ends, and every minute of the
last six; payloads are forwarded, to nobody; the price list was checked in the month.
Prometheus keeps all of it in memory: writing blocks of two hours would take longer than anything else.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any

import requests
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from spanledger.config.sections import Settings
from spanledger.config.settings import load_settings
from spanledger.core.periods import midnight_unix_nano
from spanledger.core.usage import Signal, Temporality
from spanledger.exporter.client import Accepted
from spanledger.service.assembly import Parts
from spanledger.service.budget_watch import BudgetWatch
from spanledger.service.component_gauges import component_readings
from spanledger.service.gauges import readers
from spanledger.service.pipeline import Accepted as Booked
from spanledger.service.self_telemetry import SelfTelemetry
from spanledger.service.series_export import SeriesExport, resource_of
from spanledger.telemetry import Counter, Counters
from support.backends import Prometheus
from support.history import HOUR, MINUTE, SECOND, UTC, History, Sent, play
from support.recorded import record
from support.remote_write import RECEIVER
from support.replaying import open_parts

FIRST = date(2026, 10, 1)
BEGIN = midnight_unix_nano(FIRST, UTC) + 12 * HOUR
"""Nothing comes before: a morning in Tokyo would be of the month before by the time of its calls."""
DESTINATION = "default"
END = midnight_unix_nano(date(2026, 10, 30), UTC) + 16 * HOUR
BUNDLED = Path(__file__).parents[2] / "src" / "spanledger" / "data" / "prices" / "anthropic.yaml"
CHECKED = date(2026, 10, 19)
DENSE = MINUTE
COMMIT_SECONDS = 0.004  # nobody waits for a disk in the past
BATCH_BYTES = 1 << 20
IN_MEMORY = tuple(f"--storage.tsdb.{which}-block-duration=60d" for which in ("min", "max"))
KEPT = ("--storage.tsdb.retention.time=50y", *IN_MEMORY, RECEIVER)

BUDGETS = """
budgets:
  limits:
    everything: {period: month, limit_usd: 20000}
    plans: {period: month, limit_usd: 4000, basis: [notional]}
    unsaid: {period: month, limit_usd: 1000, basis: [unknown]}
    each-cost-center: {scope: cost_center, owner: "*", period: month, limit_usd: 5000}
    each-team: {scope: team, owner: "*", period: week, limit_usd: 700}
    each-user: {scope: user, owner: "*", period: day, limit_usd: 60, basis: [billed, unknown]}
"""


class Exporting:
    """Exports of one ledger to a Prometheus, with times of the past, of everything that the service exports."""

    def __init__(self, parts: Parts, settings: Settings, path: Path, prometheus: Prometheus) -> None:
        self.prometheus = prometheus
        self.counters = Counters()
        self.watch = BudgetWatch(settings, path)
        self.telemetry = SelfTelemetry(self.counters, resource_of(parts.ledger), [DESTINATION])
        self.series = SeriesExport(
            parts.ledger,
            parts.pipeline,
            (
                *readers(parts.ledger, [DESTINATION], lambda: parts.pipeline.prices, lambda: 0),
                self.watch.readings,
                lambda now: component_readings(parts.ledger, None, now),
            ),
            self.counters,
            Temporality.CUMULATIVE,
        )
        self.session = requests.Session()
        self.outbox = parts.ledger.outbox
        self.exports = 0

    def booked(self, booked: Booked) -> None:
        """Count as the service does."""
        self.counters.add(Counter.REQUESTS_RECEIVED, len(booked.receipts))
        self.counters.add(Counter.RECORDS_RECEIVED, booked.records)
        self.telemetry.committed(COMMIT_SECONDS)

    def forward(self) -> None:
        """Take everything that may leave out of the outbox, and count it as the service does."""
        for signal in Signal:
            while batch := self.outbox.departures(DESTINATION, signal, BATCH_BYTES):
                self.outbox.remove(DESTINATION, batch)
                self.counters.add(Counter.PAYLOADS_FORWARDED, len(batch), destination=DESTINATION)

    def export(self, now_unix_nano: int) -> None:
        """Export everything as it is."""
        self.watch.refresh(now_unix_nano, tell=False)
        (part,) = self.series.begin(DESTINATION, now_unix_nano)
        body = part.body + dated(self.telemetry.body(), now_unix_nano)
        answer = self.session.post(
            f"{self.prometheus.otlp_url}/v1/metrics",
            data=body,
            headers={"content-type": "application/x-protobuf"},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        self.series.end(DESTINATION, [(part, Accepted())])
        self.exports += 1


@dataclass(frozen=True, slots=True)
class Past:
    """A ledger and the Prometheus that was told of it, from a time to that of the last export."""

    ledger_path: Path
    prometheus: Prometheus
    start_unix: int
    end_unix: int

    def query(self, expression: str, at_unix: int | None = None) -> list[tuple[dict[str, str], float]]:
        """Result of an instant query at the end; a failure or a warning of Prometheus fails."""
        result = self.get("query", query=expression, time=at_unix or self.end_unix)
        if result["resultType"] == "scalar":
            return [({}, float(result["result"][1]))]
        return [(one["metric"], float(one["value"][1])) for one in result["result"]]

    def label_values(self, label: str, selector: str, start_unix: int, end_unix: int) -> list[str]:
        """What a label is in the series of a selector."""
        answer = requests.get(
            f"{self.prometheus.url}/api/v1/label/{label}/values",
            params={"match[]": selector, "start": str(start_unix), "end": str(end_unix)},
            timeout=60,
        )
        answer.raise_for_status()
        return list(answer.json()["data"])

    def get(self, what: str, **parameters: Any) -> Any:
        """Data of an answer of Prometheus' API."""
        answer = requests.post(f"{self.prometheus.url}/api/v1/{what}", data=parameters, timeout=60).json()
        assert answer["status"] == "success", f"{answer.get('error')} in {parameters}"
        assert not answer.get("warnings"), f"{answer['warnings']} in {parameters}"
        return answer["data"]


class Busy(History):
    """A history that lies within the month, by the time of the calls and by that of their posting."""

    def sent(self) -> Iterator[Sent]:
        """Requests in order of arrival."""
        until_end = takewhile(lambda sent: sent.at_unix_nano < END, History.sent(self))
        return dropwhile(lambda sent: sent.at_unix_nano < BEGIN, until_end)


@asynccontextmanager
async def looked_at(folder: Path, *, developers: int) -> AsyncIterator[Past]:
    """A detailed past in a Prometheus that runs; filling takes minutes."""
    prometheus = Prometheus(folder / "prometheus", flags=KEPT)
    await prometheus.start()
    try:
        yield await asyncio.to_thread(book_the_past, folder, prometheus, developers=developers, detailed=True)
    finally:
        await prometheus.stop()


def book_the_past(folder: Path, prometheus: Prometheus, *, developers: int, detailed: bool = False) -> Past:
    """Book and export a month into a Prometheus that runs."""
    sparse, dense_from = (HOUR, END - 6 * HOUR) if detailed else (2 * HOUR, END - 2 * HOUR)
    file = folder / "spanledger.yaml"
    file.write_text(BUDGETS + (_prices_of_the_month(folder) if detailed else ""))
    settings, path = load_settings(file, {}, {}), folder / "ledger.db"
    parts = open_parts(path, settings=settings, forward=detailed)
    history = Busy(developers=developers, first=FIRST)
    exporting = Exporting(parts, settings, path, prometheus)
    start = midnight_unix_nano(FIRST, UTC)
    last = start

    def on_tick(now: int) -> None:
        nonlocal last
        if now % (DENSE if now >= dense_from else sparse) == 0:
            exporting.forward()
            exporting.export(now)
            last = now

    exporting.export(start)
    play(history, parts, every_seconds=60, on_tick=on_tick, on_booked=exporting.booked)
    for _ in range(2):  # what is new to Prometheus says 0 first
        last += MINUTE
        exporting.export(last)
    parts.ledger.close()
    record(prometheus.url, start // SECOND, dense_from // SECOND, sparse // SECOND)
    record(prometheus.url, (dense_from + DENSE) // SECOND, last // SECOND, DENSE // SECOND)
    return Past(path, prometheus, start // SECOND, last // SECOND)


def _prices_of_the_month(folder: Path) -> str:
    """Settings with the bundled list, as if it had been checked in the month: later, its age would be below 0."""
    listed = folder / "prices.yaml"
    listed.write_text(re.sub(r"(?m)^checked: .*", f'checked: "{CHECKED}"', BUNDLED.read_text()))
    return f"prices: {{files: [{listed}]}}\n"


def dated(body: bytes, now_unix_nano: int) -> bytes:
    """The component's own metrics, which go by the clock of the wall, at a time of the past."""
    request = ExportMetricsServiceRequest.FromString(body)
    for group in request.resource_metrics:
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                for point in (*metric.sum.data_points, *metric.histogram.data_points):
                    point.start_time_unix_nano = midnight_unix_nano(FIRST, UTC)
                    point.time_unix_nano = now_unix_nano
    return request.SerializeToString()
