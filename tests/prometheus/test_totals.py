"""Totals over a range, as the boards ask for them, on a real Prometheus: a correction and a restart in the range."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from spanledger.core.money import picousd_of_double
from spanledger.core.semconv import Metric
from spanledger.core.usage import Temporality
from spanledger.dashboards.queries import AS_OF, BEFORE, ENDS, RANGE, Queries
from spanledger.dashboards.settings import BACKENDS
from spanledger.exporter.client import Accepted
from spanledger.service.series_export import SeriesExport
from spanledger.telemetry import Counters
from support.backends import Prometheus
from support.boards import seconds
from support.booking import Books, open_books
from support.telling import NOW, SECOND, Client, Usage

pytestmark = pytest.mark.prometheus

MINUTE = 60 * SECOND
TOLD = Usage(input=1000, output=100, write=10_000)
"""As a span tells of a call: how long its cache writes are kept, only the log event says."""
BY_SPAN = 1000 * 4_000_000 + 100 * 20_000_000 + 10_000 * 5_000_000
"""Pico-USD on claude-opus-5-5: cache writes at the 5-minute rate, $5 a million; 0.056 USD."""
BY_LOG = 1000 * 4_000_000 + 100 * 20_000_000 + 10_000 * 8_000_000
"""The same at the 1-hour rate, $8 a million; 0.086 USD."""
QUERIES = Queries(BACKENDS["prometheus"])


def exports(books: Books, url: str, first: int, last: int) -> None:
    """Export every minute of a past, the last one too."""
    export = SeriesExport(books.ledger, books.parts.pipeline, (), Counters(), Temporality.CUMULATIVE)
    export.prepare(["prometheus"])
    headers = {"content-type": "application/x-protobuf"}
    for now in range(first, last + 1, MINUTE):
        books.take(at=now)
        (part,) = export.begin("prometheus", now)
        requests.post(f"{url}/api/v1/otlp/v1/metrics", data=part.body, headers=headers, timeout=10).raise_for_status()
        export.end("prometheus", [(part, Accepted())])


def total(url: str, at: int, window: str, metric: Metric = Metric.COST, **labels: str) -> int:
    """What a query of the boards says; 0 where it says nothing."""
    return said(url, at, window, metric, **labels) or 0


def said(url: str, at: int, window: str, metric: Metric = Metric.COST, **labels: str) -> int | None:
    """What a query of the boards says; None where it says nothing."""
    found = asked(url, at, window, QUERIES.total(metric, by=tuple(labels)))
    found = [one for one in found if one["metric"] == labels]
    return sum(picousd_of_double(float(one["value"][1])) for one in found) if found else None


def left_out(url: str, at: int, window: str) -> int:
    """How many ledgers the boards say that they leave out."""
    ((_, count),) = (one["value"] for one in asked(url, at, window, QUERIES.left_out()))
    return int(count)


def asked(url: str, at: int, window: str, expression: str) -> list[dict[str, Any]]:
    """What a query of the boards gives over a range."""
    length = seconds(window)
    ends: dict[str, int | str] = {
        f"${AS_OF}": at // SECOND,
        ENDS[RANGE].start_seconds: at // SECOND - length,
        f"{RANGE}_s": length,
    }
    ends[RANGE] = window
    for variable, value in ends.items():
        expression = expression.replace(variable, str(value))
    query = {"query": expression, "time": str(at // SECOND)}
    answer = requests.get(f"{url}/api/v1/query", params=query, timeout=10)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A Prometheus that heard of a call by its span, of a restart, and of the call's log event half an hour later."""
    prometheus = Prometheus(tmp_path / "prometheus")
    runner = asyncio.Runner()
    runner.run(prometheus.start())
    span = Client().span("req-1", "claude-opus-5-5", TOLD, at=NOW)
    log = Client().log(
        "req-1", "claude-opus-5-5", Usage(input=1000, output=100, write=10_000, write_5m=0, write_1h=10_000), at=NOW
    )
    with open_books(tmp_path / "ledger.db") as books:
        exports(books, prometheus.url, NOW - 10 * MINUTE, NOW - MINUTE)
        books.take(span, at=NOW)
        exports(books, prometheus.url, NOW + MINUTE, NOW + 15 * MINUTE)
    with open_books(tmp_path / "ledger.db") as books:
        exports(books, prometheus.url, NOW + 17 * MINUTE, NOW + 30 * MINUTE)
        books.take(log, at=NOW + 30 * MINUTE + SECOND)
        exports(books, prometheus.url, NOW + 31 * MINUTE, NOW + 60 * MINUTE)
        assert books.ledger.report().cost_picousd == BY_LOG
    try:
        yield prometheus.url
    finally:
        runner.run(prometheus.stop())
        runner.close()


def test_a_range_has_what_was_posted_in_it_and_what_was_corrected_in_it(url: str) -> None:
    hour = NOW + 60 * MINUTE
    assert total(url, hour, "2h") == BY_LOG, "all of it"
    assert total(url, hour, "1h") == BY_LOG, "from the call on: the new series said 0 first"
    assert total(url, NOW + 29 * MINUTE, "2h") == BY_SPAN, "before the correction, over a restart"
    assert total(url, hour, "40m") == BY_LOG - BY_SPAN, "the correction alone"
    assert total(url, hour, "20m") == 0


