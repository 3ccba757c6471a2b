"""Golden: every capture of a real client against what was served, and every posting as reviewed.

`python tests/golden/regenerate.py` rewrites the files; read the diff before you commit it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from spanledger.core.money import parse_usd
from support.goldens import GAP_TABLE, gap_table, golden_path, golden_text
from support.replaying import replay_folders
from support.truth import CAPTURES, capture_folders, served

FOLDERS = capture_folders()
NAMES = [str(folder.relative_to(CAPTURES)) for folder in FOLDERS]


def test_there_are_captures() -> None:
    assert len(FOLDERS) >= 24


@pytest.mark.parametrize("name", NAMES)
def test_the_ledger_holds_what_was_served_at_list_price(name: str, tmp_path: Path) -> None:
    folder = CAPTURES / name
    replayed = replay_folders([folder], tmp_path / "ledger.db")
    truth = served(folder)
    assert truth.untold == []
    assert replayed.figures.report.cost_picousd == parse_usd(str(truth.cost_usd))
    assert replayed.figures.report.requests == len(truth.recorded)
    assert replayed.figures.report.unpriced_requests == truth.unpriced_requests
    assert replayed.problems == []


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_every_posting_is_as_reviewed(folder: Path, tmp_path: Path) -> None:
    replayed = replay_folders([folder], tmp_path / "ledger.db")
    assert replayed.problems == []
    assert golden_text(replayed) == golden_path(folder).read_text(encoding="utf-8")


def test_the_table_of_gaps_is_the_present_one(tmp_path: Path) -> None:
    assert gap_table(tmp_path) == GAP_TABLE.read_text(encoding="utf-8")


def test_all_folders_together_cost_the_sum_of_each(tmp_path: Path) -> None:
    whole = replay_folders([CAPTURES], tmp_path / "all.db").figures.report.cost_picousd
    parts = [replay_folders([folder], tmp_path / f"{n}.db") for n, folder in enumerate(FOLDERS)]
    assert whole == sum(part.figures.report.cost_picousd for part in parts)
