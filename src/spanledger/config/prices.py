"""The price book: lists and contracts in, an immutable book out, every mistake with its place.

The one way to a book is `load_price_book`. Its layers, each over the one before: the bundled list (or the files given
in its place), newer lists.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from spanledger.config.documents import faults_of, read_document
from spanledger.config.price_checks import list_faults
from spanledger.config.price_list import Listed, PriceFile, PriceLists
from spanledger.config.price_values import read_instant
from spanledger.core.book import PriceBook
from spanledger.core.errors import ConfigError

Source = tuple[str, str]
"""Name and text of a file."""

_ID_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Layers:
    """Files that a price book is made of. `files` take the place of the bundled list; `updates` lie over it."""

    files: tuple[Path, ...] = ()
    updates: tuple[Path, ...] = ()


def load_price_book(layers: Layers | None = None) -> PriceBook:
    """Load a price book: the bundled one without layers.

    Raises:
        ConfigError: every mistake of every file, each with file, line and key.
    """
    layers = layers or Layers()
    problems: list[str] = []
    base = _given(layers.files, problems) if layers.files else _bundled()
    updates = _given(layers.updates, problems)
    return _book([*base, *updates], problems)


def price_book_of(lists: Sequence[Source]) -> PriceBook:
    """Compile price lists, given as pairs of name and text, the lowest layer first.

    Raises:
        ConfigError: every mistake of every file, each with file, line and key.
    """
    return _book(lists, [])


def _book(sources: Sequence[Source], problems: list[str]) -> PriceBook:
    found = [_listed(name, text, problems) for name, text in sources]
    lists = PriceLists([listed for listed in found if listed is not None])
    if not problems:
        problems.extend(list_faults(lists))
    if problems:
        raise ConfigError(problems)
    files = [listed.file for listed in lists.layers]
    checked = max(read_instant(f"{file.checked}T00:00:00Z") for file in files)
    return PriceBook(_book_id(files), lists.compiled(), checked)


def _bundled() -> list[Source]:
    folder = resources.files("spanledger") / "data" / "prices"
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".yaml")), key=lambda e: e.name)
    return [(entry.name, entry.read_text(encoding="utf-8")) for entry in entries]


def _given(paths: Sequence[Path], problems: list[str]) -> list[Source]:
    texts: list[Source] = []
    for path in paths:
        try:
            texts.append((str(path), path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{path}: price file cannot be read: {error}")
    return texts


def _listed(name: str, text: str, problems: list[str]) -> Listed | None:
    document = read_document(name, text, problems)
    if document is None:
        return None
    try:
        return Listed(PriceFile.model_validate(document.content), document)
    except ValidationError as error:
        problems.extend(faults_of(document, PriceFile, error))
        return None


def _book_id(files: Sequence[PriceFile]) -> str:
    """Name and version of each file, and a digest of what they say: equal ids are equal prices."""
    names = "+".join(f"{file.name}@{file.version}" for file in files)
    content = json.dumps([file.model_dump(mode="json") for file in files], sort_keys=True, separators=(",", ":"))
    return f"{names}#{hashlib.sha256(content.encode()).hexdigest()[:_ID_DIGITS]}"
