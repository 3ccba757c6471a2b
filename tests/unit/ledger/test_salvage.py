"""Salvage: whatever page of a ledger is damaged, the rows of all others are saved, and what is lost is told."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from spanledger.core.errors import ConfigError
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.salvage import Salvage, salvage
from support.replaying import replay_folders
from support.truth import CAPTURES

PAGE_BYTES = 4096
DERIVED = {"day_total", "meta"}
"""Sums of days are made anew, and what is known of them in `meta` is forgotten."""

Rows = dict[str, Counter[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "ledger.db"
    replay_folders([CAPTURES / "s03_subagent", CAPTURES / "s07_models"], path)
    return path.read_bytes()


def rows_of(path: Path) -> Rows:
    with closing(sqlite3.connect(path)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        tables = [name for name in names if not name.startswith("sqlite_")]
        return {name: Counter(connection.execute(f'SELECT * FROM "{name}"').fetchall()) for name in tables}


def damaged(content: bytes, folder: Path, page: int, filling: int) -> Path:
    """The ledger with one page overwritten; pages count from 1."""
    path = folder / f"damaged-{page}-{filling}.db"
    start = (page - 1) * PAGE_BYTES
    path.write_bytes(content[:start] + bytes([filling]) * PAGE_BYTES + content[start + PAGE_BYTES :])
    return path


def test_of_a_whole_ledger_everything_is_saved_and_it_is_not_touched(sound: bytes, tmp_path: Path) -> None:
    path, saved = tmp_path / "ledger.db", tmp_path / "saved.db"
    path.write_bytes(sound)
    found = salvage(path, saved)
    before, after = rows_of(path), rows_of(saved)
    assert {name: rows for name, rows in after.items() if name not in DERIVED} == {
        name: rows for name, rows in before.items() if name not in DERIVED
    }
    assert found == Salvage({name: rows.total() for name, rows in before.items()}, (), 0)
    assert path.read_bytes() == sound
    ledger, original = Ledger.read(saved), Ledger.read(path)
    assert ledger.report() == original.report()
    ledger.close()
    original.close()


def test_whatever_page_is_damaged_nothing_is_lost_in_silence(sound: bytes, tmp_path: Path) -> None:
    whole = tmp_path / "ledger.db"
    whole.write_bytes(sound)
    before = rows_of(whole)
    unreadable, postings_saved = [], set()
    for page in range(1, len(sound) // PAGE_BYTES + 1, 3):  # 30 pages, and each of the two fillings
        saved = tmp_path / f"saved-{page}.db"
        try:
            found = salvage(damaged(sound, tmp_path, page, 0x55 * (page % 2)), saved)
        except ConfigError:
            unreadable.append(page)
            assert not saved.exists()
            continue
        after = rows_of(saved)
        short = {name for name in before if name not in DERIVED and after[name].total() < before[name].total()}
        assert short <= set(found.tables_damaged), page
        postings_saved.add(after["posting"].total())
        assert after["posting"] <= before["posting"], page
    assert len(unreadable) < 10  # those of the names of tables
    all_postings = before["posting"].total()
    assert {all_postings} < postings_saved  # pages of other tables, and leaves of its own
    assert min(postings_saved) > all_postings // 2
