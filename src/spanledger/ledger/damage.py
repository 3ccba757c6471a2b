"""Damaged ledger files: how they are told from whole ones, and set aside for a person to look at."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from spanledger.core.events import Event
from spanledger.logs import tell

_PARTS = ("", "-wal", "-shm")
_WHOLE = "ok"
_MAGIC = b"SQLite format 3\x00"


def damage_mark(path: Path) -> Path:
    """The file whose presence says that a ledger must be looked through before it is used again."""
    return path.with_name(f"{path.name}.damaged")


def is_damaged(path: Path) -> bool:
    """Whether a ledger file is damaged. The whole file is read only when it is marked, or not readable at all.

    A file that never was a database is not damaged: it is something else, and stays where it is.
    """
    if not path.is_file() or not path.stat().st_size:
        return False
    mark = damage_mark(path)
    if not mark.exists() and not is_database(path):
        return False
    whole = _is_whole(path, thorough=mark.exists())
    if whole:
        mark.unlink(missing_ok=True)
    return not whole


def set_aside(path: Path, at: datetime) -> Path:
    """Give a ledger file and its companions another name; nothing of them is lost."""
    aside = path.with_name(f"{path.name}.damaged-{at:%Y%m%dT%H%M%S%f}Z")
    for part in _PARTS:
        source = path.with_name(path.name + part)
        if source.exists():
            source.rename(aside.with_name(aside.name + part))
    damage_mark(path).unlink(missing_ok=True)
    tell(Event.LEDGER_SET_ASIDE, path=str(path), aside=str(aside))
    return aside


def set_lone_log_aside(path: Path, at: datetime) -> None:
    """Keep the log of a ledger file that is gone: SQLite would delete it, and it may hold what was committed last."""
    log = path.with_name(f"{path.name}-wal")
    if (path.exists() and path.stat().st_size) or not log.exists() or not log.stat().st_size:
        return
    aside = log.with_name(f"{log.name}.alone-{at:%Y%m%dT%H%M%S%f}Z")
    log.rename(aside)
    tell(Event.LEDGER_GONE, path=str(path), aside=str(aside))


def is_database(path: Path) -> bool:
    """Whether a file begins as SQLite's do."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _is_whole(path: Path, *, thorough: bool) -> bool:
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            check = "PRAGMA integrity_check(1)" if thorough else "PRAGMA schema_version"
            answer = connection.execute(check).fetchone()[0]
            return answer == _WHOLE if thorough else True
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return False
        raise
