"""`spanledger demo`: captured sessions through the service, and what came out."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from spanledger.cli.options import ExitCode, JsonOption, exits_on_bad_input
from spanledger.cli.tables import print_group, shown_costs, table_console
from spanledger.core.money import format_usd
from spanledger.core.usage import Signal
from spanledger.service.captures import CaptureFolder
from spanledger.service.demo import DemoError, DemoResult, demo_captures, run_demo, shown_amount

_SHOWN_PARTS = {"by_model": "model", "by_user": "user", "by_query_class": "query class"}


@exits_on_bad_input
def demo(as_json: JsonOption = False) -> None:
    """Send captured sessions to the service on free ports and show what comes out of it.

    Exit code 1 when the metrics that arrived, the ledger and the report do not agree to the pico-dollar.
    """
    folders = demo_captures()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            result = _run(folders, Path(scratch))
        except DemoError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(ExitCode.FINDING) from None
    if as_json:
        typer.echo(json.dumps(_json(result), indent=2))
    else:
        _print(result)
    if result.disagreements:
        raise typer.Exit(ExitCode.FINDING)


def _run(folders: list[CaptureFolder], scratch: Path) -> DemoResult:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("sending captured sessions", total=sum(len(folder.files) for folder in folders))
        return asyncio.run(run_demo(folders, scratch, lambda _: progress.advance(task)))


def _json(result: DemoResult) -> dict[str, object]:
    return {
        **result.figures.as_json(duplicates=0, problems=list(result.disagreements)),
        "arrived": {metric.value: shown_amount(metric, value) for metric, value in result.arrived.items()},
    }


def _print(result: DemoResult) -> None:
    console = table_console()
    _print_span(console, result)
    for part, title in _SHOWN_PARTS.items():
        print_group(console, f"Cost by {title}", title, result.figures.report.groups[part])
    _print_differences(console, result)
    _print_arrivals(console, result)
    _print_verdict(console, result)


def _print_span(console: Console, result: DemoResult) -> None:
    before, after = result.span_before.attributes, result.span_after.attributes
    console.print(
        f"[bold]One llm_request span[/bold] ({after.get('request_id', result.span_after.span_id)})\n"
        f"{len(before)} attributes came and stay as they are; {len(after) - len(before)} were written:"
    )
    table = Table(box=None)
    table.add_column("attribute", no_wrap=True)
    table.add_column("before")
    table.add_column("after", overflow="fold")
    for key, value in sorted(after.items()):
        if key not in before or before[key] != value:
            table.add_row(key, str(before.get(key, "-")), str(value))
    console.print(table)


def _print_differences(console: Console, result: DemoResult) -> None:
    table = Table(
        title="[bold]Where the client's own figure differs[/bold] (USD)",
        title_style="",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("model", no_wrap=True)
    for column in ("calls", "ours", "client's", "difference"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for row in result.differences:
        ours = "unpriced" if row.cost_picousd is None else format_usd(row.cost_picousd)
        gap = "" if row.cost_picousd is None else _signed_usd(row.client_cost_picousd - row.cost_picousd)
        client = format_usd(row.client_cost_picousd)
        table.add_row(row.model, str(row.requests), ours, client, gap, row.why.replace("_", " "))
    console.print(table)


def _signed_usd(picousd: int) -> str:
    return f"-{format_usd(-picousd)}" if picousd < 0 else f"+{format_usd(picousd)}"


def _print_arrivals(console: Console, result: DemoResult) -> None:
    counts = ", ".join(f"{result.arrived_bodies[signal]} {signal}" for signal in Signal)
    console.print(f"[bold]Arrived at the sink[/bold]: {counts} requests; {result.arrived_series} series of ours")
    table = Table(box=None)
    table.add_column("metric with its adjustment")
    table.add_column("at the sink", justify="right")
    table.add_column("in the ledger", justify="right")
    for metric, value in result.arrived.items():
        table.add_row(metric, shown_amount(metric, value), shown_amount(metric, result.figures.metrics[metric]))
    console.print(table)


def _print_verdict(console: Console, result: DemoResult) -> None:
    report = result.figures.report
    console.print(
        f"\nTotal {shown_costs(report.by_basis)} for {report.requests} requests; "
        f"{report.unpriced_requests} of them unpriced ({report.unpriced_tokens:,} tokens), never counted as zero; "
        f"the clients say ${format_usd(result.figures.client_cost_picousd)}"
    )
    if not result.disagreements:
        console.print("[green]agree[/green]: metrics at the sink = ledger = report, to the pico-dollar")
    for disagreement in result.disagreements:
        console.print(f"[red]disagree[/red]: {disagreement}")
