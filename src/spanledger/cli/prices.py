"""`spanledger prices`: questions to the price book."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from spanledger.cli.options import ConfigOption, exits_on_bad_input, offline_environment
from spanledger.config.prices import load_price_book
from spanledger.config.settings import load_settings
from spanledger.service.price_lines import rate_line

app = typer.Typer(no_args_is_help=True, help="Ask the price book.")


@app.callback()
def prices() -> None:
    """Ask the price book."""


@app.command()
@exits_on_bad_input
def rate(
    config: ConfigOption = None,
    contract: Annotated[
        Path | None, typer.Option(metavar="F", help="Contract to price by, in the place of the configured one.")
    ] = None,
) -> None:
    """Price calls: a JSON object a line on standard input, one a line on standard output.

    What cannot be priced is `unpriced`, a line that cannot be used is `invalid`, each with its reason; the exit code
    is 0 all the same.
    """
    settings = load_settings(config, offline_environment(), {})
    layers = settings.prices.layers
    defaults = settings.prices.known_defaults
    book = load_price_book(layers if contract is None else replace(layers, contract=contract))
    for line in sys.stdin.buffer:
        if line.strip():
            typer.echo(json.dumps(rate_line(line, book, defaults)))
