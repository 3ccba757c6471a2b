"""A disk that really is full, under a service that runs: nothing acknowledged is lost, and it goes on by itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from spanledger.core.delivery import Delivery, Receipt
from spanledger.core.errors import RetryableError
from spanledger.core.events import Event
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Deferred, Destination, OtlpClient
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.exporter.http_client import HttpClient
from spanledger.service.sink import OtlpSink
from support.backends import scraped
from support.collectors import until
from support.kills import assert_no_series_goes_back, forwarded, names, record_names
from support.processes import Serving, start_serve
from support.replaying import read_folder, replay_folders
from support.serving import standing
from support.small_disk import SmallDisk, small_disk
from support.splitting import protobuf_body, split_records
from support.truth import CAPTURES

FOLDER = CAPTURES / "s03_subagent"
MIB = 2**20
AT_ONCE = {"SPANLEDGER_SETTLE__RESIDUAL_WAIT_SECONDS": "0", "SPANLEDGER_FORWARD__FLUSH_TIMEOUT_SECONDS": "60"}
TIMEOUT_SECONDS = 60


RETRY = {
    "SPANLEDGER_FORWARD__RETRY__INITIAL_DELAY_SECONDS": "0.05",
    "SPANLEDGER_FORWARD__RETRY__MAX_DELAY_SECONDS": "0.1",
}


class AwaySink(OtlpSink):
    """Takes metrics, and nothing else while it is away."""

    is_away = True

    async def consume(self, delivery: Delivery) -> Receipt:
        if self.is_away and delivery.signal is not Signal.METRICS:
            raise RetryableError("away", retry_after_seconds=0.0)
        return await super().consume(delivery)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 16 * MIB) as mounted:
        yield mounted


def deliveries() -> list[Delivery]:
    """A record each, so that it takes many commits to fill the disk."""
    return [one for body in read_folder(FOLDER) for one in split_records(body.delivery)]


def readiness(serving: Serving) -> tuple[int, str]:
    answer = requests.get(f"http://{serving.addresses.admin}/readyz", timeout=10)
    return answer.status_code, str(answer.json()["ledger"])


def metric(serving: Serving, name: str) -> float:
    assert serving.addresses.admin is not None
    return sum(sample.value for sample in scraped(serving.addresses.admin) if sample.name == name)


def writable(serving: Serving) -> float:
    return metric(serving, "spanledger_ledger_writable_ratio")


async def send_until_full(client: OtlpClient, waiting: list[Delivery]) -> Deferred:
    """Send one after the other, take out what is acknowledged, and give the first refusal."""
    while waiting:
        outcome = await client.export(waiting[-1].signal, protobuf_body(waiting[-1]))
        if isinstance(outcome, Deferred):
            return outcome
        assert outcome == Accepted()
        waiting.pop()
    raise AssertionError("the disk did not fill up")


def test_a_full_disk_is_told_loses_nothing_and_is_written_again_without_a_restart(
    disk: SmallDisk, tmp_path: Path
) -> None:
    reference = replay_folders([FOLDER], tmp_path / "reference.db")
    waiting = deliveries()[::-1]

    async def run() -> tuple[OtlpSink, str]:
        sink = OtlpSink()
        await sink.start()
        to_sink = ("--otlp-endpoint", sink.grpc_endpoint)
        serving = await start_serve(disk.inside / "ledger.db", *to_sink, environ=AT_ONCE, prefix=disk.command)
        over = {GrpcClient: serving.addresses.grpc, HttpClient: serving.addresses.http}
        disk.fill(left_bytes=MIB // 4)
        for kind, address in over.items():
            client = kind(Destination(f"http://{address}"))
            refused = await send_until_full(client, waiting)
            await client.close()
            assert refused.retry_after_seconds == 2.0
            assert "the disk of the ledger is full" in refused.reason
            assert str(disk.inside) not in refused.reason
        assert await asyncio.to_thread(readiness, serving) == (503, "full")
        assert await asyncio.to_thread(writable, serving) == 0
        alive = await asyncio.to_thread(requests.get, f"http://{serving.addresses.admin}/healthz", timeout=10)
        assert alive.status_code == 200
        disk.empty()
        # Nobody sends: it looks by itself.
        await until(lambda: readiness(serving) == (200, "writable"), TIMEOUT_SECONDS, "it is ready again")
        client = HttpClient(Destination(f"http://{serving.addresses.http}"))
        for delivery in waiting:
            assert await client.export(delivery.signal, protobuf_body(delivery)) == Accepted()
        await client.close()
        code, said = await serving.end(signal.SIGTERM)
        assert code == 0
        await sink.stop()
        return sink, said

    sink, said = asyncio.run(run())
    for event in (Event.LEDGER_FAULT, Event.LEDGER_RECOVERED):
        assert said.count(event) in (1, 2)  # a smaller commit may find room a while; repeats are one more line
    left = standing(disk.copied("ledger.db", tmp_path))
    assert left.problems == []
    assert left.balances == reference.balances
    assert sink.metric_totals() == left.figures.metrics
    assert names(deliveries()) - forwarded(sink) == set()
    assert_no_series_goes_back(sink)


def test_what_a_full_disk_keeps_in_the_outbox_is_sent_once(disk: SmallDisk) -> None:
    waiting = [one for one in deliveries() if one.signal is not Signal.METRICS]
    sent = list(waiting)
    failed = "spanledger_commits_failed_total"

    async def run() -> tuple[OtlpSink, str]:
        sink = AwaySink()
        await sink.start()
        to_sink = ("--otlp-endpoint", sink.grpc_endpoint)
        serving = await start_serve(disk.inside / "ledger.db", *to_sink, environ=AT_ONCE | RETRY, prefix=disk.command)
        client = HttpClient(Destination(f"http://{serving.addresses.http}"))
        first = waiting.pop()
        assert await client.export(first.signal, protobuf_body(first)) == Accepted()
        disk.fill(left_bytes=MIB // 4)
        await send_until_full(client, waiting)
        await client.close()
        sink.is_away = False
        await until(
            lambda: bool(sink.bodies[Signal.LOGS] or sink.bodies[Signal.TRACES]),
            TIMEOUT_SECONDS,
            "the destination has a batch",
        )
        before = await asyncio.to_thread(metric, serving, failed)
        await until(lambda: metric(serving, failed) > before + 5, TIMEOUT_SECONDS, "taking it out was tried again")
        disk.empty()
        pending = "spanledger_outbox_payloads"
        await until(
            lambda: metric(serving, pending) == 0, TIMEOUT_SECONDS, "it is out, and so is what waited behind it"
        )
        code, said = await serving.end(signal.SIGTERM)
        assert code == 0
        await sink.stop()
        return sink, said

    sink, said = asyncio.run(run())
    arrived = [
        name for kind in (Signal.LOGS, Signal.TRACES) for body in sink.bodies[kind] for name in record_names(kind, body)
    ]
    assert len(arrived) == len(set(arrived))
    acknowledged = sent[len(waiting) :]
    assert names(acknowledged) - set(arrived) == set()
    assert Event.LEDGER_COMMIT_FAILED not in said
    assert Event.SERVICE_WORK_FAILED not in said
