"""`spanledger quickstart`: what to set so that clients send, and a look at whether they do."""

from __future__ import annotations

import json
import shlex
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from spanledger.cli.options import (
    ConfigOption,
    ExitCode,
    JsonOption,
    LedgerOption,
    exits_on_bad_input,
    offline_environment,
)
from spanledger.cli.tables import titled_table
from spanledger.config.clients import load_client_prices
from spanledger.config.sections import Settings
from spanledger.config.settings import load_settings
from spanledger.core.errors import ConfigError
from spanledger.core.times import NANO_PER_SECOND
from spanledger.core.usage import Signal
from spanledger.ledger.heard import Heard
from spanledger.ledger.ledger import Ledger
from spanledger.service.findings import Finding, Level
from spanledger.service.onboarding import MANAGED_SETTINGS_PATHS, client_environment, findings

WHY_HTTP = """\
# Why http/protobuf: an export that was answered 503 or 429 is sent again over HTTP; over gRPC it never is, and is lost.
# It also costs a fifth of gRPC here."""
_PROTOCOLS = ("http/protobuf", "http/json", "grpc")
_WILDCARDS = ("0.0.0.0", "::", "[::]")  # noqa: S104 - recognised, not bound
_LOCAL = "localhost"
_LOOK_BACK_SECONDS = 3600
_PAUSE_SECONDS = 1.0
_MARKS = {Level.OK: "[green]ok[/green]", Level.NOTE: "[yellow]note[/yellow]", Level.PROBLEM: "[red]missing[/red]"}


@exits_on_bad_input
def quickstart(
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Where clients send; by default this service's own receiver.")
    ] = None,
    protocol: Annotated[str, typer.Option(metavar="|".join(_PROTOCOLS), help="How clients send.")] = _PROTOCOLS[0],
    attribute: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Resource attribute, as cost_center=42; may be given several times."),
    ] = None,
    token: Annotated[bool, typer.Option("--token", help="With a place for a bearer token.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Wait for telemetry and say what is seen and what is missing.")
    ] = False,
    wait_seconds: Annotated[float, typer.Option(min=0, help="How long --check waits for what is missing.")] = 90.0,
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what to set so that Claude Code sends its telemetry here; with --check, say whether it does.

    --check reads the ledger of the running service: what came within the last hour, or comes while it waits. Exit code
    1 when a signal is missing.
    """
    settings = load_settings(config, offline_environment(), {})
    if check:
        _check(settings, ledger or settings.ledger.path, wait_seconds, as_json=as_json)
        return
    if protocol not in _PROTOCOLS:
        raise ConfigError([f"--protocol: {protocol!r} is not one of {', '.join(_PROTOCOLS)}"])
    attributes = _attributes(attribute or [])
    environment = client_environment(
        endpoint or _own_endpoint(settings, protocol), protocol, attributes, with_token=token
    )
    if as_json:
        managed = {"settings": {"env": environment}, "paths": MANAGED_SETTINGS_PATHS}
        typer.echo(json.dumps({"environment": environment, "managed_settings": managed}, indent=2))
    else:
        _print_environment(environment, settings.metrics.resource_labels)


def _own_endpoint(settings: Settings, protocol: str) -> str:
    """URL of the service's receiver; a service that listens everywhere is reached by this machine's name."""
    receiver = settings.receiver.grpc if protocol == "grpc" else settings.receiver.http
    host, _, port = receiver.endpoint.rpartition(":")
    return f"http://{socket.gethostname() if host in _WILDCARDS else host}:{port}"


def _attributes(pairs: list[str]) -> dict[str, str]:
    problems = [f"--attribute: {pair!r} is not KEY=VALUE" for pair in pairs if not pair.partition("=")[2]]
    if problems:
        raise ConfigError(problems)
    return dict(pair.split("=", 1) for pair in pairs)


def _print_environment(environment: Mapping[str, str], labels: Mapping[str, str]) -> None:
    typer.echo("# In a shell, for a first try:")
    for name, value in environment.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    if "OTEL_RESOURCE_ATTRIBUTES" not in environment:
        wanted = ",".join(f"{attribute}=..." for attribute in labels)
        typer.echo(f"# whose cost it is: export OTEL_RESOURCE_ATTRIBUTES='{wanted}'")
    typer.echo("\n# For everybody, as managed settings, which no user can change:")
    for system, path in MANAGED_SETTINGS_PATHS.items():
        typer.echo(f"#   {system}: {path}")
    typer.echo(json.dumps({"env": dict(environment)}, indent=2))
    typer.echo(f"\n{WHY_HTTP}")
    typer.echo("# Then start a session, and see whether it arrives: spanledger quickstart --check")


def _check(settings: Settings, path: Path, wait_seconds: float, *, as_json: bool) -> None:
    heard = _wait(path, wait_seconds)
    found = findings(heard, settings.metrics.resource_labels, load_client_prices().counting)
    complete = all(one.level is not Level.PROBLEM for one in found)
    if as_json:
        typer.echo(json.dumps({"complete": complete, "findings": [asdict(one) for one in found]}, indent=2))
    else:
        _print_findings(found, settings, arrived=bool(heard))
    if not complete:
        raise typer.Exit(ExitCode.FINDING)


def _wait(path: Path, wait_seconds: float) -> list[Heard]:
    """What came, once all three signals have; or what there is when the time is over."""
    since = time.time_ns() - _LOOK_BACK_SECONDS * NANO_PER_SECOND
    deadline = time.monotonic() + wait_seconds
    with Console(stderr=True).status("waiting for telemetry") as status:
        while True:
            heard = _heard(path, since)
            missing = set(Signal) - {one.signal for one in heard}
            if not missing or time.monotonic() >= deadline:
                return heard
            if heard:
                status.update(f"waiting for {', '.join(sorted(missing))}")
            time.sleep(min(_PAUSE_SECONDS, max(0.0, deadline - time.monotonic())))


def _heard(path: Path, since_unix_nano: int) -> list[Heard]:
    """What a ledger has heard; a ledger that is not there yet has heard nothing."""
    if not path.exists():
        return []
    opened = Ledger.read(path)
    try:
        return opened.heard.since(since_unix_nano)
    finally:
        opened.close()


def _print_findings(found: list[Finding], settings: Settings, *, arrived: bool) -> None:
    if not arrived:
        typer.echo(f"Nothing came within the last hour. {_where(settings.receiver.http.endpoint)}")
        typer.echo(
            "A client sends with its first reply, and metrics once a minute; `spanledger quickstart` says what to set."
        )
        typer.echo()
    table = titled_table("Telemetry of the last hour")
    for column in ("", "about", "seen", "what to do"):
        table.add_column(column, overflow="fold")
    for one in found:
        table.add_row(_MARKS[one.level], *map(Text, (one.subject, one.what, one.advice)))
    Console().print(table)


def _where(endpoint: str) -> str:
    """Say whether somebody listens where clients should send."""
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((_LOCAL if host in _WILDCARDS else host.strip("[]"), int(port)), timeout=1).close()
    except OSError:
        return f"Nobody listens on {endpoint}: start `spanledger serve`."
    return f"Somebody listens on {endpoint}."
