"""Readings of gauges: values that are taken anew at each export and kept nowhere."""

from __future__ import annotations

from dataclasses import dataclass

from spanledger.core.semconv import GAUGES, Gauge


@dataclass(frozen=True, slots=True)
class Reading:
    """A gauge's value: pico-USD, a count or nanoseconds, as its specification says; labels in its order."""

    gauge: Gauge
    labels: tuple[tuple[str, str], ...]
    value: int


def reading(gauge: Gauge, value: int, **labels: str) -> Reading:
    """Make a reading with exactly the labels of the gauge's specification.

    Raises:
        KeyError: a label is missing.
    """
    return Reading(gauge, tuple((name, labels[name]) for name in GAUGES[gauge].labels), value)
