"""The report of a period as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from spanledger.cli.tables import titled_table
from spanledger.core.distribution import MONTH_DAYS, Distribution, Reference, Spread
from spanledger.core.money import format_usd, rounded_usd
from spanledger.core.times import shown_time
from spanledger.core.usage import Basis
from spanledger.core.usage_report import Figures, UsageReport
from spanledger.service.usage_report import Rollout, distributions

_PIPE_WIDTH = 200
"""Where nobody's window bounds it, a line of a table is not broken."""

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
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    console.print(Text(_heading(report, where)))
    if not report.lines:
        console.print("No usage.")
        return
    _print_lines(console, report)
    for label, costs in report.unallocated.items():
        console.print(Text(f"unallocated: no {label} on {_by_basis(costs)}"))
    for basis, found in distributions(report).items():
        _print_distribution(console, basis, found)
    for one in references:
        until = "" if one.until is None else f" until {one.until}"
        console.print(
            f"published, from {one.since}{until}: mean ${rounded_usd(one.mean_picousd)} per {one.per}, "
            f"90 % under ${rounded_usd(one.p90_picousd)} ({one.source})"
        )
    if rolled_out is not None:
        _print_rollout(console, rolled_out)


def _heading(report: UsageReport, where: Mapping[str, str]) -> str:
    period = report.period
    days = str(period.first) if period.first == period.last else f"{period.first} to {period.last}"
    instants = f"{shown_time(period.start_unix_nano)} until {shown_time(period.end_unix_nano)}"
    only = "".join(f", only {name}={value}" for name, value in where.items())
    return f"Usage of {days} in {period.zone} ({instants}){only}"


def _print_lines(console: Console, report: UsageReport) -> None:
    wholes = report.totals.values()
    parts = {name: title for name, title in _PARTS.items() if any(_says_more(figures, name) for figures in wholes)}
    has_unpriced = any(figures.unpriced_requests or figures.unpriced_tokens for figures in wholes)
    table = titled_table(f"By {', '.join(report.by)}")
    for name in (*report.by, "basis"):
        table.add_column(name, overflow="fold")
    for title in (
        "cost USD",
        "requests",
        *parts.values(),
        *(("unpriced requests", "unpriced tokens") if has_unpriced else ()),
    ):
        table.add_column(title, justify="right")

    def row(key: Sequence[str], basis: Basis, figures: Figures) -> None:
        unpriced = (f"{figures.unpriced_requests:,}", f"{figures.unpriced_tokens:,}") if has_unpriced else ()
        of_it = (format_usd(getattr(figures, name)) for name in parts)
        cells = (format_usd(figures.cost_picousd), f"{figures.requests:,}", *of_it, *unpriced)
        table.add_row(*(Text(text) for text in (*key, basis.value, *cells)))

    for line in report.lines:
        row(line.key, line.basis, line.figures)
    table.add_section()
    for basis, figures in report.totals.items():
        row(("total", *("" for _ in report.by[1:])), basis, figures)
    console.print(table)


def _says_more(figures: Figures, name: str) -> bool:
    """Whether a column says what the cost does not."""
    amount: int = getattr(figures, name)
    return amount not in (0, figures.cost_picousd) if name == "list_picousd" else amount != 0


def _by_basis(costs: Mapping[Basis, int]) -> str:
    return ", ".join(f"${format_usd(cost)} {basis.value}" for basis, cost in costs.items())


def _print_distribution(console: Console, basis: Basis, found: Distribution) -> None:
    unpriced = f"; {found.unpriced_requests:,} unpriced requests are not in it" if found.unpriced_requests else ""
    console.print(
        f"{basis.value}, per developer and active day: {_spread(found.per_active_day)} "
        f"({found.developers:,} developers, {found.developer_days:,} developer-days{unpriced})"
    )


def _spread(spread: Spread) -> str:
    return (
        f"mean ${rounded_usd(spread.mean_picousd)}, p50 ${rounded_usd(spread.p50_picousd)}, "
        f"p90 ${rounded_usd(spread.p90_picousd)}"
    )


def _print_rollout(console: Console, rolled_out: Rollout) -> None:
    seen = f"{rolled_out.developers:,} developers in {MONTH_DAYS} days, from {rolled_out.observed_days} days observed"
    for basis, spread in rolled_out.month.items():
        console.print(
            f"{basis.value}, {seen}: ${rounded_usd(spread.mean_picousd)} if they cost what these do on average, "
            f"${rounded_usd(spread.p50_picousd)} at these' p50, ${rounded_usd(spread.p90_picousd)} at their p90"
        )
