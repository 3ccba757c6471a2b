"""`kill -9` at random moments under load, again and again: nothing acknowledged is lost, nothing is counted twice.

Five kills by default; `make crash` asks for fifty (SPANLEDGER_TEST_KILLS).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from spanledger.config.settings import load_settings
from spanledger.core.delivery import Delivery
from spanledger.core.errors import RetryableError
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Deferred, Destination, OtlpClient
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.exporter.http_client import HttpClient
from spanledger.service.sink import OtlpSink
from support.collectors import until
from support.flapping import FlappingWay
from support.kills import assert_no_series_goes_back, forwarded, names
from support.processes import Serving, start_serve
from support.replaying import Replayed, feed, open_parts, read_folder, replay_folders
from support.serving import CENTURY_SECONDS, standing
from support.splitting import protobuf_body, split_records
from support.telling import NOW
from support.truth import CAPTURES

KILLS = int(os.environ.get("SPANLEDGER_TEST_KILLS", "5"))
A_FEW = [CAPTURES / name for name in ("s03_subagent", "s06b_permission_prompts", "s23_no_session_id")]
ALL = sorted(folder for folder in CAPTURES.iterdir() if folder.is_dir() and folder.name != "s17b_http_503_429")
"""But the one whose client sends records twice."""
FOLDERS = ALL if KILLS > 10 else A_FEW
SENDERS = 8
TIMEOUT_SECONDS = 60
AT_ONCE = {
    "SPANLEDGER_SETTLE__RESIDUAL_WAIT_SECONDS": "0",
    "SPANLEDGER_FORWARD__RETRY__MAX_DELAY_SECONDS": "0.2",
    "SPANLEDGER_FORWARD__FLUSH_TIMEOUT_SECONDS": "60",
}


def work(rng: random.Random) -> list[Delivery]:
    """Every record in one delivery, so that no second one makes up for what is lost: in its body, or alone."""
    bodies = [body.delivery for folder in FOLDERS for body in read_folder(folder)]
    return [one for body in bodies for one in (split_records(body) if rng.random() < 0.5 else [body])]


@dataclass(slots=True)
class Load:
    """What is sent, and what became of it. `unanswered` may be booked or not, and is not sent again."""

    waiting: list[Delivery]
    tries_again: bool
    acknowledged: list[Delivery] = field(default_factory=list)
    unanswered: list[Delivery] = field(default_factory=list)

    def not_heard(self, delivery: Delivery) -> None:
        """Note that a delivery got no answer, or one that it should be sent again."""
        (self.waiting if self.tries_again else self.unanswered).append(delivery)


async def send_some(serving: Serving, load: Load, enough: int, *, kill: bool) -> None:
    """Many senders at once until so many were acknowledged; then the service is killed while they go on."""
    until = len(load.acknowledged) + enough
    reached = asyncio.Event()

    async def sender(client: OtlpClient) -> None:
        while load.waiting and (kill or len(load.acknowledged) < until):
            delivery = load.waiting.pop()
            try:
                outcome = await client.export(delivery.signal, protobuf_body(delivery))
            except asyncio.CancelledError:
                load.not_heard(delivery)
                raise
            if isinstance(outcome, Deferred):
                load.not_heard(delivery)
                return
            assert outcome == Accepted(), (outcome, delivery)
            load.acknowledged.append(delivery)
            if len(load.acknowledged) >= until:
                reached.set()

    addresses = serving.addresses
    clients: list[OtlpClient] = [GrpcClient(Destination(f"http://{addresses.grpc}")) for _ in range(SENDERS // 2)]
    clients += [HttpClient(Destination(f"http://{addresses.http}")) for _ in range(SENDERS // 2)]
    tasks = [asyncio.create_task(sender(client)) for client in clients]
    ends = asyncio.gather(*tasks, return_exceptions=True)
    enough_sent = asyncio.create_task(reached.wait())
    await asyncio.wait([ends, enough_sent], return_when=asyncio.FIRST_COMPLETED)
    if kill:
        await serving.end(signal.SIGKILL)
    for task in (*tasks, enough_sent):
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [end for end in ends if isinstance(end, AssertionError)] == []
    for client in clients:
        await client.close()


def booked_once(load: Load, sink: OtlpSink, folder: Path) -> Replayed:
    """A ledger that took what was acknowledged, and what of the rest has left the service, each once."""
    arrived = forwarded(sink)
    booked = load.acknowledged + [one for one in load.unanswered if names([one]) & arrived]
    settings = load_settings(None, {}, {"settle.clock_skew_max_seconds": str(CENTURY_SECONDS)})
    parts = open_parts(folder / "booked.db", settings=settings)
    left = feed(parts, [[one] for one in booked], [NOW] * len(booked))
    parts.ledger.close()
    return left


def waiting_payloads(serving: Serving) -> int:
    answer = requests.get(f"http://{serving.addresses.admin}/readyz", timeout=10)
    return int(answer.json()["outbox.default"])


@pytest.mark.parametrize("comes_and_goes", [False, True], ids=["destination up", "destination comes and goes"])
@pytest.mark.parametrize("tries_again", [True, False], ids=["senders try again", "senders never try again"])
def test_kills_at_random_moments_under_load(tries_again: bool, comes_and_goes: bool, tmp_path: Path) -> None:
    """A destination that comes and goes refuses all in every other life, and is cut off every moment in all of them."""
    seed = int(os.environ.get("SPANLEDGER_TEST_SEED", random.SystemRandom().randrange(10**9)))
    print(f"SPANLEDGER_TEST_SEED={seed}")  # noqa: T201 - shown when the test fails
    rng = random.Random(seed)
    ledger_path = tmp_path / "ledger.db"
    load = Load(work(rng), tries_again)
    sent = names(load.waiting)
    assert len(sent) == sum(len(names([one])) for one in load.waiting)
    rng.shuffle(load.waiting)
    every = len(load.waiting) // (KILLS + 1)

    async def run() -> OtlpSink:
        sink = OtlpSink()
        await sink.start()
        flapping = FlappingWay(sink.grpc_endpoint.removeprefix("http://"), rng)
        endpoint = await flapping.start() if comes_and_goes else sink.grpc_endpoint
        for kill in range(KILLS):
            if comes_and_goes and kill % 2:
                sink.answers.extend([RetryableError("away")] * 10_000)
            serving = await start_serve(ledger_path, "--otlp-endpoint", endpoint, environ=AT_ONCE)
            await send_some(serving, load, rng.randint(1, max(1, every)), kill=True)
            sink.answers.clear()
        last = await start_serve(ledger_path, "--otlp-endpoint", endpoint, environ=AT_ONCE)
        while load.waiting:
            await send_some(last, load, len(load.waiting), kill=False)
        if comes_and_goes:
            await until(lambda: flapping.cuts > 0, TIMEOUT_SECONDS, "something was cut off")
            await flapping.calm()
            before = len(sink.bodies[Signal.METRICS])
            await sink.wait_for(lambda: len(sink.bodies[Signal.METRICS]) > before, TIMEOUT_SECONDS)
        await until(lambda: waiting_payloads(last) == 0, TIMEOUT_SECONDS, "everything has been sent on")
        assert (await last.end(signal.SIGTERM))[0] == 0
        if comes_and_goes:
            await flapping.stop()
        await sink.stop()
        return sink

    sink = asyncio.run(run())
    left = standing(ledger_path)
    assert left.problems == []
    assert names(load.acknowledged) - forwarded(sink) == set()
    if tries_again:
        assert names(load.acknowledged) == sent
        assert left.balances == replay_folders(FOLDERS, tmp_path / "reference.db").balances
    else:
        assert load.unanswered
        assert left.balances == booked_once(load, sink, tmp_path).balances
    assert sink.metric_totals() == left.figures.metrics
    assert_no_series_goes_back(sink)
