"""Several destinations: each gets what is meant for it, none waits for another, and a full outbox costs no money."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import requests

from spanledger.core.errors import RetryableError
from spanledger.core.events import Event
from spanledger.core.labels import cut_label
from spanledger.core.semconv import Metric
from spanledger.core.usage import Signal
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.outbox import OutboxState
from spanledger.receiver.http_server import HttpReceiver
from spanledger.service.sink import OtlpSink
from spanledger.telemetry import Counter
from support.collectors import until
from support.consumers import ScriptedConsumer, receiving
from support.logged import messages_of
from support.processes import start_serve
from support.replaying import read_folder, replay_folders
from support.serving import Running, Transport, running, send, standing
from support.telling import Client, Usage
from support.truth import CAPTURES

FOLDER = CAPTURES / "s03_subagent"
TIMEOUT_SECONDS = 30


def deliveries() -> list:
    return [body.delivery for body in read_folder(FOLDER)]


async def started(stack: AsyncExitStack) -> OtlpSink:
    sink = OtlpSink()
    await sink.start()
    stack.push_async_callback(sink.stop)
    return sink


def never_answering(stack: AsyncExitStack) -> str:
    """Address of a socket that the kernel connects to and nobody reads from."""
    listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
    host, port = listening.getsockname()
    return f"http://{host}:{port}"


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_names_of_a_megabyte_leave_as_they_came_but_metrics_stay_small_and_whole(
    temporality: str, tmp_path: Path
) -> None:
    """Two models whose names end differently: each has series of its own, under labels of 64 bytes."""
    models = ["m" * 10**6 + end for end in "12"]
    calls = [Client().log(f"req_{model[-1]}", model, Usage(1_000)) for model in models]
    few_bytes = {"metrics__max_label_bytes": "64", "metrics__max_request_bytes": "20000"}

    async def run() -> tuple[Running, int]:
        async with running(tmp_path / "ledger.db", metrics__temporality=temporality, **few_bytes) as up:
            await send(Transport.GRPC, up.addresses, [*deliveries(), *calls])
            await up.service.rest()
            await up.service.flush()
            text = await asyncio.to_thread(requests.get, f"http://{up.addresses.admin}/metrics", timeout=30)
            return up, len(text.content)

    up, scrape_bytes = asyncio.run(run())
    logs = b"".join(up.sink.bodies[Signal.LOGS])
    assert all(model.encode() in logs for model in models)
    bodies = up.sink.bodies[Signal.METRICS]
    assert max(map(len, bodies)) <= 20_000
    assert len(bodies) > 4, "each of the four exports needs more than one request"
    assert scrape_bytes < 10**6
    assert up.sink.metric_totals() == standing(tmp_path / "ledger.db").figures.metrics
    told = {value for point in up.sink.sum_points() for name, value in point.attributes if name == "model"}
    assert {cut_label(model, 64) for model in models} <= told
    assert up.service.counters.snapshot()[Counter.SERIES_CUT] > 0


def test_each_destination_gets_the_signals_that_are_meant_for_it(tmp_path: Path) -> None:
    async def run() -> tuple[OtlpSink, OtlpSink, OtlpSink]:
        async with AsyncExitStack() as stack:
            logs_only, metrics_only = await started(stack), await started(stack)
            destinations = {
                "logs": {"endpoint": logs_only.grpc_endpoint, "signals": ["logs"], "cost_metrics": False},
                "costs": {"endpoint": metrics_only.http_endpoint, "protocol": "http/protobuf", "signals": []},
            }
            async with running(tmp_path / "ledger.db", destinations=destinations) as up:
                await send(Transport.GRPC, up.addresses, deliveries())
                await up.service.rest()
            return up.sink, logs_only, metrics_only

    everything, logs_only, costs_only = asyncio.run(run())
    exported = standing(tmp_path / "ledger.db").figures.metrics
    sent = {signal: sum(delivery.signal is signal for delivery in deliveries()) for signal in Signal}
    assert everything.metric_totals() == costs_only.metric_totals() == exported
    assert b"".join(logs_only.bodies[Signal.LOGS]) == b"".join(everything.bodies[Signal.LOGS])
    assert (logs_only.bodies[Signal.TRACES], logs_only.bodies[Signal.METRICS]) == ([], [])
    assert (costs_only.bodies[Signal.TRACES], costs_only.bodies[Signal.LOGS]) == ([], [])
    assert sent[Signal.LOGS] > 0


def test_with_an_endpoint_for_one_signal_alone_that_signal_is_sent_and_nothing_else_waits(tmp_path: Path) -> None:
    async def run() -> tuple[OtlpSink, OutboxState]:
        async with AsyncExitStack() as stack:
            sink = await started(stack)
            environ = {
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{sink.http_endpoint}/v1/metrics",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            }
            serving = await start_serve(tmp_path / "ledger.db", environ=environ)
            await send(Transport.GRPC, serving.addresses, deliveries())
            await serving.end(signal.SIGTERM)
            assert f"; to {sink.http_endpoint}/v1/metrics for metrics, cost metrics" in serving.ready_line
        ledger = Ledger.read(tmp_path / "ledger.db")
        waiting = ledger.outbox.state("default")
        ledger.close()
        return sink, waiting

    sink, waiting = asyncio.run(run())
    assert sink.metric_totals() == standing(tmp_path / "ledger.db").figures.metrics
    assert sum(one.signal is Signal.METRICS for one in deliveries()) > 0
    assert (sink.bodies[Signal.TRACES], sink.bodies[Signal.LOGS]) == ([], [])
    assert waiting == OutboxState(0, 0, 0, None)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_destination_that_never_answers_holds_no_other_up(protocol: str, tmp_path: Path) -> None:
    async def run() -> OtlpSink:
        async with AsyncExitStack() as stack:
            slow = {"endpoint": never_answering(stack), "protocol": protocol, "timeout_seconds": 600}
            destinations = {f"slow-{n}": slow for n in range(4)}
            more = {"metrics__interval_seconds": "0.2", "forward__flush_timeout_seconds": "0.1"}
            async with running(tmp_path / "ledger.db", destinations=destinations, **more) as up:
                await send(Transport.HTTP_PROTOBUF, up.addresses, deliveries())
                expected = {signal: sum(d.signal is signal for d in deliveries()) for signal in Signal}
                assert expected[Signal.TRACES] > 0
                await up.service.settle()
                reference = replay_folders([FOLDER], tmp_path / "reference.db").figures.report.cost_picousd
                # Four destinations that take ten minutes an attempt, three signals each, hold up nothing here.
                await up.sink.wait_for(lambda: up.sink.metric_totals()[Metric.COST] == reference, TIMEOUT_SECONDS)
            return up.sink

    assert asyncio.run(run()).bodies[Signal.TRACES]


def test_what_no_destination_took_in_time_is_dropped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A destination that is away when the service stops, and is not in the settings any more when it starts again."""
    ledger_path, day_seconds = tmp_path / "ledger.db", "86400"

    async def forget(max_age_seconds: str) -> tuple[int, dict[str, int]]:
        more = {"forward__outbox_max_age_seconds": max_age_seconds}
        async with running(ledger_path, **more) as up:
            await up.service.rest()
            await up.service.settle()
            waiting = up.service._parts.ledger.outbox.state("gone").pending
            return waiting, up.service.counters.by_label(Counter.PAYLOADS_EXPIRED)

    async def run() -> list[tuple[int, dict[str, int]]]:
        gone = {"gone": {"endpoint": "http://127.0.0.1:1"}}
        async with running(ledger_path, destinations=gone, forward__flush_timeout_seconds="0.001") as up:
            await send(Transport.GRPC, up.addresses, deliveries())
        return [await forget(day_seconds), await forget("0.001")]

    caplog.set_level(logging.WARNING)
    sent = len(deliveries())
    assert asyncio.run(run()) == [(sent, {}), (0, {"gone": sent})]
    assert any("destination gone does not take" in one for one in messages_of(caplog, Event.DESTINATION_AWAY))
    assert len(messages_of(caplog, Event.SERVICE_STOPPED_EARLY)) == 1
    (first, second) = messages_of(caplog, Event.DESTINATION_UNKNOWN)
    assert first == second == "payloads wait for destination gone, which is not configured any more"
    reference = replay_folders([FOLDER], tmp_path / "reference.db")
    assert standing(ledger_path).balances == reference.balances


