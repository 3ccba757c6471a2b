"""Which records of a process are one call: the little that can be told without a ledger."""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto
from typing import NamedTuple

from spanledger.core.usage import Evidence, UsageRecord


class Sight(Enum):
    """What a record is to the calls that were seen before."""

    FIRST = auto()
    """The first record of its call: it is counted."""
    OTHER_SIGNAL = auto()
    """What the other signal says of a call that was counted: priced, not counted again."""
    AGAIN = auto()
    """The same record on its way to a second exporter: priced, not counted again."""
    WRAPPER = auto()
    """A second span or log of a call that has one, or a span around one that was counted: neither."""


class _Seen(NamedTuple):
    evidence: Evidence
    digest: str


class SeenCalls:
    """Remembers the last calls, so that each is counted once. Not safe for threads by itself."""

    def __init__(self, max_calls: int) -> None:
        self._max_calls = max_calls
        self._calls: OrderedDict[str, _Seen] = OrderedDict()
        self._around: OrderedDict[str, None] = OrderedDict()

    def look(self, record: UsageRecord, *, place: str, parent: str) -> Sight:
        """Say what a record is, and remember its call. `place` names the call's span, `parent` the span around it."""
        keys = [record.bucket, f"at {place}"] if place else [record.bucket]
        known = next((self._calls[key] for key in keys if key in self._calls), None)
        sight = self._sight(record, known, place)
        if sight is Sight.FIRST:
            for key in keys:
                self._calls.setdefault(key, _Seen(record.evidence, record.digest))
            if parent:
                self._around[parent] = None
            self._forget()
        return sight

    def _sight(self, record: UsageRecord, known: _Seen | None, place: str) -> Sight:
        if known is None:
            is_around = record.evidence is Evidence.SPAN and place in self._around
            return Sight.WRAPPER if is_around else Sight.FIRST
        if known.evidence is not record.evidence:
            return Sight.OTHER_SIGNAL
        if known.digest == record.digest:
            return Sight.AGAIN
        # Two records of one signal without a request id are two calls that happen to look alike.
        return Sight.WRAPPER if record.request_id else Sight.FIRST

    def _forget(self) -> None:
        while len(self._calls) > 2 * self._max_calls:  # a call has up to two keys
            self._calls.popitem(last=False)
        while len(self._around) > self._max_calls:
            self._around.popitem(last=False)
