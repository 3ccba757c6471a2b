"""`spanledger report`: what a period cost, also while the service writes the ledger."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from spanledger.cli.options import ConfigOption, JsonOption, LedgerOption, exits_on_bad_input, offline_environment
from spanledger.cli.report_tables import print_report
from spanledger.config.fields import read_zone
from spanledger.config.names import Names
from spanledger.config.references import load_references
from spanledger.config.sections import Settings
from spanledger.config.settings import load_settings
from spanledger.core.errors import ConfigError
from spanledger.core.periods import Period, parse_period
from spanledger.core.usage import Basis
from spanledger.core.usage_report import UsageReport
from spanledger.ledger.ledger import Ledger
from spanledger.service.usage_report import as_csv, as_json, names_of_groupings, report_usage, rollout


class Format(StrEnum):
    """How to print a report."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class _Question:
    """What to report: a period, what its lines are by, what usage must be."""

    period: Period
    today: date
    by: tuple[str, ...]
    where: Mapping[str, str]


@exits_on_bad_input
def report(
    by: Annotated[
        str, typer.Option(metavar="NAME,...", help="What lines are by, as in `team,user` or `day`; see docs/report.md.")
    ] = "model",
    period: Annotated[
        str, typer.Option(metavar="P", help="`today`, `week`, `month`, `7d`, `2026-11`, `2026-11-01..2026-11-15`, ...")
    ] = "month",
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Time zone of the days; `calendar.timezone` unless given.")
    ] = None,
    basis: Annotated[
        Basis | None, typer.Option(metavar="billed|notional|unknown", help="Only usage of this basis.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only usage of which this is so; can be repeated.")
    ] = None,
    top: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only the N costliest; the others in one line.")
    ] = None,
    developers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Say what N developers like these would cost in a month.")
    ] = None,
    output: Annotated[
        Format, typer.Option("--format", metavar="table|csv|json", help="How to print the report.")
    ] = Format.TABLE,
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    as_json_object: JsonOption = False,
) -> None:
    """Say what a period cost, by the time of the calls: exact sums by any facts of the usage.

    Billed, notional and unknown cost are never summed: each line is of one basis.
    """
    settings = load_settings(config, offline_environment(), {})
    conditions = [*(where or []), *([] if basis is None else [f"basis={basis.value}"])]
    question = _question(settings, by, period, timezone, conditions)
    opened = Ledger.read(ledger or settings.ledger.path)
    try:
        found = _answer(opened, question, top)
    finally:
        opened.close()
    references = load_references()
    rolled_out = None if developers is None else rollout(found, developers, question.today)
    match Format.JSON if as_json_object else output:
        case Format.JSON:
            typer.echo(json.dumps(as_json(found, question.where, references, rolled_out), indent=2))
        case Format.CSV:
            typer.echo(as_csv(found), nl=False)
        case Format.TABLE:
            print_report(found, question.where, references, rolled_out)


def _question(settings: Settings, by: str, period: str, timezone: str | None, conditions: Sequence[str]) -> _Question:
    """Read what is asked for.

    Raises:
        ConfigError: everything in it that cannot be.
    """
    known = names_of_groupings(list(settings.metrics.resource_labels.values()))
    problems: list[str] = []
    names = tuple(dict.fromkeys(name.strip() for name in by.split(",") if name.strip()))
    problems.extend(f"--by {name}: {_nearest(name, known)}" for name in names if name not in known)
    if not names:
        problems.append(f"--by: names nothing; give some of {', '.join(known)}")
    wanted: dict[str, str] = {}
    names_booked = Names(settings.privacy, settings.metrics.resource_labels)
    for condition in conditions:
        name, equals, value = condition.partition("=")
        if not equals or name not in known:
            problems.append(f"--where {condition}: {_nearest(name, known) if equals else 'is not NAME=VALUE'}")
        if name in wanted:
            problems.append(f"--where {condition}: {name} has one value; ask for each alone, or group --by {name}")
        wanted[name] = names_booked.booked(name, value, f"--where {condition}")
    zone: tzinfo = UTC
    try:
        zone = read_zone(timezone or settings.calendar.timezone)
    except ValueError as error:
        problems.append(f"--timezone: {error}")
    today = datetime.now(tz=zone).date()
    try:
        span = parse_period(period, today, zone)
    except ValueError as error:
        raise ConfigError([*problems, f"--period: {error}"]) from None
    if problems:
        raise ConfigError(problems)
    return _Question(span, today, names, wanted)


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"no such fact; did you mean {close[0]}?" if close else f"no such fact; there are {', '.join(known)}"


def _answer(ledger: Ledger, question: _Question, top: int | None) -> UsageReport:
    console = Console(stderr=True)
    days = sum(1 for _ in question.period.days())
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("adding up", total=days)
        return report_usage(
            ledger, question.period, question.by, question.where, top=top, on_day=lambda: progress.advance(task)
        )