def test_what_waits_too_long_is_dropped_where_nothing_comes_that_is_posted(tmp_path: Path) -> None:
    logs = [one for one in deliveries() if one.signal is Signal.LOGS]

    async def run() -> None:
        away = {"away": {"endpoint": "http://127.0.0.1:1"}}
        more = {"forward__flush_timeout_seconds": "0.001", "forward__outbox_max_age_seconds": "1"}
        async with running(tmp_path / "ledger.db", destinations=away, **more) as up:
            await send(Transport.GRPC, up.addresses, logs)
            await up.service.rest()
            counted = lambda: up.service.counters.by_label(Counter.PAYLOADS_EXPIRED)  # noqa: E731
            await until(lambda: counted().get("away") == len(logs), TIMEOUT_SECONDS, "they are dropped")

    asyncio.run(run())


def test_a_full_outbox_drops_forwarding_and_never_the_usage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> dict[str, int]:
        async with AsyncExitStack() as stack:
            slow = {"endpoint": never_answering(stack), "timeout_seconds": 0.2}
            more = {"forward__outbox_max_bytes": "20000", "forward__flush_timeout_seconds": "0.1"}
            async with running(tmp_path / "ledger.db", destinations={"slow": slow}, **more) as up:
                await send(Transport.GRPC, up.addresses, deliveries())
                await up.service.rest()
                return up.service.counters.by_label(Counter.PAYLOADS_NOT_FORWARDED)

    dropped = asyncio.run(run())
    assert dropped["slow"] > 0
    told = messages_of(caplog, Event.DESTINATION_OUTBOX_FULL)
    assert "more than forward.outbox_max_bytes waits for destination slow: it will not get what comes now" in told
    reference = replay_folders([FOLDER], tmp_path / "reference.db")
    assert standing(tmp_path / "ledger.db").balances == reference.balances


