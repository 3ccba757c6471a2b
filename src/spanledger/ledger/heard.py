"""Who was heard of late, and over which signals: a question to evidence and control points."""

from __future__ import annotations

from dataclasses import dataclass

from spanledger.core.usage import Evidence, Signal, Source
from spanledger.ledger.database import Database
from spanledger.ledger.dimensions import Dimensions

_CALLS = """
SELECT sender_id, signal, count(*), sum(request_id = '') FROM evidence WHERE received_unix_nano >= ?
GROUP BY sender_id, signal
"""
_POINTS = "SELECT sender_id, count(*) FROM control_point WHERE received_unix_nano >= ? GROUP BY sender_id"
_SIGNALS = {Evidence.LOG.value: Signal.LOGS, Evidence.SPAN.value: Signal.TRACES}


@dataclass(frozen=True, slots=True)
class Heard:
    """What one sender sent over one signal: records of calls, or data points of its cost and token sums."""

    source: Source
    signal: Signal
    records: int
    without_request_id: int = 0


class HeardStore:
    """Reads only."""

    def __init__(self, database: Database, dimensions: Dimensions) -> None:
        self._connection = database.connection
        self._senders = dimensions.senders

    def since(self, received_unix_nano: int) -> list[Heard]:
        """Everything that was received from a time on."""
        heard = []
        for sender_id, told, count, bare in self._connection.execute(_CALLS, (received_unix_nano,)).fetchall():
            heard.append(Heard(self._senders.value_of(sender_id), _SIGNALS[told], count, bare))
        for sender_id, count in self._connection.execute(_POINTS, (received_unix_nano,)).fetchall():
            heard.append(Heard(self._senders.value_of(sender_id), Signal.METRICS, count))
        return heard
