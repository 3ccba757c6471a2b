"""The fleet: developers for a day, whose true cost is known, against the ledger. Exits with 1 on a finding.

    make fleet FLEET_DEVELOPERS=1000

By default that of the docs: 60 s intervals, calls that straddle their ends, traces off for half, 10 % gateway aliases,
1 % of metric and log exports lost, cut streams, classifier calls, restarts of clients and of the service. With `--hard`
everything at once that we know of: killed processes, late and repeated exports, cumulative sums, overlapping processes,
no session ids, missing signals, old versions, Bedrock, fast inference, interrupted replies.

A call whose exports were all lost cannot be known, and the error is said both ways: against all that was served, and
against what any export that arrived told of.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from support.fleet.calls import SECOND, Mix
from support.fleet.clients import Sent
from support.fleet.fleet import DAY_START, HARD, STAGGER_SECONDS, Fleet, Options
from support.fleet.outcome import Outcome, book

WORKDAY_HOURS, SECONDS_BETWEEN_TURNS = 8.0, 700.0
"""About 30 calls an hour, 240 in a day."""

ERROR_MAX_PERCENT = 0.01
RESTARTS = 10
SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `is_met` is None for what has no bound."""

    what: str
    said: str
    is_met: bool | None = None


def rows(outcome: Outcome) -> Iterator[Row]:
    """What came of it. A fleet of everything at once has facts that no signal carries: there the error has no bound."""
    served, arrived, charged = outcome.served, outcome.arrived, outcome.charged
    unknowable = served - arrived
    of_arrived, of_served = percent(charged - arrived, arrived), percent(charged - served, served)
    yield Row("calls", f"{outcome.calls:,} in {len(outcome.balances):,} sessions")
    yield Row("served", usd(served))
    yield Row("lost in every signal", f"{usd(unknowable)} ({percent(unknowable, served):.5f} %), cannot be known")
    yield Row("ledger", usd(charged))
    yield Row("error against what arrived", f"{of_arrived:+.5f} %", abs(of_arrived) <= ERROR_MAX_PERCENT)
    yield Row("error against all served", f"{of_served:+.5f} %")
    yield Row("sessions charged more than served", f"{len(outcome.overcharged):,}")
    yield Row("sessions above the stated bound", f"{len(outcome.beyond_bounds):,}", not outcome.beyond_bounds)
    yield Row("charges without a price", f"{outcome.unpriced:,}", outcome.unpriced == 0)
    worst = sorted(outcome.beyond_bounds.items(), key=lambda one: -one[1])
    for key, excess in worst[:SHOWN_MAX]:
        yield Row(f"  {key}", f"{usd(excess)} above its bound")


def usd(picousd: int) -> str:
    return f"${picousd / 10**12:,.6f}"


def percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def main() -> int:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--developers", type=int, default=1_000)
    parser.add_argument("--hours", type=float, default=WORKDAY_HOURS, help="how long each works")
    parser.add_argument("--hard", action="store_true", help="everything at once")
    asked = parser.parse_args()
    options = HARD if asked.hard else Options(mix=Mix(seconds_between_turns=SECONDS_BETWEEN_TURNS))
    fleet = Fleet(asked.seed, asked.developers, asked.hours, options)
    print(f"seed {asked.seed}, {asked.developers:,} developers, {asked.hours:g} hours{', hard' * asked.hard}")
    # Without a terminal nothing is drawn.
    with tempfile.TemporaryDirectory() as folder, Progress(disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task("booking", total=asked.hours * 3600 + STAGGER_SECONDS)

        def show(sent: Sent) -> None:
            progress.update(task, completed=(sent.at_unix_nano - DAY_START) // SECOND)

        outcome = book(fleet, Path(folder) / "ledger.db", restarts=RESTARTS, on_sent=show)
    found = list(rows(outcome))
    for row in found:
        verdict = "" if row.is_met is None else "ok" if row.is_met else "NOT MET"
        print(f"{row.what:36} {row.said:52} {verdict}".rstrip())
    return int(any(row.is_met is False for row in found))


if __name__ == "__main__":
    sys.exit(main())
