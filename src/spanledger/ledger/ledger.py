"""The ledger: one file with evidence, postings, control points, series and outbox."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from spanledger.core.views import Report, report
from spanledger.ledger.control import ControlStore
from spanledger.ledger.database import Database
from spanledger.ledger.dimensions import Dimensions
from spanledger.ledger.evidence import EvidenceStore
from spanledger.ledger.outbox import OutboxStore
from spanledger.ledger.postings import PostingStore
from spanledger.ledger.series import SeriesStore


@dataclass(frozen=True, slots=True)
class Ledger:
    """The stores of one ledger file. One thread at a time; what belongs together is written in one `transaction`."""

    database: Database
    evidence: EvidenceStore
    postings: PostingStore
    control: ControlStore
    series: SeriesStore
    outbox: OutboxStore

    @classmethod
    def open(cls, path: Path, *, max_series: int) -> Ledger:
        """Open or make a ledger file.

        Raises:
            ConfigError: see `Database.open`.
        """
        database = Database.open(path)
        dimensions = Dimensions(database)
        return cls(
            database=database,
            evidence=EvidenceStore(database, dimensions),
            postings=PostingStore(database, dimensions),
            control=ControlStore(database, dimensions),
            series=SeriesStore(database, max_series),
            outbox=OutboxStore(database),
        )

    def transaction(self) -> AbstractContextManager[None]:
        """Commit everything inside, or nothing."""
        return self.database.transaction()

    def close(self) -> None:
        """Close the file; what is committed stays."""
        self.database.close()

    def report(self) -> Report:
        """Totals of the whole ledger."""
        return report(self.postings.totals(after_id=0, to_id=self.postings.last_id()))
