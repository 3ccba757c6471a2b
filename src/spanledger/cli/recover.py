"""`spanledger recover`: saves what can be read of a damaged ledger."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from spanledger.cli.options import ExitCode, JsonOption, exits_on_bad_input
from spanledger.ledger.salvage import Salvage, salvage


@exits_on_bad_input
def recover(
    damaged: Annotated[Path, typer.Argument(metavar="DAMAGED", help="The ledger file that was set aside.")],
    saved: Annotated[Path, typer.Argument(metavar="SAVED", help="The new file; must not exist.")],
    as_json: JsonOption = False,
) -> None:
    """Save what can be read of a damaged ledger into a new file, for `report`, `session` and `explain`.

    The damaged file is only read. Exit code 1 when something of it could not be read. docs/operate/ledger.md.
    """
    found = salvage(damaged, saved)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
    else:
        _print(found, saved)
    if found.tables_damaged or found.postings_incomplete:
        raise typer.Exit(ExitCode.FINDING)


def _print(found: Salvage, saved: Path) -> None:
    postings, records = (found.rows.get(table, 0) for table in ("posting", "evidence"))
    typer.echo(f"{saved}: {postings:,} postings and {records:,} records saved")
    if found.tables_damaged:
        typer.echo(f"could not be read in full: {', '.join(found.tables_damaged)}; totals may be too low")
    if found.postings_incomplete:
        typer.echo(f"{found.postings_incomplete:,} postings are in no report: who or what they are of is lost")
