"""Cost metrics: the series, encoded and sent once an interval."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from spanledger.core.batch import Scalar
from spanledger.core.deltas import Delta
from spanledger.core.events import Event
from spanledger.core.gauges import Reading
from spanledger.core.semconv import METRICS
from spanledger.core.usage import Signal, Temporality
from spanledger.core.views import SeriesState
from spanledger.exporter.client import Accepted, OtlpClient, Outcome
from spanledger.logs import tell
from spanledger.otlp.encode import GaugePoint, SeriesPoint, encode_metrics
from spanledger.telemetry import Counter, Counters

SCOPE_NAME = "spanledger"


def series_points(destination: str, states: Iterable[SeriesState], now_unix_nano: int) -> list[SeriesPoint]:
    """Series as they stand; one that is new to the destination says 0 (design §7)."""
    return [
        SeriesPoint(
            METRICS[state.key.metric],
            state.key.labels,
            state.start_unix_nano,
            now_unix_nano,
            state.exported_value(destination),
        )
        for state in states
    ]


def delta_points(deltas: Iterable[Delta], now_unix_nano: int) -> list[SeriesPoint]:
    """What series grew by."""
    return [
        SeriesPoint(METRICS[one.key.metric], one.key.labels, one.start_unix_nano, now_unix_nano, one.amount)
        for one in deltas
    ]


def metrics_body(
    points: Sequence[SeriesPoint],
    readings: Sequence[Reading],
    resource: Mapping[str, Scalar],
    version: str,
    now_unix_nano: int,
    temporality: Temporality = Temporality.CUMULATIVE,
) -> bytes:
    """Encode points of series and readings as an OTLP metrics request; `temporality` is that of rising sums."""
    gauges = [GaugePoint(one, now_unix_nano) for one in readings]
    return encode_metrics(resource, SCOPE_NAME, version, points, gauges, temporality)


class MetricsExporter:
    """Sends series and gauges every interval, and when told to hurry.

    A failed export is not repeated: the next one says what is missing.
    `begin` folds and encodes on the ledger's thread; `end` notes the outcome there.
    """

    def __init__(
        self,
        begin: Callable[[], Awaitable[bytes]],
        end: Callable[[Outcome], Awaitable[None]],
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
        """Export once; True when the destination took it."""
        # Effect 8: the destination has the sums. Cumulative ones lose nothing by a kill at any moment. A delta export
        # that was written down and came to no end is not sent again: what it held is counted as in doubt.
        body = await self._begin()
        self._is_due.clear()  # what hurried meanwhile is in it
        outcome = await self._client.export(Signal.METRICS, body)
        await self._end(outcome)
        if isinstance(outcome, Accepted):
            return True
        self._counters.add(Counter.METRIC_EXPORTS_FAILED)
        tell(Event.METRICS_NOT_SENT, destination=self._destination, why=outcome.reason)
        return False
