"""Consumers for tests of receivers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from spanledger.config.receivers import Grpc, Http, Receiver
from spanledger.core.delivery import Consumer, Delivery, Receipt
from spanledger.receiver.gate import Gate
from spanledger.receiver.grpc_server import GrpcReceiver
from spanledger.receiver.http_server import HttpReceiver
from spanledger.telemetry import Counters


@dataclass(slots=True)
class ScriptedConsumer:
    """Keeps deliveries and answers each with the next of `answers`: a receipt, or an error to raise."""

    answers: list[Receipt | Exception] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)

    async def consume(self, delivery: Delivery) -> Receipt:
        self.deliveries.append(delivery)
        answer = self.answers.pop(0) if self.answers else Receipt()
        if isinstance(answer, Exception):
            raise answer
        return answer


def gate_of(endpoint: str = "127.0.0.1:0", *, counters: Counters | None = None, **limits: object) -> Gate:
    """A gate of both receivers at one address, a free one by default; limits by the names of `receiver`'s settings."""
    here = {"endpoint": endpoint}
    return Gate(Receiver(grpc=Grpc(**here), http=Http(**here), **limits), counters or Counters())


@asynccontextmanager
async def receiving(
    consumer: Consumer, kind: type[GrpcReceiver] | type[HttpReceiver], gate: Gate | None = None
) -> AsyncIterator[str]:
    """Run a receiver on a free port; gives its `host:port`."""
    receiver = kind(consumer, gate or gate_of())
    address = await receiver.start()
    try:
        yield address
    finally:
        await receiver.stop(1.0)
