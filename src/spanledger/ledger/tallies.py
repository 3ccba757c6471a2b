"""Tallies: running totals of what senders' records say besides cost, and which data points are in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from spanledger.core.control import is_older
from spanledger.core.semconv import Metric
from spanledger.core.tally import TallyKey
from spanledger.core.usage import ActivityPoint, Temporality
from spanledger.ledger.database import Database
from spanledger.ledger.dimensions import Dimensions, pairs_from_text, pairs_to_text

_ADD = """
INSERT INTO tally (sender_id, metric, labels, amount) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET amount = amount + excluded.amount
"""
_KNOWN_SUM = "SELECT low, high FROM known_sum WHERE series = ? AND start_unix_nano = ? AND time_unix_nano = ?"
_KEEP_SUM = "INSERT OR REPLACE INTO known_sum VALUES (?, ?, ?, ?, ?)"

_OF_CUMULATIVE = 0
"""In the place of a time: a cumulative series has one row, its points have none of their own."""


class TallyStore:
    """Tallies by sender. Writing methods belong inside a transaction."""

    def __init__(self, database: Database, dimensions: Dimensions) -> None:
        self._connection = database.connection
        self._senders = dimensions.senders

    def add(self, amounts: Mapping[TallyKey, int]) -> None:
        """Add to totals."""
        self._connection.executemany(
            _ADD,
            [
                (self._senders.id_of(key.source), key.metric.value, pairs_to_text(key.labels), amount)
                for key, amount in amounts.items()
                if amount
            ],
        )

    def add_points(self, points: Sequence[ActivityPoint], ledger_began_unix_nano: int) -> None:
        """Add what data points tell that is not known yet; the result depends on the set of points alone."""
        grown: defaultdict[TallyKey, int] = defaultdict(int)
        for point in points:
            key = TallyKey(point.source, point.metric, point.labels)
            grown[key] += self._grown(point, ledger_began_unix_nano)
        self.add(grown)

    def grown(self) -> list[tuple[TallyKey, int]]:
        """What each total grew by since it was last folded into the series."""
        rows = self._connection.execute(
            "SELECT sender_id, metric, labels, amount - folded FROM tally WHERE amount <> folded"
        )
        return [(self._key(*key), grown) for *key, grown in rows]

    def fold(self) -> None:
        """Note that the series hold every total as it is now."""
        self._connection.execute("UPDATE tally SET folded = amount WHERE amount <> folded")

    def of_senders(self, sender_ids: Sequence[int]) -> dict[TallyKey, int]:
        """Totals of some senders."""
        rows = [
            row
            for sender_id in sender_ids
            for row in self._connection.execute(
                "SELECT sender_id, metric, labels, amount FROM tally WHERE sender_id = ?", (sender_id,)
            )
        ]
        return {self._key(*key): amount for *key, amount in rows}

    def totals(self) -> dict[Metric, int]:
        """Total of each metric that there is a tally of."""
        rows = self._connection.execute("SELECT metric, sum(amount) FROM tally GROUP BY metric")
        return {Metric(metric): amount for metric, amount in rows}

    def _grown(self, point: ActivityPoint, ledger_began_unix_nano: int) -> int:
        """What a point adds: of a repeated delta nothing, of a cumulative point what exceeds the series' highest.

        Of a series older than the ledger the lowest known is a baseline.
        """
        is_delta = point.temporality is Temporality.DELTA
        has_baseline = not is_delta and is_older(point.start_unix_nano, ledger_began_unix_nano)
        place = (point.series, point.start_unix_nano, point.time_unix_nano if is_delta else _OF_CUMULATIVE)
        known = self._connection.execute(_KNOWN_SUM, place).fetchone()
        if known is None:
            low = high = point.amount
            before = 0
        else:
            low, high = min(known[0], point.amount), max(known[1], point.amount)
            before = known[1] - (known[0] if has_baseline else 0)
        if known != (low, high):
            self._connection.execute(_KEEP_SUM, (*place, low, high))
        return high - (low if has_baseline else 0) - before

    def _key(self, sender_id: int, metric: str, labels: str) -> TallyKey:
        return TallyKey(self._senders.value_of(sender_id), Metric(metric), pairs_from_text(labels))
