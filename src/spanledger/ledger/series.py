"""Cumulative series: a fold of postings with a watermark, so that a restart continues them exactly."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from spanledger.core.labels import MAX_LABEL_BYTES, cut_key
from spanledger.core.semconv import Metric
from spanledger.core.views import SeriesKey, SeriesState, overflow_key
from spanledger.ledger.database import Database
from spanledger.ledger.dimensions import pairs_from_text, pairs_to_text

_WATERMARK = "series_posting_id"
_TOLD_SINCE = "series_told_since"
_START_LEAD_NANO = 1_000_000
"""A series starts a millisecond before its first point: backends refuse a point at its own start."""


@dataclass(frozen=True, slots=True)
class Crowding:
    """What did not fit as it was: increments that found no room, and new series whose labels were cut."""

    overflowed: int = 0
    cut: int = 0


class SeriesStore:
    """All series, kept in memory and in the ledger alike. Writing methods belong inside a transaction.

    `max_series` bounds the series of each metric; what has no room is added to the metric's overflow series, so that
    totals stay exact. `max_label_bytes` bounds the labels of new series; one that is older goes on as it is.
    """

    def __init__(self, database: Database, max_series: int, max_label_bytes: int = MAX_LABEL_BYTES) -> None:
        self._database = database
        self._max_series = max_series
        self._max_label_bytes = max_label_bytes
        self._states: dict[SeriesKey, SeriesState] | None = None
        database.on_rollback(self._forget)

    @property
    def watermark(self) -> int:
        """Id of the last posting that is folded in."""
        return int(self._database.meta(_WATERMARK) or "0")

    def states(self) -> list[SeriesState]:
        """Every series, in a stable order."""
        return sorted(self._load().values(), key=lambda state: (state.key.metric, state.key.labels))

    def add(self, increments: Mapping[SeriesKey, int], *, to_posting_id: int, now_unix_nano: int) -> Crowding:
        """Add increments and move the watermark; give what did not fit."""
        states = self._load()
        counts: dict[Metric, int] = {}
        for key in states:
            counts[key.metric] = counts.get(key.metric, 0) + 1
        changed: dict[SeriesKey, SeriesState] = {}
        overflowed = cut = 0
        for wanted, amount in increments.items():
            key = wanted if wanted in states else cut_key(wanted, self._max_label_bytes)
            if key not in states and counts.get(key.metric, 0) >= self._max_series:
                key = overflow_key(key.metric)
                overflowed += 1
            if key not in states:
                cut += key.labels != wanted.labels and key != overflow_key(key.metric)
                counts[key.metric] = counts.get(key.metric, 0) + 1
                states[key] = SeriesState(key, now_unix_nano - _START_LEAD_NANO, 0)
            states[key] = changed[key] = replace(states[key], value=states[key].value + amount)
        self._store(changed.values())
        self._database.set_meta(_WATERMARK, str(to_posting_id))
        return Crowding(overflowed, cut)

    def told_since(self, destination: str) -> int | None:
        """When a destination was first told of the series (Unix nanoseconds); None before that."""
        known = self._database.meta(f"{_TOLD_SINCE}:{destination}")
        return None if known is None else int(known)

    def prime(self, destination: str, at_unix_nano: int, keys: Collection[SeriesKey] | None = None) -> None:
        """Note that a destination has heard of these series, or of every one, at a time."""
        if self.told_since(destination) is None:
            self._database.set_meta(f"{_TOLD_SINCE}:{destination}", str(at_unix_nano))
        states = self._load()
        primed = {
            key: replace(state, primed_at=state.primed_at | {destination})
            for key, state in states.items()
            if destination not in state.primed_at and (keys is None or key in keys)
        }
        states.update(primed)
        self._store(primed.values())

    def _load(self) -> dict[SeriesKey, SeriesState]:
        if self._states is None:
            rows = self._database.connection.execute(
                "SELECT metric, labels, start_unix_nano, value, primed_at FROM series"
            )
            self._states = {}
            for metric, labels, start, value, primed_at in rows:
                key = SeriesKey(Metric(metric), pairs_from_text(labels))
                self._states[key] = SeriesState(key, start, int(value), frozenset(json.loads(primed_at)))
        return self._states

    def _store(self, states: Iterable[SeriesState]) -> None:
        self._database.connection.executemany(
            "INSERT INTO series (metric, labels, start_unix_nano, value, primed_at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (metric, labels) DO UPDATE SET value = excluded.value, primed_at = excluded.primed_at",
            [
                (
                    state.key.metric.value,
                    pairs_to_text(state.key.labels),
                    state.start_unix_nano,
                    str(state.value),
                    json.dumps(sorted(state.primed_at)),
                )
                for state in states
            ],
        )

    def _forget(self) -> None:
        self._states = None
