"""What it costs to settle a call, whether that grows with a session, and whether memory stays flat over a day.

    make bench-settling

Simulated clients (`tests/support/fleet`) write their requests to a file; another process books them, so that neither
their making nor the truth is in what is measured. Nothing of theirs is lost: the ledger must equal what was served, for
single sessions to the pico-dollar; of a fleet, where small calls without a record may hide at the ends of intervals, to
0.01 %; and where processes share a session it must not be more. CPU is that of the step alone: reading (decode and
meter, the reference), accept (join, rate, post), advance (join windows), reconcile (the calls against the client's own
sums). The disk has no part in it: the ledger lies where --folder says, in memory where there is /dev/shm.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from spanledger.ledger.ledger import Ledger
from spanledger.service import reconciliation
from spanledger.service.pipeline import Pipeline, prepare

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.fleet.calls import Mix
from support.fleet.clients import Sent
from support.fleet.fleet import Fleet, Options
from support.replaying import open_parts

SEED = 7
GROUP_NANO = 10**9
"""Requests that come within this time are booked in one transaction."""

SAMPLE_NANO = 60 * 10**9
"""Memory is looked at this often, by the simulated clock."""

FLAT_SHARE = 0.05
"""Memory is flat when its highest value after the first quarter is no further above the highest in it."""

LINEAR_SHARE = 0.25
"""Cost is linear in calls when a call of the longest session costs no more above one of the shortest, both against
reading: other work on the machine makes both dearer."""

STEPS = ("read", "accept", "advance", "reconcile")
BUSY = Options(lost=0, aliases=0, traces=1, restarts_an_hour=1e-9, mix=Mix(seconds_between_turns=5))
SHARED = replace(BUSY, overlapping=1)
LENGTHS = (1, 4, 16)
"""Hours of one session, some 500 calls in each."""


@dataclass(frozen=True, slots=True)
class Case:
    """`lack_max` is how much of what was served the ledger may lack."""

    name: str
    fleet: Fleet
    lack_max: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Measured:
    """`rss_kib` is the memory in each minute of the simulated time, `off_picousd` what is charged less the truth."""

    name: str
    calls: int
    cpu_us_per_call: dict[str, float]
    ledger_bytes_per_call: int
    rss_kib: list[int]
    off_picousd: int
    problems: list[str]

    @property
    def settling_us_per_call(self) -> float:
        return sum(self.cpu_us_per_call[step] for step in STEPS[1:])

    @property
    def ratio(self) -> float:
        """Settling against reading."""
        return self.settling_us_per_call / self.cpu_us_per_call["read"]

    @property
    def peaks_mib(self) -> tuple[float, float]:
        """Highest memory in the first quarter, and after it."""
        quarter = max(1, len(self.rss_kib) // 4)
        return max(self.rss_kib[:quarter]) / 1024, max(self.rss_kib[quarter:] or [0]) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--developers", type=int, default=20, help="size of the fleet (default: %(default)s)")
    parser.add_argument("--hours", type=float, default=8, help="length of its day (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=_memory(), help="where the ledgers lie (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--book", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.book:
        print(json.dumps(book(*arguments.book)))
        return 0
    cases = [
        Case("fleet", Fleet(SEED, arguments.developers, arguments.hours, Options(lost=0)), Fraction(1, 10_000)),
        *(Case(f"session of {hours} h", Fleet(SEED, 1, hours, BUSY)) for hours in LENGTHS),
        Case("session of two processes, 4 h", Fleet(SEED, 1, 4, SHARED), Fraction(1, 100)),
    ]
    with Progress(console=Console(stderr=True), transient=True) as progress:
        results = [measure(case, arguments.folder) for case in progress.track(cases, description="measuring")]
    problems = [f"{one.name}: {problem}" for one in results for problem in one.problems] + judged(results)
    if arguments.json:
        print(json.dumps({"cases": [asdict(one) for one in results], "problems": problems}, indent=2))
    else:
        show(results)
        print("\n".join(problems) or "Right, linear in calls, memory flat.")
    return 1 if problems else 0


def measure(case: Case, folder: Path) -> Measured:
    """Let one case be booked by a process of its own, and compare the ledger with what was served."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        requests, ledger_path = Path(name) / "requests", Path(name) / "ledger.db"
        with requests.open("wb") as file:
            for sent in case.fleet.sent():
                pickle.dump(sent, file)
        command = [sys.executable, __file__, "--book", str(requests), str(ledger_path)]
        told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        size = ledger_path.stat().st_size
        ledger = Ledger.read(ledger_path)
        report = ledger.report()
        ledger.close()
    truth = case.fleet.truth
    served, calls = sum(truth.served.values()), truth.calls
    off = report.cost_picousd - served
    problems = []
    if off > 0 or -off > served * case.lack_max:
        problems.append(f"the ledger has {report.cost_picousd} pico-USD, served were {served}")
    if report.unpriced_requests:
        problems.append(f"{report.unpriced_requests} requests without a price")
    per_call = {step: told["cpu_nano"][step] / 1000 / calls for step in STEPS}
    return Measured(case.name, calls, per_call, size // calls, told["rss_kib"], off, problems)


def book(requests: Path, ledger_path: Path) -> dict[str, Any]:
    """Book requests from a file in order of arrival, and let the ledger come to rest."""
    spent = dict.fromkeys(STEPS, 0)
    read, accept, advance = _timed(spent, "read", prepare), _timed(spent, "accept", Pipeline.accept), Pipeline.advance
    advance = _timed(spent, "advance", advance)
    reconciliation.Reconciler.advance = _timed(spent, "reconcile", reconciliation.Reconciler.advance)  # type: ignore[method-assign]
    parts = open_parts(ledger_path, forward=False)
    pipeline, now, rss, sampled = parts.pipeline, 0, [], 0
    for group in chain(_groups(requests), [None]):
        until = None if group is None else group[-1].at_unix_nano
        while (due := pipeline.next_advance_unix_nano()) is not None and (until is None or due <= until):
            now = max(now, due)
            advance(pipeline, now)
        if group is not None and until is not None:
            now = max(now, until)
            accept(pipeline, [read(one.delivery, parts.meter) for one in group], now)
        if now >= sampled + SAMPLE_NANO:
            sampled = now
            rss.append(_rss_kib())
    parts.ledger.close()
    spent["advance"] -= spent["reconcile"]
    return {"cpu_nano": spent, "rss_kib": rss}


def judged(results: list[Measured]) -> list[str]:
    """What is not as it should be: growth of memory, and of the cost of a call with the length of its session."""
    problems = []
    first, later = results[0].peaks_mib
    if later > first * (1 + FLAT_SHARE):
        problems.append(f"{results[0].name}: memory grew from {first:.1f} to {later:.1f} MiB after the first quarter")
    named = {one.name: one for one in results}
    shortest, longest = named[f"session of {LENGTHS[0]} h"], named[f"session of {LENGTHS[-1]} h"]
    if longest.ratio > shortest.ratio * (1 + LINEAR_SHARE):
        problems.append(f"a call of a {longest.name} costs more than one of a {shortest.name}")
    return problems


def show(results: list[Measured]) -> None:
    table = Table(title="CPU of a call in microseconds, by step", title_justify="left", box=None)
    table.add_column("")
    for column in ("calls", *STEPS, "settling", "÷ read", "ledger B/call", "RSS MiB", "later", "ledger - truth"):
        table.add_column(column, justify="right")
    for one in results:
        cpu, (first, later) = one.cpu_us_per_call, one.peaks_mib
        table.add_row(
            one.name,
            f"{one.calls:,}",
            *(f"{cpu[step]:.0f}" for step in STEPS),
            f"{one.settling_us_per_call:.0f}",
            f"{one.ratio:.1f}",
            f"{one.ledger_bytes_per_call:,}",
            f"{first:.1f}",
            f"{later:.1f}",
            f"{one.off_picousd / 1e12:.4f} USD" if one.off_picousd else "0",
        )
    Console(width=140).print(table)
    print("settling = accept + advance + reconcile; RSS: highest in the first quarter of the time, and later.")


def _groups(requests: Path) -> Iterator[list[Sent]]:
    group: list[Sent] = []
    with requests.open("rb") as file:
        while file.peek(1):
            sent = pickle.load(file)
            if group and sent.at_unix_nano - group[0].at_unix_nano > GROUP_NANO:
                yield group
                group = []
            group.append(sent)
    if group:
        yield group


def _timed(spent: dict[str, int], step: str, work: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*arguments: Any) -> Any:
        began = time.process_time_ns()
        try:
            return work(*arguments)
        finally:
            spent[step] += time.process_time_ns() - began

    return timed


def _memory() -> Path:
    return Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())


def _rss_kib() -> int:
    """Resident memory as Linux tells it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1])


if __name__ == "__main__":
    sys.exit(main())
