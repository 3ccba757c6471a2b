"""What was read of arbitrary bytes, taken to its end: ledger, postings, series, and the bytes that leave."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from spanledger.config.destinations import DEFAULT_DESTINATION
from spanledger.core.delivery import Delivery, Encoding, Payload
from spanledger.core.tenant import Tenant
from spanledger.core.usage import Signal, Temporality
from spanledger.exporter.prometheus_text import prometheus_text
from spanledger.otlp.frame import read_frame
from spanledger.service.audit import audit
from spanledger.service.gauges import readers
from spanledger.service.pipeline import Prepared, prepare
from spanledger.service.series_export import SeriesExport
from spanledger.telemetry import Counters
from support.hostile import field
from support.replaying import open_parts
from support.telling import NOW, SECOND

EXAMPLES_OF_A_LEDGER = 200
STEP = 60 * SECOND
"""Between two examples every window closes."""


class FuzzedLedger:
    """A ledger that takes example after example, and is followed by a new one before it is slow."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory()
        atexit.register(self._folder.cleanup)
        self._number = 0
        self._begin()

    def take(self, prepared: Prepared, tenant: Tenant | None) -> list[Payload]:
        """Take a batch, and each of its records again alone: that changes no balance. Gives what leaves.

        Whatever is raised is a finding. It is tried again in a new ledger, so that it can be made smaller.
        """
        if self._taken == EXAMPLES_OF_A_LEDGER:
            self._begin()
        try:
            return self._take(prepared, tenant)
        except Exception:
            self._begin()
            self._take(prepared, tenant)
            raise

    def _begin(self) -> None:
        if self._number:
            self._parts.ledger.close()
        self._number += 1
        self._taken = 0
        self._parts = open_parts(Path(self._folder.name) / f"{self._number}.db")
        self._parts.ledger.database.connection.execute("PRAGMA synchronous = OFF")
        self._export = SeriesExport(
            self._parts.ledger,
            self._parts.pipeline,
            readers(self._parts.ledger, [DEFAULT_DESTINATION], lambda: self._parts.pipeline.prices, lambda: 0),
            Counters(),
            Temporality.CUMULATIVE,
        )

    def _take(self, prepared: Prepared, tenant: Tenant | None) -> list[Payload]:
        self._taken += 1
        self._book([prepared])
        whole = self._balances()
        left = self._leaving(prepared.signal)
        meter = self._parts.meter
        pieces = [Delivery(prepared.signal, Encoding.PROTOBUF, piece, tenant) for piece in _pieces(prepared)]
        self._book([prepare(piece, meter) for piece in pieces])
        self._leaving(prepared.signal)
        assert self._balances() == whole
        return left

    def _book(self, group: list[Prepared]) -> None:
        pipeline, now = self._parts.pipeline, NOW + self._taken * STEP
        pipeline.accept(group, now)
        while (due := pipeline.next_advance_unix_nano()) is not None and due <= now + STEP:
            pipeline.advance(due)

    def _balances(self) -> object:
        """What metrics, ledger and report say alike, and the metrics can be read."""
        parts = self._export.begin(DEFAULT_DESTINATION, NOW + self._taken * STEP)
        assert prometheus_text(b"".join(part.body for part in parts))
        figures = audit(self._parts.ledger)
        assert figures.disagreements == ()
        return figures.report.cost_picousd, figures.report.requests, figures.client_cost_picousd

    def _leaving(self, signal: Signal) -> list[Payload]:
        """Take out what is ready to leave."""
        ledger = self._parts.ledger
        payloads = ledger.outbox.departures(DEFAULT_DESTINATION, signal, 2**30)
        with ledger.transaction():
            ledger.outbox.remove(DEFAULT_DESTINATION, payloads)
        return payloads


def _pieces(prepared: Prepared) -> Iterator[bytes]:
    """A request for each record of a body, with its resource."""
    for group in read_frame(prepared.signal, prepared.body):
        for record in group.records:
            yield field(1, field(1, group.resource) + field(2, field(2, record)))
