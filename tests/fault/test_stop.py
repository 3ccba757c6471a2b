"""The stop ends in time, whatever hangs: the ledger, a destination, a sender. Nothing acknowledged is lost by it."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

from spanledger.core.delivery import Delivery, Undecided
from spanledger.core.reasons import Reason
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Deferred, Destination
from spanledger.exporter.http_client import HttpClient
from spanledger.telemetry import Counter
from support.collectors import until
from support.hostile import field, log_record, request, text
from support.processes import start_serve
from support.replaying import read_folder, replay_folders
from support.serving import Transport, running, send, standing
from support.splitting import protobuf_body
from support.truth import CAPTURES

FOLDER = CAPTURES / "s03_subagent"
BOUND_SECONDS = 30
"""docs/operate/health.md, and what Kubernetes waits before it kills."""


def deliveries() -> list[Delivery]:
    return [body.delivery for body in read_folder(FOLDER)]


@contextmanager
def held(ledger: Path) -> Iterator[None]:
    """Another program holds the ledger, as a shell does in which somebody forgot to commit."""
    with closing(sqlite3.connect(ledger, isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@asynccontextmanager
async def silent_destination() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A destination that takes every connection and answers nothing, as its URL; the event says that somebody came."""
    came = asyncio.Event()
    connections = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        came.set()
        while await reader.read(2**16):
            pass

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", came
    finally:
        server.close()
        for writer in connections:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in connections), return_exceptions=True)


def test_a_process_whose_ledger_another_program_holds_leaves_in_time(tmp_path: Path) -> None:
    reference = replay_folders([FOLDER], tmp_path / "reference.db")
    path = tmp_path / "ledger.db"
    settings = {
        "SPANLEDGER_LEDGER__COMMIT_WAIT_SECONDS": "0.2",
        "SPANLEDGER_SETTLE__RESIDUAL_WAIT_SECONDS": "0",
    }

    async def run() -> float:
        up = await start_serve(path, environ=settings)
        first, *rest = deliveries()
        await send(Transport.GRPC, up.addresses, [first])
        with held(path):
            sender = HttpClient(Destination(f"http://{up.addresses.http}"))
            for one in rest:
                assert isinstance(await sender.export(one.signal, protobuf_body(one)), Deferred)
            await sender.close()
            began = time.monotonic()
            code, _ = await asyncio.wait_for(up.end(signal.SIGTERM), 3 * BOUND_SECONDS)
            took_seconds = time.monotonic() - began
            assert code == 0
        again = await start_serve(path, environ=settings)
        await send(Transport.HTTP_PROTOBUF, again.addresses, deliveries())
        assert (await again.end(signal.SIGTERM))[0] == 0
        return took_seconds

    assert asyncio.run(run()) < BOUND_SECONDS
    left, meant = standing(path).figures.report, reference.figures.report
    assert (left.cost_picousd, left.requests, left.groups) == (meant.cost_picousd, meant.requests, meant.groups)


def test_a_destination_that_never_answers_does_not_keep_the_service(tmp_path: Path) -> None:
    async def run() -> None:
        async with silent_destination() as (url, came):
            more = {"exporter__endpoint": url, "exporter__protocol": "http/protobuf"}
            more |= {"exporter__timeout_seconds": "3600", "forward__flush_timeout_seconds": "0.2"}
            async with running(tmp_path / "ledger.db", **more) as up:
                await send(Transport.HTTP_PROTOBUF, up.addresses, deliveries())
                await asyncio.wait_for(came.wait(), 30)
                await asyncio.wait_for(up.service.stop(), BOUND_SECONDS)

    asyncio.run(run())
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
        (waiting,) = ledger.execute("SELECT count(*) FROM outbox").fetchone()
    assert waiting == len(deliveries())


def big_request(size_bytes: int, number: int) -> bytes:
    """A valid request of one log record that nobody charges."""
    return request(log_record(more=field(5, text(f"{number:08d}" + "x" * size_bytes))))


def test_what_senders_gave_up_keeps_its_room_until_the_ledger_has_taken_it(tmp_path: Path) -> None:
    """Senders that come back again and again to a held ledger: memory stays within `receiver.max_buffered_bytes`."""
    size_bytes, buffered_bytes = 60_000, 200_000  # three fit
    limits = {
        "receiver__max_request_bytes": str(100_000),
        "receiver__max_inflated_bytes": str(100_000),
        "receiver__max_buffered_bytes": str(buffered_bytes),
        "ledger__commit_wait_seconds": "0.05",
    }

    async def run() -> None:
        path = tmp_path / "ledger.db"
        async with running(path, **limits) as up:
            await until(lambda: up.service.watch.is_proven, 30, "the start is over")
            sender = HttpClient(Destination(f"http://{up.addresses.http}"))
            said = []
            with held(path):
                for number in range(10):
                    outcome = await sender.export(Signal.LOGS, big_request(size_bytes, number))
                    assert isinstance(outcome, Deferred)
                    said.append("too many bytes" in outcome.reason)
                undecided = up.service._worker.undecided
                assert undecided.bytes <= buffered_bytes
                assert (undecided.deliveries, said) == (3, [False] * 3 + [True] * 7)
                assert up.service.counters.by_label(Counter.REFUSED) == {Reason.NOT_DURABLE: 3, Reason.TOO_BUSY: 7}
            await until(lambda: up.service._worker.undecided == Undecided(), 30, "the ledger has taken them")
            for number in range(10):
                assert await sender.export(Signal.LOGS, big_request(size_bytes, number)) == Accepted()
            await sender.close()

    asyncio.run(run())
