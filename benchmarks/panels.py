"""How long each panel of the boards takes on a month of 500 developers, in a real Prometheus.

A day of a seeded history goes through the real component and its exports into Prometheus (tests/support/backfilled.py):
that tells which series 500 developers make, and what the recording rules of the boards make of them. Samples of
thirty-one days are written to another one (growth.py), one a minute, of recorded ones as often as their rules
are. Then each query of each panel is asked as Grafana asks it, over the last thirty days, and the median of several is
taken. The queries of a panel are counted one after the other, though Grafana asks them at once. `dash_check.py` fills
in what Grafana fills in; name it.

    PROMETHEUS=path make bench-panels DASH_CHECK=path/to/dash_check.py

Filling takes a while: --keep FOLDER keeps the data for the next run. --table FILE writes the result as a page.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.progress import track

from spanledger.config.sections import Settings
from spanledger.core.budget import EACH
from spanledger.core.periods import midnight_unix_nano
from spanledger.core.times import NANO_PER_SECOND

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from growth import HOUR_SECONDS, Grown, fill

from support.backends import PROMETHEUS, Prometheus
from support.backfilled import KEPT, Exporting
from support.history import HOUR, UTC, History, play
from support.recorded import rules
from support.remote_write import RECEIVER
from support.replaying import open_parts

ROOT = Path(__file__).parents[1]
DEVELOPERS, DAYS = 500, 30
BEFORE_DAYS = 1  # that values at the start of the range are there to be read
FIRST = date(2026, 10, 26)  # a Monday, the first day that is written
EXPORT_SECONDS, RECORDING_SECONDS = 60, 300
HOURS = (DAYS + BEFORE_DAYS) * 24
FLAGS = (RECEIVER, "--storage.tsdb.retention.time=50y")
ROUNDS = 5
GOAL_MILLISECONDS = 200

BUDGETS = {
    "all": {"period": "month", "limit_usd": 20_000},
    "teams": {"scope": "team", "owner": EACH, "period": "week", "limit_usd": 700},
    "users": {"scope": "user", "owner": EACH, "period": "day", "limit_usd": 60},
}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Past:
    """A Prometheus that runs, and when the last sample in it is of."""

    url: str
    end_seconds: int


@dataclass(frozen=True, slots=True)
class Timed:
    """A panel, the median of its time, what of Prometheus' processor it took, and how many samples it read."""

    board: str
    title: str
    milliseconds: float
    cpu_milliseconds: float
    samples: int


def resolved(dash_check: Path, past: Past) -> list[Json]:
    """The boards with what Grafana would ask over the thirty days."""
    with tempfile.TemporaryDirectory() as scratch:
        found = Path(scratch) / "boards.json"
        command = [
            sys.executable,
            str(dash_check),
            str(ROOT / "dashboards"),
            "--prom",
            past.url,
            "--snapshot",
            str(found),
        ]
        command += ["--at", str(past.end_seconds), "--from", f"now-{DAYS}d", "--scrape", f"{EXPORT_SECONDS}s"]
        # A panel that has nothing to show is timed too.
        subprocess.run([*command, "--width", "1280"], check=False, stdout=subprocess.DEVNULL)
        boards: list[Json] = json.loads(found.read_text())
        return boards


def timed(past: Past, boards: Sequence[Json]) -> Iterator[Timed]:
    """Ask every query of every panel."""
    session = requests.Session()
    for board in boards:
        (run,) = board["runs"]
        for panel in run["panels"]:
            began = _cpu_seconds(session, past)
            asks = zip(panel["targets"], panel["panel"].get("targets", []), strict=True)
            asked = [_ask(session, past, target, run, is_instant=ask.get("instant", False)) for target, ask in asks]
            cpu = (_cpu_seconds(session, past) - began) * 1000 / ROUNDS
            spent, samples = sum(ms for ms, _ in asked), sum(samples for _, samples in asked)
            yield Timed(board["title"], panel["title"], spent, cpu, samples)


def _cpu_seconds(session: requests.Session, past: Past) -> float:
    """What Prometheus has taken of the processor so far: the same however busy the machine is."""
    text = session.get(f"{past.url}/metrics", timeout=10).text
    (found,) = re.findall(r"^process_cpu_seconds_total (\S+)$", text, re.MULTILINE)
    return float(found)


def _ask(session: requests.Session, past: Past, target: Json, run: Json, *, is_instant: bool) -> tuple[float, int]:
    """Milliseconds and samples of a query."""
    times = {"time": run["to"]} if is_instant else {"start": run["from"], "end": run["to"], "step": target["step"]}
    url = f"{past.url}/api/v1/{'query' if is_instant else 'query_range'}"
    spent, samples = [], 0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        answer = session.post(url, data={"query": target["expr"], "stats": "all", **times}, timeout=120)
        spent.append((time.perf_counter() - began) * 1000)
        answer.raise_for_status()
        samples = answer.json()["data"]["stats"]["samples"]["totalQueryableSamples"]
    return statistics.median(spent), samples


