"""Sending to an OTLP destination: raw request bodies out, one of three outcomes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from spanledger.core.usage import Signal


@dataclass(frozen=True, slots=True)
class Accepted:
    """The destination took the request; `rejected` records of it were refused alone."""

    rejected: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """The destination will never take these bytes. `in_doubt`: it may have taken them all the same."""

    reason: str
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now: try again, no sooner than the destination asks for.

    Faults of configuration (wrong credentials, wrong path, unknown service) are deferred too although OTLP calls them
    final: they pass when a person has mended them, and until then nothing may be lost. `in_doubt`: the destination may
    have taken the request all the same, for its answer was lost or does not tell.
    """

    reason: str
    retry_after_seconds: float | None = None
    in_doubt: bool = False


Outcome = Accepted | Refused | Deferred


class OtlpClient(Protocol):
    """Sends request bodies to one destination."""

    async def export(self, signal: Signal, body: bytes) -> Outcome:
        """Send one request body in protobuf; never raises for what the destination or the network does."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates: of the authority, instead of the system's; and the client's own with its key."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """Where and how to send. `endpoints` are URLs for single signals, used as they are (HTTP).

    `headers_file` holds further headers, which may change while the service runs.
    """

    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers_file: Path | None = None
    timeout_seconds: float = 10.0
    gzip: bool = False
    tls: Tls = Tls()
    endpoints: Mapping[Signal, str] = field(default_factory=dict)


class SignalClients:
    """One client for each signal, where signals are sent in different ways."""

    def __init__(self, by_signal: Mapping[Signal, OtlpClient]) -> None:
        self._by_signal = dict(by_signal)

    async def export(self, signal: Signal, body: bytes) -> Outcome:
        """Send one request body; see `OtlpClient`."""
        return await self._by_signal[signal].export(signal, body)

    async def close(self) -> None:
        """Close connections."""
        for client in self._by_signal.values():
            await client.close()
