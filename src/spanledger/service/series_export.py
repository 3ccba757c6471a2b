"""What an export of the metrics says, and what is noted when its outcome is known; all on the ledger's thread."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version

from spanledger.core.deltas import Arrival
from spanledger.core.gauges import Gauge, reading
from spanledger.core.semconv import METRICS
from spanledger.core.usage import Temporality
from spanledger.core.views import SeriesState
from spanledger.exporter.client import Accepted, Deferred, Outcome, Refused
from spanledger.exporter.metrics import (
    ONE_REQUEST,
    Part,
    RequestLimits,
    Sent,
    delta_points,
    failure,
    metrics_parts,
    series_points,
)
from spanledger.ledger.faults import fault_of
from spanledger.ledger.ledger import Ledger
from spanledger.otlp.encode import SeriesPoint
from spanledger.service.gauges import Reader, readings
from spanledger.service.pipeline import Pipeline
from spanledger.telemetry import Counter, Counters

_INSTANCE_ID = "service_instance_id"


class SeriesExport:
    """Makes the exports of all destinations.

    Without `on_failed`, which is told of a disk that takes nothing, an export fails on such a disk.
    """

    def __init__(
        self,
        ledger: Ledger,
        pipeline: Pipeline,
        readers: Sequence[Reader],
        counters: Counters,
        temporality: Temporality,
        on_failed: Callable[[Exception], None] | None = None,
        limits: RequestLimits = ONE_REQUEST,
    ) -> None:
        self._ledger = ledger
        self._pipeline = pipeline
        self._readers = readers
        self._counters = counters
        self._temporality = temporality
        self._on_failed = on_failed
        self._begun_unix_nano: dict[str, int] = {}
        self._limits = limits

    def prepare(self, destinations: Iterable[str]) -> None:
        """Note how destinations are told of series from now on; before anything is folded that they have not heard."""
        changed = [one for one in destinations if self._ledger.deltas.temporality(one) is not self._temporality]
        if not changed:
            return
        states = self._ledger.series.states()
        with self._ledger.transaction():
            for destination in changed:
                self._ledger.deltas.choose(destination, self._temporality, states)

    def begin(self, destination: str, now_unix_nano: int) -> list[Part]:
        """Fold, read the gauges, and give what to send; a delta export is written down before it leaves."""
        with self._unless_the_disk_refuses():
            crowding = self._pipeline.fold(now_unix_nano)
            self._counters.add(Counter.SERIES_OVERFLOWED, crowding.overflowed)
            self._counters.add(Counter.SERIES_CUT, crowding.cut)
        states = self._ledger.series.states()
        points = self._points(destination, states, now_unix_nano)
        resource = resource_of(self._ledger)
        self._begun_unix_nano[destination] = now_unix_nano
        told_since = self._ledger.series.told_since(destination)
        start = reading(Gauge.EXPORT_START, now_unix_nano if told_since is None else told_since)
        gauges = [*readings(self._readers, now_unix_nano), start]
        return metrics_parts(points, gauges, resource, now_unix_nano, self._temporality, self._limits)

    def end(self, destination: str, sent: Sent) -> None:
        """Note what became of each part, for the series that it told of, and a failure for who asks what is wrong."""
        taken = [part.keys for part, outcome in sent if isinstance(outcome, Accepted)]
        if taken:
            with self._unless_the_disk_refuses():
                self._pipeline.prime(destination, self._begun_unix_nano[destination], frozenset().union(*taken))
        news = self._ledger.failures.after(destination, failure(sent), self._begun_unix_nano[destination])
        is_delta = self._temporality is Temporality.DELTA
        if news is None and not is_delta:
            return
        with self._unless_the_disk_refuses(), self._ledger.transaction():
            # Effect 11: COMMIT. A kill before it leaves a delta export without an end: in doubt, and not sent again.
            if news is not None:
                self._ledger.failures.note(destination, news)
            if is_delta:
                arrivals = {key: _arrival(outcome) for part, outcome in sent for key in part.keys}
                self._ledger.deltas.end(destination, Arrival.IN_DOUBT, arrivals)

    @contextmanager
    def _unless_the_disk_refuses(self) -> Iterator[None]:
        """Let cumulative sums leave as they last were, with the gauges that say that the ledger cannot be written.

        Deltas are written down before they leave, or are not sent.
        """
        try:
            yield
        except Exception as error:
            if self._on_failed is None or self._temporality is Temporality.DELTA or fault_of(error) is None:
                raise
            self._on_failed(error)

    def _points(self, destination: str, states: Sequence[SeriesState], now_unix_nano: int) -> list[SeriesPoint]:
        if self._temporality is Temporality.CUMULATIVE:
            return series_points(destination, states, now_unix_nano)
        rising = [state for state in states if METRICS[state.key.metric].monotonic]
        others = [state for state in states if not METRICS[state.key.metric].monotonic]
        with self._ledger.transaction():
            # Effect 10: COMMIT of a delta export, before effect 8. A kill before it leaves all of it to the next one.
            deltas = self._ledger.deltas.begin(destination, rising, now_unix_nano)
        return delta_points(deltas, now_unix_nano) + series_points(destination, others, now_unix_nano)


def resource_of(ledger: Ledger) -> dict[str, str]:
    """What the service is: its name, version, and an id that is the same as long as the ledger is."""
    return {
        "service.name": "spanledger",
        "service.version": version("spanledger"),
        "service.instance.id": _instance_id(ledger),
    }


def _arrival(outcome: Outcome) -> Arrival:
    match outcome:
        case Accepted(rejected=0):
            return Arrival.CONFIRMED
        case Accepted():
            return Arrival.IN_DOUBT  # some of it was refused for good, and the answer does not tell which
        case Refused(in_doubt=in_doubt) | Deferred(in_doubt=in_doubt):
            return Arrival.IN_DOUBT if in_doubt else Arrival.NOT_TAKEN


def _instance_id(ledger: Ledger) -> str:
    """Name of this ledger's service, the same after every restart: its series are one source."""
    known = ledger.database.meta(_INSTANCE_ID)
    if known is not None:
        return known
    made = str(uuid.uuid4())
    with ledger.transaction():
        ledger.database.set_meta(_INSTANCE_ID, made)
    return made
