"""The service in front of a real Prometheus: through kills, and with budgets, from before its first traffic on."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import requests
import yaml

from spanledger.config.sections import Settings
from spanledger.core.times import NANO_PER_SECOND
from support.backends import Prometheus
from support.backfilled import Past
from support.boards import MONEY, money, read_boards, shown
from support.collectors import until
from support.processes import COMMAND, Serving, service_environment, start_serve
from support.recorded import record
from support.remote_write import RECEIVER
from support.replaying import read_folder
from support.serving import Transport, send
from support.telling import Client, Usage
from support.truth import CAPTURES, served

pytestmark = pytest.mark.prometheus

FOLDER = CAPTURES / "s03_subagent"
RULES = Path(__file__).parents[2] / "dashboards" / "rules"
MINUTE_SECONDS = 60
WHOLE = {"spanledger-overview": "Spent", "spanledger-chargeback": "Cost by basis"}
"""Panels of everything that was spent."""
SILENT = {"Our list price less the client's figure, by version and verdict"}
"""Panels of what these captures have none of."""
SPENT = "sum(spanledger_cost_USD_total)"


@asynccontextmanager
async def backend(folder: Path) -> AsyncIterator[Past]:
    """A Prometheus with our rules, and the settings of a service that sends its metrics there, in `settings.yaml`."""
    rules = [str(RULES / name) for name in ("recording.yaml", "alerts.yaml")]
    prometheus = Prometheus(folder / "prometheus", config=yaml.safe_dump({"rule_files": rules}), flags=(RECEIVER,))
    await prometheus.start()
    endpoint = {"endpoint": f"{prometheus.url}/api/v1/otlp", "protocol": "http/protobuf", "signals": []}
    budgets = {
        "all": {"period": "month", "limit_usd": 5},
        "core": {"scope": "team", "owner": "core", "period": "week", "limit_usd": "99.50"},
    }
    settings = {"destinations": {"prometheus": endpoint}, "budgets": {"limits": budgets}}
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    try:
        yield Past(folder / "ledger.db", prometheus, int(time.time()), 0)
    finally:
        await prometheus.stop()


async def serve(past: Past, interval_seconds: float) -> Serving:
    environ = {"SPANLEDGER_METRICS__INTERVAL_SECONDS": str(interval_seconds)}
    folder = past.ledger_path.parent
    return await start_serve(past.ledger_path, "--config", str(folder / "settings.yaml"), environ=environ)


def now(past: Past, expression: str) -> dict[str, float]:
    """Results of a query now, by budget."""
    return {labels.get("budget", ""): value for labels, value in past.query(expression, int(time.time()) + 1)}


def test_kills_in_the_middle_of_a_day_change_no_total(tmp_path: Path) -> None:
    """Killed with what was acknowledged and not exported, and again after an export; each time it goes on.

    Every money panel of every board says the same as with a service that was not killed and heard the same.
    """
    deliveries = [body.delivery for body in read_folder(FOLDER)]
    third = len(deliveries) // 3
    parts = (deliveries[:third], deliveries[third : 2 * third], deliveries[2 * third :])

    async def run() -> None:
        async with backend(tmp_path / "killed") as killed, backend(tmp_path / "whole") as whole:
            steady = await serve(whole, interval_seconds=0.5)
            for number, part in enumerate(parts):
                serving = await serve(killed, interval_seconds=0.5)
                await send(Transport.HTTP_PROTOBUF, serving.addresses, part)
                await send(Transport.HTTP_PROTOBUF, steady.addresses, part)
                if number == 1:
                    await until(lambda: now(killed, SPENT).get("", 0) > 0, 30, "cost is in Prometheus")
                await serving.end(signal.SIGTERM if number == 2 else signal.SIGKILL)
            await steady.end(signal.SIGTERM)
            assert set((await asyncio.to_thread(now, killed, "resets(spanledger_cost_USD_total[1h])")).values()) == {0}
            end = int(time.time()) + 1
            pasts = [replace(one, start_unix=one.start_unix - 60, end_unix=end) for one in (killed, whole)]
            for one in pasts:
                await asyncio.to_thread(record, one.prometheus.url, one.start_unix, end, 1)
            await asyncio.to_thread(compare, *pasts)

    asyncio.run(run())


def compare(killed: Past, whole: Past) -> None:
    """The same in every money panel of every board, and in those of everything what was really served."""
    truth = float(served(FOLDER).cost_usd)
    for board in read_boards():
        found = money(killed, board)
        assert found == pytest.approx(money(whole, board), abs=0.000001), board.name
        panels = {target.panel for target in board.targets() if target.unit in MONEY}
        assert panels - {panel for _, panel, *_ in found} <= SILENT
        if panel := WHOLE.get(str(board.content["uid"])):
            assert shown(killed, board, panel) == pytest.approx(truth, abs=0.000001)


def test_k46_budgets_are_finite_in_prometheus_before_the_first_traffic(tmp_path: Path) -> None:
    async def run() -> dict[str, dict[str, float]]:
        names = ("spanledger_budget_limit_USD", "spanledger_budget_spent_USD", "spanledger_budget_forecast_USD")
        async with backend(tmp_path) as past:
            serving = await serve(past, interval_seconds=0.5)
            await until(lambda: bool(now(past, names[0])), 30, "budgets are in Prometheus")
            found = {name: await asyncio.to_thread(now, past, name) for name in names}
            left = await asyncio.to_thread(now, past, f"{names[0]} - {names[1]}")
            await serving.end(signal.SIGTERM)
        assert left == found[names[0]]
        return found

    limits, spent, forecast = asyncio.run(run()).values()
    assert limits == {"all": 5, "core": 99.5}
    assert spent == forecast == {"all": 0, "core": 0}


def test_deltas_to_a_prometheus_that_takes_none_are_told_in_the_log_and_by_the_doctor(tmp_path: Path) -> None:
    """It takes what holds no delta, an empty request too; so its answer to a real export is what counts."""
    ledger_path = tmp_path / "ledger.db"
    said = 'HTTP 500: invalid temporality and type combination for metric "spanledger.'

    async def run() -> str:
        prometheus = Prometheus(tmp_path / "prometheus", takes_deltas=False)
        await prometheus.start()
        environ = {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{prometheus.otlp_url}/v1/metrics",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "SPANLEDGER_METRICS__TEMPORALITY": "delta",
        }
        serving = await start_serve(ledger_path, environ=environ)
        await send(Transport.GRPC, serving.addresses, [body.delivery for body in read_folder(FOLDER)])
        assert "metrics.not_sent" in (told := await line_with(serving, said)), told
        await serving.end(signal.SIGTERM)
        doctor = await asyncio.create_subprocess_exec(
            *(COMMAND, "doctor", "--ledger", str(ledger_path), "--json"),
            env=service_environment() | environ,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await doctor.communicate()
        await prometheus.stop()
        return out.decode()

    found = json.loads(asyncio.run(run()))
    (problem,) = [one for one in found if one["subject"] == "destination default, cost metrics"]
    assert problem["level"] == "problem"
    assert said in problem["what"]
    assert "set metrics.temporality to cumulative" in problem["advice"]


def firing(past: Past) -> set[tuple[str, str]]:
    """Alerts of budgets that fire, with their budget."""
    answer = requests.get(f"{past.prometheus.url}/api/v1/alerts", timeout=10)
    alerts = [one["labels"] for one in answer.json()["data"]["alerts"] if one["state"] == "firing"]
    return {(labels["alertname"], labels["budget"]) for labels in alerts if "budget" in labels}


def test_a_warning_shows_within_a_minute_of_the_event(tmp_path: Path) -> None:
    """In the log and as an alert that fires, at the intervals that service and rules have of themselves."""

    async def run() -> str:
        async with backend(tmp_path) as past:
            serving = await serve(past, Settings().metrics.interval_seconds)
            at = time.time_ns() // NANO_PER_SECOND * NANO_PER_SECOND
            usage = Usage(input=1_000_000)  # at 4 USD a million: 80 % of 5 USD
            call = Client(resource={"team.id": "core"}).log("req_1", "claude-opus-5-5", usage, at=at)
            async with asyncio.timeout(MINUTE_SECONDS):
                await send(Transport.GRPC, serving.addresses, [call])
                said = await line_with(serving, "reached 80 %")
                alert = ("SpanledgerBudgetNearlySpent", "all")
                await until(lambda: alert in firing(past), MINUTE_SECONDS, "the alert fires")
            await serving.end(signal.SIGTERM)
            return said

    said = asyncio.run(run())
    assert "budget all (organization all" in said
    assert "reached 80 %: $4.00 of $5.00 spent" in said


async def line_with(serving: Serving, text: str) -> str:
    """The next line of the service's log with a text."""
    assert serving.process.stderr is not None
    async for line in serving.process.stderr:
        if text in line.decode():
            return line.decode()
    raise AssertionError(f"the log ended without {text}")
