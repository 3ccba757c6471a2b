"""Days that end elsewhere than the report's, and budgets that are infinite or missing. See README.md."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from spanledger.config.sections import Settings
from spanledger.config.settings import load_settings
from spanledger.core.gauges import Gauge
from spanledger.core.money import format_usd
from spanledger.core.periods import DAY, Cycle, Period, period_around
from spanledger.core.semconv import Metric
from spanledger.core.usage import Basis
from spanledger.ledger.ledger import Ledger
from spanledger.service.budget_watch import BudgetWatch
from spanledger.service.usage_report import report_usage
from support.booking import open_books
from support.telling import SECOND, Client, Usage

MODEL = "claude-opus-4-5"  # 5 USD per million tokens of input: 200 are a tenth of a cent
MINUTE = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Boundary:
    """A local midnight: that of the zone and date; what is just before it belongs to the day before."""

    zone: str
    day: date

    @property
    def unix_nano(self) -> int:
        return Period(self.day, self.day, ZoneInfo(self.zone)).start_unix_nano


BOUNDARIES = [
    Boundary("Pacific/Kiritimati", date(2026, 11, 24)),  # UTC+14
    Boundary("Etc/GMT+8", date(2026, 11, 24)),  # UTC-8
    Boundary("America/Los_Angeles", date(2026, 12, 1)),  # the end of a month
    Boundary("Pacific/Kiritimati", date(2027, 1, 1)),  # and of a year, 14 hours before UTC's
    Boundary("Europe/Berlin", date(2026, 3, 29)),  # a day of 23 hours
    Boundary("Europe/Berlin", date(2026, 10, 26)),  # after one of 25
    Boundary("America/Santiago", date(2026, 9, 6)),  # its midnight is skipped
    Boundary("Asia/Kathmandu", date(2026, 11, 1)),  # UTC+5:45
]


def settings_of(folder: Path, text: str) -> Settings:
    file = folder / "spanledger.yaml"
    file.write_text(text)
    return load_settings(file, {}, {})


@pytest.mark.parametrize("boundary", BOUNDARIES, ids=lambda boundary: f"{boundary.zone} {boundary.day}")
def test_k41_budget_gauge_and_report_end_the_day_at_the_same_instant(boundary: Boundary, tmp_path: Path) -> None:
    """ccusage#349 #1114, talon#216: days of another zone, 14 hours apart from those of the report."""
    settings = settings_of(
        tmp_path,
        f"calendar: {{timezone: {boundary.zone}}}\n"
        "budgets: {limits: {daily: {period: day, limit_usd: 1}, weekly: {period: week, limit_usd: 1}, "
        "monthly: {period: month, limit_usd: 1}}}\n",
    )
    midnight, client = boundary.unix_nano, Client(resource={"team.id": "core"})
    # Whichever calls are in a sum, it tells: 1, 2, 4, ... tenths of a cent.
    offsets = (-2 * 86_400 * SECOND, -20 * MINUTE, -1_000_000, 0, 1_000_000, 20 * MINUTE)
    with open_books(tmp_path / "ledger.db", settings) as books:
        for n, offset in enumerate(offsets):
            at = midnight + offset
            books.take(client.log(f"req_{n}", MODEL, Usage(input=200 * 2**n), at=at), at=at)
        books.rest()
    sums = {-1: 0, 0: 0}  # tenths of a cent of the day before, and of the day
    for n, offset in enumerate(offsets[1:], 1):
        sums[0 if offset >= 0 else -1] += 2**n
    assert sums == {-1: 2 + 4, 0: 8 + 16 + 32}

    zone, watch = ZoneInfo(boundary.zone), BudgetWatch(settings, tmp_path / "ledger.db")
    for seen_at, tenths in ((midnight - 1, sums[-1]), (midnight + 21 * MINUTE, sums[0])):
        watch.refresh(seen_at)
        today = datetime.fromtimestamp(seen_at // SECOND, tz=zone).date()
        gauges = {
            dict(one.labels)["period"]: one.value
            for one in watch.readings(seen_at)
            if one.gauge is Gauge.COST_PERIOD and dict(one.labels)["team"] == "core"
        }
        for state in watch.states(today):
            cycle = state.budget.cycle
            reported = reported_picousd(tmp_path / "ledger.db", period_around(cycle, today, zone))
            assert state.spent_picousd == reported
            if cycle is Cycle.DAY:
                assert reported == tenths * 10**9
            if cycle is not Cycle.WEEK:
                assert gauges[cycle] == reported


def reported_picousd(path: Path, period: Period) -> int:
    ledger = Ledger.read(path)
    totals = report_usage(ledger, period, ["model"], {}).totals
    ledger.close()
    return totals[Basis.BILLED].cost_picousd if totals else 0


@pytest.mark.parametrize(("change", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_k41_days_of_a_month_sum_to_it_though_clocks_change(change: date, hours: int, tmp_path: Path) -> None:
    """An hour that comes twice, or not at all, is in one day and in one month."""
    client, zone = Client(), ZoneInfo("Europe/Berlin")
    around = Period(change - DAY, change + DAY, zone)
    with open_books(tmp_path / "ledger.db") as books:
        for hour in range((around.end_unix_nano - around.start_unix_nano) // (60 * MINUTE)):
            at = around.start_unix_nano + hour * 60 * MINUTE
            books.take(client.log(f"req_{hour}", MODEL, Usage(input=200), at=at), at=at)
        books.rest()
    month = period_around(Cycle.MONTH, change, zone)
    days = {day.first: reported_picousd(tmp_path / "ledger.db", day) // 10**9 for day in month.days()}
    assert {day: tenths for day, tenths in days.items() if tenths} == {
        change - DAY: 24,
        change: hours,
        change + DAY: 24,
    }
    assert reported_picousd(tmp_path / "ledger.db", month) == (24 + hours + 24) * 10**9


def test_k46_budgets_are_finite_before_the_first_traffic(tmp_path: Path) -> None:
    """litellm#20528 #29937: the remaining budget was +Inf, or missing, until somebody spent something."""
    settings = settings_of(
        tmp_path,
        "budgets: {limits: {all: {period: month, limit_usd: 5000}, "
        "core: {scope: team, owner: core, period: week, limit_usd: '99.50'}}}\n",
    )
    now = 1_795_500_000 * SECOND
    with open_books(tmp_path / "ledger.db", settings) as books:
        watch = BudgetWatch(settings, tmp_path / "ledger.db")
        watch.refresh(now)
        found = {
            (one.gauge, dict(one.labels)["budget"]): format_usd(one.value)
            for one in watch.readings(now)
            if one.gauge is not Gauge.COST_PERIOD
        }
        assert found == {
            (Gauge.BUDGET_LIMIT, "all"): "5000",
            (Gauge.BUDGET_SPENT, "all"): "0",
            (Gauge.BUDGET_FORECAST, "all"): "0",
            (Gauge.BUDGET_LIMIT, "core"): "99.5",
            (Gauge.BUDGET_SPENT, "core"): "0",
            (Gauge.BUDGET_FORECAST, "core"): "0",
        }
        periods = {
            (dict(one.labels)["period"], dict(one.labels)["basis"]): one.value
            for one in watch.readings(now)
            if one.gauge is Gauge.COST_PERIOD
        }
        assert periods == {(cycle, basis): 0 for cycle in ("day", "month") for basis in Basis}

        client = Client(resource={"team.id": "core"})
        books.take(client.log("req_1", MODEL, Usage(input=200_000), at=now), at=now).rest()
        watch.refresh(now)
        spent = {
            dict(one.labels)["budget"]: format_usd(one.value)
            for one in watch.readings(now)
            if one.gauge is Gauge.BUDGET_SPENT
        }
        assert spent == {"all": "1", "core": "1"}
        assert books.total(Metric.COST) == 10**12


def test_k53_who_moves_in_mid_month_is_split_by_day_and_nothing_is_lost(tmp_path: Path) -> None:
    """The old team keeps what was spent in it, the new one has the rest; who says no team has a line of their own."""
    path, month = tmp_path / "ledger.db", period_around(Cycle.MONTH, date(2026, 11, 15), ZoneInfo("UTC"))
    with open_books(path) as books:
        for day in month.days():
            team = {"team.id": "old" if day.first.day < 15 else "new"}
            clients = (Client(user="mover", resource=team), Client(user="unmapped", session="other"))
            for client in clients:
                at = day.start_unix_nano + 12 * 60 * MINUTE
                books.take(client.log(f"req_{client.user}_{day.first}", MODEL, Usage(input=200), at=at), at=at)
        books.rest()
    ledger = Ledger.read(path)
    found = report_usage(ledger, month, ["team", "user"], {})
    ledger.close()
    assert {line.key: line.figures.cost_picousd // 10**9 for line in found.lines} == {
        ("old", "mover"): 14,
        ("new", "mover"): 16,
        ("unallocated", "unmapped"): 30,
    }
    assert found.totals[Basis.BILLED].cost_picousd == 60 * 10**9
    assert found.unallocated["team"] == {Basis.BILLED: 30 * 10**9}
