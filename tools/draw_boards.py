"""Draw the boards of dashboards/ from a seeded past in a real Prometheus, with Grafana's own components.

    PROMETHEUS=path make pictures DASHRENDER=folder DASH_CHECK=path/to/dash_check.py

`dash_check.py` asks the queries, `dashrender` draws the answers in headless Chromium. Neither is part of this project:
both are named, and what is missing is said. Filling Prometheus with the past takes minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.backends import PROMETHEUS
from support.backfilled import Past, looked_at

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
DEVELOPERS = 30
WIDTH = 1280


def missing(dash_check: Path, dashrender: Path) -> Iterator[str]:
    """What is not there, and how to get it."""
    if not PROMETHEUS or not Path(PROMETHEUS).is_file():
        yield "Prometheus: `make prometheus` builds it; PROMETHEUS names another one"
    if not dash_check.is_file():
        yield f"dash_check.py: DASH_CHECK names {dash_check}, where it is not"
    if not (dashrender / "shoot.py").is_file():
        yield f"dashrender: DASHRENDER names {dashrender}, where there is no shoot.py"
    elif not (dashrender / "out" / "page.js").is_file():
        yield f"dashrender, not built: in {dashrender}, npm install --ignore-scripts --legacy-peer-deps; node build.mjs"
    if not shutil.which("chromium"):
        yield "Chromium: install it, as the command `chromium`"
    if "Inter" not in _output("fc-list", ":", "family"):
        yield "the font Inter, which Grafana measures and writes with: others are cut"


def draw(past: Past, dash_check: Path, dashrender: Path) -> int:
    """Draw every board, dark and light; an exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        snapshot = Path(scratch) / "snapshot.json"
        asked = [str(dash_check), str(ROOT / "dashboards"), "--prom", past.prometheus.url, "--scrape", "60s"]
        asked += ["--quiet", "--at", str(past.end_unix), "--width", str(WIDTH), "--snapshot", str(snapshot)]
        status = _python(*asked)
        for light in ([], ["--light"]):
            shot = [str(dashrender / "shoot.py"), str(snapshot), str(PICTURES), "--width", str(WIDTH), *light]
            status = _python(*shot) or status
    _make_small()
    return status


def _make_small() -> None:
    """Write the pictures with 256 colours, where `pngquant` is installed: a third of the size, nothing to be seen."""
    if shutil.which("pngquant"):
        _output("pngquant", "--force", "--ext", ".png", "--skip-if-larger", *map(str, PICTURES.glob("*.png")))


def _output(*command: str) -> str:
    """What a command prints; nothing where there is none."""
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout  # noqa: S603


def _python(*command: str) -> int:
    return subprocess.run([sys.executable, *command], check=False).returncode  # noqa: S603


async def run(arguments: argparse.Namespace, folder: Path) -> int:
    """Fill, ask and draw; an exit code."""
    async with looked_at(folder, developers=DEVELOPERS) as past:
        return await asyncio.to_thread(draw, past, arguments.dash_check, arguments.dashrender)


def main() -> None:
    """Say what is missing, or draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dash-check", type=Path, default=Path("dash_check.py"))
    parser.add_argument("--dashrender", type=Path, default=Path("dashrender"))
    arguments = parser.parse_args()
    if problems := list(missing(arguments.dash_check, arguments.dashrender)):
        sys.stderr.write("\n  ".join(["no pictures; missing:", *problems]) + "\n")
        sys.exit(2)
    with tempfile.TemporaryDirectory() as scratch:
        PICTURES.mkdir(exist_ok=True)
        sys.exit(asyncio.run(run(arguments, Path(scratch))))


if __name__ == "__main__":
    main()
