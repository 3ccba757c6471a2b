"""Ask every query of the boards of dashboards/ for every value of every variable, with `dash_check.py`.

    PROMETHEUS=path make check-boards DASH_CHECK=path/to/dash_check.py

First their lint, where a warning fails too; then their queries, of a seeded past in a real Prometheus: a panel that is
empty or fails, fails, as the board opens and with each value that can be chosen; as it opens, one of 0 alone or with a
query that says nothing too. Single queries of 0 are named. `dash_check.py` is no part of this project. Filling
Prometheus with the past takes minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.backends import PROMETHEUS
from support.backfilled import Past, looked_at
from support.boards import EXPORT_SECONDS, FOLDER, read_boards

DEVELOPERS = 30
WIDTH = 1280


def check(dash_check: Path, past: Past, scratch: Path) -> int:
    """Lint, and ask as the boards open and with each choice; an exit code."""
    tool = [sys.executable, str(dash_check), str(FOLDER)]
    status = _run("lint", [*tool, "--lint-only", "--strict"])
    asked = [*tool, "--prom", past.prometheus.url, "--scrape", f"{EXPORT_SECONDS}s", "--quiet"]
    asked += ["--at", str(past.end_unix), "--width", str(WIDTH)]
    found = scratch / "found.json"
    status = _run("as they open", [*asked, "--json", str(found)]) or status
    panels = [panel for board in json.loads(found.read_text()) for panel in board["runs"][0]["panels"]]
    sys.stdout.writelines(f"  {line}\n" for line in unlike(panels))
    if any(panel["status"] != "ok" or panel.get("partial") for panel in panels):
        status = 1
    for variable in variables():
        status = _run(f"each {variable}", [*asked, "--each", variable]) or status
    return status


def variables() -> list[str]:
    """Every variable that something is chosen of, on any board."""
    several = [one for board in read_boards() for one in board.content["templating"]["list"]]
    return sorted({one["name"] for one in several if one["type"] == "query"})


def unlike(panels: list[dict[str, Any]]) -> Iterator[str]:
    """Queries that say nothing or 0 alone."""
    for panel in panels:
        for target in panel["targets"]:
            if target["status"] != "ok":
                yield f"{target['status']}: {panel['title']}, query {target['refId']}"


def _run(title: str, command: list[str]) -> int:
    """Run, and print what is not well and the last lines."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    told = [line for line in done.stdout.splitlines() if line and not line.startswith(("==", "  with "))]
    sys.stdout.write("\n  ".join([f"{title}:", *told, *done.stderr.splitlines()]) + "\n")
    sys.stdout.flush()
    return done.returncode


async def run(dash_check: Path) -> int:
    """Fill and ask; an exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        async with looked_at(Path(scratch), developers=DEVELOPERS) as past:
            return await asyncio.to_thread(check, dash_check, past, Path(scratch))


def main() -> None:
    """Say what is missing, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dash-check", type=Path, required=True, help="dash_check.py")
    arguments = parser.parse_args()
    if not PROMETHEUS:
        parser.error("PROMETHEUS names no Prometheus; `make prometheus` builds one")
    if not arguments.dash_check.is_file():
        parser.error(f"DASH_CHECK names {arguments.dash_check}, where it is not")
    sys.exit(asyncio.run(run(arguments.dash_check)))


if __name__ == "__main__":
    main()