def test_a_destination_that_asks_for_a_year_is_asked_again_when_the_setting_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    year_seconds = 365 * 86_400.0
    consumer = ScriptedConsumer([RetryableError("upgrading", retry_after_seconds=year_seconds)])

    async def run() -> None:
        async with receiving(consumer, HttpReceiver) as address:
            more = {"exporter__endpoint": f"http://{address}", "exporter__protocol": "http/protobuf"}
            more |= {"forward__retry__max_server_delay_seconds": "2", "forward__retry__max_delay_seconds": "1"}
            more |= {"metrics__interval_seconds": "3600"}  # the answer is for the logs
            async with running(tmp_path / "ledger.db", **more) as up:
                logs = [one for one in deliveries() if one.signal is Signal.LOGS]
                await send(Transport.HTTP_PROTOBUF, up.addresses, logs)
                forwarded = up.service.counters.snapshot
                await until(
                    lambda: forwarded()[Counter.PAYLOADS_FORWARDED] == len(logs), TIMEOUT_SECONDS, "all are there"
                )

    asyncio.run(run())
    (told,) = messages_of(caplog, Event.DESTINATION_AWAY)
    assert "does not take logs now, and is asked again in 2.0 s" in told


def test_what_waits_for_a_signal_that_a_destination_no_longer_gets_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        away = {"endpoint": "http://127.0.0.1:1", "cost_metrics": False}
        for signals in (["logs", "traces", "metrics"], ["metrics"]):
            more = {"destinations": {"archive": away | {"signals": signals}}, "forward__flush_timeout_seconds": "0.001"}
            async with running(tmp_path / "ledger.db", **more) as up:
                await send(Transport.GRPC, up.addresses, deliveries())

    asyncio.run(run())
    assert messages_of(caplog, Event.DESTINATION_UNKNOWN) == [
        "payloads wait for destination archive (logs, traces), which is not configured any more"
    ]
