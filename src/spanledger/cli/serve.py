"""`spanledger serve`: the service."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from spanledger.cli.options import ConfigOption, ExitCode, LedgerOption, exits_on_bad_input
from spanledger.cli.process import allow_open_files, give_back_large_memory
from spanledger.config.destinations import Exporter
from spanledger.config.sections import Settings
from spanledger.config.settings import FLAGS, load_settings, require_no_loop
from spanledger.core.events import Event, LogFormat
from spanledger.core.usage import Signal
from spanledger.logs import start_logs, tell
from spanledger.service.assembly import assemble
from spanledger.service.destinations import clients_for
from spanledger.service.runtime import Addresses, Service

_OTHER_FILES = 512
"""Files besides those of the receivers' connections: the ledger, destinations, libraries."""


@exits_on_bad_input
def serve(
    config: ConfigOption = None,
    grpc: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Receive OTLP over gRPC here.")] = None,
    http: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Receive OTLP over HTTP here.")] = None,
    ledger: LedgerOption = None,
    otlp_endpoint: Annotated[str | None, typer.Option(metavar="URL", help="Send telemetry and metrics there.")] = None,
    otlp_protocol: Annotated[
        str | None, typer.Option(metavar="grpc|http/protobuf", help="How to send to the endpoint.")
    ] = None,
) -> None:
    """Receive Claude Code telemetry, price it, forward it, and emit cost metrics.

    Flags win over environment variables, these over the configuration file. Stops cleanly on SIGTERM and Ctrl-C; loads
    the price files again on SIGHUP, and by itself when they change.
    """
    values = (grpc, http, None if ledger is None else str(ledger), otlp_endpoint, otlp_protocol)
    given = {key: value for key, value in zip(FLAGS, values, strict=True) if value is not None}
    settings = load_settings(config, os.environ, given)
    require_no_loop(settings)
    start_logs(settings.log.format, settings.log.level, settings.log.repeat_interval_seconds, sys.stderr)
    give_back_large_memory()
    allow_open_files(2 * settings.receiver.max_connections + _OTHER_FILES)
    while asyncio.run(_serve(settings)):
        pass


async def _serve(settings: Settings) -> bool:
    """Serve until a signal; True when the ledger was damaged and a new service must begin."""
    destinations = clients_for(settings)
    parts = assemble(settings, settings.ledger.path, forward=bool(destinations))
    service = Service(settings, parts, destinations)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, stopping)
    loop.add_signal_handler(signal.SIGHUP, service.price_files.ask)
    try:
        addresses = await service.start()
        _tell_ready(settings, addresses)
        await _first(stopping, service.watch.damaged)
    finally:
        await service.stop()
    return service.watch.damaged.is_set() and not stopping.is_set()


def _stop(stopping: asyncio.Event) -> None:
    """Stop in good order at the first signal, at once at the second: what is not acknowledged yet, senders keep."""
    if stopping.is_set():
        os._exit(ExitCode.FINDING)
    stopping.set()


async def _first(*events: asyncio.Event) -> None:
    """Wait until one of some events is set."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


def _tell_ready(settings: Settings, addresses: Addresses) -> None:
    """Say where the service listens: to who started it, or to what reads its log."""
    if settings.log.format is LogFormat.CONSOLE:
        typer.echo(_ready_line(settings, addresses))
        return
    tell(
        Event.SERVICE_READY,
        grpc=addresses.grpc,
        http=addresses.http,
        admin=addresses.admin,
        ledger=str(settings.ledger.path),
        sends=_shown_destinations(settings),
    )


def _ready_line(settings: Settings, addresses: Addresses) -> str:
    listening = f"OTLP gRPC on {addresses.grpc}, HTTP on {addresses.http}"
    if addresses.admin is not None:
        listening = f"{listening}; health and metrics on {addresses.admin}"
    return f"spanledger ready: {listening}; ledger {_shown(settings.ledger.path)}; {_shown_destinations(settings)}"


def _shown_destinations(settings: Settings) -> str:
    all_shown = {name: _shown_destination(exporter) for name, exporter in settings.exporters.items()}
    named = {name: shown for name, shown in all_shown.items() if shown}
    if not named:
        return "no destination (set --otlp-endpoint): keeping the ledger only"
    return "to " + ", ".join(f"{shown} ({name})" if len(named) > 1 else shown for name, shown in named.items())


def _shown_destination(exporter: Exporter) -> str:
    """Each URL, and what goes there unless it is everything."""
    by_url: dict[str, list[str]] = {}
    for one in Signal:
        what = [one.value] if one in exporter.forwarded else []
        what += ["cost metrics"] if one is Signal.METRICS and exporter.tells_cost else []
        if what:
            by_url.setdefault(exporter.endpoint_of(one) or "", []).extend(what)
    if len(by_url) == 1 and len(exporter.forwarded) == len(Signal) and exporter.tells_cost:
        return next(iter(by_url))
    return " and ".join(f"{url} for {', '.join(what)}" for url, what in by_url.items())


def _shown(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
