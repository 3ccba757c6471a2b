"""Budgets as people meet them: on the command line, in the log of the service, in the metrics at a backend."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
import time
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import Result
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from typer.testing import CliRunner

from spanledger.cli.main import app
from spanledger.config.sections import Settings
from spanledger.core.usage import Signal
from spanledger.service.sink import OtlpSink
from support.booking import open_books
from support.processes import start_serve
from support.serving import Transport, running, send
from support.telling import Client, Usage

ROOT = Path(__file__).parent.parent.parent
MODEL = "claude-opus-4-5"  # 5 USD per million tokens of input
LIMITS = """
metrics: {resource_labels: {team.id: team}}
budgets:
  limits:
    all: {period: month, limit_usd: 1000}
    core: {scope: team, owner: core, period: month, limit_usd: "2.50", warn_at_percent: [80]}
    web: {scope: team, owner: web, period: day, limit_usd: 1}
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "spanledger.yaml"
    file.write_text(LIMITS)
    return file


def test_the_page_shows_a_configuration_that_works(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "budgets.md").read_text(), re.DOTALL)
    file = tmp_path / "spanledger.yaml"
    file.write_text(block)
    shown = json.loads(run("budget", "list", "--config", file, "--json").stdout)
    assert shown["timezone"] == "Europe/Berlin"
    assert [one["limit_usd"] for one in shown["budgets"]] == ["20000", "5000", "1250.5", "100", "60"]


def spend(path: Path, usd: int) -> None:
    now = time.time_ns()
    clients = [Client(resource={"team.id": "core"}), Client(resource={"team.id": "core"}, sender={"user.email": "a@b"})]
    with open_books(path) as books:
        for n, client in enumerate(clients):
            books.take(client.log(f"req_{n}", MODEL, Usage(input=200_000 * usd), at=now), at=now)
        books.take(clients[0].log("req_x", "claude-next", Usage(input=5), at=now), at=now).rest()


def test_list_shows_what_is_configured(config: Path) -> None:
    shown = json.loads(run("budget", "list", "--config", config, "--json").stdout)
    assert [one["budget"] for one in shown["budgets"]] == ["all", "core", "web"]
    assert shown["budgets"][1] == {
        "budget": "core",
        "scope": "team",
        "owner": "core",
        "period": "month",
        "basis": ["billed"],
        "limit_usd": "2.5",
        "warn_at_percent": [80],
    }
    table = run("budget", "list", "--config", config).stdout
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["all", "core", "web"]


def test_status_warns_by_its_exit_code_and_names_what_is_not_in_it(config: Path, tmp_path: Path) -> None:
    asked = ("budget", "status", "--config", config, "--ledger", tmp_path / "ledger.db")
    spend(tmp_path / "ledger.db", 1)
    fine = run(*asked)
    assert fine.exit_code == 0, fine.stdout
    spend(tmp_path / "other.db", 2)
    over = run(*asked[:-1], tmp_path / "other.db")
    assert over.exit_code == 1
    assert "core, core: $2.00 unknown is not counted" in over.stdout
    assert "core, core: 1 requests have no price: more is spent than is known" in over.stdout
    (_, core, web) = json.loads(run(*asked[:-1], tmp_path / "other.db", "--json").stdout)["budgets"]
    assert (core["spent_usd"], core["not_counted_usd"], core["level_percent"]) == ("2", {"unknown": "2"}, 80)
    assert core["unpriced_requests"] == 1
    assert (web["spent_usd"], web["forecast_usd"], web["level_percent"]) == ("0", "0", None)


def test_mistakes_are_told_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(
        "budgets:\n  limits:\n    a: {period: year, limit_usd: 5}\n    b: {period: day, limit_usd: 0.5}\n"
        "    c: {period: day, limit_usd: 0}\n    d: {period: day, limit_usd: 5, owner: x}\n"
    )
    done = run("budget", "list", "--config", file)
    assert done.exit_code == 2
    told = done.stderr.splitlines()
    assert [line.split(":")[2] for line in told] == ["3", "4", "5", "6"]
    assert "'day', 'week' or 'month'" in told[0]
    assert 'in quotes "5000.50"' in told[1]
    assert "above 0" in told[2]
    file.write_text("budgets: {limits: {a: {scope: teem, owner: x, period: day, limit_usd: 5}}}\n")
    (line,) = run("budget", "list", "--config", file).stderr.splitlines()
    assert "budgets.limits.a.scope: 'teem' is no label; there are organization, user, team" in line


