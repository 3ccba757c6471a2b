"""Tallies: running totals of what senders' records say besides cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from spanledger.core.money import PICO_PER_USD
from spanledger.core.semconv import Metric
from spanledger.core.tally import TallyKey
from spanledger.core.usage import ActivityPoint, Temporality
from spanledger.ledger.database import Database
from spanledger.ledger.dimensions import Dimensions, pairs_from_text, pairs_to_text
from spanledger.ledger.known_sums import KnownSums

_AMOUNT_MAX = 2**63 - 1
"""Where a total stops: only a sender that makes its figures up gets there, and all its records are taken still."""

_ADD = f"""
INSERT INTO tally (sender_id, metric, labels, amount) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET amount = CASE
    WHEN excluded.amount > {_AMOUNT_MAX} - amount THEN {_AMOUNT_MAX} ELSE amount + excluded.amount
END
"""  # noqa: S608
_TOTALS = f"""
SELECT metric, sum(amount / {PICO_PER_USD}), sum(amount % {PICO_PER_USD}) FROM tally GROUP BY metric
"""  # noqa: S608


class TallyStore:
    """Tallies by sender. Writing methods belong inside a transaction."""

    def __init__(self, database: Database, dimensions: Dimensions) -> None:
        self._connection = database.connection
        self._known = KnownSums(database)
        self._senders = dimensions.senders

    def add(self, amounts: Mapping[TallyKey, int]) -> None:
        """Add to totals."""
        self._connection.executemany(
            _ADD,
            [
                (self._senders.id_of(key.source), key.metric.value, pairs_to_text(key.labels), min(amount, _AMOUNT_MAX))
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
        rows = self._connection.execute(_TOTALS)
        return {Metric(metric): whole * PICO_PER_USD + rest for metric, whole, rest in rows}

    def _grown(self, point: ActivityPoint, ledger_began_unix_nano: int) -> int:
        if point.temporality is Temporality.DELTA:
            return self._known.grown_delta(point.series, point.start_unix_nano, point.time_unix_nano, point.amount)
        return self._known.grown_cumulative(point.series, point.start_unix_nano, point.amount, ledger_began_unix_nano)

    def _key(self, sender_id: int, metric: str, labels: str) -> TallyKey:
        return TallyKey(self._senders.value_of(sender_id), Metric(metric), pairs_from_text(labels))
