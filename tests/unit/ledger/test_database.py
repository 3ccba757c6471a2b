"""The ledger file: migrations, transactions and what is refused."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from spanledger.core.errors import ConfigError
from spanledger.ledger.database import Database


def test_a_new_file_gets_the_whole_schema_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "ledger.db"
    first = Database.open(path)
    assert first.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert first.connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    with first.transaction():
        first.set_meta("key", "value")
    first.close()
    second = Database.open(path)
    assert second.meta("key") == "value"
    assert second.connection.execute("PRAGMA user_version").fetchone()[0] >= 1
    second.close()


def test_a_failed_transaction_leaves_nothing_and_tells_who_remembers(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "ledger.db")
    forgotten: list[bool] = []
    database.on_rollback(lambda: forgotten.append(True))
    with pytest.raises(ZeroDivisionError), database.transaction():  # noqa: PT012 - the block is what fails
        database.set_meta("key", "value")
        raise ZeroDivisionError
    assert database.meta("key") is None
    assert forgotten == [True]
    database.close()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    with pytest.raises(ConfigError, match="database of something else"):
        Database.open(path)
    (tmp_path / "text.db").write_text("this is not a database, but it is long enough to look at twice" * 20)
    with pytest.raises(ConfigError, match="cannot be used"):
        Database.open(tmp_path / "text.db")


def test_a_ledger_has_one_writer_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    first = Database.open(path)
    with pytest.raises(ConfigError, match=rf"in use by another spanledger process \({os.getpid()} on .+\); stop that"):
        Database.open(path, wait_seconds=0)
    with sqlite3.connect(path) as reader:
        assert reader.execute("SELECT count(*) FROM posting").fetchone() == (0,)
    reader.close()
    first.close()
    Database.open(path, wait_seconds=0).close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    database = Database.open(path)
    database.connection.execute("PRAGMA user_version = 999")
    database.close()
    with pytest.raises(ConfigError, match="upgrade spanledger"):
        Database.open(path)


def test_postings_cannot_be_changed_or_deleted(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "ledger.db")
    columns = [row[1] for row in database.connection.execute("PRAGMA table_info(posting)")]
    values = ", ".join("1" for _ in columns)
    database.connection.execute(f"INSERT INTO posting ({', '.join(columns)}) VALUES ({values})")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        database.connection.execute("UPDATE posting SET cost_picousd = 0")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        database.connection.execute("DELETE FROM posting")
    database.close()
