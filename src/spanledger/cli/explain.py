"""`spanledger explain` and `spanledger session`: questions to a ledger, also while the service writes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.table import Table

from spanledger.cli.options import (
    ConfigOption,
    ExitCode,
    JsonOption,
    LedgerOption,
    exits_on_bad_input,
    offline_environment,
)
from spanledger.cli.tables import add_cost_columns, cost_cells, shown_costs, table_console, titled_table
from spanledger.config.clients import load_client_prices
from spanledger.config.prices import load_price_book
from spanledger.config.settings import load_settings
from spanledger.core.money import format_usd, rate_usd_per_mtok
from spanledger.core.settling import Prices
from spanledger.core.times import shown_time
from spanledger.core.usage import TOKEN_CLASSES, Basis
from spanledger.ledger.ledger import Ledger
from spanledger.service.assembly import policy_of
from spanledger.service.explanation import Explanation
from spanledger.service.explanation import explain as explain_call
from spanledger.service.session_report import Part, SessionReport, report_session

T = TypeVar("T")


@exits_on_bad_input
def explain(
    request_id: Annotated[str, typer.Argument(metavar="REQUEST_ID", help="The call's request id, or its identity.")],
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a call costs what it costs: signals, tokens, rates, the sum, the client's figure and the verdict.

    Exit code 1 when the ledger has no such call.
    """
    settings = load_settings(config, offline_environment(), {})
    prices = Prices(load_price_book(settings.prices.layers), load_client_prices())
    found = _read(
        ledger or settings.ledger.path,
        lambda opened: explain_call(opened, prices, policy_of(settings, prices), request_id),
    )
    if found is None:
        _not_found(f"no call {request_id!r} in the ledger")
    elif as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        _print_call(found)


@exits_on_bad_input
def session(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="The session's id.")],
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a session cost: what /cost shows, and by purpose, agent, skill and MCP server.

    Exit code 1 when the ledger has nothing of the session.
    """
    settings = load_settings(config, offline_environment(), {})
    found = _read(ledger or settings.ledger.path, lambda opened: report_session(opened, session_id))
    if found is None:
        _not_found(f"nothing of session {session_id!r} in the ledger")
    elif as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        _print_session(found)


def _read(path: Path, question: Callable[[Ledger], T]) -> T:
    ledger = Ledger.read(path)
    try:
        return question(ledger)
    finally:
        ledger.close()


def _not_found(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(ExitCode.FINDING)


def _print_call(found: Explanation) -> None:
    console = table_console()
    signals = titled_table(f"Call {found.name}: what spoke of it")
    for name in ("signal", "time", "model", "source", "speed", "tokens", "client USD"):
        signals.add_column(name, overflow="fold")
    for sighting in found.sightings:
        record = sighting.record
        counts = " ".join(f"{name}={n}" for name, n in zip(TOKEN_CLASSES, record.tokens, strict=True) if n)
        client = "" if record.client_cost_picousd is None else format_usd(record.client_cost_picousd)
        row = (record.evidence, shown_time(record.time_unix_nano), record.model, record.query_source, record.speed)
        signals.add_row(*row, counts, client)
    console.print(signals)
    charge = found.charge
    if charge is None:
        console.print("Not charged yet: a span waits for its log event.")
        return
    price = charge.price
    if price.rates is None:
        console.print(f"Unpriced: {price.unpriced_reason}: {price.unpriced_detail}")
    else:
        console.print(_sum_table(found))
        console.print(f"{charge.status} by {charge.evidence}; {price.price_row} of {price.price_book}")
        if price.list_rates != price.rates:
            at_list = "has no price" if charge.list_cost_picousd is None else f"${format_usd(charge.list_cost_picousd)}"
            console.print(f"By contract; the list: {at_list}")
    if charge.client_cost_picousd is not None:
        console.print(f"The client says ${format_usd(charge.client_cost_picousd)}: {found.verdict} {found.citation}")
    for posting in found.postings[1:]:
        console.print(f"Revision {posting.revision} at {shown_time(posting.posted_unix_nano)}: {posting.reason}")


def _sum_table(found: Explanation) -> Table:
    charge = found.charge
    assert charge is not None  # noqa: S101 - the caller has looked
    rates, cost = charge.price.rates, charge.cost_picousd
    assert rates is not None  # noqa: S101
    assert cost is not None  # noqa: S101
    changed = f" ({', '.join(charge.price.modifiers)})" if charge.price.modifiers else ""
    table = titled_table(f"The sum{changed}")
    table.add_column("token class")
    for name in ("count", "x USD per million", "= USD"):
        table.add_column(name, justify="right")
    for name, count, rate in zip(TOKEN_CLASSES, charge.tokens, rates, strict=True):
        if count:
            table.add_row(name, str(count), rate_usd_per_mtok(rate), format_usd(count * rate))
    table.add_row("total", "", "", format_usd(cost))
    return table


def _print_session(found: SessionReport) -> None:
    console = table_console()
    whole = found.whole
    console.print(
        f"Session {found.session_id} of {', '.join(found.users)}: {shown_costs(whole.by_basis)} for "
        f"{whole.requests} requests, {whole.unpriced} unpriced"
    )
    console.print(
        f"The client says ${format_usd(found.client_metric_picousd)} in its metric (/cost), "
        f"${format_usd(found.client_log_picousd)} in its log events"
    )
    if found.aborted_attempts:
        console.print(f"{found.aborted_attempts} calls had attempts that were cut: their cost is in the residual")
    wall_seconds = (found.end_unix_nano - found.start_unix_nano) // 10**9
    console.print(
        f"{shown_time(found.start_unix_nano)} to {shown_time(found.end_unix_nano)}, {wall_seconds} s; "
        f"{found.api_milliseconds / 1000:.1f} s in the API; the cache saved ${format_usd(found.cache_saved_picousd)}"
    )
    for name, parts in found.parts.items():
        if parts:
            console.print(_part_table(name.removeprefix("by_").replace("_", " "), parts))


def _part_table(title: str, parts: Mapping[str, Part]) -> Table:
    bases = [basis for basis in Basis if any(basis in part.by_basis for part in parts.values())]
    table = titled_table(f"By {title}")
    table.add_column(title)
    add_cost_columns(table, bases)
    for name in ("requests", "unpriced", "tokens"):
        table.add_column(name, justify="right")
    for key, part in parts.items():
        counts = (f"{part.requests:,}", f"{part.unpriced:,}", f"{part.tokens.total:,}")
        table.add_row(key, *cost_cells(bases, part.by_basis), *counts)
    return table
