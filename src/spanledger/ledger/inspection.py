"""Inspection: what a ledger shows of its own health and of the clients that send to it. Reads only."""

from __future__ import annotations

from dataclasses import dataclass

from spanledger.core.money import PICO_PER_USD
from spanledger.ledger.database import Database

_CLIENTS = """
SELECT sender.client_version, count(DISTINCT sender.session_id),
    count(DISTINCT CASE WHEN signal = 'log' THEN sender.session_id END),
    count(DISTINCT CASE WHEN signal = 'span' THEN sender.session_id END)
FROM evidence JOIN sender ON sender.id = evidence.sender_id
WHERE evidence.received_unix_nano >= ? GROUP BY sender.client_version ORDER BY sender.client_version
"""
_METRIC_SESSIONS = """
SELECT sender.client_version, count(DISTINCT sender.session_id)
FROM control_point JOIN sender ON sender.id = control_point.sender_id
WHERE control_point.received_unix_nano >= ? GROUP BY sender.client_version
"""
_SKEWS = """
SELECT received_unix_nano - time_unix_nano FROM evidence WHERE received_unix_nano >= ? AND signal = 'log'
ORDER BY received_unix_nano DESC LIMIT 1000
"""
_UNPRICED = """
SELECT price.unpriced_reason, account.model, sum(CASE WHEN revision % 2 = 0 THEN 1 ELSE -1 END) AS calls
FROM posting JOIN price ON price.id = posting.price_id JOIN account ON account.id = posting.account_id
WHERE posting.cost_picousd IS NULL AND posting.posted_unix_nano >= ?
GROUP BY price.unpriced_reason, account.model HAVING calls > 0 ORDER BY calls DESC
"""
_BY_LABELS = f"""
SELECT account.labels, sum(cost_picousd / {PICO_PER_USD}) + sum(cost_picousd % {PICO_PER_USD}) / {PICO_PER_USD}.0
FROM posting JOIN account ON account.id = posting.account_id
WHERE posting.posted_unix_nano >= ? AND posting.cost_picousd IS NOT NULL GROUP BY account.labels
"""  # noqa: S608
_REFUSALS = """
SELECT destination, reason, count(*) FROM refusal GROUP BY destination, reason ORDER BY count(*) DESC LIMIT 20
"""


@dataclass(frozen=True, slots=True)
class ClientsSeen:
    """Sessions of one client version, and in how many of them each signal came."""

    version: str
    sessions: int
    with_logs: int
    with_spans: int
    with_metrics: int


@dataclass(frozen=True, slots=True)
class UnpricedCalls:
    """Calls without a price, by reason and model."""

    reason: str
    model: str
    calls: int


@dataclass(frozen=True, slots=True)
class RefusedPayloads:
    """Payloads that a destination refused for good, by its reason."""

    destination: str
    reason: str
    payloads: int


class Inspection:
    """Questions to a ledger about itself. Times are Unix nanoseconds."""

    def __init__(self, database: Database) -> None:
        self._connection = database.connection

    def faults(self, limit: int = 10) -> list[str]:
        """What SQLite finds wrong with the file; reads all of it."""
        rows = self._connection.execute(f"PRAGMA quick_check({limit:d})")
        return [str(row[0]) for row in rows if row[0] != "ok"]

    def clients(self, since_unix_nano: int) -> list[ClientsSeen]:
        """Clients that something came from since a time, by version."""
        metrics = dict(self._connection.execute(_METRIC_SESSIONS, (since_unix_nano,)).fetchall())
        seen = {row[0]: row for row in self._connection.execute(_CLIENTS, (since_unix_nano,))}
        found = []
        for version in sorted({*seen, *metrics}):
            _, sessions, logs, spans = seen.get(version, (version, 0, 0, 0))
            of_metrics = int(metrics.get(version, 0))
            found.append(ClientsSeen(version, max(sessions, of_metrics), logs, spans, of_metrics))
        return found

    def median_skew_nano(self, since_unix_nano: int) -> int | None:
        """Median of receive time minus the time on the record, over log events; None without any."""
        skews = sorted(row[0] for row in self._connection.execute(_SKEWS, (since_unix_nano,)))
        return skews[len(skews) // 2] if skews else None

    def unpriced(self, since_unix_nano: int) -> list[UnpricedCalls]:
        """Calls posted without a price since a time."""
        return [UnpricedCalls(*row) for row in self._connection.execute(_UNPRICED, (since_unix_nano,))]

    def refusals(self) -> list[RefusedPayloads]:
        """What destinations refused for good, the most frequent first."""
        return [RefusedPayloads(*row) for row in self._connection.execute(_REFUSALS)]

    def cost_by_labels(self, since_unix_nano: int) -> list[tuple[str, float]]:
        """Cost posted since a time by labels (a JSON array of pairs), in USD, for shares."""
        return [(str(labels), float(cost)) for labels, cost in self._connection.execute(_BY_LABELS, (since_unix_nano,))]
