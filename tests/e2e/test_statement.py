"""A fleet's statement: report, metrics, gauges and what was served agree, by cost center, team, user and model."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from spanledger.config.sections import Settings
from spanledger.config.settings import load_settings
from spanledger.core.budget import EACH
from spanledger.core.gauges import Gauge, Reading
from spanledger.core.periods import Cycle, date_of, period_around
from spanledger.core.semconv import ADJUSTED_BY, Metric
from spanledger.core.usage import Basis
from spanledger.core.usage_report import UsageReport
from spanledger.ledger.ledger import Ledger
from spanledger.service.budget_watch import BudgetWatch
from spanledger.service.usage_report import report_usage
from support.history import HOUR, UTC, History, play
from support.replaying import open_parts

Key = tuple[str, ...]
Past = tuple[History, Path, dict[int, list[Reading]]]
BY = ("cost_center", "team", "user", "model")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    file = tmp_path_factory.mktemp("settings") / "spanledger.yaml"
    file.write_text(
        "budgets: {limits: {all: {period: month, limit_usd: 100}, "
        f"team: {{scope: team, owner: '{EACH}', period: day, limit_usd: 10}}}}}}\n"
    )
    return load_settings(file, {}, {})


@pytest.fixture(scope="module")
def past(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[History, Path, dict[int, list[Reading]]]:
    """Twenty developers from Monday to Wednesday, the gauges read every six hours of it."""
    path = tmp_path_factory.mktemp("past") / "ledger.db"
    history = History(developers=20, first=date(2026, 11, 2), days=3)
    parts = open_parts(path, settings=settings)
    watch = BudgetWatch(settings, path)
    read: dict[int, list[Reading]] = {}

    def on_tick(now: int) -> None:
        watch.refresh(now, tell=False)
        read[now] = list(watch.readings(now))

    play(history, parts, every_seconds=6 * 3600, on_tick=on_tick)
    parts.pipeline.fold(0)
    parts.pipeline.prime("default", 0)
    parts.ledger.close()
    return history, path, read


def month(path: Path, by: tuple[str, ...]) -> UsageReport:
    ledger = Ledger.read(path)
    found = report_usage(ledger, period_around(Cycle.MONTH, date(2026, 11, 2), UTC), by, {})
    ledger.close()
    return found


def test_the_same_seed_gives_the_same_past() -> None:
    def make(seed: int) -> list[object]:
        return list(History(seed=seed, developers=3, days=2, first=date(2026, 11, 2)).sent())

    assert make(7) == make(7)
    assert make(7) != make(8)


def test_the_statement_says_what_was_served(past: Past) -> None:
    history, path, _ = past
    served: Counter[tuple[Key, Basis]] = Counter()
    unpriced: Counter[tuple[Key, Basis]] = Counter()
    for call in history.served:
        key = (call.cost_center, call.team, call.user, call.model)
        served[key, call.basis] += call.cost_picousd or 0
        unpriced[key, call.basis] += call.cost_picousd is None
    found = month(path, BY)
    lines = {(line.key, line.basis): line.figures for line in found.lines}
    assert lines.keys() == served.keys()
    for key, figures in lines.items():
        short = served[key] - figures.cost_picousd
        assert short == 0 if not figures.lower_bound_picousd else short >= 0, key
        assert figures.unpriced_requests == unpriced[key]
    assert set(found.totals) == set(Basis)
    exact = sum(figures.cost_picousd for figures in lines.values() if not figures.lower_bound_picousd)
    assert exact > 0.98 * sum(served.values())


def test_series_and_report_agree_by_user_team_and_cost_center(past: Past) -> None:
    _, path, _ = past
    ledger = Ledger.read(path)
    series: Counter[tuple[Key, str]] = Counter()
    for state in ledger.series.states():
        if ADJUSTED_BY.get(state.key.metric, state.key.metric) is Metric.USER_COST:
            labels = dict(state.key.labels)
            key = tuple(labels[name] for name in BY[:3])
            series[key, labels["basis"]] += state.value
    ledger.close()
    report = {(line.key, line.basis.value): line.figures.cost_picousd for line in month(path, BY[:3]).lines}
    assert series == report


def test_gauges_of_every_tick_are_what_the_report_of_the_time_says(
    past: Past,
) -> None:
    history, path, read = past
    assert len(read) >= 4 * 3
    days = {
        (line.key[0], line.key[1]): line.figures.cost_picousd
        for line in month(path, ("day", "team")).lines
        if line.basis is Basis.BILLED
    }
    for now, readings in read.items():
        today = date_of(now, UTC)
        spent = {dict(one.labels)["owner"]: one.value for one in readings if one.gauge is Gauge.BUDGET_SPENT}
        assert all(one.value >= 0 for one in readings)
        if now % (24 * HOUR) or today == history.first:
            continue
        # At midnight the day just past is complete, but for sums that are still held against its calls.
        month_to_date = sum(cost for (day, _), cost in days.items() if day < today.isoformat())
        assert month_to_date * 0.97 <= spent["all"] <= month_to_date
    last = {dict(one.labels)["owner"]: one.value for one in read[max(read)] if one.gauge is Gauge.BUDGET_SPENT}
    assert last["all"] == sum(days.values())
