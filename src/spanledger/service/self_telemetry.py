"""What the component says of itself: its counters and how long its commits take, by the SDK's own instruments.

None of this is on the way of a record: counters are read when an export asks, a commit is timed once for its group.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from spanledger.core.reasons import Reason
from spanledger.exporter.metrics import SCOPE_NAME
from spanledger.otlp.refusals import CONNECTION_ENDS, RECORD_REFUSALS, REQUEST_REFUSALS
from spanledger.telemetry import (
    COMMIT_DURATION,
    COMMIT_DURATION_MEANING,
    COMMIT_DURATION_UNIT,
    COUNTERS,
    Counter,
    Counters,
)

_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_ENDS = (*CONNECTION_ENDS, Reason.SLOW_REQUEST)
_USAGE = [reason for reason in Reason if reason not in {**REQUEST_REFUSALS, **RECORD_REFUSALS, **CONNECTION_ENDS}]
REASONS: Mapping[Counter, Collection[Reason]] = {
    Counter.REFUSED: (*REQUEST_REFUSALS, *RECORD_REFUSALS),
    Counter.DROPPED: (*RECORD_REFUSALS, *_USAGE),
    Counter.CONNECTIONS_CLOSED: _ENDS,
    Counter.ADMIN_CONNECTIONS_CLOSED: (*_ENDS, Reason.BAD_HTTP, Reason.WRONG_SCHEME, Reason.HEADERS_TOO_LARGE),
}
"""Every reason that a counter can have."""


class SelfTelemetry:
    """Instruments of one service. Sums begin with the process, as those of any other program.

    Each says 0 from the start on for every reason that there can be and every one of the `destinations`: a backend that
    sees a series begin above 0 takes it for no rise. Without a destination what is counted by it is 0, of none.
    """

    def __init__(self, counters: Counters, resource: Mapping[str, str], destinations: Collection[str] = ()) -> None:
        self._reader = InMemoryMetricReader()
        self._provider = MeterProvider([self._reader], Resource(dict(resource)), shutdown_on_exit=False)
        meter = self._provider.get_meter(SCOPE_NAME, resource.get("service.version"))
        for counter, spec in COUNTERS.items():
            if not spec.is_exported:
                continue
            observe: Callable[[CallbackOptions], Iterable[Observation]] = partial(
                _observe, counters, counter, REASONS.get(counter, destinations)
            )
            meter.create_observable_counter(spec.name, [observe], spec.unit, spec.description)
        self._commits = meter.create_histogram(
            COMMIT_DURATION,
            COMMIT_DURATION_UNIT,
            COMMIT_DURATION_MEANING,
            explicit_bucket_boundaries_advisory=_BUCKETS_SECONDS,
        )

    def committed(self, seconds: float) -> None:
        """Note how long a commit took."""
        self._commits.record(seconds)

    def body(self) -> bytes:
        """The metrics as an OTLP request, to be put behind another one."""
        data = self._reader.get_metrics_data()
        return b"" if data is None else encode_metrics(data).SerializeToString()

    def close(self) -> None:
        """Let go of the instruments."""
        self._provider.shutdown()


def _observe(
    counters: Counters, counter: Counter, values: Collection[str], _: CallbackOptions
) -> Iterable[Observation]:
    label = COUNTERS[counter].label
    if label is None:
        return [Observation(counters.snapshot()[counter])]
    amounts = {**dict.fromkeys(values, 0), **counters.by_label(counter)}
    return [Observation(amount, {label: str(value)}) for value, amount in amounts.items()] or [Observation(0)]
