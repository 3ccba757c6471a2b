"""`kill -9` at random moments under load, again and again: nothing acknowledged is lost, nothing is counted twice.

Five kills by default; `make crash` asks for fifty (SPANLEDGER_TEST_KILLS).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from spanledger.core.delivery import Delivery
from spanledger.core.errors import RetryableError
from spanledger.exporter.client import Accepted, Deferred, Destination, OtlpClient
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.exporter.http_client import HttpClient
from spanledger.service.runtime import Addresses
from spanledger.service.sink import OtlpSink
from support.kills import assert_no_series_goes_back, forwarded, names
from support.processes import start_serve
from support.replaying import read_folder, replay_folders
from support.serving import standing
from support.splitting import protobuf_body, split_records
from support.truth import CAPTURES

KILLS = int(os.environ.get("SPANLEDGER_TEST_KILLS", "5"))
FOLDERS = [CAPTURES / name for name in ("s03_subagent", "s06b_permission_prompts", "s23_no_session_id")]
SENDERS = 8
AT_ONCE = {
    "SPANLEDGER_SETTLE__RESIDUAL_WAIT_SECONDS": "0",
    "SPANLEDGER_FORWARD__RETRY__MAX_DELAY_SECONDS": "0.2",
    "SPANLEDGER_FORWARD__FLUSH_TIMEOUT_SECONDS": "60",
}


def work(rng: random.Random) -> list[Delivery]:
    """Every record in one delivery, so that no second one makes up for what is lost: in its body, or alone."""
    bodies = [body.delivery for folder in FOLDERS for body in read_folder(folder)]
    return [one for body in bodies for one in (split_records(body) if rng.random() < 0.5 else [body])]


async def send_some(addresses: Addresses, waiting: list[Delivery], acknowledged: list[Delivery], enough: int) -> None:
    """Many senders at once until so many were acknowledged; what got no answer goes back to what waits."""
    until = len(acknowledged) + enough
    reached = asyncio.Event()

    async def sender(client: OtlpClient) -> None:
        while waiting and len(acknowledged) < until:
            delivery = waiting.pop()
            try:
                outcome = await client.export(delivery.signal, protobuf_body(delivery))
            except asyncio.CancelledError:
                waiting.append(delivery)
                raise
            if isinstance(outcome, Deferred):
                waiting.append(delivery)
                continue
            assert outcome == Accepted(), (outcome, delivery)
            acknowledged.append(delivery)
        if len(acknowledged) >= until:
            reached.set()

    clients: list[OtlpClient] = [GrpcClient(Destination(f"http://{addresses.grpc}")) for _ in range(SENDERS // 2)]
    clients += [HttpClient(Destination(f"http://{addresses.http}")) for _ in range(SENDERS // 2)]
    tasks = [asyncio.create_task(sender(client)) for client in clients]
    ends = asyncio.gather(*tasks, return_exceptions=True)
    enough_sent = asyncio.create_task(reached.wait())
    await asyncio.wait([ends, enough_sent], return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, enough_sent):
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [end for end in ends if isinstance(end, AssertionError)] == []
    for client in clients:
        await client.close()


@pytest.mark.parametrize("away", [False, True], ids=["destination up", "destination away half the time"])
def test_kills_at_random_moments_under_load(away: bool, tmp_path: Path) -> None:
    seed = int(os.environ.get("SPANLEDGER_TEST_SEED", random.SystemRandom().randrange(10**9)))
    print(f"SPANLEDGER_TEST_SEED={seed}")  # noqa: T201 - shown when the test fails
    rng = random.Random(seed)
    reference = replay_folders(FOLDERS, tmp_path / "reference.db")
    ledger_path = tmp_path / "ledger.db"
    waiting, acknowledged = work(rng), []
    sent = names(waiting)
    rng.shuffle(waiting)
    every = len(waiting) // (KILLS + 1)

    async def run() -> OtlpSink:
        sink = OtlpSink()
        await sink.start()
        for kill in range(KILLS):
            if away and kill % 2:
                sink.answers.extend([RetryableError("away")] * 10_000)
            serving = await start_serve(ledger_path, "--otlp-endpoint", sink.grpc_endpoint, environ=AT_ONCE)
            await send_some(serving.addresses, waiting, acknowledged, rng.randint(1, max(1, every)))
            await serving.end(signal.SIGKILL)
            sink.answers.clear()
        last = await start_serve(ledger_path, "--otlp-endpoint", sink.grpc_endpoint, environ=AT_ONCE)
        while waiting:
            await send_some(last.addresses, waiting, acknowledged, len(waiting))
        assert (await last.end(signal.SIGTERM))[0] == 0
        await sink.stop()
        return sink

    sink = asyncio.run(run())
    left = standing(ledger_path)
    assert left.problems == []
    assert left.balances == reference.balances
    assert sink.metric_totals() == left.figures.metrics
    assert sent - forwarded(sink) == set()
    assert_no_series_goes_back(sink)
