"""Headers of requests to a destination, from settings and from a file that may change: credentials are rotated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from spanledger.config.fields import header_name, header_value
from spanledger.config.files import look_at
from spanledger.core.errors import ConfigError
from spanledger.core.events import Event
from spanledger.logs import tell


class Headers:
    """Headers by name, in small letters. The file is read again when it changes."""

    def __init__(self, fixed: Mapping[str, str], file: Path | None = None) -> None:
        """Read the file for the first time.

        Raises:
            ConfigError: the file cannot be read; names its line, never its values.
        """
        self._fixed = {name.lower(): value for name, value in fixed.items()}
        self._file = file
        self._seen = None if file is None else look_at((file,))
        self._from_file = {} if file is None else _read(file)

    def current(self) -> dict[str, str]:
        """Headers as they are now; those of the file win.

        A file that has become unreadable is logged once, and what it said before still holds.
        """
        if self._file is not None and (state := look_at((self._file,))) != self._seen:
            self._seen = state
            try:
                self._from_file = _read(self._file)
            except ConfigError as error:
                tell(Event.DESTINATION_HEADERS_REFUSED, problems="; ".join(error.problems))
        return self._fixed | self._from_file


def _read(file: Path) -> dict[str, str]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file}: file of headers cannot be read: {error}"]) from None
    return _parsed(file, text)


def _parsed(file: Path, text: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            problems.append(f"{file}:{number}: a header is `name: value`")
            continue
        try:
            header_name(name.strip())
            header_value(value.strip())
        except ValueError as error:
            problems.append(f"{file}:{number}: {error}")
        headers[name.strip().lower()] = value.strip()
    if problems:
        raise ConfigError(problems)
    return headers
