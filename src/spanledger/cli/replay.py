"""`spanledger replay`: capture folders through the pipeline, without sockets."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from spanledger.cli.options import (
    ConfigOption,
    ExitCode,
    JsonOption,
    LedgerOption,
    exits_on_bad_input,
    offline_environment,
)
from spanledger.cli.tables import print_group, shown_costs, table_console
from spanledger.config.settings import load_settings
from spanledger.core.errors import ConfigError
from spanledger.core.money import format_usd
from spanledger.service.assembly import assemble
from spanledger.service.audit import Figures
from spanledger.service.captures import CaptureFolder, find_folders
from spanledger.service.replay import Replay

_PARTS = {
    "by_model": "model",
    "by_user": "user",
    "by_team": "team",
    "by_query_class": "query class",
    "by_basis": "basis",
    "by_evidence": "evidence",
}


@exits_on_bad_input
def replay(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Capture folders, or folders that hold some.")],
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the bodies that would be forwarded into this folder.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Feed captured requests through the pipeline and print what they cost.

    Bodies run in the order of their file numbers, folders in sorted order, on the clock of the capture. Totals are of
    the whole ledger; without --ledger a temporary one. Exit code 1 when figures disagree or records were refused.
    """
    settings = load_settings(config, offline_environment(), {})
    folders = find_folders(paths)
    _make_folder(out)
    with tempfile.TemporaryDirectory() as scratch:
        parts = assemble(settings, ledger or Path(scratch) / "ledger.db", forward=True)
        run = Replay(parts.ledger, parts.pipeline, parts.meter, out, parts.redaction)
        try:
            figures = _run(run, folders)
        finally:
            parts.ledger.close()
    if as_json:
        typer.echo(json.dumps(figures.as_json(duplicates=run.duplicates, problems=run.problems), indent=2))
    else:
        _print(figures, run)
    if run.problems:
        raise typer.Exit(ExitCode.FINDING)


def _make_folder(out: Path | None) -> None:
    if out is None:
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError([f"--out {out}: cannot be made: {error}"]) from None


def _run(run: Replay, folders: list[CaptureFolder]) -> Figures:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("replaying", total=sum(len(folder.files) for folder in folders))
        return run.run(folders, lambda _: progress.advance(task))


def _print(figures: Figures, run: Replay) -> None:
    console = table_console()
    report = figures.report
    at_list = (
        "" if report.list_cost_picousd == report.cost_picousd else f" (${format_usd(report.list_cost_picousd)} at list)"
    )
    console.print(
        f"cost {shown_costs(report.by_basis)}{at_list}, clients say ${format_usd(figures.client_cost_picousd)}; "
        f"{report.requests} requests, {run.duplicates} duplicates, {report.unpriced_requests} unpriced "
        f"({report.unpriced_tokens} tokens)"
    )
    for part, title in _PARTS.items():
        print_group(console, f"Cost by {title}", title, report.groups[part])
    for problem in run.problems:
        Console(stderr=True).print(problem, style="red", highlight=False)
