"""Totals of a process, exact, as observable counters of the host's MeterProvider."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib.metadata import version

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from spanledger.core.labels import cut_key
from spanledger.core.money import usd_double
from spanledger.core.posting import Charge
from spanledger.core.semconv import ACTIVITY, METRICS, OVERFLOW_LABEL, TOTALS, Metric, MetricSpec, Quantity
from spanledger.core.tally import SIGNAL_OF
from spanledger.core.usage import Signal, UsageRecord
from spanledger.core.views import PostingTotal, SeriesKey, overflow_key, series_increments
from spanledger.sdk.calls import SeenCalls, Sight

SCOPE_NAME = "spanledger.sdk"
DROPPED = "spanledger.dropped"

_SHOWN = tuple(metric for metric in TOTALS if metric not in ACTIVITY.values() and metric is not Metric.DUPLICATES)


class Totals:
    """Counts each call once. For any thread; a forked child starts from nothing, for its parent has counted the rest.

    `max_series` bounds the series of each metric, and `max_label_bytes` their labels, as the service's settings do:
    what has no room goes to an overflow series, so that totals stay exact.
    """

    def __init__(self, max_calls: int, max_series: int, max_label_bytes: int) -> None:
        self._max_calls = max_calls
        self._max_label_bytes = max_label_bytes
        self._max_series = max_series
        self._start_anew()
        os.register_at_fork(after_in_child=self._start_anew)

    def count(self, record: UsageRecord, charge: Charge, *, place: str, parent: str) -> Sight:
        """Add a call if this is its first record; say what the record is."""
        with self._lock:
            sight = self._seen.look(record, place=place, parent=parent)
            if sight is Sight.FIRST:
                for key, amount in series_increments([_total(charge)]).items():
                    self._add(key, amount)
            elif sight is not Sight.OTHER_SIGNAL:
                self._duplicates[SIGNAL_OF[record.evidence]] += 1
            return sight

    def drop(self, reasons: Iterable[str]) -> None:
        """Count records whose usage could not be read, by reason."""
        with self._lock:
            for reason in reasons:
                self._dropped[reason] = self._dropped.get(reason, 0) + 1

    def attach(self, provider: MeterProvider) -> None:
        """Show the totals through a provider."""
        meter = provider.get_meter(SCOPE_NAME, version("spanledger"))
        for metric in _SHOWN:
            spec = METRICS[metric]
            make = meter.create_observable_counter if spec.monotonic else meter.create_observable_up_down_counter
            make(metric.value, [_callback(partial(self._points, spec))], spec.unit, spec.description)
        duplicates = METRICS[Metric.DUPLICATES]
        meter.create_observable_counter(
            duplicates.name.value, [_callback(self._duplicate_points)], duplicates.unit, duplicates.description
        )
        meter.create_observable_counter(DROPPED, [_callback(self._dropped_points)], "{record}")

    def _start_anew(self) -> None:
        self._lock = threading.Lock()
        self._seen = SeenCalls(self._max_calls)
        self._series: dict[Metric, dict[SeriesKey, int]] = {metric: {} for metric in _SHOWN}
        self._duplicates = dict.fromkeys((Signal.TRACES, Signal.LOGS), 0)
        self._dropped: dict[str, int] = {}

    def _add(self, key: SeriesKey, amount: int) -> None:
        series = self._series[key.metric]
        key = cut_key(key, self._max_label_bytes)
        if key not in series and len(series) >= self._max_series:
            key = overflow_key(key.metric)
        series[key] = series.get(key, 0) + amount

    def _points(self, spec: MetricSpec) -> Sequence[Observation]:
        with self._lock:
            return [_observation(spec, key, value) for key, value in self._series[spec.name].items()]

    def _duplicate_points(self) -> Sequence[Observation]:
        with self._lock:
            return [Observation(count, {"signal": signal.value}) for signal, count in self._duplicates.items()]

    def _dropped_points(self) -> Sequence[Observation]:
        with self._lock:
            return [Observation(count, {"reason": reason}) for reason, count in self._dropped.items()]


def _callback(read: Callable[[], Sequence[Observation]]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    return lambda _: read()


def _observation(spec: MetricSpec, key: SeriesKey, value: int) -> Observation:
    labels: dict[str, str | bool] = {
        label: text == "true" if label == OVERFLOW_LABEL else text for label, text in key.labels
    }
    return Observation(usd_double(value) if spec.quantity is Quantity.MONEY else value, labels)


def _total(charge: Charge) -> PostingTotal:
    return PostingTotal(
        account=charge.account,
        price=charge.price,
        status=charge.status,
        evidence=charge.evidence,
        reason="",
        requests=1,
        tokens=charge.tokens,
        client_cost_picousd=charge.client_cost_picousd or 0,
        verdict=charge.verdict,
    )
