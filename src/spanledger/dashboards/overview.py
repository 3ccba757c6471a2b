"""Overview: what do we spend, where does it go, and will it be within the budget?"""

from __future__ import annotations

from collections.abc import Iterable

from spanledger.config.references import load_references
from spanledger.core.distribution import Reference
from spanledger.core.gauges import Gauge
from spanledger.core.money import format_usd
from spanledger.core.semconv import UNALLOCATED, Metric
from spanledger.dashboards import panels
from spanledger.dashboards.board import BASIS, COST_CENTER, TEAM, Board, Placed, Row, scope_of
from spanledger.dashboards.panels import USD, About, Ask, Panel
from spanledger.dashboards.queries import (
    BEFORE,
    DAY,
    STEP,
    WHOLE_COST,
    Queries,
    Recorded,
    either,
    is_,
    or_zero,
    share,
    tagged,
)
from spanledger.dashboards.settings import BoardSettings
from spanledger.dashboards.wording import ABOUT_LEFT_OUT, BY_CALL, BY_POSTING, COUNTED, LEFT_OUT, NO_COST, PRICED

_CHOICES = (BASIS, COST_CENTER, TEAM)
_SECONDS_AN_HOUR = 3600


def overview(settings: BoardSettings) -> Board:
    """The board."""
    queries = scope_of(settings, _CHOICES)
    return Board(
        "overview",
        "Claude Code cost: overview",
        "What Claude Code costs today, this month and by its end: against budgets, the time before, published figures.",
        "now-7d",
        _CHOICES,
        (
            Row("Today and this month", _calendar(queries)),
            Row("In the chosen range", _range(queries)),
            Row("Developers and what they get done", _developers(queries)),
        ),
    )


def _calendar(queries: Queries) -> list[Placed]:
    everybody = queries.without_scope()
    budget = (is_("scope", "organization"), is_("period", "month"))
    limit, spent, forecast = (
        everybody.as_of(gauge, *budget, by=("budget", "basis"))
        for gauge in (Gauge.BUDGET_LIMIT, Gauge.BUDGET_SPENT, Gauge.BUDGET_FORECAST)
    )
    no_budget = "no monthly budget of the organization"
    whole = "Of the organization's budgets of a month, whatever basis and owners are chosen."
    left = (panels.Level(None, "red"), panels.Level(0, "green"))
    ending = About(
        "Forecast for the month",
        "What will be spent by the end of the month: what is, and each day to come as its weekday was in the last "
        f"four weeks. {whole} {PRICED} {BY_CALL}",
        no_budget,
    )
    remaining = About(
        "Budget left this month",
        f"Limit less what is spent. {whole} Below 0 more is spent; nothing is blocked. {PRICED} {BY_CALL}",
        no_budget,
    )
    return [
        Placed(_to_date(queries), 6, 4),
        Placed(panels.stats(ending, [Ask(forecast, "{{budget}} ({{basis}})")], USD), 7, 4),
        Placed(
            panels.stats(remaining, [Ask(f"{limit} - {spent}", "{{budget}} ({{basis}})")], panels.USD_CHANGE, left),
            7,
            4,
        ),
        Placed(_allocated(queries), 4, 4),
        Placed(_budget_use(everybody), 24, 5),
    ]


def _to_date(queries: Queries) -> Panel:
    about = About(
        "Spent today and this month",
        f"Of the calendar day and month in which the range ends, in the component's time zone. {PRICED} {BY_CALL}",
        NO_COST,
    )
    periods = {"day": "today", "month": "this month"}
    asks = [Ask(queries.as_of(Gauge.COST_PERIOD, is_("period", one)), name) for one, name in periods.items()]
    return panels.stats(about, asks, USD)


def _allocated(queries: Queries) -> Panel:
    everybody, settings = queries.without_scope("cost_center", "team"), queries.settings
    nobodys = (is_("cost_center", UNALLOCATED), is_("team", UNALLOCATED))
    unallocated = share(everybody.total(WHOLE_COST, *nobodys), everybody.total(WHOLE_COST))
    about = About(
        "Allocated",
        "Share of the cost in the range whose senders state a cost center or a team. Of everybody, not narrowed by "
        f"them. {PRICED} {BY_POSTING}",
        NO_COST,
    )
    levels = panels.falling(settings.coverage_bad_share, settings.coverage_low_share)
    return panels.stats(about, [Ask(f"1 - {unallocated}", "allocated")], panels.SHARE, levels)


def _budget_use(queries: Queries) -> Panel:
    used = f"{queries.as_of(Gauge.BUDGET_SPENT, by=_BUDGET)} / ({queries.as_of(Gauge.BUDGET_LIMIT, by=_BUDGET)} > 0)"
    settings = queries.settings
    return panels.ranking(
        About(
            "Budgets used most",
            "Share of each budget that is spent in its current day, week or month, whatever basis and owners are "
            f"chosen; the five highest. {PRICED} {BY_CALL}",
            "no budget",
        ),
        Ask(f"sort_desc(topk(5, {used}))", "{{budget}} {{owner}}"),
        panels.SHARE,
        panels.rising(settings.budget_warn_share, 1),
    )


_BUDGET = ("budget", "owner", "period", "basis")


def _range(queries: Queries) -> list[Placed]:
    settings = queries.settings
    by_model = queries.total(WHOLE_COST, by=("model",))
    return [
        Placed(_spent(queries), 5, 8),
        Placed(
            panels.bars(
                About(
                    "Cost over time by model",
                    f"Each bar is what was posted in its time. {PRICED} {BY_POSTING} The first bar reaches back "
                    "before the range.",
                    NO_COST,
                ),
                [Ask(queries.total(WHOLE_COST, by=("model",), window=STEP), "{{model}}")],
                USD,
                settings.bar_min_interval,
                settings.colors,
            ),
            19,
            8,
        ),
        Placed(_calls(queries), 5, 8),
        Placed(
            panels.ranking(
                About("Cost by model", f"In the chosen range, the ten that cost most. {PRICED} {BY_POSTING}", NO_COST),
                Ask(f"sort_desc(topk(10, {by_model}))", "{{model}}"),
                USD,
                colors=settings.colors,
            ),
            8,
            8,
        ),
        Placed(_by_team(queries), 11, 8),
    ]


