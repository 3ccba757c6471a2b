"""Sums and calls for tests of the residual, in seconds and tokens."""

from __future__ import annotations

from collections.abc import Iterable

from spanledger.core.control import Counts, Increment, Interval, Line, LineTotal
from spanledger.core.received import ReceivedCall
from spanledger.core.usage import ControlPoint, QueryClass, Source, Speed, Temporality, Tokens

SECOND = 10**9
SOURCE = Source(session_id="s", client_version="2.1.330")
MAIN, AUXILIARY, SUBAGENT, UNKNOWN = QueryClass.MAIN, QueryClass.AUXILIARY, QueryClass.SUBAGENT, QueryClass.UNKNOWN
OPUS, SONNET, HAIKU = "claude-opus-5-5", "claude-sonnet-5", "claude-haiku-5-5"


class Names:
    """Names of models as a price book would know them: `[1m]` is decoration, `claude-` marks a model."""

    def canonical(self, name: str) -> str:
        return name.lower().removesuffix("[1m]")

    def known(self, name: str) -> bool:
        return name.startswith("claude-")


def line(model: str = OPUS, query_class: QueryClass = MAIN, speed: Speed = Speed.STANDARD) -> Line:
    return Line(model, query_class, speed)


def interval(start: float, end: float, lines: dict[Line, Counts], picousd: int = 0) -> Interval:
    """An interval in seconds; the same cost on each line."""
    totals = {line: LineTotal(SOURCE, counts, picousd) for line, counts in lines.items()}
    return Interval(round(start * SECOND), round(end * SECOND), totals)


def call(
    name: str,
    end: float,
    counts: Counts,
    *,
    model: str = OPUS,
    asked: str = "",
    query_class: QueryClass = MAIN,
    speed: Speed = Speed.STANDARD,
    served: bool = True,
) -> ReceivedCall:
    """A call that a log event told of, if `served`; `asked` says that a span did. Cache writes are for 5 minutes."""
    tokens = Tokens(counts.input, counts.output, counts.cache_read, cache_write_5m=counts.cache_write)
    by_log = model if served else ""
    return ReceivedCall(name, round(end * SECOND), asked, by_log, query_class, speed, tokens)


def point(
    start: float,
    time: float,
    amount: int,
    *,
    series: str = "a",
    token_type: str = "output",
    temporality: Temporality = Temporality.DELTA,
    metric: str = "claude_code.token.usage",
) -> ControlPoint:
    return ControlPoint(
        metric=metric,
        series=series,
        start_unix_nano=round(start * SECOND),
        time_unix_nano=round(time * SECOND),
        temporality=temporality,
        amount=amount,
        source=SOURCE,
        model=OPUS,
        query_class=MAIN,
        speed=Speed.STANDARD,
        token_type="" if metric.endswith("cost.usage") else token_type,
    )


def seconds(found: Iterable[Increment | Interval]) -> list[tuple[float, float]]:
    """When increments or intervals begin and end."""
    return [(one.start_unix_nano / SECOND, one.end_unix_nano / SECOND) for one in found]
