"""The client that settings ask for."""

from __future__ import annotations

from spanledger.config.sections import Compression, Protocol, Settings
from spanledger.core.usage import Signal
from spanledger.exporter.client import Destination, OtlpClient
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.exporter.http_client import HttpClient


def client_for(settings: Settings) -> OtlpClient | None:
    """Make the client of the configured destination; None when there is none.

    Raises:
        ConfigError: the certificate file cannot be read.
    """
    exporter = settings.exporter
    single = {
        Signal.TRACES: exporter.traces_endpoint,
        Signal.LOGS: exporter.logs_endpoint,
        Signal.METRICS: exporter.metrics_endpoint,
    }
    endpoints = {signal: url for signal, url in single.items() if url is not None}
    if exporter.endpoint is None and len(endpoints) < len(Signal):
        return None
    destination = Destination(
        endpoint=exporter.endpoint or "",
        headers=exporter.headers,
        timeout_seconds=exporter.timeout_seconds,
        gzip=exporter.compression is Compression.GZIP,
        certificate_file=exporter.certificate_file,
        endpoints=endpoints,
    )
    match exporter.protocol:
        case Protocol.GRPC:
            return GrpcClient(destination)
        case Protocol.HTTP_PROTOBUF:
            return HttpClient(destination)