def test_the_range_before_has_what_was_posted_in_it(url: str) -> None:
    """Of 40 minutes each: the correction at its end alone in one range, the call in the one before."""
    before = QUERIES.total(Metric.COST, window=BEFORE)
    for minutes, window, cost in ((60, "40m", BY_SPAN), (60, "20m", BY_LOG - BY_SPAN), (90, "20m", 0)):
        (found,) = asked(url, NOW + minutes * MINUTE, window, before)
        assert picousd_of_double(float(found["value"][1])) == cost, (minutes, window)


def test_parts_of_a_range_add_up_to_it(url: str) -> None:
    ends = [NOW + minutes * MINUTE for minutes in (0, 15, 30, 45, 60)]
    assert sum(total(url, end, "15m") for end in ends) == BY_LOG


def test_a_correction_is_its_owner_s(url: str) -> None:
    assert total(url, NOW + 60 * MINUTE, "2h", Metric.USER_COST, user="user-1") == BY_LOG
    assert total(url, NOW + 60 * MINUTE, "2h", Metric.COST, token_class="cache_write_1h") == 10_000 * 8_000_000
    assert total(url, NOW + 60 * MINUTE, "2h", Metric.COST, token_class="cache_write_unspecified") == 0


def test_a_range_that_begins_in_an_outage_is_exact_or_says_nothing(tmp_path: Path) -> None:
    """Ten hours without an export: cost by token class is known for two of them, whole cost for a day."""
    back = NOW + 10 * 60 * MINUTE
    prometheus = Prometheus(tmp_path / "prometheus")
    runner = asyncio.Runner()
    runner.run(prometheus.start())
    try:
        with open_books(tmp_path / "ledger.db") as books:
            exports(books, prometheus.url, NOW - 10 * MINUTE, NOW - MINUTE)
            books.take(Client().span("req-1", "claude-opus-5-5", TOLD, at=NOW), at=NOW)
            exports(books, prometheus.url, NOW + MINUTE, NOW + 15 * MINUTE)
        with open_books(tmp_path / "ledger.db") as books:
            books.take(Client().span("req-2", "claude-opus-5-5", TOLD, at=back), at=back)
            exports(books, prometheus.url, back, back + 10 * MINUTE)
        at = back + 10 * MINUTE
        assert said(prometheus.url, at, "5h", Metric.MODIFIER_COST) == BY_SPAN, "the second call alone"
        assert said(prometheus.url, at, "3h", Metric.MODIFIER_COST) == BY_SPAN
        assert said(prometheus.url, at, "9h") == BY_SPAN, "from 55 min after the last export on"
        assert said(prometheus.url, at, "5h") is None, "what it was at the start is not known: not both calls"
        assert (left_out(prometheus.url, at, "5h"), left_out(prometheus.url, at, "9h")) == (1, 0)
        assert said(prometheus.url, at, "11h") == 2 * BY_SPAN, "begins before anything was told: all of it"
    finally:
        runner.run(prometheus.stop())
        runner.close()


def test_a_ledger_that_is_gone_is_counted_as_left_out(tmp_path: Path) -> None:
    """One that was set aside, say, and another begun: the old one is heard of at the start alone."""
    prometheus = Prometheus(tmp_path / "prometheus")
    runner = asyncio.Runner()
    runner.run(prometheus.start())
    try:
        for name, first in (("old", NOW), ("new", NOW + 60 * MINUTE)):
            with open_books(tmp_path / f"{name}.db") as books:
                exports(books, prometheus.url, first, first + MINUTE)
                call = Client().span(f"req-{name}", "claude-opus-5-5", TOLD, at=first + 2 * MINUTE)
                books.take(call, at=first + 2 * MINUTE)
                last = first + (50 if name == "old" else 180) * MINUTE
                exports(books, prometheus.url, first + 3 * MINUTE, last)
        at = NOW + 240 * MINUTE
        assert said(prometheus.url, at, "5h") == BY_SPAN, "of the new one alone"
        assert left_out(prometheus.url, at, "5h") == 1
        assert (said(prometheus.url, at, "3h"), left_out(prometheus.url, at, "3h")) == (BY_SPAN, 0)
        before = NOW + 55 * MINUTE
        assert (said(prometheus.url, before, "2h"), left_out(prometheus.url, before, "2h")) == (BY_SPAN, 0)
    finally:
        runner.run(prometheus.stop())
        runner.close()


def test_a_backend_that_lost_its_past_shows_nothing_of_it(url: str, tmp_path: Path) -> None:
    """Another Prometheus in the place of the first, at the same destination, told of the series an hour later."""
    prometheus = Prometheus(tmp_path / "another")
    runner = asyncio.Runner()
    runner.run(prometheus.start())
    try:
        with open_books(tmp_path / "ledger.db") as books:
            exports(books, prometheus.url, NOW + 61 * MINUTE, NOW + 70 * MINUTE)
        at = NOW + 70 * MINUTE
        assert said(prometheus.url, at, "1h") is None, "what was posted before the range is not told apart"
        assert said(prometheus.url, at, "2h") == BY_LOG, "all of the ledger's life lies in it"
        assert said(prometheus.url, at, "5m") == 0
    finally:
        runner.run(prometheus.stop())
        runner.close()
