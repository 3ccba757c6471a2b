"""Residual: what the client's sums hold beyond the calls that we received (design §4).

Within an interval and a query class the residual of a token class is the sum of the points less the sum of the calls,
and never less than nothing: an interval with less metric than calls has lost metric, and lends nothing to another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from spanledger.core.control import Counts, Interval, Line
from spanledger.core.excess import ClassCounts, excess_by_class, held_beyond, weight
from spanledger.core.placing import Placed, place
from spanledger.core.received import Alias, ModelNames, ReceivedCall
from spanledger.core.usage import QueryClass, Source, Speed


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a line of an interval holds beyond its calls; `counts` are all 0 when it only tells more of a call.

    `cost_picousd` is the client's figure for the line, its calls included, when `calls` are the line's for certain and
    all of it; else None.
    """

    line: Line
    source: Source
    start_unix_nano: int
    end_unix_nano: int
    counts: Counts
    cost_picousd: int | None
    calls: tuple[ReceivedCall, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """On which line the sums hold a call; `cost_picousd` is the client's figure if the call is all of the line."""

    line: Line
    cost_picousd: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What sums say: what is left of their lines, what names stand for, where they hold calls (by identity)."""

    leftovers: list[Leftover]
    aliases: set[Alias]
    held: dict[str, Held]


_LEFT_MAX = Counts(*[10**10] * len(Counts._fields))
"""The most that one line of one interval is charged for: no sender uses as much in minutes, but one that makes its sums
up may say more, and a charge is to stay within 64 bits."""

_DOUBTFUL_MAX = 8
"""Calls of one line in an interval whose speed is found by trying all ways; of more each goes where it was asked."""


def read_sums(
    spans: Sequence[Interval], calls: Sequence[ReceivedCall], names: ModelNames, wanted: Container[str] = ()
) -> Reading:
    """Hold calls against the sums of intervals that follow one another.

    Aliases follow from lines without a call and calls without a line. Of the calls `wanted` (by identity) it is told on
    which line they are held, where that is in no doubt.
    """
    reading = Reading([], set(), {})
    for placed in place(spans, calls, names):
        _read_interval(placed, names, wanted, reading)
    return reading


@dataclass(slots=True)
class _Open:
    """A line while calls are taken off it. `certain` until something was taken off that may be another line's."""

    counts: Counts
    calls: list[ReceivedCall]
    certain: bool = True

    def take(self, call: ReceivedCall) -> None:
        """Take a call off; one that the sums do not hold in full makes the line uncertain."""
        self.certain = self.certain and self.counts.holds(call.counts)
        self.counts = self.counts.minus(call.counts)
        self.calls.append(call)


def _read_interval(placed: Placed, names: ModelNames, wanted: Container[str], reading: Reading) -> None:
    span, calls = placed.interval, _classed(placed, names)
    for query_class, excess in excess_by_class(held_beyond(span, calls)).items():
        target = excess.minus(placed.lent.get(query_class, Counts())).positive
        lines = {line: _Open(total.counts, []) for line, total in span.lines.items() if line.query_class is query_class}
        if not _tells_anything(lines, target, calls, names, wanted):
            continue
        of_class = [call for call in calls if call.query_class is query_class]
        unmatched = _take_off(lines, of_class, names, wanted)
        reading.aliases.update(_aliases(lines, unmatched, names))
        if not placed.lent:
            reading.held.update(_held(span, lines, wanted))
        _shrink(lines, target, names)
        for line, open_line in lines.items():
            if any(open_line.counts) or any(call.tokens.cache_write_unspecified for call in open_line.calls):
                certain = open_line.certain and not unmatched and not placed.lent
                reading.leftovers.append(_leftover(span, line, open_line, certain=certain))


def _held(span: Interval, lines: Mapping[Line, _Open], wanted: Container[str]) -> Iterable[tuple[str, Held]]:
    """The calls of lines that hold no less than their calls; on another line they may not all lie."""
    for line, open_line in lines.items():
        if not open_line.certain:
            continue
        is_all = len(open_line.calls) == 1 and not any(open_line.counts)
        cost = span.lines[line].cost_picousd if is_all else 0
        yield from ((call.identity, Held(line, cost or None)) for call in open_line.calls if call.identity in wanted)


def _classed(placed: Placed, names: ModelNames) -> list[ReceivedCall]:
    """Give the calls of an interval, those of a word that we don't know in the class whose sums hold them."""
    if all(call.query_class is not QueryClass.UNKNOWN for call in placed.calls):
        return list(placed.calls)
    held = held_beyond(placed.interval, placed.calls)
    found: list[ReceivedCall] = []
    for call in placed.calls:
        better = _class_of_sums(call, held, placed.interval.lines, names) if any(call.counts) else None
        if better is None:
            found.append(call)
            continue
        held[QueryClass.UNKNOWN] = held[QueryClass.UNKNOWN].plus(call.counts)
        held[better] = held[better].minus(call.counts)
        found.append(replace(call, query_class=better))
    return found


def _class_of_sums(
    call: ReceivedCall, held: ClassCounts, lines: Iterable[Line], names: ModelNames
) -> QueryClass | None:
    """The class whose sums hold a call of no known class; None when it has one, or none holds it.

    Of several the one that has a line of its model, then the one that comes out even with it.
    """
    counts = call.counts
    if call.query_class is not QueryClass.UNKNOWN:
        return None
    fits = [other for other, beyond in held.items() if other is not QueryClass.UNKNOWN and beyond.holds(counts)]
    named = {line.query_class for line in lines if names.canonical(line.model) in _names(call, names)}
    return min(fits, key=lambda other: (other not in named, held[other] != counts, other), default=None)


def _names(call: ReceivedCall, names: ModelNames) -> set[str]:
    return {names.canonical(name) for name in (call.asked, call.served) if name}


def _tells_anything(
    lines: Iterable[Line], left: Counts, calls: Iterable[ReceivedCall], names: ModelNames, wanted: Container[str]
) -> bool:
    """Whether there is a residual, a call of which the sums may tell more, or an alias to learn."""
    return (
        any(left)
        or any(call.tokens.cache_write_unspecified or call.identity in wanted for call in calls)
        or any(not names.known(line.model) for line in lines)
    )


def _aliases(lines: Mapping[Line, _Open], unmatched: Sequence[ReceivedCall], names: ModelNames) -> Iterable[Alias]:
    """What names that are no model's stand for: the one model that served all calls on such a line.

    Calls that found no line are on the one such line without any, if they fit and no other line has anything left.
    """
    strange = [line for line in lines if not names.known(line.model)]
    for line in strange:
        yield from _one_served(line.model, lines[line].calls)
    without = [line for line in strange if not lines[line].calls]
    if len(without) != 1 or not unmatched or not lines[without[0]].counts.holds(_sum(unmatched)):
        return
    if not any(any(lines[line].counts.positive) for line in lines if line != without[0]):
        yield from _one_served(without[0].model, unmatched)


def _one_served(asked: str, calls: Sequence[ReceivedCall]) -> Iterable[Alias]:
    served = {call.served for call in calls if call.served}
    if len(served) == 1:
        yield Alias(asked, served.pop())


def _take_off(
    lines: Mapping[Line, _Open], calls: Sequence[ReceivedCall], names: ModelNames, wanted: Container[str]
) -> Sequence[ReceivedCall]:
    """Take calls off their lines and give those that found none.

    By name as asked, by name as served; where no line has the name, by equal counts: of a call, or of all calls that
    one model served. A name that is no model's goes before a model that is not the call's.
    """
    left = _take_at_either_speed(lines, calls, names, wanted)
    left = [call for call in left if not _taken(lines, call, [line for line in lines if line.model == call.asked])]
    left = [call for call in left if not _taken(lines, call, _named(lines, call.asked, names))]
    left = [call for call in left if not _taken(lines, call, _named(lines, call.served, names))]
    strange = [line for line in lines if not names.known(line.model)]
    left = [call for call in left if not _taken(lines, call, _equal(lines, strange, call))]
    left = _take_groups(lines, left)
    return [call for call in left if not _taken(lines, call, _equal(lines, lines, call))]


def _take_at_either_speed(
    lines: Mapping[Line, _Open], calls: Sequence[ReceivedCall], names: ModelNames, wanted: Container[str]
) -> list[ReceivedCall]:
    """Take off the calls of a model with a fast and a standard line where some, the `wanted`, don't tell the speed.

    Those are shared out so that the least is left; give the calls of all other models.
    """
    left: list[ReceivedCall] = []
    by_model: defaultdict[str, list[ReceivedCall]] = defaultdict(list)
    for call in calls:
        by_model[names.canonical(call.asked or call.served)].append(call)
    for model, several in by_model.items():
        by_speed = {line.speed: lines[line] for line in lines if names.canonical(line.model) == model}
        doubtful = [call for call in several if call.identity in wanted]
        if len(by_speed) < len(Speed) or not 0 < len(doubtful) <= _DOUBTFUL_MAX:
            left.extend(several)
            continue
        for call in several:
            if call.identity not in wanted:
                by_speed[call.speed].take(call)
        for speed, call in zip(_least_left(by_speed, doubtful), doubtful, strict=True):
            by_speed[speed].take(call)
    return left


def _least_left(lines: Mapping[Speed, _Open], calls: Sequence[ReceivedCall]) -> tuple[Speed, ...]:
    """The speeds of some calls by which their two lines keep the least; of equal ways the one most as asked."""

    def kept(speeds: tuple[Speed, ...]) -> tuple[int, int]:
        held = {speed: line.counts for speed, line in lines.items()}
        for speed, call in zip(speeds, calls, strict=True):
            held[speed] = held[speed].minus(call.counts)
        against = sum(speed is not call.speed for speed, call in zip(speeds, calls, strict=True))
        return sum(map(weight, held.values())), against

    return min(product(sorted(Speed), repeat=len(calls)), key=kept)


def _equal(lines: Mapping[Line, _Open], among: Iterable[Line], call: ReceivedCall) -> list[Line]:
    return [line for line in among if lines[line].counts == call.counts]


def _named(lines: Iterable[Line], name: str, names: ModelNames) -> list[Line]:
    """Lines of the model that a name is of; none for no name."""
    model = names.canonical(name) if name else ""
    return [line for line in lines if model and names.canonical(line.model) == model]


def _taken(lines: Mapping[Line, _Open], call: ReceivedCall, fits: Sequence[Line]) -> bool:
    """Take a call off the best of the lines that it fits; False when it fits none."""
    if not fits:
        return False
    lines[min(fits, key=lambda line: _fit(line, lines[line], call))].take(call)
    return True


def _fit(line: Line, open_line: _Open, call: ReceivedCall) -> tuple[bool, bool, str, str]:
    """How well a line fits: it holds the call's counts first, for the speed served may not be the one asked for."""
    return (not open_line.counts.holds(call.counts), line.speed is not call.speed, line.model, line.speed)


def _take_groups(lines: Mapping[Line, _Open], calls: Sequence[ReceivedCall]) -> list[ReceivedCall]:
    """Take calls off where those of one served model together are what a line without a call holds."""
    left: list[ReceivedCall] = []
    by_served: defaultdict[str, list[ReceivedCall]] = defaultdict(list)
    for call in calls:
        by_served[call.served].append(call)
    for served, several in by_served.items():
        total = _sum(several)
        fits = [line for line in lines if served and not lines[line].calls and lines[line].counts == total]
        for call in several:
            if fits:
                lines[fits[0]].take(call)
            else:
                left.append(call)
    return left


def _sum(calls: Iterable[ReceivedCall]) -> Counts:
    total = Counts()
    for call in calls:
        total = total.plus(call.counts)
    return total


def _shrink(lines: Mapping[Line, _Open], target: Counts, names: ModelNames) -> None:
    """Leave no more on the lines of a class than its residual is.

    What is over belongs to calls that no line has the name of, so aliases and lines without a call give first.
    """
    over = Counts()
    for open_line in lines.values():
        open_line.counts = open_line.counts.positive
        over = over.plus(open_line.counts)
    over = over.minus(target).positive
    for line in sorted(lines, key=lambda x: (names.known(x.model), bool(lines[x].calls), x.model, x.speed)):
        given = lines[line].counts.common(over)
        if any(given):
            lines[line].counts, over = lines[line].counts.minus(given), over.minus(given)
            lines[line].certain = False


def _leftover(span: Interval, line: Line, open_line: _Open, *, certain: bool) -> Leftover:
    total = span.lines[line]
    return Leftover(
        line=line,
        source=total.source,
        start_unix_nano=span.start_unix_nano,
        end_unix_nano=span.end_unix_nano,
        counts=open_line.counts.common(_LEFT_MAX),
        cost_picousd=total.cost_picousd if certain and total.cost_picousd else None,
        calls=tuple(open_line.calls),
    )
