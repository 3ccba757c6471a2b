"""An export in parts: what becomes of one says nothing of the series in another, cumulative or as deltas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from spanledger.core.semconv import Metric
from spanledger.core.usage import Temporality
from spanledger.exporter.client import Accepted, Deferred, Outcome, Refused
from spanledger.exporter.metrics import RequestLimits
from spanledger.ledger.failures import ExportFailure
from spanledger.otlp.encode import decode_sums
from spanledger.service.series_export import SeriesExport
from spanledger.telemetry import Counters
from support.booking import Books, open_books
from support.telling import SECOND, Client, Usage

OPUS, SONNET = "claude-opus-5-5", "claude-sonnet-5"
MINUTE = 60 * SECOND
EACH_POINT_ALONE = RequestLimits(max_request_bytes=1)


class Backend:
    """Takes what it is sent of each model as it is told, and keeps what it was told of requests."""

    def __init__(self, books: Books, temporality: Temporality) -> None:
        self.books = books
        self.requests: defaultdict[str, list[int]] = defaultdict(list)
        self._export = SeriesExport(
            books.ledger, books.parts.pipeline, (), Counters(), temporality, limits=EACH_POINT_ALONE
        )
        self._export.prepare(["backend"])
        self._calls = 0

    def called(self, *models: str) -> None:
        for model in models:
            self._calls += 1
            self.books.take(Client().log(f"req_{self._calls}", model, Usage(1_000)))
        self.books.rest()

    def exported(self, of_sonnet: Outcome) -> None:
        """One export, of which everything about the one model comes to this end."""
        self.books.now_unix_nano += MINUTE
        sent: list[tuple] = []
        for part in self._export.begin("backend", self.books.now_unix_nano):
            outcome = of_sonnet if any(("model", SONNET) in key.labels for key in part.keys) else Accepted()
            sent.append((part, outcome))
            if isinstance(outcome, Accepted):
                self._keep(part.body)
        self._export.end("backend", sent)

    def _keep(self, body: bytes) -> None:
        for point in decode_sums(body):
            if point.metric == Metric.REQUESTS:
                self.requests[str(dict(point.attributes)["model"])].append(int(point.value))

    def unconfirmed(self) -> int:
        return self.books.ledger.deltas.unconfirmed("backend", Metric.REQUESTS)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    with open_books(tmp_path / "ledger.db") as opened:
        yield opened


def test_a_refused_part_keeps_no_other_series_from_saying_its_value(books: Books) -> None:
    backend = Backend(books, Temporality.CUMULATIVE)
    backend.called(OPUS, SONNET)
    for _ in range(3):
        backend.exported(Refused("too long for us"))
    assert backend.requests == {OPUS: [0, 1, 1]}
    for _ in range(2):
        backend.exported(Accepted())
    assert backend.requests == {OPUS: [0, 1, 1, 1, 1], SONNET: [0, 1]}, "0 first, and then all of it"


@pytest.mark.parametrize("outcome", [Refused("too long for us"), Deferred("not now")])
def test_of_deltas_the_part_that_was_not_taken_is_sent_again_and_no_other(books: Books, outcome: Outcome) -> None:
    backend = Backend(books, Temporality.DELTA)
    backend.called(OPUS, SONNET)
    backend.exported(Accepted())
    for _ in range(2):
        backend.exported(outcome)
        backend.called(OPUS, SONNET)
    backend.exported(Accepted())
    assert backend.requests == {OPUS: [0, 1, 1, 1], SONNET: [0, 3]}
    assert backend.unconfirmed() == 0


def test_of_deltas_the_part_in_doubt_alone_is_counted_so(books: Books) -> None:
    backend = Backend(books, Temporality.DELTA)
    backend.called(OPUS, SONNET, SONNET)
    backend.exported(Accepted())
    backend.exported(Deferred("no answer", in_doubt=True))
    backend.called(OPUS, SONNET)
    backend.exported(Accepted())
    assert backend.requests == {OPUS: [0, 1, 1], SONNET: [0, 1]}
    assert backend.unconfirmed() == 2


@pytest.mark.parametrize("temporality", list(Temporality))
def test_the_last_failure_is_kept_with_its_beginning_and_its_end(temporality: Temporality, books: Books) -> None:
    backend = Backend(books, temporality)
    failures = books.ledger.failures
    backend.called(OPUS, SONNET)
    backend.exported(Accepted())
    assert failures.of("backend") is None
    backend.exported(Refused("too long for us"))
    first = books.now_unix_nano
    backend.called(SONNET)
    backend.exported(Accepted(1, "too old"))
    last = ExportFailure(first, first + MINUTE, "1 data points refused: too old")
    assert failures.of("backend") == last
    backend.exported(Accepted())
    backend.exported(Accepted())
    assert failures.of("backend") == replace(last, is_over=True)
    backend.called(SONNET)
    backend.exported(Deferred("not now"))
    assert failures.of("backend") == ExportFailure(books.now_unix_nano, books.now_unix_nano, "not now")
    assert failures.of("other") is None
