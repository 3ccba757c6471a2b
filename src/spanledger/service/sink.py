"""An OTLP sink: receives over gRPC and HTTP and keeps what came. For the demo and for checking a set-up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from spanledger.config.receivers import Grpc, Http, Receiver
from spanledger.core.delivery import Delivery, Encoding, Receipt
from spanledger.core.errors import SpanledgerError
from spanledger.core.money import picousd_of_double
from spanledger.core.semconv import ADJUSTED_BY, METRICS, TOTALS, Metric, Quantity
from spanledger.core.times import NANO_PER_SECOND
from spanledger.core.usage import Signal
from spanledger.otlp.encode import SumPoint, decode_sums
from spanledger.otlp.otlp_json import to_protobuf
from spanledger.receiver.gate import Gate
from spanledger.receiver.grpc_server import GrpcReceiver
from spanledger.receiver.http_server import HttpReceiver
from spanledger.telemetry import Counters

MAX_REQUEST_BYTES = 64 * 2**20
_GRACE_SECONDS = 1.0


@dataclass(slots=True)
class OtlpSink:
    """Keeps every request body in protobuf, by signal. `answers` are errors to give to the next deliveries instead."""

    grpc_endpoint: str = ""
    http_endpoint: str = ""
    bodies: dict[Signal, list[bytes]] = field(default_factory=lambda: {signal: [] for signal in Signal})
    answers: deque[SpanledgerError] = field(default_factory=deque)
    _grpc: GrpcReceiver | None = None
    _http: HttpReceiver | None = None
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def start(self) -> None:
        """Listen on free ports of localhost."""
        here = "127.0.0.1:0"
        settings = Receiver(grpc=Grpc(endpoint=here), http=Http(endpoint=here), max_request_bytes=MAX_REQUEST_BYTES)
        gate = Gate(settings, Counters())
        self._grpc = GrpcReceiver(self, gate)
        self._http = HttpReceiver(self, gate)
        self.grpc_endpoint = f"http://{await self._grpc.start()}"
        self.http_endpoint = f"http://{await self._http.start()}"

    async def stop(self) -> None:
        """Stop listening; what came stays."""
        if self._grpc is not None and self._http is not None:
            await self._grpc.stop(_GRACE_SECONDS)
            await self._http.stop(_GRACE_SECONDS)

    async def consume(self, delivery: Delivery) -> Receipt:
        """Keep a delivery, or give the next scripted answer; see `core.delivery.Consumer`."""
        if self.answers:
            raise self.answers.popleft()
        body = delivery.body
        if delivery.encoding is Encoding.JSON:
            body = to_protobuf(delivery.signal, body).body
        async with self._arrived:
            self.bodies[delivery.signal].append(body)
            self._arrived.notify_all()
        return Receipt()

    async def wait_for(self, done: Callable[[], bool], timeout_seconds: float) -> None:
        """Wait until a condition on what came holds.

        Raises:
            TimeoutError: it did not hold in time.
        """
        async with self._arrived:
            await asyncio.wait_for(self._arrived.wait_for(done), timeout_seconds)

    def latest_sums(self) -> dict[tuple[str, tuple[tuple[str, object], ...]], SumPoint]:
        """Last point of every series of every cumulative sum, by metric and attributes."""
        return {(point.metric, point.attributes): point for point in self.sum_points() if point.cumulative}

    def sum_points(self) -> Iterator[SumPoint]:
        """Every point of every sum, in order of arrival."""
        for body in self.bodies[Signal.METRICS]:
            yield from decode_sums(body)

    def metric_totals(self) -> dict[Metric, int]:
        """Series + adjustment of each of our metrics, deltas added up: pico-USD, counts or nanoseconds.

        Exact up to 4,503 USD a series; beyond, a double's own step is more than a pico-USD.
        """
        totals = dict.fromkeys(TOTALS, 0)
        deltas = (point for point in self.sum_points() if not point.cumulative)
        for point in (*self.latest_sums().values(), *deltas):
            if point.metric not in set(Metric):
                continue
            metric = Metric(point.metric)
            totals[ADJUSTED_BY.get(metric, metric)] += _amount(METRICS[metric].quantity, point.value)
        return totals


def _amount(quantity: Quantity, value: float | int) -> int:
    """What a point of ours stands for; the inverse of encoding."""
    match quantity:
        case Quantity.MONEY:
            return picousd_of_double(value)
        case Quantity.COUNT:
            return int(value)
        case Quantity.DURATION:
            return round(value * NANO_PER_SECOND)
