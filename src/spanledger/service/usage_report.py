"""What a period cost: the ledger's postings folded day by day, and the same as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from spanledger.core.distribution import MONTH_DAYS, Distribution, Reference, Spread
from spanledger.core.money import format_usd
from spanledger.core.periods import Period
from spanledger.core.times import shown_time
from spanledger.core.usage import TOKEN_CLASSES, Basis
from spanledger.core.usage_report import GROUPINGS, Figures, UsageFold, UsageReport
from spanledger.ledger.ledger import Ledger

Json = dict[str, object]

FIGURES = (
    *("cost_usd", "residual_usd", "inferred_usd", "provisional_usd", "lower_bound_usd"),
    *("list_usd", "client_usd"),
    *("requests", "unpriced_requests", "unpriced_tokens", *(f"{name}_tokens" for name in TOKEN_CLASSES[:-1])),
    "web_searches",
)
"""Columns of a line after what it is by and its basis. Those between cost and list are parts of the cost."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def report_usage(
    ledger: Ledger,
    period: Period,
    by: Sequence[str],
    where: Mapping[str, str],
    *,
    top: int | None = None,
    on_day: Callable[[], None] = lambda: None,
) -> UsageReport:
    """Report the usage of a period; `on_day` is told of each day that is done."""
    fold = UsageFold(period, by, where)
    facts, days = fold.facts | fold.developer_facts, ledger.days
    with ledger.snapshot():
        kept_to = days.kept_to(period.zone, facts)
        fresh = days.days_since(period.zone, kept_to)
        if kept_to and not fold.is_by_day:
            fold.add(days.kept(period, fold.facts))
        for day in period.days():
            if kept_to and fold.is_by_day:
                fold.add(days.kept(day, fold.facts))
            if kept_to:
                fold.add_developers(days.kept(day, fold.developer_facts))
            if day.first in fresh:
                posted = days.posted(day, facts, after_id=kept_to)
                fold.add(posted)
                fold.add_developers(posted)
            on_day()
    return fold.report(top)


def names_of_groupings(labels: Sequence[str]) -> list[str]:
    """What a report can be by: facts of calls and the labels of the settings."""
    return list(dict.fromkeys((*GROUPINGS, *labels)))


@dataclass(frozen=True, slots=True)
class Rollout:
    """What `developers` like those of a report would cost in a month of 30 days, by basis.

    The report's were observed from their first active day in the period to its end, or to today.
    """

    developers: int
    observed_days: int
    month: Mapping[Basis, Spread]


def distributions(report: UsageReport) -> dict[Basis, Distribution]:
    """How each basis is spread over developers."""
    return {basis: Distribution.of(days) for basis, days in report.developer_days.items()}


def rollout(report: UsageReport, developers: int, today: date) -> Rollout:
    """Extrapolate a report to more developers."""
    active = [day.day for days in report.developer_days.values() for day in days]
    if not active:
        return Rollout(developers, 0, {})
    last = max(min(report.period.last, today), *active)
    observed = (last - min(active)).days + 1
    month = {basis: found.month_of(developers, observed) for basis, found in distributions(report).items()}
    return Rollout(developers, observed, month)


def as_json(
    report: UsageReport, where: Mapping[str, str], references: Sequence[Reference], rolled_out: Rollout | None
) -> Json:
    """One object: money as exact decimal strings, counts as integers, dates as they are in the report's time zone."""
    period = report.period
    return {
        "period": {
            "from": period.first.isoformat(),
            "to": period.last.isoformat(),
            "timezone": str(period.zone),
            "start": shown_time(period.start_unix_nano),
            "end": shown_time(period.end_unix_nano),
        },
        "by": list(report.by),
        "where": dict(where),
        "lines": [
            {**dict(zip(report.by, line.key, strict=True)), "basis": line.basis.value, **figures_json(line.figures)}
            for line in report.lines
        ],
        "totals": {basis.value: figures_json(figures) for basis, figures in report.totals.items()},
        "unallocated": {
            label: {basis.value: format_usd(cost) for basis, cost in costs.items()}
            for label, costs in report.unallocated.items()
        },
        "developers": {basis.value: _distribution(found) for basis, found in distributions(report).items()},
        "references": [_reference(one) for one in references],
        "rollout": None if rolled_out is None else _rollout(rolled_out),
    }


def as_csv(report: UsageReport) -> str:
    """A line of the report in each row, without totals, so that a spreadsheet's sums are right.

    A text that a spreadsheet would take for a formula is given an apostrophe: names come from the senders.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*report.by, "basis", *FIGURES])
    for line in report.lines:
        writer.writerow([*map(_harmless, line.key), line.basis.value, *figures_json(line.figures).values()])
    return out.getvalue()


def figures_json(figures: Figures) -> Json:
    """Figures by the names of `FIGURES`."""
    money = (
        *(figures.cost_picousd, figures.residual_picousd, figures.inferred_picousd),
        *(figures.provisional_picousd, figures.lower_bound_picousd),
        *(figures.list_picousd, figures.client_picousd),
    )
    counts = (figures.requests, figures.unpriced_requests, figures.unpriced_tokens, *figures.tokens)
    return dict(zip(FIGURES, (*map(format_usd, money), *counts), strict=True))


def _distribution(found: Distribution) -> Json:
    return {
        "developers": found.developers,
        "developer_days": found.developer_days,
        "unpriced_requests": found.unpriced_requests,
        "per_active_day_usd": _spread(found.per_active_day),
        "per_developer_usd": _spread(found.per_developer),
    }


def _spread(spread: Spread) -> Json:
    return {
        "mean": format_usd(spread.mean_picousd),
        "p50": format_usd(spread.p50_picousd),
        "p90": format_usd(spread.p90_picousd),
    }


def _reference(one: Reference) -> Json:
    return {
        "from": one.since.isoformat(),
        "until": None if one.until is None else one.until.isoformat(),
        "per": one.per,
        "mean_usd": format_usd(one.mean_picousd),
        "p90_usd": format_usd(one.p90_picousd),
        "source": one.source,
    }


def _rollout(rolled_out: Rollout) -> Json:
    return {
        "developers": rolled_out.developers,
        "days": MONTH_DAYS,
        "observed_days": rolled_out.observed_days,
        "month_usd": {basis.value: _spread(spread) for basis, spread in rolled_out.month.items()},
    }


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
