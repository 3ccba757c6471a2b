"""Salvage: a new file with what can still be read of a damaged ledger, for reports."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spanledger.core.errors import ConfigError
from spanledger.ledger.ledger import Ledger

_ID_MAX = 2**63 - 1
_ID_MIN = -(2**63)
_FAILURES_MAX = 50_000
"""Places that are tried in a row before the next row is looked for from the other end: some twenty damaged pages."""

_TABLES = "SELECT name, wr = 0 FROM pragma_table_list WHERE schema = 'main' AND substr(name, 1, 7) <> 'sqlite_'"
_SCHEMA = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND substr(name, 1, 7) <> 'sqlite_'"
_LONELY = """
SELECT count(*) FROM posting WHERE account_id NOT IN (SELECT id FROM account)
    OR sender_id NOT IN (SELECT id FROM sender) OR price_id NOT IN (SELECT id FROM price)
"""


@dataclass(frozen=True, slots=True)
class Salvage:
    """What was saved: rows by table, the tables of which something could not be read, and postings that lack a part.

    `postings_incomplete` are in the file and in no report: the row that names their model, owner or price is lost.
    """

    rows: dict[str, int]
    tables_damaged: tuple[str, ...]
    postings_incomplete: int


@dataclass(slots=True)
class _Table:
    name: str
    has_ids: bool
    is_whole: bool = True


def salvage(damaged: Path, saved: Path) -> Salvage:
    """Copy every row that can be read into a new ledger file, and bring its schema up to date.

    The damaged file is only read. Sums of days are left out: they are made of the postings again.

    Raises:
        ConfigError: there is no such file, the new one exists, or not even the names of tables can be read.
    """
    if not damaged.is_file():
        raise ConfigError([f"{damaged}: there is no such file"])
    if saved.exists():
        raise ConfigError([f"{saved}: exists already; name a new file"])
    try:
        rows, damaged_tables = _copied(damaged, saved)
    except sqlite3.Error as error:
        saved.unlink(missing_ok=True)
        raise ConfigError([f"{damaged}: nothing can be read of it: {error}; take a backup"]) from None
    return Salvage(rows, damaged_tables, _made_ready(saved))


def _copied(damaged: Path, saved: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    rows: dict[str, int] = {}
    uri = f"{damaged.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as source, closing(sqlite3.connect(saved, isolation_level=None)) as to:
        to.execute("BEGIN")
        _make_schema(source, to)
        tables = [_Table(*row) for row in to.execute(_TABLES)]
        for table in tables:
            rows[table.name] = sum(_put(to, table, row) for row in _read(source, table))
        to.execute("COMMIT")
    return rows, tuple(sorted(table.name for table in tables if not table.is_whole))


def _make_schema(source: sqlite3.Connection, to: sqlite3.Connection) -> None:
    """Make tables and indexes as they were: the file may be of an older version."""
    for (statement,) in source.execute(_SCHEMA).fetchall():
        to.execute(statement)
    (version,) = source.execute("PRAGMA user_version").fetchone()
    to.execute(f"PRAGMA user_version = {version:d}")


def _put(to: sqlite3.Connection, table: _Table, row: tuple[Any, ...]) -> int:
    """Write a row; 0 when it is there already, or is none that the ledger could have written."""
    places = ", ".join("?" * len(row))
    try:
        return to.execute(f'INSERT OR IGNORE INTO "{table.name}" VALUES ({places})', row).rowcount  # noqa: S608
    except sqlite3.IntegrityError:
        table.is_whole = False
        return 0


def _read(source: sqlite3.Connection, table: _Table) -> Iterator[tuple[Any, ...]]:
    """Rows by each way that there is to them; the same row may come several times."""
    keys = source.execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table.name,)).fetchall()
    names = ["rowid"] if table.has_ids else [f'"{name}"' for (name,) in keys]
    if table.has_ids:
        yield from _read_by_id(source, table)
    else:
        yield from _read_to_damage(source, table, f"ORDER BY {', '.join(names)}")
    if table.is_whole:
        return
    yield from _read_to_damage(source, table, f"ORDER BY {', '.join(f'{name} DESC' for name in names)}")
    indexes = source.execute("SELECT name FROM pragma_index_list(?) WHERE partial = 0", (table.name,)).fetchall()
    for (index,) in indexes:  # one with all columns has the rows of lost pages of the table itself
        yield from _read_to_damage(source, table, f'INDEXED BY "{index}"')


def _read_by_id(source: sqlite3.Connection, table: _Table) -> Iterator[tuple[Any, ...]]:
    """Every row that can be read: where reading fails, what is left is halved until what cannot be read is one row."""
    query = f'SELECT rowid, * FROM "{table.name}" WHERE rowid BETWEEN ? AND ? ORDER BY rowid'  # noqa: S608
    ranges, failures = [(_ID_MIN, _ID_MAX)], 0
    while ranges and failures < _FAILURES_MAX:
        low, high = ranges.pop()
        try:
            for id_, *row in source.execute(query, (low, high)):
                yield tuple(row)
                low, failures = id_ + 1, 0
        except sqlite3.DatabaseError:
            table.is_whole = False
            failures += 1
            if low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]


def _read_to_damage(source: sqlite3.Connection, table: _Table, way: str) -> Iterator[tuple[Any, ...]]:
    """Rows by one way, up to the first place that cannot be read."""
    try:
        yield from source.execute(f'SELECT * FROM "{table.name}" {way}')  # noqa: S608
    except sqlite3.DatabaseError:
        table.is_whole = False


def _made_ready(saved: Path) -> int:
    """Open it as a ledger, which brings it up to date; how many postings lack what they refer to."""
    ledger = Ledger.open(saved, max_series=0)
    try:
        with ledger.transaction():
            ledger.days.forget()
        (lonely,) = ledger.database.connection.execute(_LONELY).fetchone()
    finally:
        ledger.close()
    return int(lonely)
