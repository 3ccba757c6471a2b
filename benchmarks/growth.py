"""Weeks of samples for the series of a real component, by remote write: as many as its exports would be, much faster.

Each series rises evenly from 0 to the value that it had, or stays what it was if it is no sum.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import requests

from support.remote_write import labels_part, varint, write

HOUR_SECONDS = 3600
SERIES_A_REQUEST = 400


@dataclass(frozen=True, slots=True)
class Grown:
    """A series as Prometheus names it, and its value at the end."""

    labels: dict[str, str]
    value: float

    @property
    def rises(self) -> bool:
        """Whether it is a sum."""
        return self.labels["__name__"].endswith(("_total", "_bucket", "_count", "_sum", ":total"))


def fill(url: str, series: Sequence[Grown], start_seconds: int, hours: int, every_seconds: int) -> Iterator[int]:
    """Write a sample every so many seconds for hours; give the number of each hour that is written."""
    session = requests.Session()
    labels = [labels_part(one.labels) for one in series]
    for hour in range(hours):
        began = start_seconds + hour * HOUR_SECONDS
        # The times are the same for all series of an hour, so that one `join` makes the samples of a series.
        times = [b"\x10" + varint(at * 1000) for at in range(began, began + HOUR_SECONDS, every_seconds)]
        mark = b"\x12" + varint(9 + len(times[0])) + b"\x09"
        for first in range(0, len(series), SERIES_A_REQUEST):
            several = range(first, min(first + SERIES_A_REQUEST, len(series)))
            values = (mark + struct.pack("<d", _value(series[n], hour, hours)) for n in several)
            write(
                session, url, [labels[n] + value.join([b"", *times]) for n, value in zip(several, values, strict=True)]
            )
        yield hour


def _value(series: Grown, hour: int, hours: int) -> float:
    return series.value * hour / (hours - 1) if series.rises else series.value
