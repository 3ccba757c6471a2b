"""The budget watch: what is spent of each budget, kept up with the ledger, told once when a level is reached.

It reads the ledger file through a connection of its own, so that the first look back over weeks delays no sender.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

from spanledger.config.budgets import budgets_of
from spanledger.config.fields import read_zone
from spanledger.config.names import Names
from spanledger.config.sections import Settings
from spanledger.core.budget import Budget, BudgetState, Scope, Spending, looks_back_to
from spanledger.core.events import Event
from spanledger.core.gauges import Gauge, Reading, reading
from spanledger.core.money import rounded_usd
from spanledger.core.periods import Period, date_of
from spanledger.core.usage_report import LABELS
from spanledger.ledger.ledger import Ledger
from spanledger.logs import tell

_FACTS = frozenset({"basis", "user", LABELS})
"""What spending is told apart by."""

EVERYBODY = "all"
"""Owner of a budget of the organisation, in gauges and tables."""


def owner_name(state: BudgetState) -> str:
    """Whose budget it is."""
    return EVERYBODY if state.budget.scope == Scope.ORGANIZATION else state.owner


class BudgetWatch:
    """Spending of one ledger. `refresh` takes up what was posted since; any method may be called from any thread.

    Raises:
        ConfigError: usage is booked under no such name as a budget's owner, or the salt cannot be read.
    """

    def __init__(self, settings: Settings, path: Path) -> None:
        names = Names(settings.privacy, settings.metrics.resource_labels)
        self.budgets: Sequence[Budget] = budgets_of(settings.budgets, names)
        self.zone: ZoneInfo = read_zone(settings.calendar.timezone)
        self._labels = tuple(dict.fromkeys(settings.metrics.resource_labels.values()))
        self._max_series = settings.metrics.max_series
        self._path = path
        self._refreshing = threading.Lock()
        self._lock = threading.Lock()
        self._is_failing = False
        self._is_closed = False
        self._spending = self._nothing()
        self._began_unix_nano = 0
        self._last_id = 0
        self._known_from: date | None = None
        self._told: dict[tuple[str, str, date], int] = {}

    def refresh(self, now_unix_nano: int, *, tell: bool = True) -> bool:
        """Take up what was posted since, and log each level that is reached anew, if it is to `tell`; whether one was.

        Raises:
            ConfigError, sqlite3.Error: the ledger cannot be read now.
        """
        today = date_of(now_unix_nano, self.zone)
        with self._refreshing:
            ledger = Ledger.read(self._path)
            try:
                with ledger.snapshot():
                    self._catch_up(ledger, today)
            finally:
                ledger.close()
            return tell and self._tell(today)

    def keep_up(self, now_unix_nano: int) -> bool:
        """Refresh; while the ledger cannot be read, say so once and go by what was seen last.

        Returns whether a level was told.
        """
        try:
            told = self.refresh(now_unix_nano)
        except Exception as error:  # noqa: BLE001 - whatever keeps it from reading, receiving and exporting go on
            if not self._is_failing:
                tell(Event.BUDGETS_STAND_STILL, detail=str(error))
            self._is_failing = True
            return False
        self._is_failing = False
        return told

    def states(self, today: date) -> list[BudgetState]:
        """How every budget stands on a day, as far as the last refresh saw."""
        with self._lock:
            return self._spending.states(self.budgets, today)

    def readings(self, now_unix_nano: int) -> Iterable[Reading]:
        """Readings of the gauges of budgets and periods; none before the first refresh, for unknown is not zero.

        No more than `metrics.max_series` of each: of budgets those that are used most.
        """
        today = date_of(now_unix_nano, self.zone)
        with self._lock:
            if self._known_from is None:
                return
            costs = list(self._spending.period_costs(today, self._max_series))
            states = self._spending.states(self.budgets, today)
        states.sort(key=lambda state: -Fraction(state.spent_picousd, state.budget.limit_picousd))
        for cost in costs:
            yield reading(
                Gauge.COST_PERIOD, cost.cost_picousd, cost.labels, period=cost.cycle.value, basis=cost.basis.value
            )
        for state in states[: self._max_series]:
            labels = _gauge_labels(state)
            yield reading(Gauge.BUDGET_LIMIT, state.budget.limit_picousd, (), **labels)
            yield reading(Gauge.BUDGET_SPENT, state.spent_picousd, (), **labels)
            yield reading(Gauge.BUDGET_FORECAST, state.forecast_picousd, (), **labels)

    def close(self) -> None:
        """End a look back that is under way: the service stops."""
        self._is_closed = True

    def _catch_up(self, ledger: Ledger, today: date) -> None:
        first, last_id = looks_back_to(today, self.zone), ledger.postings.last_id()
        began = self._began_unix_nano or ledger.began_unix_nano  # 0 until the first delivery
        is_other = ledger.began_unix_nano != began or last_id < self._last_id
        if is_other or self._known_from is None or first < self._known_from:
            if not self._look_back(ledger, first, today, last_id):
                return
        else:
            self._add(ledger, first, last_id)
        self._began_unix_nano, self._last_id = ledger.began_unix_nano, last_id

    def _look_back(self, ledger: Ledger, first: date, today: date, last_id: int) -> bool:
        """Read all days that matter; False when it was ended before."""
        spending, known = self._nothing(), Period(first, today, self.zone)
        days = ledger.days
        kept_to = days.kept_to(self.zone, _FACTS)
        fresh = days.days_since(self.zone, kept_to)
        for day in known.days():
            if self._is_closed:
                return False
            kept = days.kept(day, _FACTS) if kept_to else []
            posted = days.posted(day, _FACTS, after_id=kept_to) if day.first in fresh else []
            for total in (*kept, *posted):
                unpriced = total.requests if total.cost_picousd is None else 0
                spending.add(total.day, total.account, total.cost_picousd or 0, unpriced)
        for occurred, account, cost, unpriced in ledger.postings.spent_from(known.end_unix_nano, to_id=last_id):
            spending.add(date_of(occurred, self.zone), account, cost, unpriced)  # by a client's clock that is ahead
        with self._lock:
            self._spending, self._known_from = spending, first
        return True

    def _add(self, ledger: Ledger, first: date, last_id: int) -> None:
        """Add what was posted since, and forget days that no longer matter."""
        posted = list(ledger.postings.spent_since(after_id=self._last_id, to_id=last_id))
        with self._lock:
            for occurred, account, cost, unpriced in posted:
                day = date_of(occurred, self.zone)
                if day >= first:
                    self._spending.add(day, account, cost, unpriced)
            self._spending.forget(first)
            self._known_from = first

    def _tell(self, today: date) -> bool:
        """Log every level that was reached since, each once in a period; whether there was one."""
        told: dict[tuple[str, str, date], int] = {}
        is_any = False
        for state in self.states(today):
            key = (state.budget.name, state.owner, state.period.first)
            known = self._told.get(key, 0)
            level = max(known, state.level_percent or 0)
            if level > known:
                _tell_of(state)
                is_any = True
            if level:
                told[key] = level
        self._told = told
        return is_any

    def _nothing(self) -> Spending:
        return Spending(self.zone, {budget.scope for budget in self.budgets}, self._labels)


def _tell_of(state: BudgetState) -> None:
    budget, unpriced = state.budget, ""
    if state.unpriced_requests:
        unpriced = f"; {state.unpriced_requests} requests have no price and are not in it"
    tell(
        Event.BUDGET_REACHED,
        budget=budget.name,
        scope=budget.scope,
        owner=owner_name(state),
        cycle=budget.cycle.value,
        first_day=str(state.period.first),
        level_percent=state.level_percent,
        spent_usd=str(rounded_usd(state.spent_picousd)),
        limit_usd=str(rounded_usd(budget.limit_picousd)),
        forecast_usd=str(rounded_usd(state.forecast_picousd)),
        unpriced=unpriced,
    )


def _gauge_labels(state: BudgetState) -> dict[str, str]:
    budget = state.budget
    return {
        "budget": budget.name,
        "scope": budget.scope,
        "owner": owner_name(state),
        "period": budget.cycle.value,
        "basis": "+".join(budget.bases),
    }
