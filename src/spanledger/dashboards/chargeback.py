"""Chargeback: who owes what in a period?"""

from __future__ import annotations

from spanledger.core.gauges import Gauge
from spanledger.core.semconv import Metric
from spanledger.dashboards import panels
from spanledger.dashboards.board import COST_CENTER, TEAM, Board, Choice, Placed, Row, scope_of
from spanledger.dashboards.panels import USD, USD_TO_THE_CENT, About, Ask, Panel
from spanledger.dashboards.queries import STEP, WHOLE_COST, Queries, is_, or_zero
from spanledger.dashboards.settings import BoardSettings
from spanledger.dashboards.wording import ABOUT_LEFT_OUT, APART, BY_CALL, BY_POSTING, LEFT_OUT, NO_COST, PRICED

_USER = Choice("user", "User", Metric.USER_COST, "Users of the chosen teams; narrows the panels that tell users apart.")
_CHOICES = (COST_CENTER, TEAM, _USER)
_TIED = (
    "Over whole months the same as `spanledger report` of the month, but for calls posted in another month than theirs."
)


def chargeback(settings: BoardSettings) -> Board:
    """The board."""
    queries = scope_of(settings, _CHOICES)
    return Board(
        "chargeback",
        "Claude Code cost: chargeback",
        "What each cost center, team, user and model cost in a period: billed, notional and unknown apart.",
        "now/M",
        _CHOICES,
        (
            Row("Totals", _totals(queries)),
            Row("Statement", _statement(queries)),
            Row("Over time, and budgets", _course(queries)),
        ),
        shows_events=False,
    )


def _totals(queries: Queries) -> list[Placed]:
    requests = queries.total(Metric.REQUESTS)
    month = queries.as_of(Gauge.COST_PERIOD, is_("period", "month"), by=("basis",))
    return [
        Placed(
            panels.stats(
                About("Cost by basis", f"In the chosen range. {APART} {PRICED} {BY_POSTING} {_TIED}", NO_COST),
                [Ask(queries.total(WHOLE_COST, by=("basis",)), "{{basis}}")],
                USD_TO_THE_CENT,
            ),
            8,
            4,
        ),
        Placed(
            panels.stats(
                About(
                    "This calendar month by basis",
                    f"The one in which the range ends, in the component's time zone. {APART} {PRICED} {BY_CALL} "
                    "As long as it lasts the same as `spanledger report --period month`.",
                    "no cost this month",
                ),
                [Ask(month, "{{basis}}")],
                USD_TO_THE_CENT,
            ),
            8,
            4,
        ),
        Placed(
            panels.red_above_zero(
                panels.stats(
                    About(
                        "Model calls",
                        f"Each once; what those without a price cost is in no figure until they have one. "
                        f"{ABOUT_LEFT_OUT} {BY_POSTING}",
                        "no calls in this range",
                    ),
                    [
                        Ask(requests, "calls"),
                        Ask(or_zero(queries.total(Metric.UNPRICED_REQUESTS), requests), "without a price"),
                        Ask(queries.left_out(), LEFT_OUT),
                    ],
                    panels.WHOLE,
                ),
                "(without|ledgers).*",
            ),
            8,
            4,
        ),
    ]


def _statement(queries: Queries) -> list[Placed]:
    owner = {"cost_center": "Cost center", "team": "Team"}
    return [
        Placed(_table(queries, "Cost by team", WHOLE_COST, owner), 10, 10),
        Placed(_table(queries, "Cost by user", Metric.USER_COST, owner | {"user": "User"}), 14, 10),
        Placed(
            _table(queries, "Cost by model", WHOLE_COST, owner | {"model": "Model", "provider": "Provider"}), 24, 10
        ),
    ]


def _table(queries: Queries, title: str, metric: Metric, columns: dict[str, str]) -> Panel:
    about = About(
        title,
        f"In the chosen range, a row for each basis: {APART} {PRICED} {BY_POSTING} {_TIED} Export it by Inspect, "
        "Data, Download CSV.",
        NO_COST,
    )
    expression = queries.total(metric, by=(*columns, "basis"))
    return panels.rows_table(
        about, Ask(f"sort_desc({expression} != 0)", "Cost"), USD_TO_THE_CENT, columns | {"basis": "Basis"}
    )


def _course(queries: Queries) -> list[Placed]:
    settings = queries.settings
    about = About(
        "Billed cost by cost center",
        f"Each bar is what was posted in its time, of basis billed alone. {PRICED} {BY_POSTING} The first bar reaches "
        "back before the range.",
        "no billed cost in this range",
    )
    expression = queries.total(WHOLE_COST, is_("basis", "billed"), by=("cost_center",), window=STEP)
    return [
        Placed(
            panels.bars(about, [Ask(expression, "{{cost_center}}")], USD, settings.bar_min_interval, ()),
            24,
            9,
        ),
        Placed(_budgets(queries.without_scope()), 24, 10),
    ]


def _budgets(queries: Queries) -> Panel:
    """Each budget once: what is spent of it, in columns of limit, spent and forecast."""
    about = About(
        "Budgets",
        "Every budget of all scopes and owners, in the day, week or month in which the range ends: limit, "
        f"what is spent, and what is expected by the end. {PRICED} {BY_CALL}",
        "no budget",
    )
    labels = ("budget", "owner", "period", "basis")
    columns = {"budget": "Budget", "owner": "Owner", "period": "Period", "basis": "Basis"}
    asks = [
        Ask(queries.as_of(gauge, by=labels), name)
        for gauge, name in (
            (Gauge.BUDGET_LIMIT, "Limit"),
            (Gauge.BUDGET_SPENT, "Spent"),
            (Gauge.BUDGET_FORECAST, "Forecast"),
        )
    ]
    return panels.merged_table(about, asks, USD_TO_THE_CENT, columns)
