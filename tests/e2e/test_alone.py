"""collector-config/spanledger/alone.yaml: spanledger without a Collector, each signal to its own backend."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from spanledger.core.money import parse_usd
from spanledger.core.semconv import Metric
from spanledger.core.usage import Signal
from spanledger.service.sink import OtlpSink
from support.collectors import CONFIGS
from support.processes import start_serve
from support.replaying import read_folder
from support.serving import Transport, send
from support.truth import CAPTURES, served

FOLDER = CAPTURES / "s01_single_prompt"


def test_each_signal_goes_to_its_backend_and_prometheus_gets_cost_alone(tmp_path: Path) -> None:
    async def run() -> list[OtlpSink]:
        traces, logs, prometheus = sinks = [OtlpSink() for _ in range(3)]
        for sink in sinks:
            await sink.start()
        config = tmp_path / "alone.yaml"
        text = (CONFIGS / "spanledger" / "alone.yaml").read_text()
        for url, sink_url in (
            ("http://localhost:14317", traces.grpc_endpoint),
            ("http://localhost:3100/otlp", logs.http_endpoint),
            ("http://localhost:9090/api/v1/otlp", prometheus.http_endpoint),
        ):
            assert url in text
            text = text.replace(url, sink_url)
        config.write_text(text)
        serving = await start_serve(tmp_path / "ledger.db", "--config", str(config))
        await send(Transport.HTTP_PROTOBUF, serving.addresses, [body.delivery for body in read_folder(FOLDER)])
        assert (await serving.end(signal.SIGTERM))[0] == 0
        for sink in sinks:
            await sink.stop()
        return sinks

    traces, logs, prometheus = asyncio.run(run())
    assert [{one for one in Signal if sink.bodies[one]} for sink in (traces, logs, prometheus)] == [
        {Signal.TRACES},
        {Signal.LOGS},
        {Signal.METRICS},
    ]
    assert b"claude_code." not in b"".join(prometheus.bodies[Signal.METRICS])
    assert prometheus.metric_totals()[Metric.COST] == parse_usd(str(served(FOLDER).cost_usd))
