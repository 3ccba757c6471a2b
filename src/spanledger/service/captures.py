"""Capture folders: request bodies as a receiver stored them, one file a request.

A folder holds `NNNN-<signal>.pb` or `.json`, either also `.gz`, in order of arrival, each with an optional
`NNNN-<signal>.meta.json` that tells when it was received (`received_unix_ns`) and over which `protocol`.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanledger.core.delivery import Delivery, Encoding
from spanledger.core.errors import ConfigError
from spanledger.core.usage import Signal

_BODY_NAME = re.compile(r"(?P<number>\d{4,})-(?P<signal>traces|logs|metrics)\.(?P<encoding>pb|json)(?P<gzip>\.gz)?")
_ENCODINGS = {"pb": Encoding.PROTOBUF, "json": Encoding.JSON}


@dataclass(frozen=True, slots=True)
class CapturedBody:
    """One request body. `received_unix_nano` is None when the capture does not tell."""

    path: Path
    delivery: Delivery
    received_unix_nano: int | None
    protocol: str


@dataclass(frozen=True, slots=True)
class CaptureFolder:
    """A folder with its bodies' files in order of arrival."""

    path: Path
    files: tuple[Path, ...]


def find_folders(paths: Sequence[Path]) -> list[CaptureFolder]:
    """Find the capture folders at or below the given paths, sorted by path.

    Raises:
        ConfigError: a path is missing or holds no capture; every such path is named.
    """
    problems: list[str] = []
    folders: dict[Path, CaptureFolder] = {}
    for path in paths:
        if not path.is_dir():
            problems.append(f"{path}: no such folder; give a folder with files named like 0001-traces.pb")
            continue
        below = [found for folder in (path, *_subfolders(path)) if (found := _folder(folder)) is not None]
        if not below:
            problems.append(f"{path}: holds no capture: no file in it or below is named like 0001-traces.pb")
        folders.update((folder.path.resolve(), folder) for folder in below)
    if problems:
        raise ConfigError(problems)
    return sorted(folders.values(), key=lambda folder: folder.path)


def read_body(path: Path) -> CapturedBody:
    """Read one body of a capture and what is told of it.

    Raises:
        ConfigError: the file, its compression or its meta file cannot be read.
    """
    match = _BODY_NAME.fullmatch(path.name)
    if match is None:
        raise ConfigError([f"{path}: is not named like 0001-traces.pb"])
    try:
        body = path.read_bytes()
        if match["gzip"]:
            body = gzip.decompress(body)
        meta = _meta(path.with_name(f"{match['number']}-{match['signal']}.meta.json"))
        received = meta.get("received_unix_ns")
        received_unix_nano = None if received is None else int(str(received))
    except (OSError, EOFError, ValueError, TypeError, zlib.error) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from None
    delivery = Delivery(Signal(match["signal"]), _ENCODINGS[match["encoding"]], body)
    return CapturedBody(path, delivery, received_unix_nano, str(meta.get("protocol", "")))


def _subfolders(path: Path) -> Iterable[Path]:
    return sorted(entry for entry in path.rglob("*") if entry.is_dir())


def _folder(path: Path) -> CaptureFolder | None:
    """The folder itself, if it holds bodies; a `decoded` one holds readable copies, not bodies as they came."""
    if path.name == "decoded":
        return None
    files = [(int(match["number"]), entry) for entry in path.iterdir() if (match := _BODY_NAME.fullmatch(entry.name))]
    return CaptureFolder(path, tuple(entry for _, entry in sorted(files))) if files else None


def _meta(path: Path) -> dict[str, object]:
    if not path.exists():
        return {}
    meta = json.loads(path.read_bytes())
    if not isinstance(meta, dict):
        raise TypeError(f"{path.name} is not a JSON object")
    return meta
