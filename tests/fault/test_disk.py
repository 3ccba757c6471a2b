"""Faults of the ledger's disk: a clear state, an answer that makes senders try again, recovery without a person."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from io import StringIO
from pathlib import Path

import pytest

from spanledger.config.sections import Log
from spanledger.core.delivery import Delivery
from spanledger.core.errors import ConfigError
from spanledger.core.events import Event
from spanledger.core.reasons import Reason
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Deferred, Destination
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.exporter.http_client import HttpClient
from spanledger.ledger.damage import damage_mark
from spanledger.ledger.database import Database
from spanledger.ledger.faults import Fault, fault_of
from spanledger.logs import start_logs
from spanledger.service.sink import OtlpSink
from spanledger.telemetry import Counter
from support.collectors import until
from support.logged import messages_of
from support.processes import start_serve
from support.replaying import read_folder, replay_folders
from support.serving import Running, Transport, running, send, standing
from support.splitting import protobuf_body
from support.truth import CAPTURES

FOLDER = CAPTURES / "s03_subagent"
Setting = Callable[[sqlite3.Connection], None]


@contextmanager
def logged() -> Iterator[StringIO]:
    """The log as the service writes it by default."""
    stream, settings = StringIO(), Log()
    handler = start_logs(settings.format, settings.level, settings.repeat_interval_seconds, stream)
    try:
        yield stream
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def deliveries() -> list[Delivery]:
    return [body.delivery for body in read_folder(FOLDER)]


def no_room(connection: sqlite3.Connection) -> None:
    """SQLite itself then says FULL, as it does when the disk is."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")


