"""The commands of docs/operate/ledger.md, copied and run on a ledger that is damaged and on one that is not."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from support.processes import COMMAND, service_environment
from support.replaying import replay_folders
from support.truth import CAPTURES

PAGE = (Path(__file__).parents[2] / "docs" / "operate" / "ledger.md").read_text(encoding="utf-8")
BLOCKS = [block.split("\n") for block in re.findall(r"```sh\n(.*?)\n *```", PAGE, re.DOTALL)]
_, RECOVERY, BACKUP = ([line.strip() for line in block] for block in BLOCKS)


def run(command: str, folder: Path) -> tuple[int, str]:
    environment = {**service_environment(), "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def overwrite(path: Path, table: str) -> None:
    """Damage the first page of a table."""
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * page_bytes)
        file.write(b"\x55" * page_bytes)


@pytest.mark.parametrize("table", ["account", "evidence", "tally"])
def test_what_can_be_read_of_a_damaged_ledger_is_saved_and_reported(table: str, tmp_path: Path) -> None:
    path = tmp_path / RECOVERY[0].split()[2]
    replay_folders([CAPTURES / "s03_subagent"], path)
    report = RECOVERY[1]
    sound = run(report.replace("saved.db", path.name), tmp_path)
    assert "total" in sound[1]
    overwrite(path, table)
    code, said = run(RECOVERY[0], tmp_path)
    assert code == 1
    assert re.search(rf"could not be read in full: .*\b{table}\b", said), said
    assert run(report, tmp_path) == sound


def test_what_is_lost_of_the_charges_is_said(tmp_path: Path) -> None:
    path = tmp_path / RECOVERY[0].split()[2]
    replay_folders([CAPTURES / "s03_subagent"], path)
    overwrite(path, "posting")
    code, said = run(RECOVERY[0], tmp_path)
    assert (code, "posting; totals may be too low" in said) == (1, True)
    assert "No usage" in run(RECOVERY[1], tmp_path)[1]
    again = run(RECOVERY[0], tmp_path)
    assert (again[0], "exists already" in again[1]) == (2, True)


def test_a_backup_has_the_same_report(tmp_path: Path) -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("SKIPPED: there is no sqlite3 program: the page's backup was not run")
    replay_folders([CAPTURES / "s03_subagent"], tmp_path / "ledger.db")
    assert run(BACKUP[0], tmp_path) == (0, "")
    assert run(BACKUP[1], tmp_path) == run(BACKUP[1].replace("copy.db", "ledger.db"), tmp_path)
