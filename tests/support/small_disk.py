"""A file system of a few megabytes that really fills up."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_HOLD = 'mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && exec cat'
_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
_ENTER = ("nsenter", "--preserve-credentials", "--user", "--mount")


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A tmpfs that only processes begun by `command` have at `inside`; we see it at `outside`."""

    inside: Path
    outside: Path
    command: tuple[str, ...]

    @property
    def free_bytes(self) -> int:
        room = os.statvfs(self.outside)
        return room.f_bavail * room.f_bsize

    @property
    def _ballast(self) -> Path:
        return self.outside / "ballast"

    def fill(self, left_bytes: int) -> None:
        """Take all room but so many bytes."""
        self._ballast.write_bytes(bytes(self.free_bytes - left_bytes))

    def copied(self, name: str, to: Path) -> Path:
        """A copy of a file, where paths mean the same to everybody."""
        return Path(shutil.copy(self.outside / name, to))

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """Mount it in a namespace of its own; a test is skipped where that is not allowed."""
    folder.mkdir()
    command = (*_NAMESPACE, "sh", "-c", _HOLD, "sh", str(size_bytes), str(folder))
    try:
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError:
        pytest.skip("a small disk needs Linux with unshare")
    with holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != b"mounted\n":
            pytest.skip(f"a small disk cannot be mounted here: {holder.stderr.read().decode().strip()}")
        outside = Path(f"/proc/{holder.pid}/root") / folder.relative_to("/")
        yield SmallDisk(folder, outside, (*_ENTER, "--target", str(holder.pid)))
        holder.stdin.close()
