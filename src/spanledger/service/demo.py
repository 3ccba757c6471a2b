"""The demonstration: captured sessions through the real service to a real sink, and a check of what arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import requests

from spanledger.config.sections import Settings
from spanledger.config.settings import load_settings
from spanledger.core.batch import SpanData
from spanledger.core.delivery import Encoding
from spanledger.core.errors import SpanledgerError
from spanledger.core.money import format_usd
from spanledger.core.posting import Posting, standing_charges
from spanledger.core.semconv import METRICS, Metric, Out, Quantity
from spanledger.core.times import NANO_PER_SECOND
from spanledger.core.usage import Signal
from spanledger.core.verdict import Verdict
from spanledger.exporter.client import Accepted, Destination
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.ledger.ledger import Ledger
from spanledger.otlp.decode import decode
from spanledger.service.assembly import assemble
from spanledger.service.audit import Figures, audit
from spanledger.service.captures import CapturedBody, CaptureFolder, find_folders, read_body
from spanledger.service.destinations import clients_for
from spanledger.service.runtime import Addresses, Service
from spanledger.service.sink import OtlpSink

_JOIN_WINDOW_SECONDS = 1.0
_CENTURY_SECONDS = 100 * 365 * 86_400.0
_CONTENT_TYPES = {Encoding.PROTOBUF: "application/x-protobuf", Encoding.JSON: "application/json"}
_SEND_TIMEOUT_SECONDS = 10.0


class DemoError(SpanledgerError):
    """The service did not take what the demonstration sent."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Calls of one model whose price the client sees otherwise. `cost_picousd` is None when unpriced."""

    model: str
    requests: int
    cost_picousd: int | None
    client_cost_picousd: int
    why: str


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What came out. `span_before` and `span_after` are the same `llm_request` span."""

    figures: Figures
    arrived: dict[Metric, int]
    arrived_series: int
    arrived_bodies: dict[Signal, int]
    span_before: SpanData
    span_after: SpanData
    differences: tuple[Difference, ...]
    disagreements: tuple[str, ...]


def demo_captures() -> list[CaptureFolder]:
    """The captures that ship with the package."""
    with resources.as_file(resources.files("spanledger") / "data" / "captures") as folder:
        return find_folders([folder])


def demo_settings(sink_endpoint: str, ledger_path: Path) -> Settings:
    """Free ports, a short join window, and trust in the captures' own times however old they are."""
    return load_settings(
        None,
        {},
        {
            "receiver.grpc.endpoint": "127.0.0.1:0",
            "receiver.http.endpoint": "127.0.0.1:0",
            "admin.endpoint": None,
            "ledger.path": str(ledger_path),
            "exporter.endpoint": sink_endpoint,
            "forward.join_window_seconds": str(_JOIN_WINDOW_SECONDS),
            "settle.clock_skew_max_seconds": str(_CENTURY_SECONDS),
            "settle.residual_wait_seconds": str(_JOIN_WINDOW_SECONDS),
        },
    )


async def run_demo(
    folders: Sequence[CaptureFolder], scratch: Path, on_body: Callable[[CapturedBody], None]
) -> DemoResult:
    """Run the service on a fresh ledger, send captures as their client did, and compare what arrived.

    Raises:
        DemoError: the service did not take a request.
    """
    ledger_path = scratch / "ledger.db"
    sink = OtlpSink()
    await sink.start()
    settings = demo_settings(sink.grpc_endpoint, ledger_path)
    service = Service(settings, assemble(settings, ledger_path, forward=True), clients_for(settings))
    addresses = await service.start()
    bodies = [read_body(path) for folder in folders for path in folder.files]
    try:
        await _send(bodies, addresses, on_body)
        await service.rest()
    finally:
        await service.stop()
        await sink.stop()
    return _result(bodies, sink, ledger_path, settings)


