"""The ledger's database: opening, schema migrations, transactions, meta values."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from spanledger.core.errors import ConfigError
from spanledger.ledger.damage import damage_mark, is_damaged, is_database, set_aside, set_lone_log_aside
from spanledger.ledger.faults import Fault, MovedError, fault_of
from spanledger.ledger.foreign import require_ledger, require_one_name
from spanledger.ledger.place import Place, identity_of

BUSY_TIMEOUT_SECONDS = 10.0
PATIENCE_SECONDS = 120.0
"""How long a command beside the service waits for its turn to write: nobody waits for its answer but a person."""


class Database:
    """One connection to a ledger file, used by one thread at a time; with its lock the only one that writes.

    WAL with `synchronous=FULL`: what a transaction committed survives a kill and a power failure.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: sqlite3.Connection | None) -> None:
        self.connection = connection
        self._path = path
        self._lock = lock
        self._lock_identity = None if lock is None else identity_of(lock_file(path))
        self._place = Place.of(path)
        self._is_astray = False
        self._on_rollback: list[Callable[[], None]] = []

    @classmethod
    def open(cls, path: Path, *, wait_seconds: float = BUSY_TIMEOUT_SECONDS) -> Database:
        """Open a ledger file, make it when missing, bring its schema up to date.

        Waits a while for another process that is about to end, as in a rolling restart. A damaged file is set aside
        under another name, never overwritten, and a new one is begun.

        Raises:
            ConfigError: not a ledger, made by a newer version, in use by another process, under two names, or not
                accessible. Nothing is left beside a file that is not a ledger.
        """
        path = path.resolve()  # the lock is beside the file itself, whatever links lead to it
        try:
            require_ledger(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = _lock(path, wait_seconds)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError([f"ledger {path}: cannot be opened: {error}"]) from None
        try:
            return cls(path, _sound_connection(path), lock)
        except (OSError, sqlite3.Error) as error:
            lock.close()
            raise ConfigError([f"ledger {path}: cannot be used: {error}"]) from None
        except ConfigError:
            lock.close()
            raise

    @classmethod
    def read(cls, path: Path) -> Database:
        """Open a ledger file for reading, beside the process that writes it, if one does.

        Raises:
            ConfigError: there is none, it is not one, has two names, or its schema is not this version's.
        """
        database = cls.append(path)
        database.connection.execute("PRAGMA query_only = ON")
        return database

    @classmethod
    def append(cls, path: Path) -> Database:
        """Open a ledger file to add postings, beside the process that serves it, if one does.

        Only who folds series needs the lock, for it keeps them in memory. Transactions keep writers apart; each must
        read what it builds on inside its own.

        Raises:
            ConfigError: there is none, it is not one, has two names, or its schema is not this version's.
        """
        if not path.is_file():
            raise ConfigError([f"ledger {path}: there is none; name it with --ledger or ledger.path"])
        require_one_name(path)
        connection = _connect(path, PATIENCE_SECONDS)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = OFF")
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.Error as error:
            connection.close()
            raise ConfigError([f"ledger {path}: cannot be read: {error}"]) from None
        if version != len(_migrations()):
            connection.close()
            raise ConfigError([f"ledger {path}: has schema {version}, not this version's; open it with serve first"])
        return cls(path, connection, None)

    def mark_damaged(self) -> None:
        """Note beside the file that reading or writing it failed as if it were damaged: the next start looks."""
        damage_mark(self._path).touch()

    def keep_in_place(self) -> None:
        """See whether what is committed will be found at the next start, and no other process can write meanwhile.

        A lock file that somebody deleted is made again. Who was without it, or without the file, may have missed what
        another process wrote: all that is kept in memory of rows is forgotten. Belongs between transactions, together
        with what they build on, and between looks at rows: until it has passed no transaction begins.

        Raises:
            MovedError: a file of the ledger was moved, deleted or replaced, or another process took its lock.
        """
        self._look()
        if not self._is_astray:
            return
        if not self._holds_lock():
            self._lock_again()
        self._forget()
        self._is_astray = False

    def _require_in_place(self) -> None:
        self._look()
        if self._is_astray:
            raise MovedError(f"{self._path}: it or its lock was away, and is looked at again")

    def _look(self) -> None:
        """Notice when a file or the lock is away; who has no lock keeps nothing in memory that could be missed."""
        try:
            self._place.require()
        except MovedError:
            self._is_astray = self._lock is not None
            raise
        self._is_astray |= not self._holds_lock()

    def _holds_lock(self) -> bool:
        if self._lock is None:
            return True  # it never had one
        try:
            return identity_of(lock_file(self._path)) == self._lock_identity
        except OSError:
            return False

    def _lock_again(self) -> None:
        """Take the lock under its name; the one held so far keeps nobody away any more."""
        try:
            lock = _lock(self._path, 0.0)
        except (ConfigError, sqlite3.Error) as error:
            raise MovedError(f"{lock_file(self._path)}: {error}") from None
        if self._lock is not None:
            self._lock.close()
        self._lock, self._lock_identity = lock, identity_of(lock_file(self._path))

    def size_bytes(self) -> int:
        """Size of the file and of its write-ahead log, as far as they are there."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        """Close the connection and let another process have the ledger; what is committed stays."""
        self.connection.close()
        if self._lock is not None:
            self._lock.close()

    def on_rollback(self, forget: Callable[[], None]) -> None:
        """Register what must forget its memory of rows when a transaction is undone."""
        self._on_rollback.append(forget)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside, or nothing.

        Raises:
            MovedError: the next start would not find it. When that is seen after the commit, it may be there again once
                the file is back: as with every commit in doubt, doing it again does no harm.
        """
        if self.connection.in_transaction:
            self._undo()  # the one before could not be undone
        self._require_in_place()
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
            self._require_in_place()
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        finally:
            self._forget()

    def _forget(self) -> None:
        for forget in self._on_rollback:
            forget()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read everything inside as it was at one moment, whatever others write meanwhile; nobody is kept waiting."""
        self.connection.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK")

    def meta(self, key: str) -> str | None:
        """Read a value that the ledger keeps about itself."""
        row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Write a value that the ledger keeps about itself; inside a transaction."""
        self.connection.execute(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )


def _sound_connection(path: Path) -> sqlite3.Connection:
    """Connect to the file, or to a new one when it is damaged or gone."""
    set_lone_log_aside(path, datetime.now(UTC))
    if is_damaged(path):
        set_aside(path, datetime.now(UTC))
    try:
        return _ready_connection(path)
    except sqlite3.DatabaseError as error:
        if fault_of(error) is not Fault.CORRUPT or not is_database(path):
            raise  # what never was a database is somebody's other file
        damage_mark(path).touch()
        if not is_damaged(path):
            raise
    set_aside(path, datetime.now(UTC))
    return _ready_connection(path)


def _ready_connection(path: Path) -> sqlite3.Connection:
    connection = _connect(path, BUSY_TIMEOUT_SECONDS)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # what left the outbox is overwritten, not only forgotten
        connection.execute("PRAGMA foreign_keys = OFF")
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def is_served(path: Path) -> bool:
    """Whether a process has the lock of a ledger file, as `serve` has."""
    try:
        _lock(path, 0.0).close()
    except ConfigError:
        return True
    return False


def _connect(path: Path, timeout_seconds: float) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=timeout_seconds, isolation_level=None, check_same_thread=False)


