"""How cost is spread over developers and their days, and what that says of more of them.

Percentiles are by nearest rank: the least cost that so many per cent of all do not exceed, a cost that really was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from spanledger.core.usage_report import DeveloperDay

MONTH_DAYS = 30
"""Days of the month that an extrapolation is for."""

_MEDIAN, _MOST = 50, 90


@dataclass(frozen=True, slots=True)
class Reference:
    """A published figure of what a developer costs, from a date until another (exclusive): mean, and what 90 % stay
    under. `per` says of what day.
    """

    since: date
    until: date | None
    per: str
    mean_picousd: int
    p90_picousd: int
    source: str


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, half and nine tenths of some costs in pico-USD; the mean rounded to the nearest."""

    mean_picousd: int
    p50_picousd: int
    p90_picousd: int

    @classmethod
    def of(cls, costs: Sequence[int]) -> Spread:
        """Spread of at least one cost."""
        ordered = sorted(costs)
        return cls(round(Fraction(sum(ordered), len(ordered))), _ranked(ordered, _MEDIAN), _ranked(ordered, _MOST))


@dataclass(frozen=True, slots=True)
class Distribution:
    """Cost of developers on their active days: days on which a call of theirs was recorded."""

    developers: int
    developer_days: int
    unpriced_requests: int
    per_active_day: Spread
    per_developer: Spread

    @classmethod
    def of(cls, days: Sequence[DeveloperDay]) -> Distribution:
        """Distribution of at least one developer-day."""
        by_user: dict[str, int] = {}
        for day in days:
            by_user[day.user] = by_user.get(day.user, 0) + day.cost_picousd
        return cls(
            developers=len(by_user),
            developer_days=len(days),
            unpriced_requests=sum(day.unpriced_requests for day in days),
            per_active_day=Spread.of([day.cost_picousd for day in days]),
            per_developer=Spread.of(list(by_user.values())),
        )

    def month_of(self, developers: int, elapsed_days: int) -> Spread:
        """What that many developers cost in a month of 30 days, if all cost what these do on average, at half, or at
        nine tenths; these were observed for `elapsed_days` calendar days.
        """
        spread = self.per_developer
        months = Fraction(developers * MONTH_DAYS, elapsed_days)
        costs = (spread.mean_picousd, spread.p50_picousd, spread.p90_picousd)
        return Spread(*(round(cost * months) for cost in costs))


def _ranked(ordered: Sequence[int], percent: int) -> int:
    return ordered[-(-len(ordered) * percent // 100) - 1]
