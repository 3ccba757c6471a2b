"""Cost metrics: the series, encoded and sent once an interval."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from spanledger.core.batch import Scalar
from spanledger.core.deltas import Delta
from spanledger.core.events import Event
from spanledger.core.gauges import Reading
from spanledger.core.labels import MAX_LABEL_BYTES
from spanledger.core.semconv import METRICS
from spanledger.core.usage import Signal, Temporality
from spanledger.core.views import SeriesKey, SeriesState
from spanledger.exporter.client import Accepted, Deferred, OtlpClient, Outcome, Refused
from spanledger.logs import tell
from spanledger.otlp.encode import GaugePoint, SeriesPoint, encode_metrics
from spanledger.telemetry import Counter, Counters

SCOPE_NAME = "spanledger"


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How long a label may be, and how large a request with more than one point; None: as large as it comes."""

    max_label_bytes: int = MAX_LABEL_BYTES
    max_request_bytes: int | None = None


ONE_REQUEST = RequestLimits()
"""Everything in one request."""


@dataclass(frozen=True, slots=True)
class Part:
    """One request of an export, and the series that it tells of."""

    body: bytes
    keys: frozenset[SeriesKey] = frozenset()


Sent = Sequence[tuple[Part, Outcome]]
"""An export: each part and what became of it."""


def failure(sent: Sent) -> str | None:
    """Why something of an export was not taken; None when all of it was."""
    for _, outcome in sent:
        match outcome:
            case Accepted(rejected=0):
                continue
            case Accepted(rejected=count, message=message):
                return f"{count} data points refused: {message}"
            case Refused(reason=reason) | Deferred(reason=reason):
                return reason
    return None


def series_points(destination: str, states: Iterable[SeriesState], now_unix_nano: int) -> list[SeriesPoint]:
    """Series as they stand; one that is new to the destination says 0 (design §7).

    One that began before the clock was set back starts now: OTLP refuses what ends before it starts.
    """
    return [
        SeriesPoint(
            METRICS[state.key.metric],
            state.key.labels,
            min(state.start_unix_nano, now_unix_nano),
            now_unix_nano,
            state.exported_value(destination),
        )
        for state in states
    ]


def delta_points(deltas: Iterable[Delta], now_unix_nano: int) -> list[SeriesPoint]:
    """What series grew by, since no later than now."""
    return [
        SeriesPoint(
            METRICS[one.key.metric], one.key.labels, min(one.start_unix_nano, now_unix_nano), now_unix_nano, one.amount
        )
        for one in deltas
    ]


def metrics_parts(
    points: Sequence[SeriesPoint],
    readings: Sequence[Reading],
    resource: Mapping[str, Scalar],
    now_unix_nano: int,
    temporality: Temporality = Temporality.CUMULATIVE,
    limits: RequestLimits = ONE_REQUEST,
) -> list[Part]:
    """Encode points of series and readings as OTLP metrics requests; `temporality` is that of rising sums."""
    release = str(resource["service.version"])

    def parts(some: Sequence[SeriesPoint | GaugePoint]) -> Iterator[Part]:
        series = [point for point in some if isinstance(point, SeriesPoint)]
        gauges = [point for point in some if isinstance(point, GaugePoint)]
        body = encode_metrics(resource, SCOPE_NAME, release, series, gauges, temporality, limits.max_label_bytes)
        if fits(len(body), limits) or len(some) < 2:
            yield Part(body, frozenset(SeriesKey(point.spec.name, point.labels) for point in series))
            return
        yield from parts(some[: len(some) // 2])
        yield from parts(some[len(some) // 2 :])

    return list(parts([*points, *(GaugePoint(one, now_unix_nano) for one in readings)]))


def with_body(parts: Sequence[Part], body: bytes, limits: RequestLimits) -> list[Part]:
    """Put a request behind the last part, or in one of its own where both are too large together."""
    *others, last = parts
    if fits(len(last.body) + len(body), limits):
        return [*others, Part(last.body + body, last.keys)]
    return [*parts, Part(body)]


def fits(size_bytes: int, limits: RequestLimits) -> bool:
    """Whether a request may be of this size."""
    return limits.max_request_bytes is None or size_bytes <= limits.max_request_bytes


class MetricsExporter:
    """Sends series and gauges every interval, and when told to hurry.

    A failed export is not repeated: the next one says what is missing.
    `begin` folds and encodes on the ledger's thread; `end` notes there what became of each part.
    """

    def __init__(
        self,
        begin: Callable[[], Awaitable[Sequence[Part]]],
        end: Callable[[Sent], Awaitable[None]],
        destination: str,
        client: OtlpClient,
        counters: Counters,
        *,
        interval_seconds: float,
    ) -> None:
        self._begin = begin
        self._end = end
        self._destination = destination
        self._client = client
        self._counters = counters
        self._interval_seconds = interval_seconds
        self._is_stopping = False
        self._is_due = asyncio.Event()

    async def run(self) -> None:
        """Export every interval, and at once after `hurry`, until `stop`."""
        while not self._is_stopping:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_due.wait(), timeout=self._interval_seconds)
            self._is_due.clear()
            if not self._is_stopping:
                await self.export()

    def hurry(self) -> None:
        """Export now: something is in it that nobody should wait an interval for."""
        self._is_due.set()

    def stop(self) -> None:
        """End `run`."""
        self._is_stopping = True
        self._is_due.set()

    async def flush(self) -> None:
        """Export twice: what the first primes, the second says."""
        if await self.export():
            await self.export()

    async def export(self) -> bool:
        """Export once; True when the destination took all of it."""
        # Effect 8: the destination has the sums. Cumulative ones lose nothing by a kill at any moment. A delta export
        # that was written down and came to no end is not sent again: what it held is counted as in doubt.
        parts = await self._begin()
        self._is_due.clear()  # what hurried meanwhile is in them
        sent = await self._send(parts)
        await self._end(sent)
        taken = [outcome for _, outcome in sent if isinstance(outcome, Accepted)]
        rejected, to = sum(outcome.rejected for outcome in taken), self._destination
        self._counters.add(Counter.METRIC_EXPORTS_FAILED, len(sent) - len(taken), destination=to)
        self._counters.add(Counter.RECORDS_REJECTED_BY_DESTINATION, rejected, destination=to)
        if (why := failure(sent)) is not None:
            tell(Event.METRICS_NOT_SENT, destination=self._destination, why=why)
        elif message := next((outcome.message for outcome in taken if outcome.message), ""):
            tell(
                Event.DESTINATION_REFUSED_PART,
                destination=self._destination,
                signal=Signal.METRICS,
                rejected=0,
                why=message,
            )
        return len(taken) == len(sent)

    async def _send(self, parts: Sequence[Part]) -> Sent:
        """Send one part after the other. What becomes of one holds no other up, unless the destination takes none now.

        It takes none when it is not there or asks for time. Where an answer is lost another may still come.
        """
        sent: list[tuple[Part, Outcome]] = []
        away: Deferred | None = None
        for part in parts:
            outcome = away or await self._client.export(Signal.METRICS, part.body)
            if isinstance(outcome, Deferred) and not outcome.in_doubt:
                away = outcome
            sent.append((part, outcome))
        return sent
