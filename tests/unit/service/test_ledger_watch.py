"""The watch over the ledger's disk: how long a write proves it sound, and what takes the proof away."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from spanledger.ledger.faults import Fault
from spanledger.service.ledger_watch import PROOF_HOLDS_SECONDS, LedgerWatch
from spanledger.telemetry import Counters


def full() -> sqlite3.Error:
    """What SQLite says of a full disk."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE one (content)")
    connection.execute("PRAGMA max_page_count = 2")
    try:
        connection.execute("INSERT INTO one VALUES (zeroblob(100000))")
    except sqlite3.Error as error:
        return error
    finally:
        connection.close()
    raise AssertionError("there was room")


def watched(check: Callable[[LedgerWatch, list[float]], None]) -> None:
    async def run() -> None:
        now = [1000.0]
        check(LedgerWatch(Counters(), lambda: None, lambda: now[0]), now)

    asyncio.run(run())


def test_a_write_proves_the_disk_for_a_while_and_the_next_one_anew() -> None:
    def check(watch: LedgerWatch, now: list[float]) -> None:
        assert not watch.is_proven, "at the start"
        watch.succeeded()
        now[0] += PROOF_HOLDS_SECONDS - 1
        assert watch.is_proven
        watch.succeeded()
        now[0] += PROOF_HOLDS_SECONDS - 1
        assert watch.is_proven
        now[0] += 1
        assert not watch.is_proven
        assert watch.fault is None, "nothing is known to be wrong either"

    watched(check)


def test_a_fault_of_the_disk_takes_the_proof_away_until_the_next_write() -> None:
    def check(watch: LedgerWatch, _: list[float]) -> None:
        watch.succeeded()
        watch.failed(full())
        assert (watch.fault, watch.is_proven) == (Fault.FULL, False)
        watch.succeeded()
        assert (watch.fault, watch.is_proven) == (None, True)

    watched(check)


def test_a_fault_of_ours_asks_for_no_proof_of_the_disk() -> None:
    """A background task that fails every second would have the disk written to every second."""

    def check(watch: LedgerWatch, _: list[float]) -> None:
        watch.succeeded()
        watch.failed(KeyError("bug"))
        assert (watch.fault, watch.is_proven) == (None, True)

    watched(check)


def corrupt(folder: Path) -> sqlite3.Error:
    """What SQLite says of a file that is no database any more."""
    path = folder / "junk.db"
    path.write_bytes(b"SQLite format 3\x00" + b"\x55" * 8192)
    with closing(sqlite3.connect(path)) as connection:
        try:
            connection.execute("SELECT * FROM sqlite_schema").fetchall()
        except sqlite3.Error as error:
            return error
    raise AssertionError("it could be read")


def test_a_damaged_file_is_marked_once_and_no_write_makes_it_whole(tmp_path: Path) -> None:
    """A page that is still sound may take a write; only a new start can tell whether the file is."""

    async def run() -> None:
        marked: list[bool] = []
        watch = LedgerWatch(Counters(), lambda: marked.append(True))
        watch.failed(corrupt(tmp_path))
        watch.succeeded()
        watch.failed(corrupt(tmp_path))
        assert (watch.fault, marked) == (Fault.CORRUPT, [True])
        await asyncio.wait_for(watch.damaged.wait(), 30)

    asyncio.run(run())
