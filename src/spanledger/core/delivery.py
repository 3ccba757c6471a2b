"""What crosses the borders of the pipeline: bytes in, status out; payloads on their way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from spanledger.core.tenant import Tenant
from spanledger.core.usage import Signal


class Encoding(StrEnum):
    """How a request body is encoded."""

    PROTOBUF = "protobuf"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One export request as it came: the body after transport framing and decompression.

    `tenant` is who sent it, when senders are authenticated.
    """

    signal: Signal
    encoding: Encoding
    body: bytes
    tenant: Tenant | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a delivery once it is durable. `rejected` records were refused alone; `message` says why."""

    rejected: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Payload:
    """A request body in the outbox, on its way to the destination."""

    id: int
    signal: Signal
    body: bytes


@dataclass(frozen=True, slots=True)
class Route:
    """What is forwarded to a destination."""

    destination: str
    signals: frozenset[Signal] = frozenset(Signal)


@dataclass(frozen=True, slots=True)
class Undecided:
    """Deliveries whose senders wait no more, although nobody knows yet whether they will be booked."""

    deliveries: int = 0
    bytes: int = 0


class Consumer(Protocol):
    """Takes deliveries. Every receiver calls one; tests call it without a server."""

    async def consume(self, delivery: Delivery) -> Receipt:
        """Make a delivery durable.

        Raises:
            PermanentError: the body cannot be read; the same bytes will always fail.
            RetryableError: not durable now; the sender should try again.
        """
        ...
