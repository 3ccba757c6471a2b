"""Backoff: how long to pause before the next attempt."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

_DOUBLINGS_MAX = 32


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential pauses with full jitter on their upper half, and the server's own wish when it has one.

    A wish of more than `max_server_delay_seconds` counts as that much: one wrong answer must not end forwarding.
    """

    initial_delay_seconds: float
    max_delay_seconds: float
    max_server_delay_seconds: float
    random: Random

    def next_delay_seconds(self, attempt: int, server_delay_seconds: float | None) -> float:
        """Pause after failed attempt number `attempt` (from 0); no sooner than the server's delay."""
        grown: float = self.initial_delay_seconds * 2.0 ** min(attempt, _DOUBLINGS_MAX)
        capped = min(grown, self.max_delay_seconds)
        jittered = capped * self.random.uniform(0.5, 1.0)
        return max(jittered, min(server_delay_seconds or 0.0, self.max_server_delay_seconds))
