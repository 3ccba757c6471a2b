"""What the admin port tells of a running service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from spanledger.exporter.client import Accepted
from spanledger.exporter.prometheus_text import CONTENT_TYPE, prometheus_text
from spanledger.receiver.admin_server import Readiness
from spanledger.service.assembly import Parts
from spanledger.service.ledger_watch import LedgerWatch
from spanledger.service.self_telemetry import SelfTelemetry
from spanledger.service.series_export import SeriesExport
from spanledger.service.worker import LedgerWorker

SCRAPE = "scrape"
"""Name of who scrapes `/metrics`, among the destinations that series are primed for."""

SILENT = "does not answer"
"""State of a ledger that gives none in time."""

_PATIENCE_SECONDS = 2.0


class ServiceAdmin:
    """Answers for one service; see `receiver.admin_server.Subject`.

    A destination that is away does not make the service unready: what is for it waits in the outbox, and whoever took
    the service out of rotation for it would lose telemetry.
    """

    def __init__(
        self,
        parts: Parts,
        worker: LedgerWorker,
        watch: LedgerWatch,
        export: SeriesExport,
        telemetry: SelfTelemetry,
        look_at_budgets: Callable[[], Awaitable[None]],
        destinations: Sequence[str],
    ) -> None:
        """Take what is asked about. `export` makes cumulative sums: scraping knows no others."""
        self._parts = parts
        self._worker = worker
        self._watch = watch
        self._export = export
        self._telemetry = telemetry
        self._look_at_budgets = look_at_budgets
        self._destinations = tuple(destinations)

    async def readiness(self) -> Readiness:
        """Ready when the ledger can be written and answers in time."""
        book = self._parts.pipeline.prices.book.id
        try:
            waiting = await asyncio.wait_for(self._worker.run(self._waiting), _PATIENCE_SECONDS)
        except TimeoutError:
            return Readiness(False, {"ledger": SILENT, "price_book": book})
        fault = self._watch.fault  # after what was being written when the question came, the proof at the start too
        state = "writable" if fault is None else fault.value
        return Readiness(fault is None, {"ledger": state, "price_book": book, **waiting})

    async def scrape(self) -> tuple[bytes, str]:
        """The metrics in Prometheus' text format; a new series says 0 to the first scrape."""
        await self._look_at_budgets()
        body = await self._worker.run(self._body)
        return prometheus_text(body + self._telemetry.body()), CONTENT_TYPE

    def _body(self) -> bytes:
        parts = self._export.begin(SCRAPE, time.time_ns())
        self._export.end(SCRAPE, [(part, Accepted()) for part in parts])
        return b"".join(part.body for part in parts)

    def _waiting(self) -> dict[str, int]:
        return {f"outbox.{name}": self._parts.ledger.outbox.state(name).pending for name in self._destinations}
