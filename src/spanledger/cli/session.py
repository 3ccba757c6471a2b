"""`spanledger session`: what a session cost and did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from spanledger.cli.instants import ShownZoneOption, zone_named
from spanledger.cli.ledgers import ask, tell
from spanledger.cli.options import ConfigOption, JsonOption, LedgerOption, exits_on_bad_input, offline_environment
from spanledger.cli.tables import (
    add_cost_columns,
    cell,
    cost_cells,
    shown_costs,
    shown_range,
    shown_user,
    shown_words,
    table_console,
    titled_table,
)
from spanledger.config.settings import load_settings
from spanledger.core.money import format_usd
from spanledger.core.semconv import UNALLOCATED, Metric
from spanledger.core.times import NANO_PER_SECOND, shown_time
from spanledger.core.usage import Basis, Signal
from spanledger.core.wording import shown
from spanledger.service.assembly import load_prices, policy_of
from spanledger.service.session_report import GROUPINGS, Part, SessionReport, report_session

_ONLY_STARTED = (
    "Nothing was charged under this id. A client that continues a session counts its start under an id of its own;\n"
    "its calls carry the id of the session that it continues."
)


@exits_on_bad_input
def session(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="The session's id.")],
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    timezone: ShownZoneOption = "UTC",
    as_json: JsonOption = False,
) -> None:
    """Say what a session cost and did: what /cost shows, and by purpose, agent, skill and MCP server.

    Exit code 1 when the ledger has nothing of the session.
    """
    settings, zone = load_settings(config, offline_environment(), {}), zone_named(timezone)
    prices = load_prices(settings)
    policy = policy_of(settings, prices)
    found = ask(ledger or settings.ledger.path, lambda opened: report_session(opened, prices, policy, session_id))
    tell(found, f"nothing of session {session_id!r} in the ledger", zone, _print, as_json=as_json)


def _print(found: SessionReport, zone: tzinfo) -> None:
    console = table_console()
    console.print(Text(f"Session {shown(found.session_id)}", "bold"))
    facts = Table(box=None, show_header=False)
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    for name, fact in _facts(found, zone):
        facts.add_row(name, Text(fact))
    console.print(facts)
    if not found.calls:
        console.print(_ONLY_STARTED)
        return
    console.print(_model_table(found.parts("by_model")))
    for grouping in GROUPINGS:
        parts = found.parts(grouping)
        if len(parts) > (grouping == "by_evidence") and grouping != "by_model":
            console.print(_part_table(shown_words(grouping.removeprefix("by_")), parts))


def _facts(found: SessionReport, zone: tzinfo) -> Iterable[tuple[str, str]]:
    if found.calls:
        yield "user", ", ".join(map(shown_user, found.users))
        labels = {pair for charge in found.charges for pair in charge.account.labels if pair[1] != UNALLOCATED}
        yield (
            "charged to",
            ", ".join(f"{label} {shown(value)}" for label, value in sorted(labels)) or "nobody: no label is said",
        )
        yield "cost", _cost(found)
        if found.costs.is_open:
            yield "", shown_range(found.costs)
        yield (
            "client says",
            (
                f"${format_usd(found.client_metric_picousd)} in its sums, as /cost shows; "
                f"${format_usd(found.client_log_picousd)} in its log events"
            ),
        )
        if found.aborted_attempts:
            yield "", f"calls with attempts that were cut: {found.aborted_attempts}; what these cost is residual"
    if found.wall is not None:
        start, end = found.wall
        yield "calls", f"{shown_time(start, zone)} to {shown_time(end, zone)}, {_seconds(end - start)}"
        yield "in the API", _seconds(found.whole.api_milliseconds * 10**6)
        yield "cache saved", f"${format_usd(found.cache_saved_picousd)}, against the same prompts without a cache"
    yield from _did(found)
    if found.calls:
        told = (f"{signal} {_percent(found.share(signal))}" for signal in Signal)
        yield "told by", f"{', '.join(told)} of {found.whole.tokens.total:,} tokens"


def _cost(found: SessionReport) -> str:
    """Cost by basis, which is never summed in silence."""
    whole = found.whole
    cost = "unpriced" if whole.cost_picousd is None else shown_costs(whole.by_basis)
    residual = f"; of it ${format_usd(found.residual.cost_picousd)} residual" if found.residual.cost_picousd else ""
    unpriced = f"; {whole.unpriced} without a price" if whole.unpriced else ""
    return f"{cost}, {whole.requests} request{'s' * (whole.requests != 1)}{residual}{unpriced}"


def _did(found: SessionReport) -> Iterable[tuple[str, str]]:
    """What the client counted of itself."""
    activity = found.activity
    lines = activity.get(Metric.LINES_OF_CODE, {})
    if found.calls or lines:
        yield "lines", f"{lines.get('added', 0):,} added, {lines.get('removed', 0):,} removed"
    for name, metric in (("commits", Metric.COMMITS), ("pull requests", Metric.PULL_REQUESTS)):
        if metric in activity:
            yield name, f"{sum(activity[metric].values()):,}"
    if Metric.EDIT_DECISIONS in activity:
        yield (
            "edits",
            ", ".join(f"{shown(what)} {count}" for what, count in sorted(activity[Metric.EDIT_DECISIONS].items())),
        )
    if Metric.ACTIVE_TIME in activity:
        spent = sorted(activity[Metric.ACTIVE_TIME].items())
        yield "active", ", ".join(f"{shown(who)} {_seconds(amount)}" for who, amount in spent)
    if Metric.SESSIONS in activity:
        started = sorted(activity[Metric.SESSIONS].items())
        yield "started", ", ".join(f"{count} {shown(how)}" for how, count in started)


def _model_table(parts: Mapping[str, Part]) -> Table:
    """As /cost shows it: each class of tokens, and the price."""
    table = titled_table("By model")
    table.add_column("model")
    bases = _bases(parts)
    add_cost_columns(table, bases)
    for name in ("requests", "unpriced", "input", "output", "cache read", "cache write"):
        table.add_column(name, justify="right")
    for key, part in parts.items():
        counts = (part.tokens.input, part.tokens.output, part.tokens.cache_read, part.tokens.cache_write)
        costs = cost_cells(bases, part.by_basis)
        table.add_row(cell(key), *costs, f"{part.requests:,}", str(part.unpriced), *(f"{count:,}" for count in counts))
    return table


def _part_table(title: str, parts: Mapping[str, Part]) -> Table:
    table = titled_table(f"By {title}")
    table.add_column(title)
    bases = _bases(parts)
    add_cost_columns(table, bases)
    for name in ("requests", "unpriced", "API s", "tokens"):
        table.add_column(name, justify="right")
    for key, part in parts.items():
        costs = cost_cells(bases, part.by_basis)
        seconds = f"{part.api_milliseconds / 1000:.1f}"
        row = (*costs, f"{part.requests:,}", str(part.unpriced), seconds, f"{part.tokens.total:,}")
        table.add_row(cell(key), *row)
    return table


def _bases(parts: Mapping[str, Part]) -> list[Basis]:
    return [basis for basis in Basis if any(basis in part.by_basis for part in parts.values())]


def _seconds(nano: int) -> str:
    return f"{nano / NANO_PER_SECOND:,.1f} s"


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.1f}%".replace(".0%", "%")