def page(panels: Sequence[Timed], series: int) -> str:
    """The result as a page."""
    over = [one for one in panels if one.milliseconds > GOAL_MILLISECONDS]
    return f"""# How long the panels take

{DEVELOPERS} developers, {DAYS} days, {series:,} series with a sample every {EXPORT_SECONDS} s; each panel over all,
its queries one after the other, the median of {ROUNDS}. {len(over)} of {len(panels)} panels take more than
{GOAL_MILLISECONDS} ms. Written by `make bench-panels`.

| board | panel | ms | ms of CPU | samples |
|---|---|---:|---:|---:|
""" + "".join(map(_row, panels))


def _row(one: Timed) -> str:
    figures = f"{one.milliseconds:.0f} | {one.cpu_milliseconds:.0f} | {one.samples:,}"
    return f"| {one.board} | {one.title} | {figures} |\n"


async def series_of_a_day(folder: Path) -> list[Grown]:
    """The series that the real component makes of a day, with their last values."""
    kept = folder / "series.json"
    if not kept.exists():
        prometheus = Prometheus(folder / "day", flags=KEPT)
        await prometheus.start()
        try:
            found = await asyncio.to_thread(_a_day, prometheus, folder / "ledger.db")
        finally:
            await prometheus.stop()
        kept.write_text(json.dumps([[one["metric"], float(one["value"][1])] for one in found]))
    return [Grown(labels, value) for labels, value in json.loads(kept.read_text())]


def _a_day(prometheus: Prometheus, ledger_path: Path) -> list[Json]:
    settings = Settings.model_validate({"budgets": {"limits": BUDGETS}})
    parts = open_parts(ledger_path, settings=settings, forward=False)
    exporting = Exporting(parts, settings, ledger_path, prometheus)
    history = History(developers=DEVELOPERS, first=FIRST, days=1)
    last = 0

    def on_tick(now: int) -> None:
        nonlocal last
        exporting.export(now)
        last = now

    play(history, parts, every_seconds=HOUR_SECONDS, on_tick=on_tick, on_booked=exporting.booked)
    exporting.export(last + HOUR)  # what is new says 0 first
    parts.ledger.close()
    at = last // NANO_PER_SECOND + HOUR_SECONDS
    found = _asked(prometheus, "last_over_time({__name__=~'spanledger_.+'}[3d])", at)
    for rule in rules("boards.yaml"):
        recorded = _asked(prometheus, rule["expr"], last // NANO_PER_SECOND)
        found += [one | {"metric": one["metric"] | {"__name__": rule["record"]}} for one in recorded]
    return found


def _asked(prometheus: Prometheus, expression: str, at_seconds: int) -> list[Json]:
    query = {"query": expression, "time": at_seconds}
    answer = requests.get(f"{prometheus.url}/api/v1/query", params=query, timeout=60)
    answer.raise_for_status()
    result: list[Json] = answer.json()["data"]["result"]
    return result


async def measure(dash_check: Path, folder: Path) -> str:
    """Fill, ask, and give the page."""
    series = await series_of_a_day(folder)
    start = midnight_unix_nano(FIRST, UTC) // NANO_PER_SECOND
    prometheus = Prometheus(folder / "prometheus", flags=FLAGS)
    done = folder / "grown"
    await prometheus.start()
    try:
        if not done.exists():
            await asyncio.to_thread(_grow, prometheus.url, series, start)
            done.touch()
        past = Past(prometheus.url, start + HOURS * HOUR_SECONDS - EXPORT_SECONDS)
        found = await asyncio.to_thread(lambda: list(timed(past, resolved(dash_check, past))))
    finally:
        await prometheus.stop()
    return page(found, len(series))


def _grow(url: str, series: Sequence[Grown], start_seconds: int) -> None:
    console = Console(stderr=True)
    recorded = [one for one in series if ":" in one.labels["__name__"]]
    exported = [one for one in series if ":" not in one.labels["__name__"]]
    hours = zip(
        fill(url, exported, start_seconds, HOURS, EXPORT_SECONDS),
        fill(url, recorded, start_seconds, HOURS, RECORDING_SECONDS),
        strict=True,
    )
    for _ in track(hours, "writing samples", HOURS, console=console, transient=True, disable=not console.is_terminal):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dash-check", type=Path, required=True, help="dash_check.py")
    parser.add_argument("--keep", type=Path, help="keep the data here, or use those that are there")
    parser.add_argument("--table", type=Path, help="write the result here, too")
    arguments = parser.parse_args()
    if not PROMETHEUS:
        parser.error("PROMETHEUS names no Prometheus; `make prometheus` builds one")
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        text = asyncio.run(measure(arguments.dash_check, folder))
    print(text, end="")
    if arguments.table:
        arguments.table.write_text(text)


if __name__ == "__main__":
    main()
