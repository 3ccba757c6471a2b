"""`spanledger prices`: questions to the price book."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from spanledger.cli.options import ConfigOption, ExitCode, JsonOption, exits_on_bad_input, offline_environment
from spanledger.cli.price_tables import print_changes, print_explanation, print_list, print_model, print_verification
from spanledger.config.price_values import read_instant_or_day
from spanledger.config.prices import layers_named, load_price_book
from spanledger.config.sections import Settings
from spanledger.config.settings import load_settings
from spanledger.core.book import PriceBook
from spanledger.core.errors import ConfigError
from spanledger.core.rating_input import RatingInput
from spanledger.core.times import shown_second
from spanledger.core.usage import Provider, Speed, Tokens
from spanledger.service.price_diff import diff_books
from spanledger.service.price_explanation import explain_price
from spanledger.service.price_lines import rate_line
from spanledger.service.price_verification import verify_book
from spanledger.service.price_views import list_models, show_model

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

ContractOption = Annotated[
    Path | None,
    typer.Option("--contract", metavar="F", help="Contract to price by, in the place of the configured one."),
]
ProviderOption = Annotated[
    Provider, typer.Option("--provider", metavar="P", help="anthropic, bedrock, vertex, foundry or anthropic_aws.")
]
AtOption = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="Instant with a zone, or a day (its beginning in UTC); now.")
]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A model, in any form of its id.")]

app = typer.Typer(no_args_is_help=True, help="Ask the price book.")


@app.callback()
def prices() -> None:
    """Ask the price book."""


@app.command("list")
@exits_on_bad_input
def list_(
    at: AtOption = None,
    provider: ProviderOption = Provider.ANTHROPIC,
    config: ConfigOption = None,
    contract: ContractOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what every model costs at an instant, at a global endpoint and without a cost center."""
    book = _book(_settings(config), contract)
    at_unix_nano = _instant(at)
    lines = list_models(book, provider, at_unix_nano)
    if as_json:
        head = {"price_book": book.id, "at": shown_second(at_unix_nano), "provider": provider.value}
        typer.echo(json.dumps(head | {"models": [line.as_json() for line in lines]}, indent=2))
    else:
        print_list(book, lines, provider, at_unix_nano)


@app.command()
@exits_on_bad_input
def show(
    model: ModelArgument, config: ConfigOption = None, contract: ContractOption = None, as_json: JsonOption = False
) -> None:
    """Show all that the price book says of a model: every row with its source, what modifies it, the contract.

    Exit code 1 when it knows no such model.
    """
    book = _book(_settings(config), contract)
    view = show_model(book, model)
    if view is None:
        typer.echo(f"no price of {model!r}; `spanledger prices list` shows every model", err=True)
        raise typer.Exit(ExitCode.FINDING)
    if as_json:
        typer.echo(json.dumps({"price_book": book.id} | view.as_json(), indent=2, ensure_ascii=False))
    else:
        print_model(book, view)


@app.command()
@exits_on_bad_input
def explain(
    model: ModelArgument,
    provider: ProviderOption = Provider.ANTHROPIC,
    at: AtOption = None,
    input_tokens: Annotated[int, typer.Option("--input", metavar="N", min=0, help="Input tokens, not cached.")] = 0,
    output: Annotated[int, typer.Option(metavar="N", min=0, help="Output tokens.")] = 0,
    cache_read: Annotated[int, typer.Option(metavar="N", min=0, help="Tokens read from the cache.")] = 0,
    cache_write_5m: Annotated[int, typer.Option(metavar="N", min=0, help="Tokens written for five minutes.")] = 0,
    cache_write_1h: Annotated[int, typer.Option(metavar="N", min=0, help="Tokens written for an hour.")] = 0,
    cache_write: Annotated[int, typer.Option(metavar="N", min=0, help="Tokens written, nobody says for how long.")] = 0,
    web_search: Annotated[int, typer.Option(metavar="N", min=0, help="Web searches.")] = 0,
    fast: Annotated[bool, typer.Option("--fast", help="Fast inference.")] = False,
    inference_geo: Annotated[str, typer.Option(metavar="GEO", help="`us`: kept in the United States.")] = "",
    region: Annotated[str, typer.Option(metavar="REGION", help="Region of the endpoint, or `global`.")] = "",
    batch: Annotated[bool, typer.Option("--batch", help="The Batch API.")] = False,
    cost_center: Annotated[str, typer.Option(metavar="NAME", help="Cost center of the sender.")] = "",
    config: ConfigOption = None,
    contract: ContractOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain the price of a call, from the model's name to the sum.

    Exit code 1 when it has no price.
    """
    book = _book(_settings(config), contract)
    tokens = Tokens(input_tokens, output, cache_read, cache_write_5m, cache_write_1h, cache_write, web_search)
    speed = Speed.FAST if fast else Speed.STANDARD
    call = RatingInput(provider, model, _instant(at), tokens, speed, region, inference_geo, batch)
    explained = explain_price(book, call, cost_center)
    if as_json:
        head = {"price_book": book.id, "at": shown_second(call.at_unix_nano), "provider": provider.value}
        typer.echo(json.dumps(head | explained.as_json(), indent=2, ensure_ascii=False))
    else:
        print_explanation(book, explained)
    if explained.charged is None:
        raise typer.Exit(ExitCode.FINDING)


@app.command()
@exits_on_bad_input
def rate(config: ConfigOption = None, contract: ContractOption = None) -> None:
    """Price calls: a JSON object a line on standard input, one a line on standard output.

    What cannot be priced is `unpriced`, a line that cannot be used is `invalid`, each with its reason; the exit code
    is 0 all the same.
    """
    settings = _settings(config)
    defaults, book = settings.prices.known_defaults, _book(settings, contract)
    for line in sys.stdin.buffer:
        text = line.removeprefix(_BYTE_ORDER_MARK)
        if text.strip():
            typer.echo(json.dumps(rate_line(text, book, defaults)))


@app.command()
@exits_on_bad_input
def diff(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="`bundled`, `current` or a file.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="The same.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two price books: every rate, factor, name and rule that they say differently.

    A file is a price list (over the bundled one when it has no `web_search`) or a contract (over the current lists).
    Exit code 1 when they differ.
    """
    current = _settings(config).prices.layers
    old, new = (load_price_book(layers_named(name, current)) for name in (before, after))
    changes = diff_books(old, new)
    if as_json:
        told = {"before": old.id, "after": new.id, "changes": [change.as_json() for change in changes]}
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print_changes(old, new, changes)
    if changes:
        raise typer.Exit(ExitCode.FINDING)


@app.command()
@exits_on_bad_input
def verify(
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="`bundled`, or a price list or contract instead of the configured.")
    ] = "current",
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify the price book: format, gaps, overlaps, improbable jumps, age, announced prices, the contract's rules.

    Exit code 1 when something should be looked at, 2 when a file is refused.
    """
    settings = _settings(config)
    book = load_price_book(layers_named(file, settings.prices.layers))
    found = verify_book(book, _instant(at), settings.prices.stale_after_days)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        print_verification(found)
    if found.findings:
        raise typer.Exit(ExitCode.FINDING)


def _settings(config: Path | None) -> Settings:
    return load_settings(config, offline_environment(), {})


def _book(settings: Settings, contract: Path | None) -> PriceBook:
    layers = settings.prices.layers
    return load_price_book(layers if contract is None else replace(layers, contract=contract))


def _instant(at: str | None) -> int:
    if at is None:
        return time.time_ns()
    try:
        return read_instant_or_day(at)
    except ValueError as error:
        raise ConfigError([f"--at {error}"]) from None
