"""The ledger file: migrations, transactions and what is refused."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from spanledger import ledger
from spanledger.core.errors import ConfigError
from spanledger.ledger.database import Database

MIGRATIONS = Path(ledger.__file__).parent / "migrations"
OLD_POSTING = (
    "identity, revision, reason, status, evidence, record_digest, sender_id, account_id, price_id, input, output, "
    "cache_read, cache_write_5m, cache_write_1h, cache_write_unspecified, web_search, cost_picousd, "
    "occurred_unix_nano, posted_unix_nano"
)


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


@pytest.mark.parametrize("user_version", [0, 5, 999])
def test_a_database_of_something_else_is_refused_and_left_as_it_is(user_version: int, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
        other.execute(f"PRAGMA user_version = {user_version}")
    other.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"database of something else; choose another ledger\.path"):
        Database.open(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_no_database_is_refused_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "passwd"
    path.write_text("this is not a database, but it is long enough to look at twice" * 20)
    with pytest.raises(ConfigError, match=r"cannot be used: it is not a ledger; choose another ledger\.path"):
        Database.open(path)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ConfigError, match=r"cannot be used: it is a folder; choose another ledger\.path"):
        Database.open(tmp_path)
    assert not tmp_path.with_name(f"{tmp_path.name}.lock").exists()


def test_a_ledger_with_two_names_is_refused_by_either(tmp_path: Path) -> None:
    """SQLite's log of a file goes by its name: under another one it would be missing, and so would the lock."""
    path = tmp_path / "ledger.db"
    Database.open(path).close()
    second = tmp_path / "second.db"
    second.hardlink_to(path)
    for name in (path, second):
        for use in (Database.open, Database.read):
            with pytest.raises(ConfigError, match=r"2 names .*-samefile .*, and remove all but one"):
                use(name)
    assert not second.with_name("second.db.lock").exists()
    second.unlink()
    Database.open(path).close()


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


def test_a_link_to_a_ledger_leads_to_the_same_lock(tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "ledger.db"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "ledger.db")
    database = Database.open(tmp_path / "ledger.db")
    with pytest.raises(ConfigError, match="in use by another spanledger process"):
        Database.open(link, wait_seconds=0)
    database.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    database = Database.open(path)
    database.connection.execute("PRAGMA user_version = 999")
    database.close()
    with pytest.raises(ConfigError, match="upgrade spanledger"):
        Database.open(path)


def test_a_ledger_from_before_contracts_gets_its_list_costs(tmp_path: Path) -> None:
    """Until schema 8 every price was the list's. Postings stay append-only."""
    path = tmp_path / "ledger.db"
    old = sqlite3.connect(path)
    for number in range(1, 9):
        old.executescript((MIGRATIONS / f"{number:04}.sql").read_text())
    old.executescript(f"""
        INSERT INTO price VALUES (7, 'list@1', 'model@2026', '[1,2,3,4,5,6,7]', '', '', 'fast');
        INSERT INTO posting ({OLD_POSTING}) VALUES ({", ".join("1" for _ in OLD_POSTING.split(","))});
        PRAGMA user_version = 8;
    """)
    old.close()
    database = Database.open(path)
    price = database.connection.execute("SELECT id, rates, list_rates, modifiers, bounds FROM price").fetchone()
    assert price == (7, "[1,2,3,4,5,6,7]", "[1,2,3,4,5,6,7]", "fast", "[]")
    assert database.connection.execute("SELECT cost_picousd, list_cost_picousd FROM posting").fetchone() == (1, 1)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        database.connection.execute("UPDATE posting SET list_cost_picousd = 0")
    database.close()


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
