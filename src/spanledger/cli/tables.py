"""Tables that more than one verb prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from spanledger.core.cost_range import CostRange
from spanledger.core.money import format_usd
from spanledger.core.usage import Basis
from spanledger.core.views import Group
from spanledger.core.wording import shown

_NAME_WIDTH_MAX = 40
_PIPE_WIDTH = 200
_RANDOM_ID_LENGTH = 64
_ID_WIDTH = 12


def print_group(console: Console, title: str, column: str, groups: Mapping[str, Group]) -> None:
    """Print one part of a report: requests, tokens and the cost of each basis by key."""
    bases = [basis for basis in Basis if any(basis in group.by_basis for group in groups.values())]
    table = titled_table(title)
    table.add_column(column, max_width=_NAME_WIDTH_MAX, overflow="ellipsis")
    add_cost_columns(table, bases)
    for name in ("requests", "tokens"):
        table.add_column(name, justify="right", no_wrap=True)
    for key, group in groups.items():
        table.add_row(cell(key), *cost_cells(bases, group.by_basis), f"{group.requests:,}", f"{sum(group.tokens):,}")
    console.print(table)


def add_cost_columns(table: Table, bases: Sequence[Basis]) -> None:
    """Add a column for the cost of each basis: what is billed and what is notional is never summed."""
    for name in (f"{basis} USD" for basis in bases or (Basis.BILLED,)):
        table.add_column(name, justify="right", no_wrap=True)


def cost_cells(bases: Sequence[Basis], costs: Mapping[Basis, int]) -> list[str]:
    """Cells of those columns; where nothing is priced, the first says so."""
    cells = [format_usd(costs[basis]) if basis in costs else "" for basis in bases]
    return cells if costs else ["unpriced", *cells[1:]]


def shown_costs(costs: Mapping[Basis, int]) -> str:
    """Costs by basis in a sentence, each apart."""
    return ", ".join(f"${format_usd(cost)} {basis}" for basis, cost in costs.items()) or "$0"


def shown_range(costs: CostRange) -> str:
    """The least and the most that something may have cost, in a sentence."""
    if costs.most_picousd is None:
        return f"at least ${format_usd(costs.least_picousd)}; the most is not known, for a price is not"
    least, most = format_usd(costs.least_picousd), format_usd(costs.most_picousd)
    return f"between ${least} and ${most}, by what no signal tells"


def table_console() -> Console:
    """A console for tables: where nobody's window bounds it, wide enough to cut no figure."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


def titled_table(title: str) -> Table:
    """An empty table without lines under a title on its left."""
    return Table(title=f"[bold]{title}[/bold]", title_style="", title_justify="left", box=None)


def shown_words(name: str) -> str:
    """A name of the data as people read it: `cache_write_5m` is `cache write 5m`."""
    return name.replace("_", " ")


def shown_user(user: str) -> str:
    """A user as people read it: the random id of a home directory is cut short, an address is not."""
    return shown(f"{user[:_ID_WIDTH]}…" if len(user) == _RANDOM_ID_LENGTH and "@" not in user else user)


def cell(text: str) -> Text:
    """What a sender wrote, as a cell of a table: no markup in it, no control characters, and no more than is read."""
    return Text(shown(text))
