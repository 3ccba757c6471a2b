"""`spanledger doctor`: finds what is wrong with a set-up by looking and trying."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict

import typer
from rich.text import Text

from spanledger.cli.options import ConfigOption, ExitCode, JsonOption, LedgerOption, exits_on_bad_input
from spanledger.cli.tables import table_console, titled_table
from spanledger.config.sections import Settings
from spanledger.config.settings import load_settings
from spanledger.service.doctor import examine
from spanledger.service.findings import Finding, Level

_COLOURS = {Level.OK: "green", Level.NOTE: "yellow", Level.PROBLEM: "red"}


@exits_on_bad_input
def doctor(config: ConfigOption = None, ledger: LedgerOption = None, as_json: JsonOption = False) -> None:
    """Look for what is wrong: ports, certificates, secrets, prices, destinations, disk, ledger, clients, clock, gaps.

    Sends an empty request to each destination. May run beside the service. Exit code 1 when there is a problem.
    """
    flags = {} if ledger is None else {"ledger.path": str(ledger)}
    settings = load_settings(config, os.environ, flags)
    findings = asyncio.run(_all(settings))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    if any(finding.level is Level.PROBLEM for finding in findings):
        raise typer.Exit(ExitCode.FINDING)


async def _all(settings: Settings) -> list[Finding]:
    return [finding async for finding in examine(settings, time.time_ns())]


def _print(findings: Sequence[Finding]) -> None:
    table = titled_table("What was looked at")
    table.add_column("")
    for name in ("subject", "found", "what to do"):
        table.add_column(name, overflow="fold")
    for finding in findings:
        mark = f"[{_COLOURS[finding.level]}]{finding.level.value}[/]"
        table.add_row(mark, *map(Text, (finding.subject, finding.what, finding.advice)))
    table_console().print(table)
