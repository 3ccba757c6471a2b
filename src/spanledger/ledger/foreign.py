"""Files that are no ledger: told before anything is written in them or beside them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from spanledger.core.errors import ConfigError
from spanledger.ledger.damage import damage_mark, is_database

_ANOTHER = "choose another ledger.path"


def require_ledger(path: Path) -> None:
    """Refuse a file of something else. One that is missing, empty or marked as damaged may be a ledger.

    Raises:
        ConfigError: it is something else, or the file has other names beside this one.
        OSError: it cannot be read.
    """
    if not path.exists():
        return
    if not path.is_file():
        what = "a folder" if path.is_dir() else "not a file"
        raise ConfigError([f"ledger {path}: cannot be used: it is {what}; {_ANOTHER}"])
    require_one_name(path)
    if not path.stat().st_size or damage_mark(path).exists():
        return
    if not is_database(path):
        raise ConfigError([f"ledger {path}: cannot be used: it is not a ledger; {_ANOTHER}"])
    if _is_of_something_else(path):
        raise ConfigError([f"ledger {path}: is a database of something else; {_ANOTHER}"])


def require_one_name(path: Path) -> None:
    """Refuse a file with hard links: its lock and SQLite's log go by its name, and each name would have its own.

    Raises:
        ConfigError: it has another name.
    """
    names = path.stat().st_nlink
    if names == 1:
        return
    why = f"has {names} names (hard links), and would be written by each as if it were alone"
    todo = f"find them with `find / -xdev -samefile {path}`, and remove all but one"
    raise ConfigError([f"ledger {path}: {why}; {todo}"])


def _is_of_something_else(path: Path) -> bool:
    """Look at the file alone, without locks and without SQLite's log, so that nothing is made beside it.

    What is in the log only may change the answer to the second question, never to the first: version and tables of a
    new ledger come in one transaction.
    """
    has_log = path.with_name(f"{path.name}-wal").exists()
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            names = {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    except sqlite3.DatabaseError:
        return False  # damaged, or being written just now: told by who opens it
    if version == 0:
        return bool(names)
    return "posting" not in names and not has_log
