"""Residual: what the client's sums hold beyond the calls that we received (design §4).

Within an interval and a query class the residual of a token class is the sum of the points less the sum of the calls,
and never less than nothing: an interval with less metric than calls has lost metric, and lends nothing to another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

from spanledger.core.control import Counts, Interval, Line
from spanledger.core.usage import QueryClass, Source, Speed, Tokens

STRADDLE_NANO = 500_000_000
"""A call that ends this close to the end of an interval may lie on either side of it.

The client adds to its sums before it stamps its log event (measured: -100 to +400 ms).
"""

_STRADDLERS_MAX = 6
"""Calls at one border whose side is searched for; further ones lie where their time says."""

_WEIGHTS = Counts(40, 200, 4, 50)
"""What a token of each class costs in proportion (Opus 5.5, in tenths): to tell the smaller of two residuals."""

_Sums = dict[QueryClass, Counts]


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """A call as the sums should hold it. `asked` is the model of its span, `served` that of its log, if they came.

    A call without a log whose span names an alias has the model that the alias is known for as `served`. `query_class`
    is `unknown` when the record does not say it in a word that we know.
    """

    identity: str
    end_unix_nano: int
    asked: str
    served: str
    query_class: QueryClass
    speed: Speed
    tokens: Tokens

    @property
    def counts(self) -> Counts:
        """The classes that the sums tell apart."""
        return Counts.of(self.tokens)


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
class Alias:
    """A name asked for that is no model's, and the model that calls under it were served by."""

    asked: str
    served: str


class ModelNames(Protocol):
    """What there is to know of model names; the price book knows it."""

    def same(self, one: str, other: str) -> bool:
        """Whether two spellings name one model."""
        ...

    def known(self, name: str) -> bool:
        """Whether a name is that of a model, not a gateway's alias."""
        ...


def leftovers(
    spans: Sequence[Interval], calls: Sequence[ReceivedCall], names: ModelNames
) -> tuple[list[Leftover], set[Alias]]:
    """Hold calls against the sums of intervals that follow one another.

    Gives what is left of each line, and the aliases that follow from lines without a call and calls without a line.
    """
    found: list[Leftover] = []
    aliases: set[Alias] = set()
    for interval, inside in zip(spans, _place(spans, calls), strict=True):
        found.extend(_of_interval(interval, inside, names, aliases))
    return found, aliases


def near_border(calls: Iterable[ReceivedCall], border_unix_nano: int) -> bool:
    """Whether a call may lie on either side of a border."""
    return any(abs(call.end_unix_nano - border_unix_nano) <= STRADDLE_NANO for call in calls)


def _place(spans: Sequence[Interval], calls: Sequence[ReceivedCall]) -> list[list[ReceivedCall]]:
    """Put each call into an interval, those near a border so that the residual is the smallest."""
    inside: list[list[ReceivedCall]] = [[] for _ in spans]
    straddlers: list[list[ReceivedCall]] = [[] for _ in spans]
    for call in sorted(calls, key=lambda call: (call.end_unix_nano, call.identity)):
        places = _places(spans, call)
        if len(places) == 1:
            inside[places[0]].append(call)
        elif places:
            border = min(places[:-1], key=lambda place: abs(call.end_unix_nano - spans[place].end_unix_nano))
            straddlers[border].append(call)
    for border, several in enumerate(straddlers):
        several.sort(key=lambda call: (abs(call.end_unix_nano - spans[border].end_unix_nano), call.identity))
        for call in several[_STRADDLERS_MAX:]:
            inside[border + (call.end_unix_nano > spans[border].end_unix_nano)].append(call)
        del several[_STRADDLERS_MAX:]
    return _sided(spans, inside, straddlers)


def _places(spans: Sequence[Interval], call: ReceivedCall) -> list[int]:
    end = call.end_unix_nano
    return [
        place
        for place, span in enumerate(spans)
        if span.start_unix_nano - STRADDLE_NANO <= end <= span.end_unix_nano + STRADDLE_NANO
    ]


_Choice = tuple[tuple[ReceivedCall, ...], tuple[ReceivedCall, ...]]
"""Straddlers of a border: those that lie before it, those that lie after it."""


@dataclass(frozen=True, slots=True)
class _Path:
    """The best way to take sides up to a border: residual so far, calls put against their time, choices."""

    residual: int
    against_time: int
    choices: tuple[_Choice, ...]


def _sided(
    spans: Sequence[Interval], inside: list[list[ReceivedCall]], straddlers: Sequence[Sequence[ReceivedCall]]
) -> list[list[ReceivedCall]]:
    """Take sides for all straddlers at once, by dynamic programming over the borders."""
    if not any(straddlers):
        return inside
    paths = [_Path(0, 0, ())]
    for place, span in enumerate(spans):
        taken = []
        for choice in _choices(straddlers[place], span.end_unix_nano):
            steps = [_step(path, span, inside[place], choice) for path in paths]
            taken.append(min(steps, key=lambda path: (path.residual, path.against_time)))
        paths = taken
    best = min(paths, key=lambda path: (path.residual, path.against_time))
    for place, (before, after) in enumerate(best.choices):
        inside[place].extend(before)
        if after:
            inside[place + 1].extend(after)
    return inside


def _choices(straddlers: Sequence[ReceivedCall], border_unix_nano: int) -> list[_Choice]:
    """Every way to put the calls of a border on either side, the one that their times say first."""
    ways: list[_Choice] = [
        (chosen, tuple(call for call in straddlers if call not in chosen))
        for size in range(len(straddlers) + 1)
        for chosen in combinations(straddlers, size)
    ]
    return sorted(ways, key=lambda way: _against_time(way, border_unix_nano))