def compare_with_clients(postings: Iterable[Posting]) -> list[Difference]:
    """Calls that the client prices otherwise than we do, summed by model and reason."""
    sums: dict[tuple[str, str], tuple[int, int | None, int]] = {}
    for charge in standing_charges(postings):
        client, ours = charge.client_cost_picousd, charge.cost_picousd
        if client is None or client == ours:
            continue
        verdict = Verdict.UNEXPLAINED if charge.verdict is None else charge.verdict
        key = (charge.account.model, charge.price.unpriced_reason or verdict.value)
        count, cost, client_cost = sums.get(key, (0, None, 0))
        cost = cost if ours is None else (cost or 0) + ours
        sums[key] = (count + 1, cost, client_cost + client)
    return [
        Difference(model, count, cost, client_cost, why)
        for (model, why), (count, cost, client_cost) in sorted(sums.items())
    ]


async def _send(bodies: Sequence[CapturedBody], addresses: Addresses, on_body: Callable[[CapturedBody], None]) -> None:
    client = GrpcClient(Destination(f"http://{addresses.grpc}"))
    with requests.Session() as session:
        for body in bodies:
            if body.protocol == "grpc":
                outcome = await client.export(body.delivery.signal, body.delivery.body)
                refusal = "" if isinstance(outcome, Accepted) else outcome.reason
            else:
                refusal = await asyncio.to_thread(_post, session, addresses.http, body)
            if refusal:
                raise DemoError(f"{body.path}: not taken: {refusal}")
            on_body(body)
    await client.close()


def _post(session: requests.Session, address: str, body: CapturedBody) -> str:
    """Post a body as it is; give the refusal, empty when it was taken."""
    answer = session.post(
        f"http://{address}/v1/{body.delivery.signal}",
        data=body.delivery.body,
        headers={"content-type": _CONTENT_TYPES[body.delivery.encoding]},
        timeout=_SEND_TIMEOUT_SECONDS,
    )
    return "" if answer.ok else f"HTTP {answer.status_code}: {answer.text}"


def _result(bodies: Sequence[CapturedBody], sink: OtlpSink, ledger_path: Path, settings: Settings) -> DemoResult:
    ledger = Ledger.open(ledger_path, max_series=settings.metrics.max_series)
    try:
        figures = audit(ledger)
        differences = compare_with_clients(ledger.postings.all())
    finally:
        ledger.close()
    arrived = sink.metric_totals()
    before, after = _same_span(bodies, sink.bodies[Signal.TRACES])
    return DemoResult(
        figures=figures,
        arrived=arrived,
        arrived_series=len(sink.latest_sums()),
        arrived_bodies={signal: len(came) for signal, came in sink.bodies.items()},
        span_before=before,
        span_after=after,
        differences=tuple(differences),
        disagreements=(*figures.disagreements, *lost_on_the_way(figures.metrics, arrived)),
    )


def lost_on_the_way(exported: dict[Metric, int], arrived: dict[Metric, int]) -> list[str]:
    """Compare the totals that left with those that arrived; a sentence for each metric that differs."""
    return [
        f"{metric} in the ledger is {shown_amount(metric, value)}, at the sink {shown_amount(metric, arrived[metric])}"
        for metric, value in exported.items()
        if arrived[metric] != value
    ]


def shown_amount(metric: Metric, value: int) -> str:
    """A metric's value for people: USD, a count or seconds."""
    match METRICS[metric].quantity:
        case Quantity.MONEY:
            return f"${format_usd(value)}"
        case Quantity.COUNT:
            return f"{value:,}"
        case Quantity.DURATION:
            return f"{value / NANO_PER_SECOND:,.3f} s"


def _same_span(bodies: Sequence[CapturedBody], arrived: Sequence[bytes]) -> tuple[SpanData, SpanData]:
    """The first priced span at the sink, and the span that it was when it was sent."""
    sent = {
        (span.trace_id, span.span_id): span
        for body in bodies
        if body.delivery.signal is Signal.TRACES and body.delivery.encoding is Encoding.PROTOBUF
        for span in decode(Signal.TRACES, body.delivery.body).spans
    }
    for body in arrived:
        for span in decode(Signal.TRACES, body).spans:
            before = sent.get((span.trace_id, span.span_id))
            if before is not None and Out.LIST_USD in span.attributes:
                return before, span
    raise DemoError("no priced llm_request span arrived at the sink")
