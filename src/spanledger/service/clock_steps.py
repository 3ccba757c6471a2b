"""Steps of the clock forth: what the clock passed over is nobody's age."""

from __future__ import annotations

from collections.abc import Callable

from spanledger.core.times import NANO_PER_SECOND

STEP_NANO = 60 * NANO_PER_SECOND
"""Wall time that runs ahead of the monotonic clock by more than this between two looks was set, not slewed."""


class BelievedAges:
    """Tells whether ages by the wall clock can be believed: not for `hold_nano` after it was set forth.

    By then what came before the step is as old as that by any clock. Both clocks give nanoseconds. A machine that slept
    looks the same, and what waits is kept longer. One thread at a time; a new process knows of no step before it.
    """

    def __init__(self, hold_nano: int, wall: Callable[[], int], monotonic: Callable[[], int]) -> None:
        self._hold_nano = hold_nano
        self._wall = wall
        self._monotonic = monotonic
        self._last = (wall(), monotonic())
        self._held_until = self._last[1]

    def now_unix_nano(self) -> int | None:
        """Look at the clocks: wall time to count ages by, None while none can be counted."""
        wall, monotonic = self._wall(), self._monotonic()
        last_wall, last_monotonic = self._last
        self._last = (wall, monotonic)
        if (wall - last_wall) - (monotonic - last_monotonic) > STEP_NANO:
            self._held_until = monotonic + self._hold_nano
        return None if monotonic < self._held_until else wall
