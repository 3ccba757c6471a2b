"""The clock of the machine is set back or forth: nothing waits for it, nothing is told of a time before its start."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanledger.config.settings import load_settings
from spanledger.core.times import NANO_PER_DAY
from spanledger.core.usage import Signal, Temporality
from spanledger.exporter.client import Accepted
from spanledger.otlp.encode import decode_sums
from spanledger.service.series_export import SeriesExport
from spanledger.telemetry import Counters
from support.booking import Books, open_books
from support.telling import NOW, SECOND, Client, Usage

OPUS = "claude-opus-5-5"
HOUR = 3_600 * SECOND
WINDOW = 10 * SECOND
USAGE = Usage(input=1_000)


def settle_by_the_clock(books: Books, now_unix_nano: int) -> None:
    """What the service does each second."""
    books.parts.pipeline.follow_clock(now_unix_nano)
    due = books.parts.pipeline.next_advance_unix_nano()
    while due is not None and due <= now_unix_nano:
        books.parts.pipeline.advance(now_unix_nano)
        due = books.parts.pipeline.next_advance_unix_nano()


@pytest.mark.parametrize("step_nano", [HOUR, NANO_PER_DAY, 365 * NANO_PER_DAY])
def test_what_came_before_the_clock_was_set_back_waits_no_longer_than_it_would_have(
    step_nano: int, tmp_path: Path
) -> None:
    with open_books(tmp_path / "ledger.db") as books:
        books.take(Client().span("req_1", OPUS, USAGE), Client().sums(OPUS, USAGE, 0.005, start=NOW - 60 * SECOND))
        after = NOW - step_nano
        settle_by_the_clock(books, after)
        assert len(books.calls) == 1
        assert len(books.left(Signal.TRACES)) == 1, "the payload has left with its cost"
        settle_by_the_clock(books, after + 2 * int(books.settings.settle.residual_wait_seconds) * SECOND)
        assert books.parts.pipeline.next_advance_unix_nano() is None
        assert books.residuals == [], "the sums hold no more than the call"
        oldest = books.ledger.outbox.oldest_unix_nano()
        assert oldest is not None
        assert oldest <= after, "its age begins anew"


def test_over_a_restart_too(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_books(path) as books:
        books.take(Client().span("req_1", OPUS, USAGE), at=NOW + NANO_PER_DAY)
    with open_books(path) as books:
        settle_by_the_clock(books, NOW)
        assert len(books.calls) == 1


def test_a_step_within_the_window_hastens_nothing(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db") as books:
        books.take(Client().span("req_1", OPUS, USAGE))
        settle_by_the_clock(books, NOW - 5 * SECOND)
        assert books.calls == []
        assert books.parts.ledger.evidence.next_due_unix_nano() == NOW + WINDOW
        settle_by_the_clock(books, NOW + WINDOW)
        assert len(books.calls) == 1


def test_a_log_that_comes_after_the_step_corrects_its_span_as_ever(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db") as books:
        books.take(Client().span("req_1", OPUS, USAGE))
        settle_by_the_clock(books, NOW - HOUR)
        books.now_unix_nano = 0  # the clock of `Books` only moves on
        books.take(Client().log("req_1", OPUS, USAGE, at=NOW), at=NOW - HOUR + SECOND)
        settle_by_the_clock(books, NOW - HOUR + 3 * WINDOW)
        assert [charge.evidence for charge in books.charges] == ["log"]


@pytest.mark.parametrize("temporality", list(Temporality))
def test_points_bear_the_time_that_it_is_and_start_no_later(temporality: Temporality, tmp_path: Path) -> None:
    """A backend refuses what is of tomorrow: a clock that was ahead must not be followed when it is right again."""
    settings = load_settings(None, {}, {"metrics.temporality": temporality.value})
    nows = (NOW, NOW + NANO_PER_DAY, NOW + SECOND, NOW + 2 * SECOND)
    with open_books(tmp_path / "ledger.db", settings) as books:
        export = SeriesExport(books.ledger, books.parts.pipeline, (), Counters(), temporality)
        export.prepare(["backend"])
        for number, now in enumerate(nows):
            books.now_unix_nano = 0  # the clock of `Books` only moves on
            books.take(Client().log(f"req_{number}", OPUS, USAGE, at=now), at=now)
            parts = export.begin("backend", now)
            points = [point for part in parts for point in decode_sums(part.body)]
            assert points
            assert {point.time_unix_nano for point in points} == {now}
            assert all(point.start_unix_nano <= now for point in points)
            export.end("backend", [(part, Accepted()) for part in parts])
