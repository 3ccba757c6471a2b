"""A ledger that takes deliveries one by one, as the service does, and is asked afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spanledger.config.destinations import DEFAULT_DESTINATION
from spanledger.config.sections import Settings
from spanledger.core.cost_range import CostRange, range_of_all
from spanledger.core.delivery import Delivery, Receipt
from spanledger.core.money import format_usd
from spanledger.core.posting import Charge, standing_charges
from spanledger.core.semconv import Metric
from spanledger.core.settling import Policy, Prices
from spanledger.core.usage import Evidence, Signal
from spanledger.service.assembly import policy_of
from spanledger.service.audit import Figures, audit
from spanledger.service.explanation import Explanation, explain
from spanledger.service.pipeline import prepare
from spanledger.service.session_report import SessionReport, report_session
from support.replaying import list_prices, open_parts
from support.telling import NOW


class Books:
    """One ledger with default settings. Time is what the deliveries say, and only moves on."""

    def __init__(self, path: Path, settings: Settings | None = None, prices: Prices | None = None) -> None:
        self.settings = settings or Settings()
        self.parts = open_parts(path, settings=settings, prices=prices)
        self.ledger = self.parts.ledger
        self.now_unix_nano = 0
        self.duplicates = 0
        self.receipts: list[Receipt] = []

    def take(self, *deliveries: Delivery, at: int = NOW) -> Books:
        """Take deliveries, each a request of its own, at a time; what fell due before is done before."""
        self.now_unix_nano = max(self.now_unix_nano, at)
        while (due := self.parts.pipeline.next_advance_unix_nano()) is not None and due <= self.now_unix_nano:
            self.parts.pipeline.advance(due)
        for delivery in deliveries:
            accepted = self.parts.pipeline.accept([prepare(delivery, self.parts.meter)], self.now_unix_nano)
            self.duplicates += accepted.duplicates
            self.receipts.extend(accepted.receipts)
        return self

    def rest(self) -> Books:
        """Let everything come to rest and check that metrics, ledger and report agree."""
        while (due := self.parts.pipeline.next_advance_unix_nano()) is not None:
            self.now_unix_nano = max(self.now_unix_nano, due)
            self.parts.pipeline.advance(self.now_unix_nano)
        self.parts.pipeline.fold(self.now_unix_nano)
        assert self.figures.disagreements == ()
        return self

    @property
    def figures(self) -> Figures:
        return audit(self.ledger)

    @property
    def cost_usd(self) -> str:
        """What the ledger holds, an exact decimal."""
        return format_usd(self.ledger.report().cost_picousd)

    @property
    def charges(self) -> list[Charge]:
        """Charges that stand, by the time of the call."""
        return standing_charges(self.ledger.postings.all())

    @property
    def calls(self) -> list[Charge]:
        """Charges of calls."""
        return [charge for charge in self.charges if charge.evidence is not Evidence.METRIC]

    @property
    def residuals(self) -> list[Charge]:
        """Charges that only the client's sums know of."""
        return [charge for charge in self.charges if charge.evidence is Evidence.METRIC]

    def total(self, metric: Metric) -> int:
        """A metric's series and adjustment together."""
        return self.figures.metrics[metric]

    def explain(self, name: str) -> Explanation:
        found = explain(self.ledger, list_prices(), self._policy, name)
        assert found is not None
        return found

    def session(self, name: str) -> SessionReport:
        found = report_session(self.ledger, list_prices(), self._policy, name)
        assert found is not None
        return found

    @property
    def costs(self) -> CostRange:
        """The least and the most that all that stands may have cost."""
        return range_of_all(self.charges, list_prices(), self._policy)

    @property
    def _policy(self) -> Policy:
        return policy_of(self.settings, list_prices())

    def left(self, signal: Signal) -> list[bytes]:
        """Bodies of a signal as they leave."""
        return [payload.body for payload in self.ledger.outbox.departures(DEFAULT_DESTINATION, signal, 2**30)]


@contextmanager
def open_books(path: Path, settings: Settings | None = None, prices: Prices | None = None) -> Iterator[Books]:
    """Open or go on with a ledger; closed at the end."""
    books = Books(path, settings, prices)
    try:
        yield books
    finally:
        books.ledger.close()
