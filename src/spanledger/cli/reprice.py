"""`spanledger reprice`: prices a period again and posts what comes out different, also beside a running service."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from spanledger.cli.instants import TimezoneOption, read_when, zone_named
from spanledger.cli.options import ConfigOption, JsonOption, LedgerOption, exits_on_bad_input, offline_environment
from spanledger.cli.tables import cell, table_console, titled_table
from spanledger.config.settings import load_settings
from spanledger.core.errors import ConfigError
from spanledger.core.money import format_usd
from spanledger.core.pricing import Span
from spanledger.core.times import shown_time
from spanledger.core.usage import Basis
from spanledger.core.wording import shown
from spanledger.service.assembly import load_prices, policy_of
from spanledger.service.repricing import Repricer, open_to_reprice
from spanledger.service.restatement import Difference, Line, Restatement

_NAME_WIDTH_MAX = 32


@exits_on_bad_input
def reprice(
    since: Annotated[
        str, typer.Option("--from", metavar="WHEN", help="First day, or instant with a zone, of the period.")
    ],
    until: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="WHEN", help="First day, or instant, after the period; by default its end is open."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would change and post nothing.")] = False,
    timezone: TimezoneOption = None,
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Price the usage of a period again, by the prices of the configuration, and post the differences as corrections.

    What was posted stays: a correction takes a charge back and puts another in its place, and both name their price
    book. Prices that changed show in the adjustment metrics, first prices of unpriced usage in the metrics themselves.
    A second run posts nothing. It may run while the service does, which must book by the same prices and settings.
    """
    settings = load_settings(config, offline_environment(), {})
    zone = zone_named(timezone or settings.calendar.timezone)
    period = Span(read_when("--from", since, zone), None if until is None else read_when("--to", until, zone))
    if period.until_unix_nano is not None and period.from_unix_nano >= period.until_unix_nano:
        raise ConfigError([f"--from {since} is not before --to {until}: the period is empty"])
    prices = load_prices(settings)
    policy = policy_of(settings, prices)
    opened = open_to_reprice(ledger or settings.ledger.path, prices, policy, post=not dry_run)
    try:
        repriced = _run(Repricer(opened, prices, policy, period, post=not dry_run))
    finally:
        opened.close()
    if as_json:
        typer.echo(json.dumps(_json(repriced, period, prices.book.id, dry_run=dry_run), indent=2))
    else:
        _print(repriced, period, prices.book.id, dry_run=dry_run)


def _run(repricer: Repricer) -> Restatement:
    console = Console(stderr=True)
    portions = repricer.portions()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("repricing", total=sum(portion.records for portion in portions))
        return repricer.run(portions, time.time_ns, lambda portion: progress.advance(task, portion.records))


def _json(repriced: Restatement, period: Span, price_book: str, *, dry_run: bool) -> dict[str, object]:
    return {
        "from": shown_time(period.from_unix_nano),
        "to": _shown_end(period),
        "dry_run": dry_run,
        "price_book": price_book,
        **repriced.as_json(),
    }


def _shown_end(period: Span) -> str | None:
    return None if period.until_unix_nano is None else shown_time(period.until_unix_nano)


def _print(repriced: Restatement, period: Span, price_book: str, *, dry_run: bool) -> None:
    typer.echo(f"Calls from {shown_time(period.from_unix_nano)} to {_shown_end(period) or 'now'}, by {price_book}")
    console = table_console()
    for basis, total in repriced.by_basis().items():
        lines = [(line, change) for line, change in sorted(repriced.differences.items()) if line.basis is basis]
        console.print(_table(basis, lines, total))
    changed = sum(change.charges for change in repriced.differences.values())
    done = "would be corrected" if dry_run else "corrected"
    before = f"; their price book was {', '.join(sorted(repriced.books))}" if repriced.books else ""
    typer.echo(f"{changed} of {repriced.charges} charges {done} by {repriced.postings} postings{before}")
    for why, left in sorted(repriced.unpriced.items()):
        typer.echo(f"still unpriced: {left.tokens:,} tokens of {_requests(left.requests)}: {shown(why)}")


def _table(basis: Basis, lines: Sequence[tuple[Line, Difference]], total: Difference) -> Table:
    table = titled_table(f"Difference, {basis}, in USD")
    table.add_column("cost center", max_width=_NAME_WIDTH_MAX, overflow="fold")
    table.add_column("model", max_width=_NAME_WIDTH_MAX, overflow="fold")
    for name in ("charges", "first\nprices", "before", "after", "difference"):
        table.add_column(name, justify="right")
    for line, change in lines:
        table.add_row(cell(line.cost_center), cell(line.model), *_figures(change))
    table.add_row("total", "", *_figures(total), style="bold")
    return table


def _figures(change: Difference) -> tuple[str, ...]:
    before, after = (
        "unpriced" if one is None else format_usd(one) for one in (change.before_picousd, change.after_picousd)
    )
    return (str(change.charges), str(change.first_prices), before, after, _signed(change.picousd))


def _signed(picousd: int) -> str:
    return f"-{format_usd(-picousd)}" if picousd < 0 else f"+{format_usd(picousd)}"


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"
