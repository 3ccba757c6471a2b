"""Portions: the ledger's calls and residuals of a period, cut so that each piece can be priced again by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from spanledger.core.pricing import Span
from spanledger.core.times import FOREVER_UNIX_NANO
from spanledger.core.usage import Source
from spanledger.ledger.database import Database
from spanledger.ledger.dimensions import Dimensions

SLICE_NANO = 3_600 * 10**9
"""Portions are cut at whole hours, so that even a group without a session is priced in small pieces."""


# When a call was is its record's time, unless that is too far from the time of receipt (`core.settling.held`).
_PORTIONS = """
SELECT sender_id, time_unix_nano / :slice AS hour, count(*) FROM evidence
WHERE CASE
    WHEN abs(time_unix_nano - received_unix_nano) <= :skew_max THEN time_unix_nano ELSE received_unix_nano
END BETWEEN :from AND :until - 1
GROUP BY sender_id, hour
UNION ALL
SELECT posting.sender_id, residual.end_unix_nano / :slice AS hour, count(*)
FROM residual JOIN posting ON posting.identity = residual.identity AND posting.revision = 0
WHERE posting.occurred_unix_nano BETWEEN :from AND :until - 1
GROUP BY posting.sender_id, hour
"""


@dataclass(frozen=True, slots=True)
class Portion:
    """The records of a group whose time, on its clients' clocks, is in [start, end). `source` is one of its senders."""

    source: Source
    start_unix_nano: int
    end_unix_nano: int
    records: int

    def holds(self, unix_nano: int) -> bool:
        """Whether a time is of the portion."""
        return self.start_unix_nano <= unix_nano < self.end_unix_nano


class PortionStore:
    """Reads what there is in a period."""

    def __init__(self, database: Database, dimensions: Dimensions) -> None:
        self._connection = database.connection
        self._senders = dimensions.senders

    def of_period(self, period: Span, skew_max_nano: int) -> list[Portion]:
        """Portions that hold something which occurred in a period, in order of time."""
        arguments: Mapping[str, int] = {
            "from": period.from_unix_nano,
            "until": FOREVER_UNIX_NANO if period.until_unix_nano is None else period.until_unix_nano,
            "skew_max": skew_max_nano,
            "slice": SLICE_NANO,
        }
        found: dict[tuple[int, str], Portion] = {}
        for sender_id, hour, records in self._connection.execute(_PORTIONS, arguments):
            source = self._senders.value_of(sender_id)
            start = hour * SLICE_NANO
            known = found.get((hour, source.group), Portion(source, start, start + SLICE_NANO, 0))
            found[hour, source.group] = replace(known, records=known.records + records)
        return [portion for _, portion in sorted(found.items(), key=lambda item: item[0])]
