"""`spanledger serve` as users run it: a process that is stopped, killed and started again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanledger.core.delivery import Delivery
from spanledger.core.semconv import Metric
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Destination
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.service.sink import OtlpSink
from support.hostile import answering_without_end
from support.kills import assert_no_series_goes_back, our_series
from support.processes import start_serve
from support.replaying import read_folder, replay_folders
from support.serving import Transport, protobuf_body, send, standing
from support.truth import CAPTURES

FOLDERS = [CAPTURES / name for name in ("s02_tools_edit_commit", "s03_subagent", "s20_plain_defaults")]
TIMEOUT_SECONDS = 60
STOP_SLACK_SECONDS = 15


def deliveries() -> list[Delivery]:
    return [body.delivery for folder in FOLDERS for body in read_folder(folder)]


def assert_series_continue(sink: OtlpSink) -> None:
    """Design §7: one start time for the life of the ledger, 0 first, and no series ever goes back."""
    assert_no_series_goes_back(sink)
    series = our_series(sink)
    assert len(series) > 10
    for key, points in series.items():
        assert points[0].value == 0, key
        assert all(earlier.time_unix_nano <= later.time_unix_nano for earlier, later in pairwise(points)), key


async def wait_for_cost(sink: OtlpSink, picousd: int) -> None:
    await sink.wait_for(lambda: sink.metric_totals()[Metric.COST] == picousd, TIMEOUT_SECONDS)


def test_a_restart_in_the_middle_changes_no_total_and_resets_no_series(tmp_path: Path) -> None:
    reference = replay_folders(FOLDERS, tmp_path / "reference.db")
    ledger_path = tmp_path / "ledger.db"
    half = len(deliveries()) // 2

    async def run() -> OtlpSink:
        sink = OtlpSink()
        await sink.start()
        for part in (deliveries()[:half], deliveries()[half:]):
            serving = await start_serve(ledger_path, "--otlp-endpoint", sink.grpc_endpoint)
            await send(Transport.GRPC, serving.addresses, part)
            assert await serving.end(signal.SIGTERM) == (0, "")
        await sink.stop()
        return sink

    sink = asyncio.run(run())
    left = standing(ledger_path)
    assert left.balances == reference.balances
    assert sink.metric_totals() == left.figures.metrics
    assert_series_continue(sink)


@pytest.mark.parametrize("acknowledged", [1, 7, 19])
def test_a_kill_in_the_middle_loses_nothing_and_counts_nothing_twice(acknowledged: int, tmp_path: Path) -> None:
    """Requests that got no answer are sent again, as every OTLP client does; some of them were booked before."""
    reference = replay_folders(FOLDERS, tmp_path / "reference.db")
    ledger_path = tmp_path / "ledger.db"

    async def run() -> OtlpSink:
        sink = OtlpSink()
        await sink.start()
        serving = await start_serve(ledger_path, "--otlp-endpoint", sink.grpc_endpoint)
        unanswered = await send_until(serving.addresses.grpc, deliveries(), acknowledged)
        await serving.end(signal.SIGKILL)
        again = await start_serve(ledger_path, "--otlp-endpoint", sink.grpc_endpoint)
        await send(Transport.GRPC, again.addresses, unanswered)
        await wait_for_cost(sink, reference.figures.report.cost_picousd)
        assert (await again.end(signal.SIGTERM))[0] == 0
        await sink.stop()
        return sink

    sink = asyncio.run(run())
    left = standing(ledger_path)
    assert left.balances == reference.balances
    assert sink.metric_totals() == left.figures.metrics
    assert_series_continue(sink)
    assert set(span_ids(sink.bodies[Signal.TRACES])) == set(span_ids(sent_bodies(Signal.TRACES)))


async def send_until(address: str, work: Sequence[Delivery], acknowledged: int) -> list[Delivery]:
    """Send all at once, leave after some answers; give what had none by then."""
    client = GrpcClient(Destination(f"http://{address}"))
    sending = {
        asyncio.create_task(client.export(delivery.signal, protobuf_body(delivery))): delivery for delivery in work
    }
    answered: set[asyncio.Task[object]] = set()
    while len(answered) < acknowledged:
        done, _ = await asyncio.wait(sending.keys() - answered, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result() for task in done} == {Accepted()}
        answered |= done
    unanswered = [delivery for task, delivery in sending.items() if task not in answered]
    for task in sending:
        task.cancel()
    await client.close()
    assert len(unanswered) <= len(work) - acknowledged
    return unanswered


def test_without_a_destination_it_says_so_and_keeps_the_ledger(tmp_path: Path) -> None:
    ledger_path = tmp_path / "folder" / "ledger.db"

    async def run() -> str:
        serving = await start_serve(ledger_path)
        await send(Transport.HTTP_JSON, serving.addresses, deliveries())
        assert await serving.end(signal.SIGINT) == (0, "")
        return serving.ready_line

    line = asyncio.run(run())
    assert "no destination (set --otlp-endpoint): keeping the ledger only" in line
    reference = replay_folders(FOLDERS, tmp_path / "reference.db")
    report = standing(ledger_path).figures.report
    assert report.cost_picousd == reference.figures.report.cost_picousd


def test_a_destination_that_was_away_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    ledger_path = tmp_path / "ledger.db"

    async def run() -> OtlpSink:
        # A port that nothing listens on while the service takes its telemetry.
        gone = OtlpSink()
        await gone.start()
        await gone.stop()
        serving = await start_serve(ledger_path, "--otlp-endpoint", gone.grpc_endpoint)
        await send(Transport.HTTP_PROTOBUF, serving.addresses, deliveries())
        assert (await serving.end(signal.SIGTERM))[0] == 0
        sink = OtlpSink()
        await sink.start()
        again = await start_serve(
            ledger_path, "--otlp-endpoint", sink.http_endpoint, "--otlp-protocol", "http/protobuf"
        )
        assert (await again.end(signal.SIGTERM))[0] == 0
        await sink.stop()
        return sink

    sink = asyncio.run(run())
    assert sink.metric_totals() == standing(ledger_path).figures.metrics
    assert span_ids(sink.bodies[Signal.TRACES]) == span_ids(sent_bodies(Signal.TRACES))


def test_a_destination_whose_answer_never_ends_does_not_keep_the_service_from_stopping(tmp_path: Path) -> None:
    """Each byte comes in time. What is sent when the signal comes has 1 s to end, then what is ready another second,
    and a request under way its 2 s; without a limit the process would stay for ever."""
    environ = {
        "SPANLEDGER_FORWARD__FLUSH_TIMEOUT_SECONDS": "1",
        "SPANLEDGER_EXPORTER__TIMEOUT_SECONDS": "2",
        "SPANLEDGER_EXPORTER__PROTOCOL": "http/protobuf",
    }

    async def run() -> int:
        async with answering_without_end(b"HTTP/1.1 200 OK\r\nx: ", b"x", 0.05) as destination:
            serving = await start_serve(tmp_path / "ledger.db", "--otlp-endpoint", destination.url, environ=environ)
            await destination.asked.wait()
            try:
                return (await asyncio.wait_for(serving.end(signal.SIGTERM), 1 + 1 + 2 + STOP_SLACK_SECONDS))[0]
            finally:
                with suppress(ProcessLookupError):
                    serving.process.kill()

    assert asyncio.run(run()) == 0


def sent_bodies(wanted: Signal) -> list[bytes]:
    return [protobuf_body(delivery) for delivery in deliveries() if delivery.signal is wanted]


def span_ids(bodies: Sequence[bytes]) -> list[bytes]:
    request = ExportTraceServiceRequest.FromString(b"".join(bodies))
    return sorted(s.span_id for group in request.resource_spans for scope in group.scope_spans for s in scope.spans)
