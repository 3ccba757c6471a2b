"""Delta exports as values: what a series grew by, and what became of an export."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from spanledger.core.views import SeriesKey


class Arrival(Enum):
    """What became of an export."""

    CONFIRMED = auto()
    NOT_TAKEN = auto()
    IN_DOUBT = auto()
    """The destination may have it or not, or not all of it: it is not sent again."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What a series grew by from `start_unix_nano` until now: pico-USD, a count or nanoseconds."""

    key: SeriesKey
    start_unix_nano: int
    amount: int
