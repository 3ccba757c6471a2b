"""Deltas: what an export adds to what a destination was sent before. At most once, and what is in doubt is counted.

For each series and destination: sent + what the next export says = value of the series, always; and of what was sent
the destination has all but at most `unconfirmed`. An export is written down before it leaves; whatever end it does not
come to (a kill) leaves it unconfirmed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from spanledger.core.deltas import Arrival, Delta
from spanledger.core.semconv import Metric
from spanledger.core.usage import Temporality
from spanledger.core.views import SeriesKey, SeriesState
from spanledger.ledger.database import Database
from spanledger.ledger.dimensions import pairs_from_text, pairs_to_text

_TEMPORALITY = "series_temporality"
_WINDOW_END = "delta_window_end"
_WINDOW_IN_FLIGHT = "delta_window_in_flight"

_PUT = """
INSERT INTO delta (destination, metric, labels, sent, in_flight, unconfirmed) VALUES (?, ?, ?, ?, ?, '0')
ON CONFLICT DO UPDATE SET sent = excluded.sent, in_flight = excluded.in_flight
"""

_NONE_APART: Mapping[SeriesKey, Arrival] = MappingProxyType({})


class DeltaStore:
    """Deltas by destination. Writing methods belong inside a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def temporality(self, destination: str) -> Temporality:
        """How a destination was told of series so far."""
        return Temporality(self._database.meta(f"{_TEMPORALITY}:{destination}") or Temporality.CUMULATIVE)

    def choose(self, destination: str, temporality: Temporality, states: Iterable[SeriesState]) -> None:
        """Change how a destination is told of series. Deltas begin where cumulative sums ended: none is told twice."""
        self.end(destination, Arrival.IN_DOUBT)
        told = [state for state in states if destination in state.primed_at]
        self._put(destination, [(state.key, state.value, 0) for state in told])
        self._database.set_meta(f"{_TEMPORALITY}:{destination}", temporality.value)

    def begin(self, destination: str, states: Iterable[SeriesState], now_unix_nano: int) -> list[Delta]:
        """Write down an export and give what it says: of each series what is new, and 0 of one not heard of yet."""
        self.end(destination, Arrival.IN_DOUBT)  # one that a kill left without an end
        sent = self._sent(destination)
        window = int(self._database.meta(f"{_WINDOW_END}:{destination}") or "0")
        deltas = []
        for state in states:
            amount = state.exported_value(destination) - sent.get(state.key, 0)
            if amount or destination not in state.primed_at:
                deltas.append(Delta(state.key, max(window, state.start_unix_nano), amount))
        self._put(destination, [(one.key, sent.get(one.key, 0), one.amount) for one in deltas if one.amount])
        self._database.set_meta(f"{_WINDOW_IN_FLIGHT}:{destination}", str(now_unix_nano))
        return deltas

    def end(self, destination: str, arrival: Arrival, apart: Mapping[SeriesKey, Arrival] = _NONE_APART) -> None:
        """Note what became of the export that was begun last; without one nothing changes.

        `apart` are series that left in parts of the export, each with an end of its own.
        """
        rows = self._database.connection.execute(
            "SELECT metric, labels, sent, in_flight, unconfirmed FROM delta WHERE destination = ? AND in_flight <> '0'",
            (destination,),
        ).fetchall()
        window = self._database.meta(f"{_WINDOW_IN_FLIGHT}:{destination}")
        if window:
            self._database.set_meta(f"{_WINDOW_IN_FLIGHT}:{destination}", "")
        if window and any(one is not Arrival.NOT_TAKEN for one in apart.values() or (arrival,)):
            self._database.set_meta(f"{_WINDOW_END}:{destination}", window)
        self._database.connection.executemany(
            "UPDATE delta SET sent = ?, in_flight = '0', unconfirmed = ? "
            "WHERE destination = ? AND metric = ? AND labels = ?",
            [
                (*_after(apart.get(_key(metric, labels), arrival), *map(int, amounts)), destination, metric, labels)
                for metric, labels, *amounts in rows
            ],
        )

    def unconfirmed(self, destination: str, metric: Metric) -> int:
        """What a destination may lack of a metric: pico-USD, counts or nanoseconds."""
        rows = self._database.connection.execute(
            "SELECT unconfirmed FROM delta WHERE destination = ? AND metric = ? AND unconfirmed <> '0'",
            (destination, metric.value),
        )
        return sum(int(amount) for (amount,) in rows)

    def _sent(self, destination: str) -> dict[SeriesKey, int]:
        rows = self._database.connection.execute(
            "SELECT metric, labels, sent FROM delta WHERE destination = ?", (destination,)
        )
        return {_key(metric, labels): int(sent) for metric, labels, sent in rows}

    def _put(self, destination: str, rows: Iterable[tuple[SeriesKey, int, int]]) -> None:
        self._database.connection.executemany(
            _PUT,
            [
                (destination, key.metric.value, pairs_to_text(key.labels), str(sent), str(in_flight))
                for key, sent, in_flight in rows
            ],
        )


def _key(metric: str, labels: str) -> SeriesKey:
    return SeriesKey(Metric(metric), pairs_from_text(labels))


def _after(arrival: Arrival, sent: int, in_flight: int, unconfirmed: int) -> tuple[str, str]:
    """What was sent of a series, and what of it is unconfirmed, once its part of an export has come to an end."""
    match arrival:
        case Arrival.NOT_TAKEN:
            return str(sent), str(unconfirmed)
        case Arrival.CONFIRMED:
            return str(sent + in_flight), str(unconfirmed)
        case Arrival.IN_DOUBT:
            return str(sent + in_flight), str(unconfirmed + in_flight)
