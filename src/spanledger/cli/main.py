"""The `spanledger` command."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

import spanledger.cli.quiet  # noqa: F401 - before anything that imports gRPC
from spanledger.cli import budget, dashboards, prices
from spanledger.cli.demo import demo
from spanledger.cli.doctor import doctor
from spanledger.cli.explain import explain
from spanledger.cli.quickstart import quickstart
from spanledger.cli.recover import recover
from spanledger.cli.replay import replay
from spanledger.cli.report import report
from spanledger.cli.reprice import reprice
from spanledger.cli.serve import serve
from spanledger.cli.session import session

app = typer.Typer(
    name="spanledger",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Exact, explainable Claude Code cost in the observability stack that you already run.",
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"spanledger {version('spanledger')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Exact, explainable Claude Code cost in the observability stack that you already run."""


app.command()(serve)
app.command()(quickstart)
app.command()(replay)
app.command()(demo)
app.command()(doctor)
app.command()(explain)
app.command()(session)
app.command()(reprice)
app.command()(recover)
app.command()(report)
app.add_typer(budget.app, name="budget")
app.add_typer(prices.app, name="prices")
app.add_typer(dashboards.app, name="dashboards")


def main() -> None:
    """Run the command."""
    app()
