"""Budgets: limits on what is spent in a calendar period, how much of them is used, and a forecast of the rest.

They warn and block nothing. Spending counts by the time of the call, in a configured time zone, and only of the bases
that a budget names: cost that a plan covers is never mixed with cost that is billed unless somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, tzinfo
from enum import StrEnum
from fractions import Fraction

from spanledger.core.attribution import Account
from spanledger.core.periods import DAY, Cycle, Period, period_around
from spanledger.core.semconv import OVERFLOW_LABEL, UNALLOCATED
from spanledger.core.usage import Basis


class Scope(StrEnum):
    """Scopes of budgets that are not labels: all that the ledger holds, or a user."""

    ORGANIZATION = "organization"
    USER = "user"


EACH = "*"
"""Owner of a budget that holds for every owner of its scope by itself."""

HISTORY_DAYS = 28
"""Days before today that a forecast goes by: four of each weekday."""

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A limit in pico-USD, above zero. `warn_percents` are rising levels of use at which to warn."""

    name: str
    scope: str
    owner: str
    cycle: Cycle
    limit_picousd: int
    bases: tuple[Basis, ...]
    warn_percents: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BudgetState:
    """How a budget of one owner stands in its current period.

    `not_counted` is what was spent of bases that the budget does not name; `unpriced_requests` cost nobody knows what,
    so `spent_picousd` is a lower bound when there are some. `level_percent` is the highest level that is reached.
    """

    budget: Budget
    owner: str
    period: Period
    spent_picousd: int
    forecast_picousd: int
    not_counted: Mapping[Basis, int]
    unpriced_requests: int
    level_percent: int | None


@dataclass(frozen=True, slots=True)
class PeriodCost:
    """Cost to date of the current day or month, of one basis, by the labels of the senders."""

    cycle: Cycle
    basis: Basis
    labels: Labels
    cost_picousd: int


@dataclass(slots=True)
class _Day:
    cost_picousd: int = 0
    unpriced_requests: int = 0


Days = dict[date, _Day]


class Spending:
    """What was spent on each day, as far back as budgets, period gauges and forecasts look.

    `zone` is the time zone of the days, `scopes` those that budgets have, `labels` the names that senders are known by:
    cost without any of them is 0 before there is some.
    """

    def __init__(self, zone: tzinfo, scopes: Iterable[str], labels: Iterable[str]) -> None:
        self.zone = zone
        self._scopes = frozenset(scopes)
        nobody = tuple((label, UNALLOCATED) for label in labels)
        self._of_owners: dict[tuple[str, str, Basis], Days] = {}
        self._of_labels: dict[tuple[Labels, Basis], Days] = {(nobody, basis): {} for basis in Basis}

    def add(self, day: date, account: Account, cost_picousd: int, unpriced_requests: int) -> None:
        """Add what was posted for calls of a day; a charge taken back counts negative."""
        basis = account.basis
        several = [self._of_labels.setdefault((account.labels, basis), {})]
        several += [self._of_owners.setdefault((scope, _owner(account, scope), basis), {}) for scope in self._scopes]
        for days in several:
            of_day = days.setdefault(day, _Day())
            of_day.cost_picousd += cost_picousd
            of_day.unpriced_requests += unpriced_requests

    def forget(self, before: date) -> None:
        """Forget days that nothing looks back to any more; who spent something is remembered."""
        for days in (*self._of_owners.values(), *self._of_labels.values()):
            for day in [day for day in days if day < before]:
                del days[day]

    def states(self, budgets: Iterable[Budget], today: date) -> list[BudgetState]:
        """How budgets stand on a day, in their order; one of `EACH` owner is a state for every owner known."""
        return [self._state(budget, owner, today) for budget in budgets for owner in self._owners(budget)]

    def period_costs(self, today: date, at_most: int) -> Iterator[PeriodCost]:
        """Cost of the current day and month, zeros of whoever spent something before included.

        Of each no more than `at_most`, the highest; the others are one for each basis, under the overflow label.
        """
        for cycle in (Cycle.DAY, Cycle.MONTH):
            period = period_around(cycle, today, self.zone)
            costs = [
                PeriodCost(cycle, basis, labels, sum(_costs(days, period)))
                for (labels, basis), days in sorted(self._of_labels.items())
            ]
            costs.sort(key=lambda one: -one.cost_picousd)
            yield from costs[:at_most]
            rest = {basis: [one.cost_picousd for one in costs[at_most:] if one.basis is basis] for basis in Basis}
            for basis, several in rest.items():
                if several:
                    yield PeriodCost(cycle, basis, ((OVERFLOW_LABEL, "true"),), sum(several))

    def _owners(self, budget: Budget) -> list[str]:
        if budget.owner != EACH:
            return [budget.owner]
        return sorted({owner for scope, owner, _ in self._of_owners if scope == budget.scope})

    def _state(self, budget: Budget, owner: str, today: date) -> BudgetState:
        period = period_around(budget.cycle, today, self.zone)
        by_basis = {basis: self._of_owners.get((budget.scope, owner, basis), {}) for basis in Basis}
        counted = _merged(by_basis[basis] for basis in budget.bases)
        spent = sum(_costs(counted, period))
        others = {basis: sum(_costs(by_basis[basis], period)) for basis in Basis if basis not in budget.bases}
        reached = [percent for percent in budget.warn_percents if spent * 100 >= budget.limit_picousd * percent]
        return BudgetState(
            budget=budget,
            owner=owner,
            period=period,
            spent_picousd=spent,
            forecast_picousd=forecast({day: of_day.cost_picousd for day, of_day in counted.items()}, period, today),
            not_counted={basis: cost for basis, cost in others.items() if cost},
            unpriced_requests=sum(of_day.unpriced_requests for day, of_day in counted.items() if _is_in(day, period)),
            level_percent=max(reached, default=None),
        )


