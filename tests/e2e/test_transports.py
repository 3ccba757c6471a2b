"""The same work over any transport, in any size of request, gives the same balances and arrives in full."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from spanledger.core.delivery import Delivery, Encoding
from spanledger.core.semconv import Metric
from spanledger.core.usage import Signal
from spanledger.otlp.otlp_json import to_protobuf
from support.replaying import Replayed, read_folder, replay_folders
from support.serving import REQUESTS, Transport, otlp_json, running, send, standing
from support.splitting import protobuf_body, split_records
from support.truth import CAPTURES

FOLDERS = ("s03_subagent", "s07_models", "s11_http_json")


def deliveries_of(name: str) -> list[Delivery]:
    return [body.delivery for body in read_folder(CAPTURES / name)]


def serve(
    transport: Transport, deliveries: Sequence[Delivery], ledger_path: Path, **settings: str
) -> tuple[Replayed, dict[Metric, int]]:
    """Balances of the ledger and totals of the metrics at the sink."""

    async def run() -> dict[Metric, int]:
        async with running(ledger_path, **settings) as up:
            await send(transport, up.addresses, deliveries)
            await up.service.rest()
        return up.sink.metric_totals()

    arrived = asyncio.run(run())
    return standing(ledger_path), arrived


def assert_same(served: tuple[Replayed, dict[Metric, int]], reference: Replayed) -> None:
    left, arrived = served
    assert left.problems == []
    assert left.balances == reference.balances
    assert arrived == left.figures.metrics
    assert arrived[Metric.COST] == left.figures.report.cost_picousd


@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("name", FOLDERS)
def test_every_transport_gives_the_balances_of_a_replay(name: str, transport: Transport, tmp_path: Path) -> None:
    reference = replay_folders([CAPTURES / name], tmp_path / "reference.db")
    assert_same(serve(transport, deliveries_of(name), tmp_path / "ledger.db"), reference)


@pytest.mark.parametrize("transport", list(Transport))
def test_single_records_give_the_same(transport: Transport, tmp_path: Path) -> None:
    folder = CAPTURES / "s03_subagent"
    reference = replay_folders([folder], tmp_path / "reference.db")
    records = [one for delivery in deliveries_of(folder.name) for one in split_records(delivery)]
    assert_same(serve(transport, records, tmp_path / "ledger.db"), reference)


def test_a_collectors_batches_give_the_same_over_http_to_the_destination(tmp_path: Path) -> None:
    """A Collector's batch processor joins what came in 200 ms or 8192 items: here all of a signal is one request."""
    reference = replay_folders([CAPTURES], tmp_path / "reference.db")
    bodies: dict[Signal, list[bytes]] = {signal: [] for signal in Signal}
    for folder in reference_folders():
        for delivery in deliveries_of(folder):
            bodies[delivery.signal].append(protobuf_body(delivery))
    batches = [Delivery(signal, Encoding.PROTOBUF, b"".join(parts)) for signal, parts in bodies.items()]
    served = serve(Transport.GRPC, batches, tmp_path / "ledger.db", exporter__protocol="http/protobuf")
    assert_same(served, reference)


def reference_folders() -> list[str]:
    return sorted(str(path.parent.relative_to(CAPTURES)) for path in CAPTURES.rglob("truth.json"))


@pytest.mark.parametrize("signal", list(Signal))
def test_json_and_protobuf_of_one_request_are_the_same_request(signal: Signal) -> None:
    """The expectation is protobuf's own JSON mapping, with the hex ids that OTLP asks for."""
    bodies = [d.body for d in deliveries_of("s03_subagent") if d.signal is signal]
    for body in bodies:
        converted = to_protobuf(signal, otlp_json(signal, body))
        assert converted.problems == ()
        # The client also encodes defaults: compare what is said, not the bytes.
        assert REQUESTS[signal].FromString(converted.body) == REQUESTS[signal].FromString(body)
