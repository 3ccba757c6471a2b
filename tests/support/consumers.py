"""Consumers for tests of receivers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from spanledger.core.delivery import Delivery, Receipt
from spanledger.receiver.grpc_server import GrpcReceiver
from spanledger.receiver.http_server import HttpReceiver


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


@asynccontextmanager
async def receiving(
    consumer: ScriptedConsumer, kind: type[GrpcReceiver] | type[HttpReceiver], *, max_request_bytes: int = 2**20
) -> AsyncIterator[str]:
    """Run a receiver on a free port; gives its `host:port`."""
    receiver = kind(consumer, "127.0.0.1:0", max_request_bytes=max_request_bytes)
    address = await receiver.start()
    try:
        yield address
    finally:
        await receiver.stop(1.0)
