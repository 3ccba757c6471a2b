"""Files that may change while the service runs: whether they did, without reading them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

Look = tuple[tuple[int, int, int] | None, ...]
"""Time of change, size and inode of each file; None for one that is not there."""


def look_at(files: Iterable[Path]) -> Look:
    """Look at files without reading them; two looks that differ say that something changed."""
    return tuple(map(_look_at, files))


def _look_at(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
