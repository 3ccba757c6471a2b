"""The report of a period as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from spanledger.cli.tables import cell, shown_costs, shown_user, table_console, titled_table
from spanledger.core.distribution import MONTH_DAYS, Reference, Spread
from spanledger.core.money import format_usd, rounded_usd
from spanledger.core.times import shown_time
from spanledger.core.usage import Basis
from spanledger.core.usage_report import Figures, UsageReport
from spanledger.service.usage_report import Rollout, distributions

_PARTS = {
    "list_picousd": "at list",
    "residual_picousd": "of it residual",
    "inferred_picousd": "of it inferred",
    "provisional_picousd": "of it provisional",
    "lower_bound_picousd": "of it lower bound",
}


def print_report(
    report: UsageReport, where: Mapping[str, str], references: Sequence[Reference], rolled_out: Rollout | None
) -> None:
    """Print lines, totals, what is unallocated, the spread over developers and the published figures."""
    console = table_console()
    console.print(Text(_heading(report, where)))
    if not report.lines:
        console.print("No usage.")
        return
    console.print(_lines_table(report))
    for sentence in (*_unallocated(report), *_spreads(report), *map(_published, references), *_rollout(rolled_out)):
        console.print(Text(sentence), soft_wrap=True)


def _heading(report: UsageReport, where: Mapping[str, str]) -> str:
    period = report.period
    days = str(period.first) if period.first == period.last else f"{period.first} to {period.last}"
    instants = f"{shown_time(period.start_unix_nano)} until {shown_time(period.end_unix_nano)}"
    only = "".join(f", only {name}={value}" for name, value in where.items())
    return f"Usage of {days} in {period.zone} ({instants}){only}"


def _lines_table(report: UsageReport) -> Table:
    wholes = report.totals.values()
    parts = {name: title for name, title in _PARTS.items() if any(_says_more(figures, name) for figures in wholes)}
    has_unpriced = any(figures.unpriced_requests or figures.unpriced_tokens for figures in wholes)
    table = titled_table(f"By {', '.join(report.by)}")
    for name in (*report.by, "basis"):
        table.add_column(name, overflow="fold")
    unpriced_titles = ("unpriced requests", "unpriced tokens") if has_unpriced else ()
    for title in ("cost USD", "requests", *parts.values(), *unpriced_titles):
        table.add_column(title, justify="right")

    def row(key: Sequence[str], basis: Basis, figures: Figures) -> None:
        unpriced = (f"{figures.unpriced_requests:,}", f"{figures.unpriced_tokens:,}") if has_unpriced else ()
        of_it = (format_usd(getattr(figures, name)) for name in parts)
        cells = (format_usd(figures.cost_picousd), f"{figures.requests:,}", *of_it, *unpriced)
        table.add_row(*map(cell, (*key, basis.value, *cells)))

    for line in report.lines:
        key = zip(report.by, line.key, strict=True)
        row([shown_user(value) if name == "user" else value for name, value in key], line.basis, line.figures)
    table.add_section()
    for basis, figures in report.totals.items():
        row(("total", *("" for _ in report.by[1:])), basis, figures)
    return table


def _says_more(figures: Figures, name: str) -> bool:
    """Whether a column says what the cost does not."""
    amount: int = getattr(figures, name)
    return amount not in (0, figures.cost_picousd) if name == "list_picousd" else amount != 0


def _unallocated(report: UsageReport) -> Iterator[str]:
    for label, costs in report.unallocated.items():
        if all(costs.get(basis, 0) == figures.cost_picousd for basis, figures in report.totals.items()):
            yield f"unallocated: no sender says a {label}"
        else:
            yield f"unallocated: no {label} on {shown_costs(costs)}"


def _spreads(report: UsageReport) -> Iterator[str]:
    for basis, found in distributions(report).items():
        unpriced = f"; {found.unpriced_requests:,} unpriced requests are not in it" if found.unpriced_requests else ""
        mean, p50, p90 = _rounded(found.per_active_day)
        yield (
            f"{basis.value}, per developer and active day: mean ${mean}, p50 ${p50}, p90 ${p90} "
            f"({found.developers:,} developers, {found.developer_days:,} developer-days{unpriced})"
        )


def _published(one: Reference) -> str:
    until = "" if one.until is None else f" until {one.until}"
    return (
        f"published, from {one.since}{until}: mean ${rounded_usd(one.mean_picousd)} per {one.per}, "
        f"90 % under ${rounded_usd(one.p90_picousd)} ({one.source})"
    )


def _rollout(rolled_out: Rollout | None) -> Iterator[str]:
    if rolled_out is None:
        return
    for basis, spread in rolled_out.month.items():
        mean, p50, p90 = _rounded(spread)
        yield (
            f"{rolled_out.developers:,} developers, all {basis.value}, in {MONTH_DAYS} days, going by the "
            f"{rolled_out.observed_days} days observed: ${mean} if they cost what these do on average, "
            f"${p50} at these' p50, ${p90} at their p90"
        )


def _rounded(spread: Spread) -> tuple[str, str, str]:
    return rounded_usd(spread.mean_picousd), rounded_usd(spread.p50_picousd), rounded_usd(spread.p90_picousd)
