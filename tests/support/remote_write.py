"""Samples into a Prometheus by remote write (protocol 0.1.0), for what no exporter of ours says: recorded series."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import requests

from spanledger.otlp.wire import sized, tag_of, varint

RECEIVER = "--web.enable-remote-write-receiver"
"""What Prometheus takes them with."""
_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


def labels_part(labels: Mapping[str, str]) -> bytes:
    """Labels of a series, in the order that the protocol asks for."""
    return b"".join(part(1, part(1, name.encode()) + part(2, value.encode())) for name, value in sorted(labels.items()))


def samples_part(samples: Iterable[tuple[int, float]]) -> bytes:
    """Samples of a series, in order: a value (field 1, fixed64) and a time in milliseconds (field 2, varint) each."""
    return b"".join(part(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at)) for at, value in samples)


def write(session: requests.Session, url: str, series: Iterable[bytes]) -> None:
    """Write series, each of its labels and samples."""
    body = b"".join(part(1, one) for one in series)
    session.post(f"{url}/api/v1/write", data=_as_snappy(body), headers=_HEADERS, timeout=120).raise_for_status()


def part(field: int, content: bytes) -> bytes:
    """A field with a length."""
    return tag_of(field) + sized(content)


def _as_snappy(body: bytes) -> bytes:
    """A body in snappy's format, not compressed: one literal (tag 63: its length less one stands in four bytes)."""
    return varint(len(body)) + b"\xfc" + struct.pack("<I", len(body) - 1) + body