def room(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA max_page_count = 1000000")


def read_only(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = ON")


def no_longer_files(connection: sqlite3.Connection) -> None:
    """The system then refuses to write: SQLite says IOERR, as it does when the disk fails."""
    ledger = Path(connection.execute("PRAGMA database_list").fetchone()[2])
    longest = max(ledger.stat().st_size, ledger.with_name(f"{ledger.name}-wal").stat().st_size)
    resource.setrlimit(resource.RLIMIT_FSIZE, (longest, resource.RLIM_INFINITY))


def longer_files(_: sqlite3.Connection) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def writable(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = OFF")


async def set_on_the_ledgers_thread(up: Running, setting: Setting) -> None:
    connection = up.service._parts.ledger.database.connection
    await up.service._worker.run(lambda: setting(connection))


@pytest.mark.parametrize(
    ("fault", "fail", "mend"),
    [
        (Fault.FULL, no_room, room),
        (Fault.READ_ONLY, read_only, writable),
        (Fault.INPUT_OUTPUT, no_longer_files, longer_files),
    ],
)
def test_a_disk_that_takes_nothing_loses_nothing_and_recovers_by_itself(
    fault: Fault, fail: Setting, mend: Setting, tmp_path: Path
) -> None:
    reference = replay_folders([FOLDER], tmp_path / "reference.db")

    async def run() -> None:
        async with running(tmp_path / "ledger.db") as up:
            first, *rest = deliveries()
            await send(Transport.GRPC, up.addresses, [first])
            await set_on_the_ledgers_thread(up, fail)
            refused = []
            for client in (GrpcClient, HttpClient):
                sender = client(
                    Destination(f"http://{up.addresses.grpc if client is GrpcClient else up.addresses.http}")
                )
                while not isinstance(outcome := await sender.export(rest[0].signal, protobuf_body(rest[0])), Deferred):
                    assert outcome == Accepted()  # a page or two may still be free
                    rest.append(rest.pop(0))
                refused.append(outcome)
                await sender.close()
            assert up.service.watch.fault is fault
            assert up.service.counters.snapshot()[Counter.COMMITS_FAILED] >= len(refused)
            assert up.service.counters.by_label(Counter.REFUSED) == {Reason.NOT_DURABLE: len(refused)}
            for outcome in refused:
                assert outcome.retry_after_seconds == 2.0
                assert fault.advice in outcome.reason
                assert str(tmp_path) not in outcome.reason
            await set_on_the_ledgers_thread(up, mend)
            await send(Transport.HTTP_PROTOBUF, up.addresses, deliveries())
            assert up.service.watch.fault is None
            await up.service.rest()

    with logged() as log:
        asyncio.run(run())
        # On a full disk a small commit may find room, and mend the state a while: the repeats are folded.
        assert log.getvalue().count(f"{Event.LEDGER_FAULT}: {fault.advice}") == 1
        assert log.getvalue().count(Event.LEDGER_RECOVERED) == 1
    assert standing(tmp_path / "ledger.db").balances == reference.balances


def test_the_state_is_seen_though_nobody_sends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A load balancer that takes an unready service out of rotation sends it nothing that would show its recovery."""

    async def run() -> None:
        async with running(tmp_path / "ledger.db") as up:
            watch = up.service.watch
            await until(lambda: watch.is_proven, 30, "the start has proven that the disk takes something")
            await set_on_the_ledgers_thread(up, read_only)
            watch.written_at_seconds = None
            await until(lambda: watch.fault is not None, 30, "the fault is seen")
            failed = up.service.counters.snapshot
            before = failed()[Counter.COMMITS_FAILED]
            await until(lambda: failed()[Counter.COMMITS_FAILED] > before + 3, 30, "it is tried again")
            assert messages_of(caplog, Event.LEDGER_RECOVERED) == [], "nothing was written that would show it"
            await set_on_the_ledgers_thread(up, writable)
            await until(lambda: watch.fault is None, 30, "the recovery is seen")

    asyncio.run(run())


def test_a_ledger_is_not_called_writable_without_a_proof(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path / "ledger.db") as up:
            await until(lambda: up.service.watch.is_proven, 30, "the start has proven that the disk takes something")
            await set_on_the_ledgers_thread(up, read_only)
            up.service.watch.written_at_seconds = None
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                await asyncio.wait_for(up.service._watch_disk(), 30)
            assert not up.service.watch.is_proven
            await set_on_the_ledgers_thread(up, writable)

    asyncio.run(run())


def test_what_cannot_be_taken_out_of_the_outbox_is_sent_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    retry = {"forward__retry__initial_delay_seconds": "0.01", "forward__retry__max_delay_seconds": "0.02"}
    log = next(one for one in deliveries() if one.signal is Signal.LOGS)

    async def run() -> OtlpSink:
        async with running(path, **retry) as up:
            await until(lambda: up.service.watch.is_proven, 30, "the start has proven that the disk takes something")
            await set_on_the_ledgers_thread(up, read_only)
            with closing(sqlite3.connect(path, isolation_level=None)) as beside:
                now = time.time_ns()
                beside.execute(
                    "INSERT INTO outbox (signal, body, received_unix_nano, ready_unix_nano, sealed) "
                    "VALUES (?, ?, ?, ?, 1)",
                    (log.signal.value, protobuf_body(log), now, now),
                )
                beside.execute("INSERT INTO departure SELECT 'default', signal, id, length(body) FROM outbox")
            up.service._notify()
            counters = up.service.counters
            await until(lambda: counters.snapshot()[Counter.COMMITS_FAILED] >= 5, 30, "removing it was tried again")
            assert up.service.watch.fault is Fault.READ_ONLY
            assert counters.by_label(Counter.PAYLOADS_FORWARDED).get("default", 0) == 0
            await set_on_the_ledgers_thread(up, writable)
            await until(lambda: counters.by_label(Counter.PAYLOADS_FORWARDED).get("default") == 1, 30, "it is out")
            assert up.service._parts.ledger.outbox.oldest_unix_nano() is None
            return up.sink

    assert len(asyncio.run(run()).bodies[Signal.LOGS]) == 1


def test_a_fault_is_seen_in_a_group_of_errors() -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    assert fault_of(ExceptionGroup("tasks", [ValueError(), ExceptionGroup("inner", [full])])) is Fault.FULL
    assert fault_of(ExceptionGroup("tasks", [ValueError()])) is None


def test_a_sender_waits_for_the_commit_as_long_as_is_set(tmp_path: Path) -> None:
    """A disk that is slow: who sent is told to come back, and is booked once when the disk has caught up."""
    reference = replay_folders([FOLDER], tmp_path / "reference.db")

    async def run() -> None:
        async with running(tmp_path / "ledger.db", ledger__commit_wait_seconds="0.05") as up:
            began, caught_up = threading.Event(), threading.Event()
            writing = asyncio.create_task(up.service._worker.run(lambda: began.set() or caught_up.wait()))
            await asyncio.to_thread(began.wait)
            sender = HttpClient(Destination(f"http://{up.addresses.http}"))
            first = deliveries()[0]
            outcome = await sender.export(first.signal, protobuf_body(first))
            await sender.close()
            caught_up.set()
            await writing
            assert isinstance(outcome, Deferred)
            assert "sending it again does no harm" in outcome.reason
            assert up.service.watch.fault is None
            # The others one by one: the ledger's thread has nothing to hold it up any more.
            await send(Transport.GRPC, up.addresses, deliveries())
            await up.service.rest()
            assert up.service.counters.snapshot()[Counter.REQUESTS_RECEIVED] == 1 + len(deliveries())

    asyncio.run(run())
    assert standing(tmp_path / "ledger.db").balances == reference.balances


def test_a_ledger_that_another_program_holds_is_busy_and_then_written(tmp_path: Path) -> None:
    reference = replay_folders([FOLDER], tmp_path / "reference.db")

    async def run() -> None:
        async with running(tmp_path / "ledger.db") as up:
            await set_on_the_ledgers_thread(
                up, lambda connection: connection.execute("PRAGMA busy_timeout = 1") and None
            )
            sender = GrpcClient(Destination(f"http://{up.addresses.grpc}"))
            with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                first = deliveries()[0]
                assert isinstance(await sender.export(first.signal, protobuf_body(first)), Deferred)
                assert up.service.watch.fault is Fault.BUSY
            await sender.close()
            await send(Transport.GRPC, up.addresses, deliveries())
            assert up.service.watch.fault is None
            await up.service.rest()

    asyncio.run(run())
    assert standing(tmp_path / "ledger.db").balances == reference.balances


def spoil(path: Path) -> bytes:
    """Overwrite every page but the first with junk; gives what the file then holds."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x55" * (size - 4096))
    return path.read_bytes()


def test_a_damaged_ledger_is_set_aside_while_the_service_goes_on(tmp_path: Path) -> None:
    reference = replay_folders([FOLDER], tmp_path / "reference.db")
    ledger_path = tmp_path / "ledger.db"
    at_once = {"SPANLEDGER_SETTLE__RESIDUAL_WAIT_SECONDS": "0"}

    async def run() -> tuple[bytes, str]:
        first = await start_serve(ledger_path, environ=at_once)
        await send(Transport.GRPC, first.addresses, deliveries()[:3])
        assert (await first.end(signal.SIGTERM))[0] == 0
        spoilt = spoil(ledger_path)
        again = await start_serve(ledger_path, environ=at_once)
        sender = HttpClient(Destination(f"http://{again.addresses.http}"))
        for delivery in deliveries():
            while await sender.export(delivery.signal, protobuf_body(delivery)) != Accepted():
                # The service has begun anew, on ports of its own choice.
                again = await again.ready_again()
                await sender.close()
                sender = HttpClient(Destination(f"http://{again.addresses.http}"))
        await sender.close()
        code, said = await again.end(signal.SIGTERM)
        assert code == 0
        return spoilt, said

    spoilt, said = asyncio.run(run())
    (aside,) = [path for path in tmp_path.iterdir() if ".damaged-" in path.name and path.name.endswith("Z")]
    assert aside.read_bytes()[4096:] == spoilt[4096:]
    (line,) = [line for line in said.splitlines() if Event.LEDGER_SET_ASIDE in line]
    assert str(aside) in line
    assert not damage_mark(ledger_path).exists()
    left, meant = standing(ledger_path).figures.report, reference.figures.report
    assert (left.cost_picousd, left.requests, left.groups) == (meant.cost_picousd, meant.requests, meant.groups)


def test_damage_is_seen_while_the_service_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def forget_what_was_read(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        spoil(tmp_path / "ledger.db")
        connection.execute("PRAGMA shrink_memory")

    async def run() -> None:
        async with running(tmp_path / "ledger.db") as up:
            first, *rest = deliveries()
            await send(Transport.GRPC, up.addresses, [first])
            await set_on_the_ledgers_thread(up, forget_what_was_read)
            sender = GrpcClient(Destination(f"http://{up.addresses.grpc}"))
            outcomes = [await sender.export(one.signal, protobuf_body(one)) for one in rest]
            await sender.close()
            assert {type(outcome) for outcome in outcomes} == {Deferred}
            assert up.service.watch.fault is Fault.CORRUPT
            await asyncio.wait_for(up.service.watch.damaged.wait(), 30)

    asyncio.run(run())
    (message,) = messages_of(caplog, Event.LEDGER_FAULT)
    assert message.startswith(Fault.CORRUPT.advice)
    assert damage_mark(tmp_path / "ledger.db").exists()


def test_a_mark_of_damage_on_a_whole_file_is_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    first = Database.open(path)
    with first.transaction():
        first.set_meta("key", "value")
    first.mark_damaged()
    first.close()
    second = Database.open(path)
    assert second.meta("key") == "value"
    assert not damage_mark(path).exists()
    second.close()


def test_a_file_that_never_was_a_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("somebody's notes, in the place of a ledger by mistake\n" * 100)
    with pytest.raises(ConfigError, match=r"notes\.txt: cannot be used"):
        Database.open(path)
    assert path.read_text().startswith("somebody's notes")


def test_work_that_fails_by_a_fault_of_ours_is_no_fault_of_the_ledger(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ZeroDivisionError

    async def run() -> None:
        async with running(tmp_path / "ledger.db") as up:
            await asyncio.wait_for(up.service._kept_up(work), 30)
            assert up.service.counters.snapshot()[Counter.COMMITS_FAILED] == 0

    asyncio.run(run())
    (message,) = messages_of(caplog, Event.SERVICE_WORK_FAILED)
    assert message == f"{work.__qualname__} failed, and begins again; what senders send is taken as before"
    assert messages_of(caplog, Event.LEDGER_COMMIT_FAILED) == []
    assert tries == 2
