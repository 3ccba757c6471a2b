"""`spanledger explain`: why a call costs what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from spanledger.cli.instants import ShownZoneOption, zone_named
from spanledger.cli.ledgers import ask, tell
from spanledger.cli.options import ConfigOption, JsonOption, LedgerOption, exits_on_bad_input, offline_environment
from spanledger.cli.tables import cell, shown_range, shown_user, shown_words, table_console, titled_table
from spanledger.config.settings import load_settings
from spanledger.core.money import format_usd, rate_usd_per_mtok
from spanledger.core.posting import Charge, Posting
from spanledger.core.semconv import UNALLOCATED
from spanledger.core.settling import Sighting
from spanledger.core.times import shown_time
from spanledger.core.usage import TOKEN_CLASSES, Evidence, TokenClass
from spanledger.core.verdict import VERDICT_TEXT
from spanledger.core.wording import shown
from spanledger.service.assembly import load_prices, policy_of
from spanledger.service.explanation import Explanation
from spanledger.service.explanation import explain as explain_call

_FACTS: dict[str, Callable[[Sighting, tzinfo], str]] = {
    "time": lambda sighting, zone: shown_time(sighting.record.time_unix_nano, zone),
    "received": lambda sighting, zone: shown_time(sighting.received_unix_nano, zone),
    "from": lambda sighting, _: f"{sighting.record.source.service} {sighting.record.source.client_version}".strip(),
    "model": lambda sighting, _: sighting.record.model,
    "query source": lambda sighting, _: sighting.record.query_source,
    "agent": lambda sighting, _: sighting.record.agent_name,
    "skill": lambda sighting, _: sighting.record.skill_name,
    "MCP server": lambda sighting, _: sighting.record.mcp_server_name,
    "speed": lambda sighting, _: sighting.record.speed,
}
"""What a signal says of a call besides figures; a line that is empty in all of them is left out."""

_EVIDENCE_WORDS: dict[Evidence, str] = {
    Evidence.LOG: "the log",
    Evidence.SPAN: "the span",
    Evidence.INFERRED: "its record and what the client's figure gives away",
    Evidence.METRIC: "the client's sums",
}


@exits_on_bad_input
def explain(
    request_id: Annotated[str, typer.Argument(metavar="REQUEST_ID", help="The call's request id, or its identity.")],
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    timezone: ShownZoneOption = "UTC",
    as_json: JsonOption = False,
) -> None:
    """Say why a call costs what it costs: signals, tokens, rates, the sum, the client's figure and the verdict.

    Exit code 1 when the ledger has no such call.
    """
    settings, zone = load_settings(config, offline_environment(), {}), zone_named(timezone)
    prices = load_prices(settings)
    policy = policy_of(settings, prices)
    found = ask(ledger or settings.ledger.path, lambda opened: explain_call(opened, prices, policy, request_id))
    tell(found, f"no call {request_id!r} in the ledger", zone, _print, as_json=as_json)


def _print(found: Explanation, zone: tzinfo) -> None:
    console = table_console()
    console.print(Text(f"Call {shown(found.name)}", "bold"))
    if found.sightings:
        console.print(_signal_table(found.sightings, zone))
    if found.interval is not None:
        start, end = (shown_time(at, zone) for at in found.interval)
        console.print(
            f"A residual: the client's sums from {start} to {end} hold it beyond the calls that records tell of"
        )
    charge = found.charge
    if charge is None:
        console.print("Not charged yet: a span waits for its log event.")
        return
    if charge.price.rates is None:
        console.print(Text(f"Unpriced: {charge.price.unpriced_reason}: {shown(charge.price.unpriced_detail)}"))
    else:
        console.print(_sum_table(charge))
    for line in (*_charged(found, charge), *_client(found)):
        console.print(Text(line))
    if len(found.postings) > 1:
        console.print(_posting_table(found.postings, zone))


def _signal_table(sightings: Sequence[Sighting], zone: tzinfo) -> Table:
    """A column a signal, a line a fact."""
    table = titled_table("What spoke of it")
    table.add_column("signal")
    for sighting in sightings:
        table.add_column(sighting.record.evidence, overflow="fold")
    for name, fact in _FACTS.items():
        values = [fact(sighting, zone) for sighting in sightings]
        if any(values):
            table.add_row(name, *map(cell, values))
    for place, token_class in enumerate(TOKEN_CLASSES):
        counts = [sighting.record.tokens[place] for sighting in sightings]
        if any(counts):
            table.add_row(shown_words(token_class), *(f"{count:,}" if count else "" for count in counts))
    costs = [sighting.record.client_cost_picousd for sighting in sightings]
    if any(cost is not None for cost in costs):
        table.add_row("client's USD", *("" if cost is None else format_usd(cost) for cost in costs))
    return table


def _sum_table(charge: Charge) -> Table:
    """The sum worked out: count x rate = cost, line by line."""
    rates = charge.price.rates or ()
    changed = f", with {', '.join(charge.price.modifiers)} in the rates" if charge.price.modifiers else ""
    table = titled_table(f"The sum{changed}")
    table.add_column("token class")
    for name in ("count", "x USD per million", "= USD"):
        table.add_column(name, justify="right")
    for name, count, rate in zip(TOKEN_CLASSES, charge.tokens, rates, strict=True):
        if count and name is TokenClass.WEB_SEARCH:  # priced by the piece
            table.add_row(shown_words(name), str(count), f"{format_usd(rate)} each", format_usd(count * rate))
        elif count:
            table.add_row(shown_words(name), str(count), rate_usd_per_mtok(rate), format_usd(count * rate))
    table.add_row("total", "", "", format_usd(charge.cost_picousd or 0))
    return table


def _charged(found: Explanation, charge: Charge) -> list[str]:
    account, price, costs = charge.account, charge.price, found.costs
    labels = [f"{label} {shown(value)}" for label, value in account.labels if value != UNALLOCATED]
    whom = ", ".join([shown_user(account.user), *labels])
    status = shown_words(charge.status).capitalize()
    lines = [f"{status}, from {_EVIDENCE_WORDS[charge.evidence]}, {account.basis} to {whom}"]
    if found.given_away:
        lines.append(f"Given away by the client's figure: {', '.join(found.given_away)}")
    if costs.is_open and price.rates is not None:
        lines.append(shown_range(costs).capitalize())
    if charge.source.session_id:
        lines.append(f"Session {shown(charge.source.session_id)}")
    if price.price_row:
        lines.append(f"Price row {price.price_row} of {price.price_book}")
    lines.extend(f"Not told by telemetry, but configured: {text}" for text in price.assumed)
    if price.list_rates != price.rates:
        at_list = charge.list_cost_picousd
        lines.append(f"By contract; at list {'unpriced' if at_list is None else '$' + format_usd(at_list)}")
    return lines


def _client(found: Explanation) -> list[str]:
    """The client's figure and why it is what it is."""
    charge = found.charge
    if charge is None or charge.client_cost_picousd is None or found.verdict is None:
        return ["The client says no figure"] if charge is not None and charge.client_cost_picousd is None else []
    excess = charge.client_excess_picousd
    gap = ""
    if excess:
        gap = f", {format_usd(abs(excess))} {'more' if excess > 0 else 'less'} than the list"
    citation = f" ({found.citation})" if found.citation else ""
    return [
        f"The client says ${format_usd(charge.client_cost_picousd)}{gap}",
        f"Verdict: {found.verdict}: {VERDICT_TEXT[found.verdict]}{citation}",
    ]


def _posting_table(postings: Sequence[Posting], zone: tzinfo) -> Table:
    """Every posting, for a call whose charge was corrected."""
    table = titled_table("Postings")
    for name in ("revision", "posted"):
        table.add_column(name, no_wrap=True)
    table.add_column("USD", justify="right")
    for name in ("status", "evidence", "verdict", "why"):
        table.add_column(name)
    for posting in postings:
        charge, cost = posting.charge, posting.charge.cost_picousd
        shown = "unpriced" if cost is None else format_usd(posting.sign * cost)
        row = (shown, charge.status, charge.evidence, charge.verdict or "", posting.reason or "charged")
        table.add_row(str(posting.revision), shown_time(posting.posted_unix_nano, zone), *row)
    return table
