"""What `spanledger prices` prints for people."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from rich.markup import escape
from rich.table import Table

from spanledger.cli.tables import shown_words, table_console, titled_table
from spanledger.core.book import PriceBook
from spanledger.core.money import factor_text, format_usd, rate_usd_per_mtok
from spanledger.core.pricing import PriceRow
from spanledger.core.tariff import Unpriced
from spanledger.core.times import shown_second
from spanledger.core.usage import Provider, TokenClass, Tokens
from spanledger.service.price_diff import Change
from spanledger.service.price_explanation import PriceExplanation
from spanledger.service.price_verification import Verification
from spanledger.service.price_views import RATED_CLASSES, ModelLine, ModelView, rows_in_order, shown_scope, shown_span

_SHORT_NAMES = ("input", "output", "write 5m", "write 1h", "read")


def print_list(book: PriceBook, lines: Sequence[ModelLine], provider: Provider, at_unix_nano: int) -> None:
    """Print a line a model."""
    console = table_console()
    table = titled_table(f"USD per million tokens at {provider}, {shown_second(at_unix_nano)}")
    table.add_column("model", no_wrap=True)
    _rate_columns(table)
    table.add_column("since", no_wrap=True)
    table.add_column("notes")
    for line in lines:
        shown = line.charged or line.listed
        if shown is None:
            table.add_row(escape(line.model), *[""] * len(_SHORT_NAMES), "", _why(line))
        else:
            since = shown.row.id.rpartition("@")[2].partition("T")[0]
            table.add_row(escape(line.model), *_rates(shown.rates), since, "; ".join(_notes(line)))
    console.print(table)
    console.print(book.id, markup=False)


def print_model(book: PriceBook, view: ModelView) -> None:
    """Print all of one model."""
    console, prices = table_console(), view.prices
    console.print(f"[bold]{escape(prices.id)}[/bold]")
    names = [*prices.aliases, *(f"{name} (contract)" for name in view.aliases)]
    console.print(f"also: {', '.join(names) if names else 'no other name'}", markup=False)
    if prices.rows:
        console.print(_row_table(rows_in_order(prices)))
    for price in prices.fast:
        then = "; after that it bills as standard" if price.then_standard else ""
        console.print(f"fast {shown_span(price.span)}: {_in_words(price.rates)}{then}")
    for one in prices.multipliers:
        console.print(f"{shown_words(one.modifier)} x{factor_text(one.factor)}, {shown_span(one.span)}")
    for override in view.overrides:
        kept = "modifiers kept" if override.keeps_modifiers else "final"
        where = f"{shown_scope(override.scope)}, {shown_span(override.span)}"
        console.print(f"contract, own rates for {where} ({kept}): {_in_words(override.rates)}", markup=False)
    for discount in view.discounts:
        where = f"{shown_scope(discount.scope)}, {shown_span(discount.span)}"
        console.print(f"contract, discount x{factor_text(discount.multiplier)} for {where}", markup=False)
    console.print(book.id, markup=False)


def print_explanation(book: PriceBook, explained: PriceExplanation) -> None:
    """Print the steps to a price and the sum."""
    console = table_console()
    for step in explained.steps:
        console.print(step, markup=False)
    if explained.cost_picousd is not None and explained.lines:
        differs = explained.list_cost_picousd != explained.cost_picousd
        table = titled_table("The sum")
        table.add_column("token class")
        for name in ("count", *(("list USD per million",) if differs else ()), "x USD per million", "= USD"):
            table.add_column(name, justify="right", no_wrap=True)
        for line in explained.lines:
            at_list = "" if line.list_rate is None else rate_usd_per_mtok(line.list_rate)
            rate = rate_usd_per_mtok(line.rate)
            if line.token_class is TokenClass.WEB_SEARCH:
                at_list = rate = f"{format_usd(line.rate)} each"
            cells = [f"{line.count:,}", *([at_list] if differs else []), rate]
            table.add_row(shown_words(line.token_class), *cells, format_usd(line.count * line.rate))
        table.add_row("total", "", *([""] if differs else []), "", format_usd(explained.cost_picousd))
        console.print(table)
        if differs and explained.list_cost_picousd is not None:
            console.print(f"at list ${format_usd(explained.list_cost_picousd)}")
    console.print(book.id, markup=False)


def print_changes(before: PriceBook, after: PriceBook, changes: Sequence[Change]) -> None:
    """Print what two books say differently."""
    console = table_console()
    console.print(f"before: {before.id}\nafter:  {after.id}", markup=False)
    if not changes:
        console.print("They say the same.")
        return
    table = titled_table(f"{len(changes)} differences")
    for name in ("of", "what", "before", "after"):
        table.add_column(name, overflow="fold")
    for change in changes:
        table.add_row(*(escape(text or "-") for text in (change.of, change.what, change.before, change.after)))
    console.print(table)


def print_verification(found: Verification) -> None:
    """Print what was found in a book."""
    typer.echo(f"{found.price_book}: {found.models} models, {found.rows} rows")
    for finding in found.findings:
        typer.echo(f"finding: {finding}")
    for note in found.notes:
        typer.echo(f"note: {note}")
    if not found.findings:
        typer.echo("nothing to look at")


def _rate_columns(table: Table) -> None:
    for name in _SHORT_NAMES:
        table.add_column(name, justify="right", no_wrap=True)


def _rates(rates: Tokens) -> list[str]:
    return [rate_usd_per_mtok(getattr(rates, name.value)) for name in RATED_CLASSES]


def _in_words(rates: Tokens) -> str:
    return ", ".join(f"{name} {rate}" for name, rate in zip(_SHORT_NAMES, _rates(rates), strict=True))


def _why(line: ModelLine) -> str:
    outcome = line.quoted.charged
    return outcome.detail if isinstance(outcome, Unpriced) else ""


def _notes(line: ModelLine) -> list[str]:
    notes = []
    shown = line.charged or line.listed
    long = None if shown is None else shown.row.long_prompt
    if long is not None:
        notes.append(f"above {long.above_tokens:,} tokens {_short(long.rates)}")
    if line.fast is not None:
        notes.append(f"fast {_short(line.fast.rates)}")
    if line.charged is not None and line.listed is not None and line.charged.rates != line.listed.rates:
        notes.append(f"by contract, list {_short(line.listed.rates)}")
    elif line.charged is not None and line.listed is None:
        notes.append("by contract, no list price")
    if shown is not None and shown.row.announced:
        notes.append("announced, not confirmed")
    notes.extend(f"announced from {shown_second(row.from_unix_nano)}: {_short(row.rates)}" for row in line.announced)
    return notes


def _short(rates: Tokens) -> str:
    return f"{rate_usd_per_mtok(rates.input)}/{rate_usd_per_mtok(rates.output)}"


def _row_table(rows: Sequence[tuple[PriceRow, str]]) -> Table:
    table = titled_table("USD per million tokens")
    table.add_column("from", no_wrap=True)
    table.add_column("prompt", no_wrap=True)
    _rate_columns(table)
    for name in ("list", "checked", "source"):
        table.add_column(name, overflow="fold")
    for row, withdrawn in rows:
        state = f"withdrawn {withdrawn}" if withdrawn else "announced" if row.announced else "any"
        long = row.long_prompt
        prompt = state if long is None else f"to {long.above_tokens:,}"
        table.add_row(shown_second(row.from_unix_nano), prompt, *_rates(row.rates), row.layer, row.checked, row.source)
        if long is not None:
            table.add_row("", f"above {long.above_tokens:,}", *_rates(long.rates), "", "", "")
    return table
