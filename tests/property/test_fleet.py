"""No overcharge: simulated fleets, whose true cost is known, against the ledger. `make fleet` runs the large one."""

from __future__ import annotations

from pathlib import Path

from support.fleet.fleet import HARD, Fleet, Options
from support.fleet.outcome import book


def test_a_fleet_is_charged_what_it_was_served(tmp_path: Path) -> None:
    outcome = book(Fleet(seed=1, developers=20, hours=0.5, options=Options()), tmp_path / "ledger.db")
    assert outcome.calls > 1_000
    assert outcome.overcharged == {}
    assert outcome.unpriced == 0
    # To the pico-dollar what some export that arrived told of.
    assert outcome.charged == outcome.arrived
    # 0.01 % of all that was served.
    assert outcome.served - outcome.charged <= outcome.served // 10_000


def test_a_fleet_of_everything_at_once_is_never_overcharged(tmp_path: Path) -> None:
    fleet = Fleet(seed=6, developers=40, hours=0.25, options=HARD)
    outcome = book(fleet, tmp_path / "ledger.db", restarts=3)
    assert outcome.calls > 1_000
    assert outcome.overcharged == {}
    assert outcome.unpriced == 0
