"""`spanledger budget`: what is configured, and how much of it is used."""

from __future__ import annotations

import json
import time

import typer
from rich.text import Text

from spanledger.cli.options import (
    ConfigOption,
    ExitCode,
    JsonOption,
    LedgerOption,
    exits_on_bad_input,
    offline_environment,
)
from spanledger.cli.tables import shown_user, table_console, titled_table
from spanledger.config.budgets import budgets_of
from spanledger.config.settings import load_settings
from spanledger.core.budget import Budget, BudgetState
from spanledger.core.money import format_usd, rounded_usd
from spanledger.core.periods import date_of
from spanledger.service.budget_watch import EVERYBODY, BudgetWatch, owner_name

Json = dict[str, object]

_PERCENT = 100

app = typer.Typer(no_args_is_help=True, help="Ask the budgets: they warn and block nothing.")


@app.callback()
def budget() -> None:
    """Ask the budgets: they warn and block nothing."""


@app.command("list")
@exits_on_bad_input
def list_budgets(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the budgets of the configuration."""
    settings = load_settings(config, offline_environment(), {})
    budgets = budgets_of(settings.budgets)
    if as_json:
        shown = {"timezone": settings.calendar.timezone, "budgets": [_budget_json(one) for one in budgets]}
        typer.echo(json.dumps(shown, indent=2))
        return
    console = table_console()
    if not budgets:
        console.print("No budgets: set budgets.limits in the configuration.")
        return
    table = titled_table(f"Budgets, in {settings.calendar.timezone}")
    for name in ("budget", "scope", "owner", "period", "basis", "warns at %"):
        table.add_column(name, overflow="fold")
    table.add_column("limit USD", justify="right")
    for one in budgets:
        levels = ", ".join(map(str, one.warn_percents))
        cells = (one.name, one.scope, one.owner or EVERYBODY, one.cycle.value, "+".join(one.bases), levels)
        table.add_row(*map(Text, (*cells, format_usd(one.limit_picousd))))
    console.print(table)


@app.command()
@exits_on_bad_input
def status(config: ConfigOption = None, ledger: LedgerOption = None, as_json: JsonOption = False) -> None:
    """Say what is spent of each budget in its current period, and what will be by its end.

    Exit code 1 when a level of warning is reached.
    """
    settings = load_settings(config, offline_environment(), {})
    watch = BudgetWatch(settings, ledger or settings.ledger.path)
    now_unix_nano = time.time_ns()
    watch.refresh(now_unix_nano, tell=False)
    states = watch.states(date_of(now_unix_nano, watch.zone))
    if as_json:
        shown = {"timezone": settings.calendar.timezone, "budgets": [_state_json(one) for one in states]}
        typer.echo(json.dumps(shown, indent=2))
    else:
        _print_states(states, settings.calendar.timezone)
    if any(state.level_percent is not None for state in states):
        raise typer.Exit(ExitCode.FINDING)


def _print_states(states: list[BudgetState], zone: str) -> None:
    console = table_console()
    if not states:
        console.print("No budgets, or none that anybody falls under yet.")
        return
    table = titled_table(f"Budgets, in {zone}")
    for name in ("budget", "owner", "period"):
        table.add_column(name, overflow="fold")
    for name in ("limit USD", "spent USD", "%", "forecast USD", "reached"):
        table.add_column(name, justify="right")
    for state in states:
        budget, period = state.budget, state.period
        days = str(period.first) if period.first == period.last else f"{period.first} to {period.last}"
        amounts = (budget.limit_picousd, state.spent_picousd)
        used = f"{state.spent_picousd * _PERCENT // budget.limit_picousd}"
        level = "" if state.level_percent is None else f"{state.level_percent} %"
        cells = (*map(rounded_usd, amounts), used, rounded_usd(state.forecast_picousd), level)
        table.add_row(*map(Text, (budget.name, shown_user(owner_name(state)), days, *cells)))
    console.print(table)
    for state in states:
        for note in _notes(state):
            console.print(Text(f"{state.budget.name}, {shown_user(owner_name(state))}: {note}"))


def _notes(state: BudgetState) -> list[str]:
    """What a reader of the figures must know besides."""
    notes = [f"${rounded_usd(cost)} {basis.value} is not counted" for basis, cost in state.not_counted.items()]
    if state.unpriced_requests:
        notes.append(f"{state.unpriced_requests:,} requests have no price: more is spent than is known")
    if state.forecast_picousd > state.budget.limit_picousd >= state.spent_picousd:
        notes.append("the forecast is over the limit")
    return notes


def _budget_json(budget: Budget) -> Json:
    return {
        "budget": budget.name,
        "scope": budget.scope,
        "owner": budget.owner,
        "period": budget.cycle.value,
        "basis": [basis.value for basis in budget.bases],
        "limit_usd": format_usd(budget.limit_picousd),
        "warn_at_percent": list(budget.warn_percents),
    }


def _state_json(state: BudgetState) -> Json:
    return {
        **_budget_json(state.budget),
        "owner": state.owner,
        "from": state.period.first.isoformat(),
        "to": state.period.last.isoformat(),
        "spent_usd": format_usd(state.spent_picousd),
        "forecast_usd": format_usd(state.forecast_picousd),
        "not_counted_usd": {basis.value: format_usd(cost) for basis, cost in state.not_counted.items()},
        "unpriced_requests": state.unpriced_requests,
        "level_percent": state.level_percent,
    }