def gauges(sink: OtlpSink, name: str) -> list[dict[str, object]]:
    """Labels and value of a gauge's points in the last export."""
    request = ExportMetricsServiceRequest.FromString(sink.bodies[Signal.METRICS][-1])
    return [
        {pair.key: pair.value.string_value for pair in point.attributes} | {"value": point.as_double}
        for metric in request.resource_metrics[0].scope_metrics[0].metrics
        if metric.name == name
        for point in metric.gauge.data_points
    ]


def test_the_service_tells_of_a_level_in_log_and_metrics(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="spanledger")
    limits = {"core": {"scope": "team", "owner": "core", "period": "month", "limit_usd": "3.75"}}
    client, now = Client(resource={"team.id": "core"}), time.time_ns()

    async def serve() -> list[OtlpSink]:
        more = {"metrics__interval_seconds": "0.2", "budgets__limits": limits}
        async with running(tmp_path / "ledger.db", **more) as service:
            await service.sink.wait_for(lambda: bool(service.sink.bodies[Signal.METRICS]), 20)
            before = gauges(service.sink, "spanledger.budget.spent")
            assert [(one["budget"], one["value"]) for one in before] == [("core", 0.0)]
            await send(Transport.GRPC, service.addresses, [client.log("req_1", MODEL, Usage(input=600_000), at=now)])
            beside = await asyncio.to_thread(
                run, "report", "--ledger", tmp_path / "ledger.db", "--period", "7d", "--json"
            )
            assert json.loads(beside.stdout)["totals"]["billed"]["cost_usd"] == "3"
        return [service.sink]

    (sink,) = asyncio.run(serve())
    for name, value in (("limit", 3.75), ("spent", 3.0), ("forecast", 3.0)):
        (found,) = gauges(sink, f"spanledger.budget.{name}")
        expected = {"budget": "core", "scope": "team", "owner": "core", "period": "month", "basis": "billed"}
        assert {key: found[key] for key in expected} == expected
        assert found["value"] == value or (name == "forecast" and found["value"] >= value)
    month = [one for one in gauges(sink, "spanledger.cost.period") if one["period"] == "month"]
    assert sum(one["value"] for one in month) == 3.0
    told = [record.getMessage() for record in caplog.records if "budget core" in record.getMessage()]
    assert len(told) == 1
    assert "reached 80 %: $3.00 of $3.75 spent"  # 3.00 / 3.75 = 0.8 in told[0]


WARNING_SECONDS_MAX = 30
"""Half of the minute in which a warning is to show, for the backend's rules need some of it."""


def test_a_level_shows_in_log_and_metrics_within_a_minute_with_the_default_settings(tmp_path: Path) -> None:
    """Exports are a minute apart, and the first is a minute after the start; a level that is reached leaves at once."""
    interval_seconds = Settings().metrics.interval_seconds
    assert interval_seconds == 60

    async def run() -> tuple[float, float, str]:
        sink = OtlpSink()
        await sink.start()
        config = tmp_path / "spanledger.yaml"
        config.write_text(f"exporter: {{endpoint: {sink.grpc_endpoint}}}\n{LIMITS}")
        environ = {"SPANLEDGER_METRICS__INTERVAL_SECONDS": str(interval_seconds)}
        serving = await start_serve(tmp_path / "ledger.db", "--config", str(config), environ=environ)
        sent_at = time.time()
        call = Client(resource={"team.id": "core"}).log("req_1", MODEL, Usage(input=400_000), at=int(sent_at) * 10**9)
        await send(Transport.GRPC, serving.addresses, [call])
        await sink.wait_for(lambda: bool(sink.bodies[Signal.METRICS]), WARNING_SECONDS_MAX)
        shown_at = time.time()
        (spent,) = (one for one in gauges(sink, "spanledger.budget.spent") if one["budget"] == "core")
        assert spent["value"] == 2.0  # 400,000 x 5 USD per million: 80 % of 2.50 USD
        _, err = await serving.end(signal.SIGTERM)
        await sink.stop()
        return sent_at, shown_at, err

    sent_at, shown_at, log = asyncio.run(run())
    assert shown_at - sent_at < WARNING_SECONDS_MAX
    told = re.search(r"(\S+) warning budget\.reached: budget core .* reached 80 %: \$2\.00 of \$2\.50 spent", log)
    assert told is not None, log
    assert -1 < datetime.fromisoformat(told[1]).timestamp() - sent_at < WARNING_SECONDS_MAX
