"""The other ways in and out: beside a Collector that is there already, on every node, and to several backends."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from spanledger.core.money import parse_usd
from spanledger.core.semconv import Metric, Out
from spanledger.core.usage import Signal
from spanledger.service.sink import OtlpSink
from support.collectors import CONFIGS, TOKEN, Collector, free_port
from support.processes import Serving, start_serve
from support.replaying import read_folder
from support.senders import PatientSender
from support.serving import REQUESTS
from support.splitting import protobuf_body
from support.truth import CAPTURES, served

pytestmark = pytest.mark.collector

FOLDERS = [CAPTURES / name for name in ("s01_single_prompt", "s03_subagent", "s12_http_protobuf")]
DELIVERIES = [body.delivery for folder in FOLDERS for body in read_folder(folder)]
TRUTH_PICOUSD = parse_usd(str(sum((served(folder).cost_usd for folder in FOLDERS), Decimal(0))))
TIMEOUT_SECONDS = 60


def spans(bodies: list[bytes]) -> Counter:
    """How often each span came."""
    requests = (REQUESTS[Signal.TRACES].FromString(body) for body in bodies)
    return Counter(
        (span.trace_id, span.span_id)
        for request in requests
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    )


def points(bodies: list[bytes], prefix: str) -> Counter:
    """How often each data point of metrics with a name came."""
    requests = (REQUESTS[Signal.METRICS].FromString(body) for body in bodies)
    return Counter(
        (metric.name, point.SerializeToString())
        for request in requests
        for group in request.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        if metric.name.startswith(prefix)
        for point in metric.sum.data_points
    )


def sent(one: Signal) -> list[bytes]:
    return [protobuf_body(delivery) for delivery in DELIVERIES if delivery.signal is one]


def configuration(name: str, folder: Path, ports: dict[str, str]) -> Path:
    """A configuration of spanledger with other ports."""
    text = (CONFIGS / "spanledger" / name).read_text()
    for port, address in ports.items():
        assert port in text
        text = text.replace(f"localhost:{port}", address)
    path = folder / name
    path.write_text(text)
    return path


async def arrived(sink: OtlpSink) -> None:
    """Wait for every span and for the whole cost."""
    await sink.wait_for(
        lambda: len(spans(sink.bodies[Signal.TRACES])) >= len(spans(sent(Signal.TRACES))), TIMEOUT_SECONDS
    )
    await sink.wait_for(lambda: sink.metric_totals()[Metric.COST] == TRUTH_PICOUSD, TIMEOUT_SECONDS)


async def end(*running: Collector | Serving) -> None:
    for one in running:
        await one.end(signal.SIGTERM)


def test_beside_a_collector_nothing_is_counted_twice(tmp_path: Path) -> None:
    async def run() -> OtlpSink:
        sink = OtlpSink()
        await sink.start()
        grpc, cost = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        collector = Collector(
            "migration.yaml",
            tmp_path / "collector",
            {"BACKEND": sink.http_endpoint, "SPANLEDGER_GRPC": grpc, "COLLECTOR_COST_GRPC": cost},
        )
        await collector.start()
        config = configuration("migration.yaml", tmp_path, {"24317": cost})
        serving = await start_serve(tmp_path / "ledger.db", "--config", str(config), "--grpc", grpc)
        sender = PatientSender(collector.http, {})
        await sender.send(DELIVERIES)
        sender.close()
        await arrived(sink)
        await end(serving, collector)
        await sink.stop()
        return sink

    sink = asyncio.run(run())
    assert spans(sink.bodies[Signal.TRACES]) == spans(sent(Signal.TRACES)), "each span once, as before"
    assert points(sink.bodies[Signal.METRICS], "claude_code.") == points(sent(Signal.METRICS), "claude_code.")
    assert sink.metric_totals()[Metric.COST] == TRUTH_PICOUSD
    assert Out.COST_AMOUNT.encode() not in b"".join(sink.bodies[Signal.TRACES])


def test_a_node_prices_its_own_and_sends_with_its_token(tmp_path: Path) -> None:
    async def run() -> OtlpSink:
        sink = OtlpSink()
        await sink.start()
        central = Collector(
            "in-front.yaml", tmp_path / "central", {"SPANLEDGER_GRPC": sink.grpc_endpoint.removeprefix("http://")}
        )
        await central.start()
        node = Collector(
            "sidecar.yaml", tmp_path / "node", {"CENTRAL": f"http://{central.http}", "NODE_NAME": "node-7"}
        )
        await node.start()
        config = configuration("sidecar.yaml", tmp_path, {"24317": node.grpc})
        serving = await start_serve(tmp_path / "ledger.db", "--config", str(config))
        sender = PatientSender(serving.addresses.http, {})
        await sender.send(DELIVERIES)
        sender.close()
        await arrived(sink)
        await end(serving, node, central)
        await sink.stop()
        return sink

    sink = asyncio.run(run())
    assert spans(sink.bodies[Signal.TRACES]) == spans(sent(Signal.TRACES))
    assert Out.COST_AMOUNT.encode() in b"".join(sink.bodies[Signal.TRACES])
    resources = [
        {pair.key: pair.value.string_value for pair in group.resource.attributes}
        for body in sink.bodies[Signal.METRICS]
        for group in REQUESTS[Signal.METRICS].FromString(body).resource_metrics
    ]
    assert {said["host.name"] for said in resources if said["service.name"] == "spanledger"} == {"node-7"}


def test_each_signal_goes_to_its_backend(tmp_path: Path) -> None:
    async def run() -> list[OtlpSink]:
        traces, logs, metrics = sinks = [OtlpSink() for _ in range(3)]
        for sink in sinks:
            await sink.start()
        behind = Collector(
            "behind.yaml",
            tmp_path / "behind",
            {
                "TRACES_BACKEND": traces.http_endpoint,
                "LOGS_BACKEND": logs.http_endpoint,
                "PROMETHEUS": metrics.http_endpoint,
            },
        )
        await behind.start()
        config = configuration("between.yaml", tmp_path, {"24317": behind.grpc})
        serving = await start_serve(tmp_path / "ledger.db", "--config", str(config))
        sender = PatientSender(serving.addresses.http, {"authorization": f"Bearer {TOKEN}"})
        await sender.send(DELIVERIES)
        sender.close()
        expected = spans(sent(Signal.TRACES))
        await traces.wait_for(lambda: len(spans(traces.bodies[Signal.TRACES])) >= len(expected), TIMEOUT_SECONDS)
        await metrics.wait_for(lambda: metrics.metric_totals()[Metric.COST] == TRUTH_PICOUSD, TIMEOUT_SECONDS)
        await end(serving, behind)
        for sink in sinks:
            await sink.stop()
        return sinks

    traces, logs, metrics = asyncio.run(run())
    assert [bool(sink.bodies[one]) for sink in (traces, logs, metrics) for one in Signal] == [
        *(True, False, False),
        *(False, True, False),
        *(False, False, True),
    ]