def _spent(queries: Queries) -> Panel:
    """One query, for before the first range there is no other one to show."""
    now, earlier = queries.total(WHOLE_COST), queries.total(WHOLE_COST, window=BEFORE)
    named = {"this range": now, "the one before": earlier, "change": f"{now} / ({earlier} > 0) - 1"}
    about = About(
        "Spent",
        "In the chosen range, in the one of the same length before it, and the change, which says little while the "
        f"range is not over. {PRICED} {BY_POSTING}",
        NO_COST,
    )
    shown = either(*(tagged(f"({value})", "kind", name) for name, value in named.items()))
    return panels.written_as(panels.stats(about, [Ask(shown, "{{kind}}")], USD), "change", panels.CHANGE)


def _calls(queries: Queries) -> Panel:
    requests = queries.total(Metric.REQUESTS)
    unpriced = or_zero(queries.total(Metric.UNPRICED_REQUESTS), requests)
    about = About(
        "Model calls",
        "Each once, and those of them without a price, of this basis; what these cost is in no figure. "
        f"{ABOUT_LEFT_OUT} {BY_POSTING}",
        "no calls in this range",
    )
    asks = [
        Ask(requests, "calls"),
        Ask(unpriced, "without a price, any basis"),
        Ask(queries.left_out(), LEFT_OUT),
    ]
    return panels.red_above_zero(panels.stats(about, asks, panels.WHOLE), "(without|ledgers).*")


def _by_team(queries: Queries) -> Panel:
    expression = queries.total(WHOLE_COST, by=("cost_center", "team"))
    return panels.ranking(
        About("Cost by team", f"In the chosen range, the ten that cost most. {PRICED} {BY_POSTING}", NO_COST),
        Ask(f"sort_desc(topk(10, {expression}))", "{{cost_center}} / {{team}}"),
        USD,
    )


def _developers(queries: Queries) -> list[Placed]:
    return [
        Placed(_a_day(queries), 24, 9),
        Placed(_units(queries), 8, 7),
        Placed(_active(queries), 4, 7),
        Placed(_active_over_time(queries), 12, 7),
    ]


def _day_of_developers(queries: Queries) -> str:
    """What each developer cost on the day before, of those who cost something."""
    return f"{queries.last(Recorded.USER_DAY, by=('user',))} > 0"


def _a_day(queries: Queries) -> Panel:
    cost = _day_of_developers(queries)
    asks = [
        Ask(f"quantile(0.5, {cost})", "half of the developers: up to"),
        Ask(f"quantile(0.9, {cost})", "nine in ten: up to"),
        *_published(load_references()),
    ]
    about = About(
        "Cost of a developer on an active day",
        "Each point is the UTC day before it, of developers who cost something on it; between two developers it is "
        f"interpolated. Dashed: what the vendor's documentation gave, at list price, with the dates of it. {PRICED} "
        f"{BY_POSTING}",
        "no day with usage in this range",
    )
    colors = (("half", "green"), ("nine in ten", "purple"))
    chart = panels.lines(about, asks, USD, DAY, is_wide=True, colors=colors)
    panels.dashed(chart, "published mean.*", "text")
    return panels.dashed(chart, "published p90.*", "orange")


def _published(references: Iterable[Reference]) -> list[Ask]:
    asks = []
    for one in references:
        dates = f"{one.since} to {one.until}" if one.until else f"since {one.since}"
        for name, amount in (("mean", one.mean_picousd), ("p90", one.p90_picousd)):
            asks.append(Ask(f"vector({format_usd(amount)})", f"published {name}, {dates}"))
    return asks


def _units(queries: Queries) -> Panel:
    done = {
        "session": queries.total(Metric.SESSIONS),
        "active hour": f"{queries.total(Metric.ACTIVE_TIME)} / {_SECONDS_AN_HOUR}",
        "1,000 lines": f"{queries.total(Metric.LINES_OF_CODE)} / 1000",
        "commit": queries.total(Metric.COMMITS),
        "pull request": queries.total(Metric.PULL_REQUESTS),
    }
    each = either(*(tagged(f"({amount})", "per", name) for name, amount in done.items()))
    about = About(
        "Cost per ...",
        "Cost of this basis in the range, divided by what was done in it: sessions started, hours that developers or "
        f"the client were active, lines added or removed, commits and pull requests made by the client. {COUNTED} "
        f"{PRICED} {BY_POSTING}",
        "nothing was done in this range",
    )
    return panels.stats(
        about, [Ask(f"{queries.total(WHOLE_COST)} / on () group_right () (({each}) > 0)", "{{per}}")], USD
    )


def _active(queries: Queries) -> Panel:
    about = About(
        "Active developers",
        f"Developers who cost something in the range. {BY_POSTING}",
        "nobody in this range",
    )
    cost = f"{queries.total(Metric.USER_COST, by=('user',))} > 0"
    return panels.stats(about, [Ask(f"count({cost})", "developers")], panels.WHOLE)


def _active_over_time(queries: Queries) -> Panel:
    about = About(
        "Active developers a day",
        f"Each point is the UTC day before it. {BY_POSTING}",
        "nobody in this range",
    )
    return panels.lines(about, [Ask(f"count({_day_of_developers(queries)})", "developers")], panels.WHOLE, DAY)
