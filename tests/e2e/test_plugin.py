"""The plug-in as users run it: a foreign program under `opentelemetry-instrument` of the real distribution."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spanledger.core.money import parse_usd
from spanledger.core.semconv import Metric, Out
from spanledger.core.usage import Signal
from spanledger.service.sink import OtlpSink
from support.serving import REQUESTS

HOST = Path(__file__).parent.parent / "support" / "programs" / "host.py"
INSTRUMENT = Path(sys.executable).with_name("opentelemetry-instrument")
# Haiku 4.5: 600 x $1 + 400 x $0.10 + 100 x $5, all per million = $0.00114 a call.
CALL_USD = 0.00114
COST_USD = "0.00228"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_program_is_priced_by_naming_the_exporter(protocol: str) -> None:
    sink, said = asyncio.run(run_host(protocol))

    spans = {span.name: attributes_of(span) for body in sink.bodies[Signal.TRACES] for span in spans_of(body)}
    logs = [attributes_of(log) for body in sink.bodies[Signal.LOGS] for log in logs_of(body)]
    assert spans["chat claude-haiku-4-5"][Out.COST_AMOUNT] == CALL_USD
    assert spans["chat claude-haiku-4-5"][Out.STATUS] == "exact"
    assert Out.COST_AMOUNT not in spans["invoke_agent"]
    assert [log[Out.COST_AMOUNT] for log in logs] == [CALL_USD, CALL_USD]
    totals = sink.metric_totals()
    assert (totals[Metric.COST], totals[Metric.REQUESTS]) == (parse_usd(COST_USD), 2)
    assert "Traceback" not in said


def test_a_mistake_in_the_settings_stops_the_telemetry_and_not_the_program() -> None:
    sink, said = asyncio.run(run_host("grpc", SPANLEDGER_SDK__INPUT_TOKENS="sometimes"))

    assert not any(sink.bodies.values())
    assert "SPANLEDGER_SDK__INPUT_TOKENS" in said


def test_a_forked_child_counts_its_own_calls_alone() -> None:
    program = """
import os
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from support.sdk_records import Plugged, gen_ai_span, Call
from support.programs.host import CALL
from spanledger.core.semconv import Metric
plugged = Plugged()
plugged.send(gen_ai_span(CALL, Call(1)), gen_ai_span(CALL, Call(2)))
if child := os.fork():
    os.waitpid(child, 0)
    print("parent", plugged.total(Metric.REQUESTS), flush=True)
else:
    plugged.send(gen_ai_span(CALL, Call(3)))
    print("child", plugged.total(Metric.REQUESTS), flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=os.environ | {"PYTHONPATH": str(HOST.parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert sorted(done.stdout.splitlines()) == ["child 1", "parent 2"]


async def run_host(protocol: str, **more: str) -> tuple[OtlpSink, str]:
    """Run the program with the plug-in selected by name; what arrived, and what it wrote on standard error."""
    sink = OtlpSink()
    await sink.start()
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "SPANLEDGER_"))},
        "OTEL_TRACES_EXPORTER": "spanledger",
        "OTEL_LOGS_EXPORTER": "spanledger",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.grpc_endpoint if protocol == "grpc" else sink.http_endpoint,
        "SPANLEDGER_SETTLE__CLOCK_SKEW_MAX_SECONDS": "1000",
        **more,
    }
    process = await asyncio.create_subprocess_exec(
        INSTRUMENT, sys.executable, HOST, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), timeout=60)
    assert process.returncode == 0, said.decode()
    await sink.stop()
    return sink, said.decode()


def spans_of(body: bytes) -> list:
    request = REQUESTS[Signal.TRACES].FromString(body)
    return [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]


def logs_of(body: bytes) -> list:
    request = REQUESTS[Signal.LOGS].FromString(body)
    return [log for group in request.resource_logs for scope in group.scope_logs for log in scope.log_records]


def attributes_of(record) -> dict:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in record.attributes}
