"""The clock is set forth: nothing counts as old because of it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from spanledger.core.times import NANO_PER_DAY, NANO_PER_SECOND
from spanledger.service.clock_steps import BelievedAges

MINUTE = 60 * NANO_PER_SECOND
HOLD = 3 * NANO_PER_DAY


@dataclass(slots=True)
class Clocks:
    wall: int = 1_000 * NANO_PER_DAY
    monotonic: int = 0

    def pass_by(self, nano: int, step: int = 0) -> None:
        self.monotonic += nano
        self.wall += nano + step

    def ages(self) -> BelievedAges:
        return BelievedAges(HOLD, lambda: self.wall, lambda: self.monotonic)


@pytest.mark.parametrize("step", [0, MINUTE, -NANO_PER_DAY])
def test_time_that_passes_and_small_steps_are_believed(step: int) -> None:
    clocks = Clocks()
    ages = clocks.ages()
    clocks.pass_by(NANO_PER_DAY, step)
    assert ages.now_unix_nano() == clocks.wall


def test_after_a_step_forth_nothing_is_old_until_it_is_so_by_any_clock() -> None:
    clocks = Clocks()
    ages = clocks.ages()
    clocks.pass_by(NANO_PER_SECOND, MINUTE + 1)
    assert ages.now_unix_nano() is None
    clocks.pass_by(HOLD - 1)
    assert ages.now_unix_nano() is None
    clocks.pass_by(1)
    assert ages.now_unix_nano() == clocks.wall


def test_a_further_step_holds_anew() -> None:
    clocks = Clocks()
    ages = clocks.ages()
    for _ in range(2):
        clocks.pass_by(HOLD - 1, NANO_PER_DAY)
        assert ages.now_unix_nano() is None
    clocks.pass_by(HOLD)
    assert ages.now_unix_nano() == clocks.wall