def _against_time(choice: _Choice, border_unix_nano: int) -> int:
    before, after = choice
    late = sum(call.end_unix_nano > border_unix_nano for call in before)
    return late + sum(call.end_unix_nano <= border_unix_nano for call in after)


def _step(path: _Path, span: Interval, inside: Sequence[ReceivedCall], choice: _Choice) -> _Path:
    came = path.choices[-1][1] if path.choices else ()
    excess = _excess(span, (*inside, *came, *choice[0]))
    against = path.against_time + _against_time(choice, span.end_unix_nano)
    return _Path(path.residual + excess, against, (*path.choices, choice))


def _excess(span: Interval, calls: Sequence[ReceivedCall]) -> int:
    """Weight of what the sums of an interval hold beyond some calls."""
    left = _of_classes(span, calls)
    return sum(sum(count * weight for count, weight in zip(counts, _WEIGHTS, strict=True)) for counts in left.values())


def _of_classes(span: Interval, calls: Iterable[ReceivedCall]) -> _Sums:
    """Residual by query class. What says no class is held against every class."""
    held: defaultdict[QueryClass, Counts] = defaultdict(Counts)
    for line, total in span.lines.items():
        held[line.query_class] = held[line.query_class].plus(total.counts)
    for call in calls:
        held[call.query_class] = held[call.query_class].minus(call.counts)
    nameless = held.pop(QueryClass.UNKNOWN, Counts())
    over = Counts()
    for counts in held.values():
        over = over.plus(Counts().minus(counts).positive)
    left = {query_class: counts.positive for query_class, counts in held.items()}
    left[QueryClass.UNKNOWN] = nameless.positive.minus(over).positive
    spare = Counts().minus(nameless).positive
    for query_class in sorted(left):
        used = left[query_class].common(spare)
        left[query_class], spare = left[query_class].minus(used), spare.minus(used)
    return left


@dataclass(slots=True)
class _Open:
    """A line while calls are taken off it. `certain` until something was taken off that may be another line's."""

    counts: Counts
    calls: list[ReceivedCall]
    certain: bool = True


def _of_interval(
    span: Interval, calls: Sequence[ReceivedCall], names: ModelNames, aliases: set[Alias]
) -> list[Leftover]:
    found: list[Leftover] = []
    for query_class, counts in _of_classes(span, calls).items():
        lines = {line: _Open(total.counts, []) for line, total in span.lines.items() if line.query_class is query_class}
        if not _tells_anything(lines, counts, calls, names):
            continue
        unmatched = _take_off(lines, [call for call in calls if call.query_class is query_class], names)
        aliases.update(_aliases(lines, unmatched, names))
        _shrink(lines, counts, names)
        for line, open_line in lines.items():
            if any(open_line.counts) or any(call.tokens.cache_write_unspecified for call in open_line.calls):
                certain = open_line.certain and not unmatched
                found.append(_leftover(span, line, open_line, certain=certain))
    return found


def _tells_anything(lines: Iterable[Line], left: Counts, calls: Iterable[ReceivedCall], names: ModelNames) -> bool:
    """Whether there is a residual, a call whose cache writes the sums may tell more of, or an alias to learn."""
    return (
        any(left)
        or any(call.tokens.cache_write_unspecified for call in calls)
        or any(not names.known(line.model) for line in lines)
    )


def _aliases(lines: Mapping[Line, _Open], unmatched: Sequence[ReceivedCall], names: ModelNames) -> Iterable[Alias]:
    """What names that are no model's stand for: the one model of all calls that make up such a line to the token."""
    for line, open_line in lines.items():
        if not names.known(line.model):
            yield from _one_served(line.model, open_line.calls)
    strange = [line for line in lines if not names.known(line.model) and not lines[line].calls]
    total = Counts()
    for call in unmatched:
        total = total.plus(call.counts)
    if len(strange) == 1 and unmatched and lines[strange[0]].counts == total:
        yield from _one_served(strange[0].model, unmatched)


def _one_served(asked: str, calls: Sequence[ReceivedCall]) -> Iterable[Alias]:
    served = {call.served for call in calls if call.served}
    if len(served) == 1:
        yield Alias(asked, served.pop())


def _take_off(lines: Mapping[Line, _Open], calls: Sequence[ReceivedCall], names: ModelNames) -> Sequence[ReceivedCall]:
    """Take calls off their lines: by name as asked, by name as served, by equal counts; give those that found none."""
    by_asked = [call for call in calls if not _taken(lines, call, [line for line in lines if line.model == call.asked])]
    by_served = [
        call for call in by_asked if not _taken(lines, call, [x for x in lines if names.same(x.model, call.served)])
    ]
    return [
        call
        for call in by_served
        if not _taken(lines, call, [line for line, open_line in lines.items() if open_line.counts == call.counts])
    ]


def _taken(lines: Mapping[Line, _Open], call: ReceivedCall, fits: Sequence[Line]) -> bool:
    """Take a call off the best of the lines that it fits; False when it fits none."""
    if not fits:
        return False
    open_line = lines[min(fits, key=lambda line: _fit(line, lines[line], call))]
    open_line.counts = open_line.counts.minus(call.counts)
    open_line.calls.append(call)
    return True


def _fit(line: Line, open_line: _Open, call: ReceivedCall) -> tuple[bool, bool, str, str]:
    holds = all(have >= count for have, count in zip(open_line.counts, call.counts, strict=True))
    return (line.speed is not call.speed, not holds, line.model, line.speed)


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
        counts=open_line.counts,
        cost_picousd=total.cost_picousd if certain and total.cost_picousd else None,
        calls=tuple(open_line.calls),
    )
