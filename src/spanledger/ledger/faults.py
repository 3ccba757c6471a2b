"""Faults of the disk under a ledger: what SQLite says, in words that tell what to do."""

from __future__ import annotations

import sqlite3
from enum import StrEnum

_PRIMARY_CODE = 0xFF
"""SQLite's extended result codes hold the primary one in their lowest byte."""


UnreadableError = sqlite3.DatabaseError
"""What reading a damaged file raises."""


class MovedError(Exception):
    """A file of the ledger is not where it was when it was opened."""


class Fault(StrEnum):
    """Why a ledger cannot be written."""

    FULL = "full"
    READ_ONLY = "read_only"
    BUSY = "busy"
    CORRUPT = "corrupt"
    MOVED = "moved"
    INPUT_OUTPUT = "input_output"

    @property
    def advice(self) -> str:
        """What has happened and what a person can do about it."""
        return _ADVICE[self]


_ADVICE = {
    Fault.FULL: "the disk of the ledger is full: make room, it goes on by itself",
    Fault.READ_ONLY: "the ledger cannot be written: make its folder writable, it goes on by itself",
    Fault.BUSY: "another program holds the ledger: end it, it goes on by itself",
    Fault.CORRUPT: "the ledger file is damaged: it is set aside, and a new one is begun",
    Fault.MOVED: "a file of the ledger was moved, deleted or replaced: put it back before the service ends",
    Fault.INPUT_OUTPUT: "the disk of the ledger fails: look at the system's log",
}
_FAULTS = {
    sqlite3.SQLITE_FULL: Fault.FULL,
    sqlite3.SQLITE_READONLY: Fault.READ_ONLY,
    sqlite3.SQLITE_PERM: Fault.READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: Fault.READ_ONLY,
    sqlite3.SQLITE_BUSY: Fault.BUSY,
    sqlite3.SQLITE_LOCKED: Fault.BUSY,
    sqlite3.SQLITE_CORRUPT: Fault.CORRUPT,
    sqlite3.SQLITE_NOTADB: Fault.CORRUPT,
    sqlite3.SQLITE_IOERR: Fault.INPUT_OUTPUT,
}


def fault_of(error: BaseException) -> Fault | None:
    """The fault of the disk that an error, or the first of a group that has one, stands for; None when none does."""
    if isinstance(error, BaseExceptionGroup):
        return next((fault for one in error.exceptions if (fault := fault_of(one)) is not None), None)
    if isinstance(error, MovedError):
        return Fault.MOVED
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else _FAULTS.get(code & _PRIMARY_CODE)