def looks_back_to(today: date, zone: tzinfo) -> date:
    """The first day that budgets and forecasts need to know on a day."""
    return min(today - HISTORY_DAYS * DAY, *(period_around(cycle, today, zone).first for cycle in Cycle))


def forecast(costs: Mapping[date, int], period: Period, today: date) -> int:
    """What a period will have cost at its end: what is spent, and each day to come as its weekday was on average.

    Averages are of the last four weeks before today, from the first day with cost in them on. Today costs what its
    weekday does on average, or what it has cost so far if that is more. A weekday that was not seen yet is taken for an
    average day; before there is any day, days to come are taken to cost what today has so far.
    """
    past = [day for day in costs if today - HISTORY_DAYS * DAY <= day < today and costs[day]]
    so_far = costs.get(today, 0)
    history = Period(min(past), today - DAY, period.zone).days() if past else ()
    seen = [(day.first.weekday(), costs.get(day.first, 0)) for day in history]

    def expected(day: date) -> int:
        alike = [cost for weekday, cost in seen if weekday == day.weekday()] or [cost for _, cost in seen]
        return round(Fraction(sum(alike), len(alike))) if alike else so_far

    spent = sum(cost for day, cost in costs.items() if period.first <= day < today)
    to_come = [day.first for day in period.days() if day.first >= today]
    return spent + sum(max(costs.get(day, 0), expected(day)) for day in to_come)


def _owner(account: Account, scope: str) -> str:
    match scope:
        case Scope.ORGANIZATION:
            return ""
        case Scope.USER:
            return account.user
        case _:
            return account.label(scope)


def _merged(several: Iterable[Days]) -> Days:
    merged: Days = {}
    for days in several:
        for day, of_day in days.items():
            known = merged.setdefault(day, _Day())
            known.cost_picousd += of_day.cost_picousd
            known.unpriced_requests += of_day.unpriced_requests
    return merged


def _costs(days: Days, period: Period) -> Iterator[int]:
    return (of_day.cost_picousd for day, of_day in days.items() if _is_in(day, period))


def _is_in(day: date, period: Period) -> bool:
    return period.first <= day <= period.last
