"""Known sums: which data points of the clients' sums are counted already, so that each counts once."""

from __future__ import annotations

from spanledger.core.control import is_older
from spanledger.ledger.database import Database

_FIND = "SELECT low, high FROM known_sum WHERE series = ? AND start_unix_nano = ? AND time_unix_nano = ?"
_KEEP = "INSERT OR REPLACE INTO known_sum VALUES (?, ?, ?, ?, ?)"

_OF_CUMULATIVE = 0
"""In the place of a time: a cumulative series has one row, its points have none of their own."""


class KnownSums:
    """The lowest and the highest value known of each sum.

    Its methods belong inside a transaction. What they give adds up to the same whatever the order of points.
    """

    def __init__(self, database: Database) -> None:
        self._connection = database.connection

    def grown_delta(self, series: str, start_unix_nano: int, time_unix_nano: int, amount: int) -> int:
        """What a delta point adds: itself, when it comes for the first time."""
        before, now = self._keep(series, start_unix_nano, time_unix_nano, amount)
        return now[1] - (before[1] if before else 0)

    def grown_cumulative(self, series: str, start_unix_nano: int, amount: int, ledger_began_unix_nano: int) -> int:
        """What a cumulative point adds: by how much it exceeds the highest known.

        Of a series older than the ledger the lowest known is a baseline.
        """
        before, now = self._keep(series, start_unix_nano, _OF_CUMULATIVE, amount)
        if is_older(start_unix_nano, ledger_began_unix_nano):
            return now[1] - now[0] - (before[1] - before[0] if before else 0)
        return now[1] - (before[1] if before else 0)

    def _keep(
        self, series: str, start_unix_nano: int, time_unix_nano: int, amount: int
    ) -> tuple[tuple[int, int] | None, tuple[int, int]]:
        """Keep a value; give the lowest and highest before, if any was known, and now."""
        place = (series, start_unix_nano, time_unix_nano)
        before: tuple[int, int] | None = self._connection.execute(_FIND, place).fetchone()
        now = (amount, amount) if before is None else (min(before[0], amount), max(before[1], amount))
        if now != before:
            self._connection.execute(_KEEP, (*place, *now))
        return before, now
