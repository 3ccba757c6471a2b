"""What the doctor sees of destinations: it sends them an empty request of each signal."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator

from spanledger.config.destinations import Exporter, MoreExporter, Protocol
from spanledger.config.sections import Settings
from spanledger.config.settings import require_no_loop
from spanledger.core.errors import ConfigError
from spanledger.core.usage import Signal, Temporality
from spanledger.exporter.client import Accepted
from spanledger.service.destinations import NamedClient, clients_for
from spanledger.service.findings import Finding, Level

_GRPC_TAKES_BYTES = 4 * 2**20
"""GRPC_DEFAULT_MAX_RECV_MESSAGE_LENGTH of gRPC."""


async def examine_destinations(settings: Settings) -> AsyncIterator[Finding]:
    """Try every destination."""
    try:
        clients = clients_for(settings)
    except (ConfigError, ssl.SSLError) as error:
        yield Finding("destinations", Level.PROBLEM, str(error), "mend or replace the file")
        return
    if not clients:
        advice = "set exporter.endpoint to your Collector or backend, if cost shall be seen there"
        yield Finding("exporter.endpoint", Level.NOTE, "no destination: only the ledger is kept", advice)
    try:
        require_no_loop(settings)
    except ConfigError as error:
        for problem in error.problems:
            key, _, what = problem.partition(": ")
            yield Finding(key, Level.PROBLEM, what, "the service does not start so: telemetry would run in a circle")
    for name, exporter in settings.exporters.items():
        for finding in _without_endpoint(name, exporter):
            yield finding
    for named in clients:
        async for finding in _destination(named):
            yield finding
        await named.client.close()
    for finding in _large_requests(settings):
        yield finding
    if settings.metrics.temporality is Temporality.DELTA:
        advice = "Prometheus refuses deltas unless it has --enable-feature=otlp-deltatocumulative; else use cumulative"
        yield Finding("metrics.temporality", Level.NOTE, "sums leave as deltas", advice)


async def _destination(named: NamedClient) -> AsyncIterator[Finding]:
    """Send an empty request of each signal, which OTLP has every receiver accept."""
    wanted = set(named.signals) | ({Signal.METRICS} if named.cost_metrics else set())
    for signal in sorted(wanted):
        subject = f"destination {named.name}, {signal.value}"
        outcome = await named.client.export(signal, b"")
        if isinstance(outcome, Accepted):
            yield Finding(subject, Level.OK, "reached, and it accepts an empty request")
        else:
            advice = "start it, or mend endpoint, protocol, headers or certificates; what is for it waits in the outbox"
            yield Finding(subject, Level.PROBLEM, outcome.reason, advice)


def _without_endpoint(name: str, exporter: Exporter) -> Iterator[Finding]:
    """Signals that go nowhere although nobody said that they shall not."""
    wanted = exporter.signals if isinstance(exporter, MoreExporter) else frozenset(Signal)
    without = sorted(wanted - exporter.forwarded)
    if without:
        what = f"no endpoint for {', '.join(without)}: not sent there"
        yield Finding(f"destination {name}", Level.NOTE, what, "set `endpoint`, or one of the signal, if it shall be")


def _large_requests(settings: Settings) -> Iterator[Finding]:
    """Sizes that gRPC servers do not take unless they are told to."""
    over_grpc = [
        (signal in exporter.forwarded, signal is Signal.METRICS and exporter.tells_cost)
        for exporter in settings.exporters.values()
        for signal in Signal
        if (exporter.of_signal(signal).protocol or exporter.protocol) is Protocol.GRPC
    ]
    sizes = (
        ("forward.max_batch_bytes", settings.forward.max_batch_bytes, any(forwarded for forwarded, _ in over_grpc)),
        ("metrics.max_request_bytes", settings.metrics.max_request_bytes, any(told for _, told in over_grpc)),
    )
    for key, size, is_sent in sizes:
        if is_sent and size > _GRPC_TAKES_BYTES:
            what = f"{size} bytes in one request; gRPC servers take {_GRPC_TAKES_BYTES} unless told otherwise"
            yield Finding(key, Level.NOTE, what, "lower it, unless every destination is known to take so much")