def _lock(path: Path, wait_seconds: float) -> sqlite3.Connection:
    """Keep other processes from writing: each keeps series in memory, so two would undo one another's.

    The lock is SQLite's own on a file beside the ledger: it works on every platform and goes with the process, however
    that ends. Readers of the ledger don't need it.
    """
    lock = _connect(lock_file(path), wait_seconds)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        holder = _holder(path)
        raise ConfigError(
            [f"ledger {path}: in use by another spanledger process{holder}; stop that or choose another ledger.path"]
        ) from None
    _owner_file(path).write_text(f"{os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
    return lock


def lock_file(path: Path) -> Path:
    """The file beside a ledger whose lock stands for the ledger's."""
    return path.with_name(f"{path.name}.lock")


def _owner_file(path: Path) -> Path:
    """Says who holds the lock; for people, the lock itself is SQLite's."""
    return path.with_name(f"{path.name}.owner")


def _holder(path: Path) -> str:
    try:
        return f" ({_owner_file(path).read_text(encoding='utf-8').strip()})"
    except OSError:
        return ""


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Apply the migrations that the file lacks, each in a transaction of its own with the version that it leads to."""
    migrations = _migrations()
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise ConfigError([f"ledger {path}: is a database of something else; choose another ledger.path"])
    if version > len(migrations):
        raise ConfigError([f"ledger {path}: has schema {version}, made by a newer spanledger; upgrade spanledger"])
    for number, script in enumerate(migrations[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")


def _migrations() -> list[str]:
    folder = resources.files(__package__) / "migrations"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return [entry.read_text(encoding="utf-8") for entry in files]
