"""Cost metrics: the cumulative series, encoded and sent once an interval."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from spanledger.core.batch import Scalar
from spanledger.core.gauges import Reading
from spanledger.core.semconv import METRICS
from spanledger.core.usage import Signal
from spanledger.core.views import SeriesState
from spanledger.exporter.client import Accepted, OtlpClient
from spanledger.otlp.encode import GaugePoint, SeriesPoint, encode_metrics
from spanledger.telemetry import Counter, Counters

SCOPE_NAME = "spanledger"


def metrics_body(
    destination: str,
    states: Sequence[SeriesState],
    readings: Sequence[Reading],
    resource: Mapping[str, Scalar],
    version: str,
    now_unix_nano: int,
) -> bytes:
    """Encode series and readings as an OTLP metrics request; a series new to the destination says 0 (design §7)."""
    points = [
        SeriesPoint(
            METRICS[state.key.metric],
            state.key.labels,
            state.start_unix_nano,
            now_unix_nano,
            state.exported_value(destination),
        )
        for state in states
    ]
    gauges = [GaugePoint(one, now_unix_nano) for one in readings]
    return encode_metrics(resource, SCOPE_NAME, version, points, gauges)


class MetricsExporter:
    """Sends series and gauges every interval. A failed export is not repeated: the next one says everything again.

    `collect` folds and encodes on the ledger's thread; `delivered` primes the series.
    """

    def __init__(
        self,
        collect: Callable[[], Awaitable[bytes]],
        delivered: Callable[[], Awaitable[None]],
        client: OtlpClient,
        counters: Counters,
        *,
        interval_seconds: float,
    ) -> None:
        self._collect = collect
        self._delivered = delivered
        self._client = client
        self._counters = counters
        self._interval_seconds = interval_seconds
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Export every interval until `stop`."""
        while not self._stopping.is_set():
            try:
                await asyncio.wait_for(self._stopping.wait(), timeout=self._interval_seconds)
            except TimeoutError:
                await self.export()

    def stop(self) -> None:
        """End `run`."""
        self._stopping.set()

    async def flush(self) -> None:
        """Export twice: what the first primes, the second says."""
        if await self.export():
            await self.export()

    async def export(self) -> bool:
        """Export once; True when the destination took it."""
        # Effect 8: the destination has the sums. They are cumulative: a kill at any moment loses no amount.
        outcome = await self._client.export(Signal.METRICS, await self._collect())
        if not isinstance(outcome, Accepted):
            self._counters.add(Counter.METRIC_EXPORTS_FAILED)
            return False
        await self._delivered()
        return True
