"""Placing: in which interval of the client's sums each call lies.

The client adds a call to its sums before it stamps its log event, so the time of a call that ends near the border of
an interval does not tell on which side its sum is. Of all ways to place such calls the one is taken that leaves the
smallest residual: by query class, then by line; and of equal ones that with the fewest calls against their time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import NamedTuple

from spanledger.core.control import Counts, Interval
from spanledger.core.excess import ClassCounts, excess_by_class, held_beyond, weight
from spanledger.core.received import ModelNames, ReceivedCall
from spanledger.core.usage import QueryClass

STRADDLE_NANO = 500_000_000
"""A call that ends this close to the border of an interval may lie on either side of it (measured: -100 to +400 ms)."""

_STRADDLERS_MAX = 4
"""Calls at one border whose sides are tried, all ways; those of a larger crowd lie where their time says."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An interval and the calls in it.

    `lent` is what may be of calls of a neighbour, where too many lay at a border to try all ways: as much of the
    interval's excess as the neighbour lacks and calls at the border between hold. It is no residual.
    """

    interval: Interval
    calls: Sequence[ReceivedCall]
    lent: ClassCounts


def place(spans: Sequence[Interval], calls: Iterable[ReceivedCall], names: ModelNames) -> list[Placed]:
    """Place calls into intervals, which are in order of time. Calls outside of all are left out."""
    slots = _slots(spans)
    _sort_in(slots, calls)
    _take_sides(slots, names)
    lent = _lent(slots)
    return [
        Placed(slot.interval, slot.inside, lent[number])
        for number, slot in enumerate(slots)
        if slot.interval is not None
    ]


@dataclass(slots=True)
class _Slot:
    """A time in which calls may lie: an interval, or a gap between two of which no sums came.

    `straddlers` are the calls at the border to the next slot whose side is open, `crowd` those of them beyond what is
    tried; `early` and `late` are all of these by the side that they were put on.
    """

    start_unix_nano: int
    end_unix_nano: int
    interval: Interval | None
    inside: list[ReceivedCall] = field(default_factory=list)
    straddlers: list[ReceivedCall] = field(default_factory=list)
    crowd: list[ReceivedCall] = field(default_factory=list)
    early: list[ReceivedCall] = field(default_factory=list)
    late: list[ReceivedCall] = field(default_factory=list)


def _slots(spans: Sequence[Interval]) -> list[_Slot]:
    """Intervals and the gaps around them. A gap so short that a call could be on either side of it is none."""
    if not spans:
        return []
    slots = [_Slot(spans[0].start_unix_nano - STRADDLE_NANO, spans[0].start_unix_nano, None)]
    for span, following in pairwise([*spans, None]):
        assert span is not None  # noqa: S101 - only the last one is followed by none
        slots.append(_Slot(span.start_unix_nano, span.end_unix_nano, span))
        begins = span.end_unix_nano + 3 * STRADDLE_NANO if following is None else following.start_unix_nano
        if begins - span.end_unix_nano > 2 * STRADDLE_NANO:
            slots.append(_Slot(span.end_unix_nano, begins, None))
    return slots


def _sort_in(slots: Sequence[_Slot], calls: Iterable[ReceivedCall]) -> None:
    """Put each call into the slot that its time says, or at the border whose side is open."""
    first = 0
    for call in sorted(calls, key=lambda call: (call.end_unix_nano, call.identity)):
        end = call.end_unix_nano
        while first < len(slots) and slots[first].end_unix_nano + STRADDLE_NANO < end:
            first += 1
        places = []
        for number in range(first, len(slots)):
            if slots[number].start_unix_nano - STRADDLE_NANO > end:
                break
            if end <= slots[number].end_unix_nano + STRADDLE_NANO:
                places.append(number)
        if len(places) == 1:
            slots[places[0]].inside.append(call)
        elif places:
            border = min(places[:-1], key=lambda place: abs(end - slots[place].end_unix_nano))
            slots[border].straddlers.append(call)
    for slot, following in pairwise(slots):
        border = slot.end_unix_nano
        slot.straddlers.sort(key=lambda call: (abs(call.end_unix_nano - border), call.identity))
        slot.crowd = slot.straddlers[_STRADDLERS_MAX:]
        del slot.straddlers[_STRADDLERS_MAX:]
        slot.early = [call for call in slot.crowd if call.end_unix_nano <= border]
        slot.late = [call for call in slot.crowd if call.end_unix_nano > border]
        slot.inside.extend(slot.early)
        following.inside.extend(slot.late)


class _Choice(NamedTuple):
    """Straddlers of a border: those that lie before it, those after; and how many of them against their time."""

    before: tuple[ReceivedCall, ...]
    after: tuple[ReceivedCall, ...]
    against_time: int


class _Cost(NamedTuple):
    """What makes one way to place calls worse than another, the first first."""

    by_class: int
    by_line: int
    against_time: int

    def plus(self, by_class: int, by_line: int, against_time: int) -> _Cost:
        return _Cost(self.by_class + by_class, self.by_line + by_line, self.against_time + against_time)


@dataclass(frozen=True, slots=True)
class _Path:
    """The best way to take sides up to a border, given the choice there."""

    cost: _Cost
    choice: _Choice
    before: _Path | None


_NO_CHOICE = _Choice((), (), 0)


def _take_sides(slots: Sequence[_Slot], names: ModelNames) -> None:
    """Take sides for all straddlers at once, by dynamic programming over the borders."""
    if not any(slot.straddlers for slot in slots):
        return
    paths = [_Path(_Cost(0, 0, 0), _NO_CHOICE, None)]
    for slot in slots:
        sheet = _Sheet.of(slot, names)
        paths = [
            min((_step(path, sheet, choice) for path in paths), key=lambda path: path.cost) for choice in _choices(slot)
        ]
    path: _Path | None = min(paths, key=lambda path: path.cost)
    for number in range(len(slots) - 1, -1, -1):
        assert path is not None  # noqa: S101 - one step for each slot
        before, after = path.choice.before, path.choice.after
        slots[number].inside.extend(before)
        slots[number].early.extend(before)
        if after:
            slots[number + 1].inside.extend(after)
            slots[number].late.extend(after)
        path = path.before


def _step(path: _Path, sheet: _Sheet | None, choice: _Choice) -> _Path:
    calls = (*path.choice.after, *choice.before)
    by_class, by_line = (0, 0) if sheet is None else sheet.excess(calls)
    return _Path(path.cost.plus(by_class, by_line, choice.against_time), choice, path)


def _choices(slot: _Slot) -> list[_Choice]:
    """Every way to put the calls of a border on either side, the one that their times say first."""
    if not slot.straddlers:
        return [_NO_CHOICE]
    border = slot.end_unix_nano
    ways = []
    for size in range(len(slot.straddlers) + 1):
        for before in combinations(slot.straddlers, size):
            after = tuple(call for call in slot.straddlers if call not in before)
            against = sum(call.end_unix_nano > border for call in before)
            ways.append(_Choice(before, after, against + sum(call.end_unix_nano <= border for call in after)))
    return sorted(ways, key=lambda way: way.against_time)


@dataclass(slots=True)
class _Sheet:
    """What an interval holds beyond the calls that are in it for certain, by query class and by line."""

    classes: ClassCounts
    lines: dict[tuple[QueryClass, str], Counts]
    names: ModelNames

    @classmethod
    def of(cls, slot: _Slot, names: ModelNames) -> _Sheet | None:
        """None for a gap: nothing is held there."""
        if slot.interval is None:
            return None
        lines: dict[tuple[QueryClass, str], Counts] = {}
        for line, total in slot.interval.lines.items():
            key = (line.query_class, names.canonical(line.model))
            lines[key] = lines.get(key, Counts()).plus(total.counts)
        sheet = cls(held_beyond(slot.interval, slot.inside), lines, names)
        sheet.lines = sheet._without(slot.inside)
        return sheet

    def excess(self, calls: Sequence[ReceivedCall]) -> tuple[int, int]:
        """Weight of what is held beyond further calls, by class and by line."""
        held = self.classes
        if calls:
            held = dict(held)
            for call in calls:
                held[call.query_class] = held.get(call.query_class, Counts()).minus(call.counts)
        by_class = sum(map(weight, excess_by_class(held).values()))
        by_line = sum(map(weight, (self._without(calls) if calls else self.lines).values()))
        return by_class, by_line

    def _without(self, calls: Iterable[ReceivedCall]) -> dict[tuple[QueryClass, str], Counts]:
        """The lines less the calls that name them."""
        lines = dict(self.lines)
        for call in calls:
            for name in (call.asked, call.served):
                key = (call.query_class, self.names.canonical(name)) if name else None
                if key in lines:
                    lines[key] = lines[key].minus(call.counts)
                    break
        return lines


_NO_SUMS = Interval(0, 0)


def _lent(slots: Sequence[_Slot]) -> list[ClassCounts]:
    """What each slot's excess may owe to the crowds at borders, see `Placed.lent`.

    A call that moves over one border may push another one over the next: a slot may lend from one that lies further
    off, the nearest first, where calls straddle every border between.
    """
    lent: list[ClassCounts] = [{} for _ in slots]
    if not any(slot.crowd for slot in slots):
        return lent
    held = [held_beyond(slot.interval or _NO_SUMS, slot.inside) for slot in slots]  # a gap lacks all its calls
    early, late = [_by_class(slot.early) for slot in slots], [_by_class(slot.late) for slot in slots]
    for hops in range(1, len(slots)):
        moved = False
        for first, last in zip(range(len(slots)), range(hops, len(slots)), strict=False):
            between = slots[first:last]
            if not all(slot.straddlers for slot in between):
                continue
            moved = True
            if any(slot.crowd for slot in between):
                _lend(held[first], held[last], late[first:last], lent[first])
                _lend(held[last], held[first], early[first:last], lent[last])
        if not moved:
            break
    return lent


def _by_class(calls: Iterable[ReceivedCall]) -> ClassCounts:
    found: ClassCounts = {}
    for call in calls:
        found[call.query_class] = found.get(call.query_class, Counts()).plus(call.counts)
    return found


def _lend(excess: ClassCounts, lack: ClassCounts, ways: Sequence[ClassCounts], lent: ClassCounts) -> None:
    """Set off the excess of one slot with what another lacks, as far as calls hold it at every border between."""
    for of_calls in sorted(ways[0]):
        for query_class in sorted(excess):
            if of_calls not in (query_class, QueryClass.UNKNOWN):
                continue
            lacking = Counts().minus(lack.get(of_calls, Counts())).positive
            given = excess[query_class].positive.common(lacking)
            for way in ways:
                given = given.common(way.get(of_calls, Counts()))
            excess[query_class] = excess[query_class].minus(given)
            lack[of_calls] = lack.get(of_calls, Counts()).plus(given)
            lent[query_class] = lent.get(query_class, Counts()).plus(given)
            for way in ways:
                way[of_calls] = way.get(of_calls, Counts()).minus(given)
