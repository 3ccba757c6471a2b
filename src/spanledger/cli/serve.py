"""`spanledger serve`: the service."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from spanledger.cli.options import ConfigOption, LedgerOption, exits_on_bad_input
from spanledger.config.sections import Settings
from spanledger.config.settings import FLAGS, load_settings, require_no_loop
from spanledger.service.assembly import assemble
from spanledger.service.destination import client_for
from spanledger.service.runtime import Service


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

    Flags win over environment variables, these over the configuration file. Stops cleanly on SIGTERM and Ctrl-C.
    """
    values = (grpc, http, None if ledger is None else str(ledger), otlp_endpoint, otlp_protocol)
    given = {key: value for key, value in zip(FLAGS, values, strict=True) if value is not None}
    settings = load_settings(config, os.environ, given)
    require_no_loop(settings)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    client = client_for(settings)
    parts = assemble(settings, settings.ledger.path, forward=client is not None)
    service = Service(settings, parts, client)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        addresses = await service.start()
        typer.echo(_ready_line(settings, addresses.grpc, addresses.http))
        await stopping.wait()
    finally:
        await service.stop()


def _ready_line(settings: Settings, grpc: str, http: str) -> str:
    endpoint = settings.exporter.endpoint
    to = f"to {endpoint}" if endpoint else "no destination (set --otlp-endpoint): keeping the ledger only"
    return f"spanledger ready: OTLP gRPC on {grpc}, HTTP on {http}; ledger {_shown(settings.ledger.path)}; {to}"


def _shown(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
