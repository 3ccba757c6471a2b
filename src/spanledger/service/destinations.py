"""The destinations that settings ask for, each with its client."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spanledger.config.destinations import Compression, Exporter, Protocol
from spanledger.config.sections import Settings
from spanledger.core.usage import Signal
from spanledger.exporter.client import Destination, OtlpClient, SignalClients, Tls
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.exporter.http_client import HttpClient


@dataclass(frozen=True, slots=True)
class NamedClient:
    """A destination: the telemetry that is forwarded there, and whether our own metrics go there."""

    name: str
    client: OtlpClient
    signals: frozenset[Signal] = frozenset(Signal)
    cost_metrics: bool = True


def clients_for(settings: Settings) -> tuple[NamedClient, ...]:
    """Make the client of each configured destination; none when there is none.

    Raises:
        ConfigError: a file of certificates or headers cannot be read.
    """
    return tuple(
        NamedClient(name, _client(exporter), exporter.forwarded, exporter.tells_cost)
        for name, exporter in settings.exporters.items()
    )


def _client(exporter: Exporter) -> OtlpClient:
    signals = [signal for signal in Signal if exporter.endpoint_of(signal) is not None]
    return SignalClients({signal: _signal_client(exporter, signal) for signal in signals})


def _signal_client(exporter: Exporter, signal: Signal) -> OtlpClient:
    """A client for one signal: what is set for the signal wins over what is common."""
    own, common = exporter.of_signal(signal), exporter
    compression = own.compression or common.compression
    destination = Destination(
        endpoint=common.endpoint or "",
        headers=common.headers if own.headers is None else own.headers,
        headers_file=own.headers_file or common.headers_file,
        timeout_seconds=own.timeout_seconds or common.timeout_seconds,
        gzip=compression is Compression.GZIP,
        tls=Tls(
            ca_file=own.tls.ca_file or common.tls.ca_file,
            cert_file=own.tls.cert_file or common.tls.cert_file,
            key_file=own.tls.key_file or common.tls.key_file,
        ),
        endpoints={} if own.endpoint is None else {signal: own.endpoint},
    )
    match own.protocol or common.protocol:
        case Protocol.GRPC:
            return GrpcClient(replace(destination, endpoint=own.endpoint or destination.endpoint, endpoints={}))
        case Protocol.HTTP_PROTOBUF:
            return HttpClient(destination)
