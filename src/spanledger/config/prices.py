"""The price book: lists and contracts in, an immutable book out, every mistake with its place.

The one way to a book is `load_price_book`. Its layers, each over the one before: the bundled list (or the files given
in its place), newer lists, the organisation's contract.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from spanledger.config.contracts import Agreed, ContractFile, Terms
from spanledger.config.documents import Document, faults_of, read_document
from spanledger.config.price_checks import list_faults
from spanledger.config.price_list import Listed, PriceFile, PriceLists
from spanledger.config.price_values import read_instant
from spanledger.core.book import PriceBook
from spanledger.core.contract import Contract
from spanledger.core.errors import ConfigError

Source = tuple[str, str]
"""Name and text of a file."""

File = TypeVar("File", PriceFile, ContractFile)

BUNDLED, CURRENT = "bundled", "current"
"""Names of layers that are no files."""

_ID_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Layers:
    """Files that a price book is made of. `files` take the place of the bundled list; the others lie over it."""

    files: tuple[Path, ...] = ()
    updates: tuple[Path, ...] = ()
    contract: Path | None = None


def load_price_book(layers: Layers | None = None) -> PriceBook:
    """Load a price book: the bundled one without layers.

    Raises:
        ConfigError: every mistake of every file, each with file, line and key.
    """
    layers = layers or Layers()
    problems: list[str] = []
    base = _given(layers.files, problems) if layers.files else _bundled()
    updates = _given(layers.updates, problems)
    contract = _given([] if layers.contract is None else [layers.contract], problems)
    return _book([*base, *updates], contract, problems)


def layers_named(name: str, current: Layers) -> Layers:
    """Layers by name: `bundled`, `current`, or a file: a price list, or a contract over the current lists.

    A list that has no `web_search` is no whole list: it lies over the bundled one.

    Raises:
        ConfigError: a file that cannot be read, or is neither list nor contract.
    """
    if name == BUNDLED:
        return Layers()
    if name == CURRENT:
        return current
    problems: list[str] = []
    given = _given([Path(name)], problems)
    document = read_document(*given[0], problems) if given else None
    if document is None:
        raise ConfigError(problems)
    if "models" in document.content:
        path = (Path(name),)
        return Layers(files=path) if "web_search" in document.content else Layers(updates=path)
    if document.content.keys() <= {*ContractFile.model_fields, "schema"}:
        return replace(current, contract=Path(name))
    raise ConfigError(
        [f"{name}: is neither a price list (`models`) nor a contract (`aliases`, `overrides`, `discounts`)"]
    )


def price_book_of(lists: Sequence[Source]) -> PriceBook:
    """Compile price lists, given as pairs of name and text, the lowest layer first.

    Raises:
        ConfigError: every mistake of every file, each with file, line and key.
    """
    return _book(lists, [], [])


def _book(list_sources: Sequence[Source], contract_sources: Sequence[Source], problems: list[str]) -> PriceBook:
    found = [_read(PriceFile, name, text, problems) for name, text in list_sources]
    lists = PriceLists([Listed(*read) for read in found if read is not None])
    agreed = [_read(ContractFile, name, text, problems) for name, text in contract_sources]
    terms = [Terms(*read, lists) for read in agreed if read is not None]
    if not problems:
        problems.extend(list_faults(lists))
    if not problems:
        problems.extend(fault for one in terms for fault in one.faults())
    if problems:
        raise ConfigError(problems)
    files = [listed.file for listed in lists.layers]
    checked = max(read_instant(f"{file.checked}T00:00:00Z") for file in files)
    made = terms[0].agreed() if terms else Agreed(Contract({}, (), ()), ())
    book_id = _book_id([*files, *(read[0] for read in agreed if read is not None)])
    return PriceBook(book_id, [*lists.compiled(), *made.models], made.contract, checked)


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
            problems.append(f"{path}: cannot be read: {error}")
    return texts


def _read(kind: type[File], name: str, text: str, problems: list[str]) -> tuple[File, Document] | None:
    document = read_document(name, text, problems)
    if document is None:
        return None
    try:
        return kind.model_validate(document.content), document
    except ValidationError as error:
        problems.extend(faults_of(document, kind, error))
        return None


def _book_id(files: Sequence[PriceFile | ContractFile]) -> str:
    """Name and version of each file, and a digest of what they say: equal ids are equal prices."""
    names = "+".join(f"{file.name}@{file.version}" for file in files)
    content = json.dumps([file.model_dump(mode="json") for file in files], sort_keys=True, separators=(",", ":"))
    return f"{names}#{hashlib.sha256(content.encode()).hexdigest()[:_ID_DIGITS]}"
