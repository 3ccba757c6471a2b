"""A ledger whose files are moved, deleted or replaced while open: nothing is called committed that nobody finds."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from spanledger.core.events import Event
from spanledger.core.semconv import Metric
from spanledger.core.views import SeriesKey
from spanledger.ledger.database import Database, is_served
from spanledger.ledger.faults import Fault, MovedError, fault_of
from spanledger.ledger.ledger import Ledger
from support.logged import messages_of


def move(file: Path) -> None:
    file.rename(file.with_name(f"{file.name}.elsewhere"))


def delete(file: Path) -> None:
    file.unlink()


def replace(file: Path) -> None:
    copy = file.with_name(f"{file.name}.copy")
    shutil.copy(file, copy)
    copy.replace(file)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def commit(database: Database, key: str) -> None:
    with database.transaction():
        database.set_meta(key, "value")


@pytest.mark.parametrize("part", ["", "-wal", "-shm"])
@pytest.mark.parametrize("harm", [move, delete, replace])
def test_nothing_is_committed_to_a_file_that_has_gone(harm: Callable[[Path], None], part: str, path: Path) -> None:
    database = Database.open(path)
    commit(database, "before")
    harm(path.with_name(path.name + part))
    with pytest.raises(MovedError, match=f"ledger.db{part}") as caught:
        commit(database, "after")
    assert fault_of(caught.value) is Fault.MOVED
    assert (database.meta("before"), database.meta("after")) == ("value", None)
    database.close()
    if part:  # closing writes the log into the file, whatever became of the log's name
        again = Database.open(path)
        assert again.meta("before") == "value"
        again.close()


def test_a_file_that_goes_during_a_transaction_leaves_it_unconfirmed_and_who_remembers_is_told(path: Path) -> None:
    database = Database.open(path)
    forgotten: list[bool] = []
    database.on_rollback(lambda: forgotten.append(True))
    with pytest.raises(MovedError), database.transaction():  # noqa: PT012 - the block is what fails
        database.set_meta("during", "value")
        move(path)
    assert forgotten == [True]
    database.close()


def test_a_folder_under_another_name_takes_its_ledger_along(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    database = Database.open(folder / "ledger.db")
    folder.rename(tmp_path / "other")
    with pytest.raises(MovedError, match="No such file"):
        commit(database, "after")
    (tmp_path / "other").rename(folder)
    database.keep_in_place()
    commit(database, "back")
    database.close()


def test_a_file_that_is_back_is_written_again_with_all_that_it_held(path: Path) -> None:
    database = Database.open(path)
    commit(database, "before")
    elsewhere = path.rename(path.with_name("elsewhere.db"))
    with pytest.raises(MovedError):
        commit(database, "meanwhile")
    elsewhere.rename(path)
    database.keep_in_place()
    commit(database, "after")
    database.close()
    again = Database.open(path)
    assert [again.meta(key) for key in ("before", "meanwhile", "after")] == ["value", None, "value"]
    again.close()


def test_a_lock_that_somebody_deleted_is_taken_again(path: Path) -> None:
    """Without its file the lock would keep nobody away."""
    database = Database.open(path)
    path.with_name("ledger.db.lock").unlink()
    assert not is_served(path), "anybody could open it"
    with pytest.raises(MovedError, match="it or its lock was away"):
        commit(database, "before")
    database.keep_in_place()
    commit(database, "after")
    assert is_served(path)
    database.close()
    assert not is_served(path)


def test_a_lock_that_another_process_took_meanwhile_ends_writing(path: Path) -> None:
    first = Database.open(path)
    path.with_name("ledger.db.lock").unlink()
    second = Database.open(path)
    with pytest.raises(MovedError, match=r"ledger\.db\.lock: .*in use by another spanledger process"):
        first.keep_in_place()
    with pytest.raises(MovedError):
        commit(first, "first")
    commit(second, "second")
    second.close()
    first.keep_in_place()
    commit(first, "first")
    first.close()


def away_under_its_lock(path: Path) -> Callable[[], None]:
    path.with_name("ledger.db.lock").unlink()
    return lambda: None


def away_with_its_folder(path: Path) -> Callable[[], None]:
    """Served from another folder meanwhile, and moved back."""
    elsewhere = path.parent.rename(path.parent.with_name("elsewhere"))
    (elsewhere / "ledger.db.lock").unlink()

    def back() -> None:
        (elsewhere / "ledger.db.lock").unlink()
        elsewhere.rename(path.parent)

    return back


@pytest.mark.parametrize("away", [away_under_its_lock, away_with_its_folder])
def test_what_another_process_wrote_meanwhile_is_in_the_series_of_the_first(
    away: Callable[[Path], Callable[[], None]], tmp_path: Path
) -> None:
    """Series are kept in memory: written from there, they would undo what the other one has folded."""
    path, key = tmp_path / "folder" / "ledger.db", SeriesKey(Metric.REQUESTS, (("model", "m"),))

    def fold(ledger: Ledger, amount: int, to_posting_id: int) -> None:
        with ledger.transaction():
            ledger.series.add({key: amount}, to_posting_id=to_posting_id, now_unix_nano=1)

    first = Ledger.open(path, max_series=10)
    fold(first, 5, 1)
    back = away(path)
    other = path if path.exists() else tmp_path / "elsewhere" / "ledger.db"
    second = Ledger.open(other, max_series=10)
    fold(second, 10, 2)
    with pytest.raises(MovedError):
        fold(first, 6, 3)
    second.close()
    back()
    with pytest.raises(MovedError):
        fold(first, 6, 3)
    first.database.keep_in_place()
    fold(first, 6, 3)
    assert [state.value for state in first.series.states()] == [21]  # 5 + 10 + 6
    assert first.series.watermark == 3
    first.close()


def test_the_log_of_a_ledger_that_is_gone_is_kept_and_completes_it_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite deletes a log without its file. What was committed last is in the log alone."""
    first = Database.open(path)
    commit(first, "early")
    first.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    commit(first, "late")
    elsewhere = path.rename(path.with_name("elsewhere.db"))
    first.close()
    with caplog.at_level(logging.ERROR):
        Database.open(path).close()
    (log,) = path.parent.glob("ledger.db-wal.alone-*Z")
    (message,) = messages_of(caplog, Event.LEDGER_GONE)
    assert message.startswith(f"ledger {path} is gone, but its log was there: kept as {log}")
    elsewhere.rename(path)
    log.rename(path.with_name("ledger.db-wal"))
    again = Database.open(path)
    assert (again.meta("early"), again.meta("late")) == ("value", "value")
    again.close()


def test_an_undo_that_fails_still_tells_who_remembers_and_is_done_before_the_next_transaction(path: Path) -> None:
    database = Database.open(path)
    forgotten: list[bool] = []
    database.on_rollback(lambda: forgotten.append(True))
    with pytest.raises(sqlite3.DatabaseError, match="not authorized"), database.transaction():  # noqa: PT012
        database.set_meta("undone", "value")
        database.connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)  # not even ROLLBACK is prepared
        raise ZeroDivisionError
    assert forgotten == [True]
    database.connection.set_authorizer(None)
    commit(database, "after")
    assert (database.meta("undone"), database.meta("after")) == (None, "value")
    database.close()
