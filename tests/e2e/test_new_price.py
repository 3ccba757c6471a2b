"""A price that arrives while the service runs: loaded by a signal, and usage before it priced by the command beside."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from spanledger.core.gauges import Gauge
from spanledger.core.money import parse_usd
from spanledger.core.semconv import Metric
from spanledger.core.usage import Signal
from spanledger.service.sink import OtlpSink
from support.processes import COMMAND, service_environment, start_serve
from support.replaying import read_folder
from support.serving import Transport, send, standing
from support.truth import CAPTURES

TIMEOUT_SECONDS = 60
UPDATE = """\
schema: 1
name: update
version: "{version}"
checked: "2026-11-24"
source: https://example.com
models:
  - id: {model}
    prices:
      - from: "2026-11-01T00:00:00Z"
        rates: {{input: {rate}, output: "30", cache_write_5m: "7.50", cache_write_1h: "12", cache_read: "0.60"}}
        source: s
        checked: "2026-11-24"
"""


def gauges(sink: OtlpSink, gauge: Gauge) -> list[tuple[dict[str, str], float]]:
    """Readings of a gauge in the newest export that has it; forwarded metrics come between."""
    for body in reversed(sink.bodies[Signal.METRICS]):
        readings = [
            ({pair.key: pair.value.string_value for pair in point.attributes}, point.as_double or point.as_int)
            for group in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in group.scope_metrics
            for metric in scope.metrics
            if metric.name == gauge
            for point in metric.gauge.data_points
        ]
        if readings:
            return readings
    return []


async def reprice(config: Path, ledger: Path) -> tuple[int | None, str]:
    arguments = ("reprice", "--from", "2026-11-01", "--config", str(config), "--ledger", str(ledger))
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        env=service_environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()


def test_a_new_price_is_loaded_and_earlier_usage_priced_while_the_service_runs(tmp_path: Path) -> None:
    """1.0834 USD of the capture have a price, `claude-opus-9-9` gets one: 0.096, as in docs/operate/correct-a-price."""
    update, config, ledger = tmp_path / "update.yaml", tmp_path / "config.yaml", tmp_path / "ledger.db"
    config.write_text(f"prices: {{updates: [{update}], reload_interval_seconds: 0}}\n")
    update.write_text(UPDATE.format(version=1, model="claude-other-1", rate='"6"'))

    async def run() -> str:
        sink = OtlpSink()
        await sink.start()

        async def cost_is(usd: str) -> None:
            await sink.wait_for(lambda: sink.metric_totals()[Metric.COST] == parse_usd(usd), TIMEOUT_SECONDS)

        serving = await start_serve(ledger, "--config", str(config), "--otlp-endpoint", sink.grpc_endpoint)
        await send(Transport.GRPC, serving.addresses, [body.delivery for body in read_folder(CAPTURES / "s07_models")])
        await cost_is("1.0834")

        update.write_text(UPDATE.format(version=2, model="claude-opus-9-9", rate="6"))  # not quoted
        serving.process.send_signal(signal.SIGHUP)
        await sink.wait_for(lambda: gauges(sink, Gauge.PRICE_BOOK_RELOAD_FAILURES) == [({}, 1)], TIMEOUT_SECONDS)

        update.write_text(UPDATE.format(version=3, model="claude-opus-9-9", rate='"6"'))
        code, told = await reprice(config, ledger)
        assert code == 2  # the service has not loaded it: later calls would be priced otherwise
        assert "the service that writes it prices by" in told

        serving.process.send_signal(signal.SIGHUP)
        await sink.wait_for(lambda: gauges(sink, Gauge.PRICE_BOOK_RELOAD_FAILURES) == [({}, 0)], TIMEOUT_SECONDS)
        ((book, checked),) = gauges(sink, Gauge.PRICE_BOOK_TIMESTAMP)
        assert "+update@3#" in book["price_book"]
        assert checked == 1_795_478_400  # 2026-11-24
        code, told = await reprice(config, ledger)
        assert code == 0
        assert "1 of 22 charges corrected by 2 postings" in told
        await cost_is("1.1794")
        prices = {
            (labels["tier"], labels["token_class"]): usd
            for labels, usd in gauges(sink, Gauge.PRICE)
            if labels["model"] == "claude-opus-9-9"
        }
        assert prices["standard", "output"] == 30.0
        code, err = await serving.end(signal.SIGTERM)
        assert code == 0
        await sink.stop()
        return err

    err = asyncio.run(run())
    assert f"{update}:10: " in err
    assert "prices in use: " in err
    assert standing(ledger).figures.report.cost_picousd == parse_usd("1.1794")
