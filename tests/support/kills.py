"""What tests that kill the service share: the senders, the second life, and what must be at the sink afterwards."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from spanledger.core.delivery import Delivery
from spanledger.core.semconv import Metric
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Destination
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.otlp.encode import SumPoint, decode_sums
from spanledger.service.sink import OtlpSink
from support.processes import start_serve
from support.serving import Transport, send
from support.splitting import protobuf_body, record_names

TIMEOUT_SECONDS = 60


async def send_until_dead(address: str, work: Sequence[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
    """Send one after the other until the service is gone; what it acknowledged, and the rest."""
    client = GrpcClient(Destination(f"http://{address}", timeout_seconds=10))
    acknowledged: list[Delivery] = []
    for delivery in work:
        if await client.export(delivery.signal, protobuf_body(delivery)) != Accepted():
            break
        acknowledged.append(delivery)
    await client.close()
    return acknowledged, list(work[len(acknowledged) :])


def killed_once(
    ledger_path: Path, kill_at: str, work: Sequence[Delivery], environ: Mapping[str, str], *, tries_again: bool
) -> tuple[list[Delivery], OtlpSink]:
    """Serve until the service kills itself, then again until it stops in good order.

    Gives what the first life acknowledged, and the sink of both. Only a sender that `tries_again` sends the rest.
    """

    async def run() -> tuple[list[Delivery], OtlpSink]:
        sink = OtlpSink()
        await sink.start()
        to_sink = ("--otlp-endpoint", sink.grpc_endpoint)
        dying = await start_serve(ledger_path, *to_sink, environ=environ, kill_at=kill_at)
        acknowledged, rest = await send_until_dead(dying.addresses.grpc, work)
        assert await asyncio.wait_for(dying.process.wait(), TIMEOUT_SECONDS) == -signal.SIGKILL
        again = await start_serve(ledger_path, *to_sink, environ=environ)
        if tries_again:
            await send(Transport.GRPC, again.addresses, rest)
        assert (await again.end(signal.SIGTERM))[0] == 0
        await sink.stop()
        return acknowledged, sink

    return asyncio.run(run())


def names(sent: Sequence[Delivery]) -> set[str]:
    """A name for each record of some deliveries."""
    return {name for delivery in sent for name in record_names(delivery.signal, protobuf_body(delivery))}


def forwarded(sink: OtlpSink) -> set[str]:
    """A name for each record that arrived."""
    return {name for kind in Signal for body in sink.bodies[kind] for name in record_names(kind, body)}


def our_series(sink: OtlpSink) -> dict[tuple[str, object], list[SumPoint]]:
    """Every point of every series of ours, in order of arrival."""
    series: dict[tuple[str, object], list[SumPoint]] = {}
    for body in sink.bodies[Signal.METRICS]:
        for point in decode_sums(body):
            if point.metric in set(Metric):
                series.setdefault((point.metric, point.attributes), []).append(point)
    return series


def assert_no_series_goes_back(sink: OtlpSink) -> None:
    """One start time for the life of the ledger, and no series that only rises ever goes back."""
    for key, points in our_series(sink).items():
        assert {point.start_unix_nano for point in points} == {points[0].start_unix_nano}, key
        if points[0].monotonic:
            assert all(earlier.value <= later.value for earlier, later in pairwise(points)), key
