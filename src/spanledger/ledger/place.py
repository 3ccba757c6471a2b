"""Where a ledger's files are: whether they still have the names under which the next start will look for them."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from spanledger.ledger.faults import MovedError

_PARTS = ("", "-wal", "-shm")
"""The file, SQLite's log, and what connections share of it: whoever opens the name later needs all three."""

_Identity = tuple[int, int]


class Place:
    """The files of an open ledger, each known by device and inode.

    SQLite goes on writing to a file that was moved or deleted, and what is committed there nobody finds again. Nor may
    its log go: what was committed last is in it alone.
    """

    def __init__(self, identities: dict[Path, _Identity]) -> None:
        self._identities = identities

    @classmethod
    def of(cls, path: Path) -> Self:
        """Note which files have the ledger's names now; to be called while it is open.

        Raises:
            OSError: they cannot be looked at.
        """
        files = [path.with_name(path.name + part) for part in _PARTS]
        return cls({file: identity_of(file) for file in files if file.exists()})

    def require(self) -> None:
        """See whether each name still has its file.

        Raises:
            MovedError: one was moved, deleted or replaced, or nobody can tell any more.
        """
        for file, identity in self._identities.items():
            try:
                found = identity_of(file)
            except OSError as error:
                raise MovedError(f"{file}: {error.strerror}") from None
            if found != identity:
                raise MovedError(f"{file} is another file now")


def identity_of(file: Path) -> _Identity:
    """What tells a file from every other on this machine, whatever its name.

    Raises:
        OSError: there is none.
    """
    status = file.stat()
    return status.st_dev, status.st_ino
