"""Weeks of samples for the series of a real component, by remote write: as many as its exports would be, much faster.

Each series rises evenly from 0 to the value that it had, or stays what it was if it is no sum.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import requests

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
        return self.labels["__name__"].endswith(("_total", "_bucket", "_count", "_sum"))


def write(url: str, series: Sequence[Grown], start_seconds: int, hours: int, every_seconds: int) -> Iterator[int]:
    """Write a sample every so many seconds for hours; give the number of each hour that is written."""
    session = requests.Session()
    labels = [b"".join(_part(1, _pair(*pair)) for pair in sorted(one.labels.items())) for one in series]
    for hour in range(hours):
        began = start_seconds + hour * HOUR_SECONDS
        # A sample is a value (field 1, fixed64) and a time in milliseconds (field 2, varint): the times are the same
        # for all series of an hour, so that one `join` makes the samples of a series.
        times = [b"\x10" + _varint(at * 1000) for at in range(began, began + HOUR_SECONDS, every_seconds)]
        mark = b"\x12" + _varint(9 + len(times[0])) + b"\x09"
        for first in range(0, len(series), SERIES_A_REQUEST):
            body = b"".join(
                _part(1, labels[n] + (mark + struct.pack("<d", _value(series[n], hour, hours))).join([b"", *times]))
                for n in range(first, min(first + SERIES_A_REQUEST, len(series)))
            )
            _post(session, url, body)
        yield hour


def _value(series: Grown, hour: int, hours: int) -> float:
    return series.value * hour / (hours - 1) if series.rises else series.value


def _post(session: requests.Session, url: str, body: bytes) -> None:
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    headers["X-Prometheus-Remote-Write-Version"] = "0.1.0"
    answer = session.post(f"{url}/api/v1/write", data=_as_snappy(body), headers=headers, timeout=120)
    answer.raise_for_status()


def _as_snappy(body: bytes) -> bytes:
    """A body in snappy's format, not compressed: one literal (tag 63: its length less one stands in four bytes)."""
    return _varint(len(body)) + b"\xfc" + struct.pack("<I", len(body) - 1) + body


def _pair(name: str, value: str) -> bytes:
    return _part(1, name.encode()) + _part(2, value.encode())


def _part(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
