"""The ledger's file moved or deleted under the service: nothing more is acknowledged, what was can be brought back."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
from pathlib import Path

import pytest
import requests

from spanledger.core.delivery import Delivery
from spanledger.core.events import Event
from spanledger.exporter.client import Accepted, Deferred, Destination
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.exporter.http_client import HttpClient
from spanledger.ledger.faults import Fault
from support.collectors import until
from support.processes import start_serve
from support.replaying import read_folder, replay_folders
from support.serving import Transport, running, send, standing
from support.splitting import protobuf_body
from support.truth import CAPTURES

FOLDER = CAPTURES / "s03_subagent"
PARTS = ("", "-wal", "-shm")
PAGE = (Path(__file__).parents[2] / "docs" / "operate" / "ledger.md").read_text(encoding="utf-8")
THE_PAGES_COMMANDS = PAGE.partition("## The ledger's file is gone")[2].partition("```sh\n")[2].partition("```")[0]


def deliveries() -> list[Delivery]:
    return [body.delivery for body in read_folder(FOLDER)]


def moved(path: Path, folder: Path) -> None:
    """Move a ledger with all that belongs to it, as somebody who tidies up does."""
    folder.mkdir(exist_ok=True)
    for part in PARTS:
        file = path.with_name(path.name + part)
        file.rename(folder / file.name)


def test_a_moved_ledger_takes_nothing_until_it_is_back(tmp_path: Path) -> None:
    reference = replay_folders([FOLDER], tmp_path / "reference.db")
    path, elsewhere = tmp_path / "ledger.db", tmp_path / "elsewhere"

    async def run() -> None:
        async with running(path) as up:
            first, *rest = deliveries()
            await send(Transport.GRPC, up.addresses, [first])
            moved(path, elsewhere)
            for client, address in ((GrpcClient, up.addresses.grpc), (HttpClient, up.addresses.http)):
                sender = client(Destination(f"http://{address}"))
                outcome = await sender.export(rest[0].signal, protobuf_body(rest[0]))
                await sender.close()
                assert isinstance(outcome, Deferred), outcome
                assert outcome.retry_after_seconds == 2.0
                assert Fault.MOVED.advice in outcome.reason
                assert str(tmp_path) not in outcome.reason
            assert up.service.watch.fault is Fault.MOVED
            for part in PARTS:
                (elsewhere / f"ledger.db{part}").rename(tmp_path / f"ledger.db{part}")
            await until(lambda: up.service.watch.fault is None, 30, "the recovery is seen")
            await send(Transport.HTTP_PROTOBUF, up.addresses, deliveries())
            await up.service.rest()

    asyncio.run(run())
    assert standing(path).balances == reference.balances


@pytest.mark.parametrize("part", PARTS)
def test_it_is_seen_though_nobody_sends_and_metrics_go_on(part: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path / "ledger.db") as up:
            await until(lambda: up.service.watch.is_proven, 30, "the start has proven that the disk takes something")
            (tmp_path / f"ledger.db{part}").unlink()
            await until(lambda: up.service.watch.fault is Fault.MOVED, 30, "the loss is seen")
            admin = f"http://{up.addresses.admin}"
            ready = await asyncio.to_thread(requests.get, f"{admin}/readyz", timeout=10)
            assert (ready.status_code, ready.json()["ledger"]) == (503, "moved")
            metrics = await asyncio.to_thread(requests.get, f"{admin}/metrics", timeout=10)
            (writable,) = re.findall(r"^spanledger_ledger_writable\S* (\S+)", metrics.text, re.MULTILINE)
            assert float(writable) == 0.0

    asyncio.run(run())


def test_a_deleted_ledger_is_brought_back_from_the_running_process(tmp_path: Path) -> None:
    """As the page says: the process still holds the file and its log."""
    reference = replay_folders([FOLDER], tmp_path / "reference.db")
    path = tmp_path / "ledger.db"
    at_once = {"SPANLEDGER_SETTLE__RESIDUAL_WAIT_SECONDS": "0"}

    async def run() -> tuple[int, str]:
        up = await start_serve(path, environ=at_once)
        await send(Transport.GRPC, up.addresses, deliveries())
        for part in PARTS:
            (tmp_path / f"ledger.db{part}").unlink()
        sender = HttpClient(Destination(f"http://{up.addresses.http}"))
        assert isinstance(await sender.export(deliveries()[0].signal, protobuf_body(deliveries()[0])), Deferred)
        await sender.close()
        await asyncio.to_thread(subprocess.run, THE_PAGES_COMMANDS, shell=True, cwd=tmp_path, check=True)
        code, said = await up.end(signal.SIGTERM)
        again = await start_serve(path, environ=at_once)
        sender = HttpClient(Destination(f"http://{again.addresses.http}"))
        assert await sender.export(deliveries()[0].signal, protobuf_body(deliveries()[0])) == Accepted()
        await sender.close()
        assert (await again.end(signal.SIGTERM))[0] == 0
        return code, said

    code, said = asyncio.run(run())
    assert code == 0
    assert said.count(f"{Event.LEDGER_FAULT}: {Fault.MOVED.advice}") == 1
    assert Event.LEDGER_GONE not in said
    left, meant = standing(path).figures.report, reference.figures.report
    assert (left.cost_picousd, left.requests, left.groups) == (meant.cost_picousd, meant.requests, meant.groups)
