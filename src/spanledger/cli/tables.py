"""Tables that more than one verb prints."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from spanledger.core.money import format_usd
from spanledger.core.views import Group

_NAME_WIDTH_MAX = 40


def print_group(console: Console, title: str, column: str, groups: Mapping[str, Group]) -> None:
    """Print one part of a report: cost, requests and tokens by key."""
    table = titled_table(title)
    table.add_column(column, max_width=_NAME_WIDTH_MAX, no_wrap=True, overflow="ellipsis")
    for name in ("cost USD", "requests", "tokens"):
        table.add_column(name, justify="right")
    for key, group in groups.items():
        cost = "unpriced" if group.cost_picousd is None else format_usd(group.cost_picousd)
        table.add_row(key, cost, f"{group.requests:,}", f"{sum(group.tokens):,}")
    console.print(table)


def titled_table(title: str) -> Table:
    """An empty table without lines under a title on its left."""
    return Table(title=f"[bold]{title}[/bold]", title_style="", title_justify="left", box=None)
