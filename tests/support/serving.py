"""The service on free ports with a sink behind it, and clients that speak each transport."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import requests
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanledger.config.sections import Settings
from spanledger.config.settings import load_settings
from spanledger.core.delivery import Delivery, Encoding
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Destination
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.ledger.ledger import Ledger
from spanledger.service.audit import audit
from spanledger.service.destinations import clients_for
from spanledger.service.runtime import Addresses, Service
from spanledger.service.sink import OtlpSink
from support.replaying import Replayed, open_parts
from support.splitting import protobuf_body

CENTURY_SECONDS = 100 * 365 * 86_400
REQUESTS = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
}
_HEX_KEYS = frozenset({"traceId", "spanId", "parentSpanId"})


class Transport(StrEnum):
    """How a client of the service sends."""

    GRPC = "grpc"
    HTTP_PROTOBUF = "http/protobuf"
    HTTP_JSON = "http/json"


@dataclass(frozen=True, slots=True)
class Running:
    """A service that runs, where it listens, and what stands behind it."""

    service: Service
    addresses: Addresses
    sink: OtlpSink


def settings_for(sink: OtlpSink, ledger_path: Path, **more: Any) -> Settings:
    """Free ports, no join window, captures' own times; `more` has `__` for the dots of a key."""
    endpoint = sink.http_endpoint if more.get("exporter__protocol") == "http/protobuf" else sink.grpc_endpoint
    flags = {
        "receiver.grpc.endpoint": "127.0.0.1:0",
        "receiver.http.endpoint": "127.0.0.1:0",
        "admin.endpoint": "127.0.0.1:0",
        "ledger.path": str(ledger_path),
        "exporter.endpoint": endpoint,
        "forward.join_window_seconds": "0",
        "settle.clock_skew_max_seconds": str(CENTURY_SECONDS),
        "settle.residual_wait_seconds": "0",
    }
    return load_settings(None, {}, flags | {key.replace("__", "."): value for key, value in more.items()})


@asynccontextmanager
async def running(ledger_path: Path, **more: Any) -> AsyncIterator[Running]:
    """Run the service in front of a sink; on leaving both have stopped, and what was ready has arrived."""
    sink = OtlpSink()
    await sink.start()
    settings = settings_for(sink, ledger_path, **more)
    service = Service(settings, open_parts(ledger_path, settings=settings), clients_for(settings))
    addresses = await service.start()
    try:
        yield Running(service, addresses, sink)
    finally:
        await service.stop()
        await sink.stop()


async def send(transport: Transport, addresses: Addresses, deliveries: Iterable[Delivery]) -> None:
    """Send deliveries one after the other; each must be taken in full."""
    if transport is Transport.GRPC:
        client = GrpcClient(Destination(f"http://{addresses.grpc}"))
        for delivery in deliveries:
            outcome = await client.export(delivery.signal, protobuf_body(delivery))
            assert outcome == Accepted(), outcome
        await client.close()
        return
    with requests.Session() as session:
        for delivery in deliveries:
            await asyncio.to_thread(_post, session, transport, addresses.http, delivery)


def otlp_json(signal: Signal, body: bytes) -> bytes:
    """A protobuf body as OTLP/JSON: by protobuf's own JSON mapping, but with hex ids and enum numbers."""
    content = MessageToDict(REQUESTS[signal].FromString(body), use_integers_for_enums=True)
    return json.dumps(_with_hex_ids(content)).encode()


def standing(ledger_path: Path) -> Replayed:
    """What a ledger says after its service has stopped."""
    ledger = Ledger.open(ledger_path, max_series=10_000)
    figures = audit(ledger)
    postings = list(ledger.postings.all())
    ledger.close()
    return Replayed(figures, 0, list(figures.disagreements), postings)


def _post(session: requests.Session, transport: Transport, address: str, delivery: Delivery) -> None:
    body, content_type = protobuf_body(delivery), "application/x-protobuf"
    if transport is Transport.HTTP_JSON:
        content_type = "application/json"
        is_json = delivery.encoding is Encoding.JSON
        body = delivery.body if is_json else otlp_json(delivery.signal, delivery.body)
    url = f"http://{address}/v1/{delivery.signal}"
    answer = session.post(url, data=body, headers={"content-type": content_type}, timeout=30)
    assert (answer.status_code, answer.content) in ((200, b""), (200, b"{}")), answer.text


def _with_hex_ids(value: Any) -> Any:
    match value:
        case dict():
            return {
                key: base64.b64decode(inner).hex() if key in _HEX_KEYS else _with_hex_ids(inner)
                for key, inner in value.items()
            }
        case list():
            return [_with_hex_ids(inner) for inner in value]
        case _:
            return value
