"""The ledger: one file with evidence, postings, their days, control points, tallies, series and outbox."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from spanledger.core.labels import MAX_LABEL_BYTES
from spanledger.core.views import Report, report
from spanledger.ledger.control import ControlStore
from spanledger.ledger.database import Database
from spanledger.ledger.days import DayStore
from spanledger.ledger.deltas import DeltaStore
from spanledger.ledger.dimensions import Dimensions
from spanledger.ledger.evidence import EvidenceStore
from spanledger.ledger.failures import FailureStore
from spanledger.ledger.heard import HeardStore
from spanledger.ledger.outbox import OutboxStore
from spanledger.ledger.portions import PortionStore
from spanledger.ledger.postings import PostingStore
from spanledger.ledger.residuals import ResidualStore
from spanledger.ledger.series import SeriesStore
from spanledger.ledger.tallies import TallyStore

_BEGAN = "began_unix_nano"
_PRICE_BOOK = "price_book"
_BOOKING_RULES = "booking_rules"
_PROOF = "proof"
_PROOF_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Ledger:
    """The stores of one ledger file. One thread at a time; what belongs together is written in one `transaction`."""

    database: Database
    evidence: EvidenceStore
    postings: PostingStore
    days: DayStore
    control: ControlStore
    residuals: ResidualStore
    tallies: TallyStore
    series: SeriesStore
    deltas: DeltaStore
    outbox: OutboxStore
    heard: HeardStore
    portions: PortionStore
    failures: FailureStore

    @classmethod
    def open(cls, path: Path, *, max_series: int, max_label_bytes: int = MAX_LABEL_BYTES) -> Ledger:
        """Open or make a ledger file.

        Raises:
            ConfigError: see `Database.open`.
        """
        return cls._of(Database.open(path), max_series, max_label_bytes)

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Open a ledger file for reading only, whoever else writes it.

        Raises:
            ConfigError: see `Database.read`.
        """
        return cls._of(Database.read(path), 0)

    @classmethod
    def append(cls, path: Path) -> Ledger:
        """Open a ledger file to add postings, whoever else serves it. Its series are not to be touched.

        Raises:
            ConfigError: see `Database.append`.
        """
        return cls._of(Database.append(path), 0)

    @classmethod
    def _of(cls, database: Database, max_series: int, max_label_bytes: int = MAX_LABEL_BYTES) -> Ledger:
        dimensions = Dimensions(database)
        return cls(
            database=database,
            evidence=EvidenceStore(database, dimensions),
            postings=PostingStore(database, dimensions),
            days=DayStore(database, dimensions),
            control=ControlStore(database, dimensions),
            residuals=ResidualStore(database, dimensions),
            tallies=TallyStore(database, dimensions),
            series=SeriesStore(database, max_series, max_label_bytes),
            deltas=DeltaStore(database),
            outbox=OutboxStore(database),
            heard=HeardStore(database, dimensions),
            portions=PortionStore(database, dimensions),
            failures=FailureStore(database),
        )

    def transaction(self) -> AbstractContextManager[None]:
        """Commit everything inside, or nothing."""
        return self.database.transaction()

    def snapshot(self) -> AbstractContextManager[None]:
        """Read everything inside as it was at one moment."""
        return self.database.snapshot()

    @property
    def began_unix_nano(self) -> int:
        """When this ledger took its first delivery, on its own clock; 0 before that."""
        return int(self.database.meta(_BEGAN) or "0")

    def begin(self, now_unix_nano: int) -> None:
        """Note the time of the first delivery; inside a transaction."""
        if self.database.meta(_BEGAN) is None:
            self.database.set_meta(_BEGAN, str(now_unix_nano))

    @property
    def price_book(self) -> str:
        """Id of the price book that the ledger was last served by; empty before that."""
        return self.database.meta(_PRICE_BOOK) or ""

    @property
    def booking_rules(self) -> str:
        """Digest of the settings that it was last served by and figures depend on; empty before that."""
        return self.database.meta(_BOOKING_RULES) or ""

    def prove_writable(self) -> None:
        """Write as much as a request may need and take it back; raises what SQLite does where there is no room."""
        for content in ("0" * _PROOF_BYTES, ""):
            with self.transaction():
                self.database.set_meta(_PROOF, content)

    def note_prices(self, book_id: str, booking_rules: str) -> None:
        """Note what the ledger is served by from now on; inside a transaction."""
        self.database.set_meta(_PRICE_BOOK, book_id)
        self.database.set_meta(_BOOKING_RULES, booking_rules)

    def close(self) -> None:
        """Close the file; what is committed stays."""
        self.database.close()

    def report(self) -> Report:
        """Totals of the whole ledger."""
        return report(self.postings.totals(after_id=0, to_id=self.postings.last_id()))
