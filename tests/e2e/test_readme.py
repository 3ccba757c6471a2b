"""The commands of the README, run as they stand there."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
from pathlib import Path

import pytest

from spanledger.core.events import Event
from support.processes import COMMAND, start_serve

ROOT = Path(__file__).parent.parent.parent
COMMANDS = re.findall(r"^\.venv/bin/spanledger (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)


FIRST_WORDS = {"replay": "cost $", "quickstart": "# In a shell"}


def test_the_readme_shows_how_to_serve_to_send_and_to_replay() -> None:
    assert {command.split()[0] for command in COMMANDS} == {"serve", *FIRST_WORDS}


@pytest.mark.parametrize("command", [command for command in COMMANDS if not command.startswith("serve")])
def test_a_command_ends_well(command: str) -> None:
    done = subprocess.run([COMMAND, *command.split()], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(FIRST_WORDS[command.split()[0]])


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("serve")])
def test_serve_starts_with_these_arguments(command: str, tmp_path: Path) -> None:
    """On free ports and a ledger of its own; the destination of the README need not be there."""
    arguments = command.split()[1:]

    async def run() -> str:
        serving = await start_serve(tmp_path / "ledger.db", *arguments)
        code, told = await serving.end(signal.SIGTERM)
        assert (code, [line for line in told.splitlines() if Event.METRICS_NOT_SENT not in line]) == (0, [])
        return serving.ready_line

    assert asyncio.run(run()).endswith(f"to {arguments[-1]}")
