"""Health and metrics on a port of their own."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import threading
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from spanledger.core.events import Event
from spanledger.core.money import picousd_of_double
from spanledger.core.prometheus_names import prometheus_name
from spanledger.core.reasons import Reason
from spanledger.core.semconv import Metric
from spanledger.core.usage import Signal
from spanledger.ledger.faults import Fault
from spanledger.receiver.admin_server import Readiness
from spanledger.telemetry import COUNTERS, DESTINATION, Counter
from support.logged import messages_of
from support.processes import start_serve
from support.replaying import read_folder, replay_folders
from support.serving import Running, Transport, protobuf_body, running, send, standing
from support.truth import CAPTURES

FOLDER = CAPTURES / "s03_subagent"


def deliveries() -> list:
    return [body.delivery for body in read_folder(FOLDER)]


async def ask(up: Running, path: str, method: str = "GET") -> requests.Response:
    return await asyncio.to_thread(requests.request, method, f"http://{up.addresses.admin}{path}", timeout=10)


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_a_scrape_has_the_money_of_the_ledger_and_the_counters_of_the_component(tmp_path: Path) -> None:
    async def run() -> tuple[str, str]:
        async with running(tmp_path / "ledger.db") as up:
            await send(Transport.HTTP_PROTOBUF, up.addresses, deliveries())
            await send(Transport.GRPC, up.addresses, deliveries()[:2])
            url, headers = f"http://{up.addresses.http}/v1/logs", {"content-type": "application/x-protobuf"}
            refused = await asyncio.to_thread(requests.post, url, data=b"\xff", headers=headers, timeout=10)
            assert refused.status_code == 400
            await up.service.rest()
            first = (await ask(up, "/metrics")).text
            answer = await ask(up, "/metrics")
            assert answer.headers["content-type"].startswith("text/plain; version=")
            return first, answer.text

    first, second = map(samples, asyncio.run(run()))
    costs = [key for key in second if key[0] in ("spanledger_cost_USD_total", "spanledger_cost_adjustment_USD")]
    assert costs
    assert {first[key] for key in costs} == {0.0}  # so that increase() sees all of it
    figures = standing(tmp_path / "ledger.db").figures
    assert sum(picousd_of_double(second[key]) for key in costs) == figures.metrics[Metric.COST]

    sent = len(deliveries()) + 2
    assert second["spanledger_receiver_requests_total", ()] == sent
    assert second["spanledger_receiver_refused_total", (("reason", "unreadable_body"),)] == 1
    assert second["spanledger_forward_payloads_total", (("destination", "default"),)] == sent
    assert second["spanledger_outbox_payloads", (("destination", "default"), ("state", "pending"))] == 0
    assert second["spanledger_ledger_writable_ratio", ()] == 1
    assert second["spanledger_commit_duration_seconds_count", ()] >= 1
    assert second["spanledger_series", (("metric", "spanledger.cost"),)] > 0
    assert second["spanledger_process_memory_bytes", ()] > 10 * 2**20  # Python alone takes more
    assert second["spanledger_ledger_size_bytes", ()] > (tmp_path / "ledger.db").stat().st_size / 2


def test_every_counter_says_0_before_it_counts(tmp_path: Path) -> None:
    """For every reason and every destination, one that only the outbox still knows included."""

    async def run() -> str:
        gone = {"gone": {"endpoint": "http://127.0.0.1:1"}}
        async with running(tmp_path / "ledger.db", destinations=gone, forward__flush_timeout_seconds="0.001") as up:
            await send(Transport.GRPC, up.addresses, deliveries()[:1])
        async with running(tmp_path / "ledger.db") as up:
            return (await ask(up, "/metrics")).text

    first = samples(asyncio.run(run()))
    values: dict[str, set[str]] = {"reason": set(), "destination": set()}
    for counter, spec in COUNTERS.items():
        name = prometheus_name(spec.name, spec.unit, is_counter=True)
        told = {labels[0][1] if labels else "" for (sample, labels) in first if sample == name}
        assert told or not spec.is_exported, counter
        if spec.label is not None:
            values[spec.label] |= told
            assert spec.label != DESTINATION or told == {"default", "gone"}
    assert values["reason"] == set(Reason)


def test_labels_without_room_are_counted_and_their_money_is_in_the_overflow(tmp_path: Path) -> None:
    async def run() -> tuple[Running, int]:
        async with running(tmp_path / "ledger.db", metrics__max_series="1") as up:
            await send(Transport.GRPC, up.addresses, deliveries())
            await up.service.rest()
            await up.service.flush()
            return up, up.service.counters.snapshot()[Counter.SERIES_OVERFLOWED]

    up, overflowed = asyncio.run(run())
    assert overflowed > 0
    figures = standing(tmp_path / "ledger.db").figures
    assert up.sink.metric_totals()[Metric.COST] == figures.report.cost_picousd > 0


def test_a_question_that_cannot_be_answered_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> requests.Response:
        async with running(tmp_path / "ledger.db") as up:
            connection = up.service._parts.ledger.database.connection
            await up.service._worker.run(lambda: connection.execute("ALTER TABLE departure RENAME TO gone") and None)
            answer = await ask(up, "/readyz")
            await up.service._worker.run(lambda: connection.execute("ALTER TABLE gone RENAME TO departure") and None)
            return answer

    answer = asyncio.run(run())
    assert (answer.status_code, answer.text) == (503, "not now\n")
    assert messages_of(caplog, Event.ADMIN_QUESTION_FAILED) == ["a question to /readyz could not be answered"]


def test_the_component_speaks_of_itself_by_otlp_too(tmp_path: Path) -> None:
    async def run() -> list[bytes]:
        async with running(tmp_path / "ledger.db") as up:
            await send(Transport.GRPC, up.addresses, deliveries())
            await up.service.rest()
        return up.sink.bodies[Signal.METRICS]

    said = b"".join(asyncio.run(run()))
    for name in (b"spanledger.receiver.requests", b"spanledger.commit.duration", b"spanledger.settle.lag"):
        assert name in said


def test_alive_and_ready_and_what_is_not_there(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path / "ledger.db") as up:
            assert (await ask(up, "/healthz")).text == "alive\n"
            ready = await ask(up, "/readyz")
            assert (ready.status_code, ready.json()["ready"], ready.json()["ledger"]) == (200, True, "writable")
            assert ready.json()["price_book"].startswith("anthropic-list@")
            assert (await ask(up, "/healthz", "HEAD")).content == b""
            assert (await ask(up, "/healthz", "POST")).status_code == 405
            assert (await ask(up, "/v1/traces")).status_code == 404

    asyncio.run(run())


def test_a_ledger_that_cannot_be_written_is_alive_and_not_ready(tmp_path: Path) -> None:
    def read_only(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA query_only = ON")

    async def run() -> None:
        async with running(tmp_path / "ledger.db") as up:
            one, *others = deliveries()
            await send(Transport.GRPC, up.addresses, others)
            connection = up.service._parts.ledger.database.connection
            await up.service._worker.run(lambda: read_only(connection))
            url, headers = f"http://{up.addresses.http}/v1/{one.signal}", {"content-type": "application/x-protobuf"}
            answer = await asyncio.to_thread(requests.post, url, data=protobuf_body(one), headers=headers, timeout=10)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
            ready = await ask(up, "/readyz")
            assert (ready.status_code, ready.json()["ledger"]) == (503, "read_only")
            assert (await ask(up, "/healthz")).status_code == 200
            scraped = samples((await ask(up, "/metrics")).text)
            assert scraped["spanledger_ledger_writable_ratio", ()] == 0
            assert scraped["spanledger_commits_failed_total", ()] > 0
            assert scraped["spanledger_receiver_refused_total", (("reason", "not_durable"),)] == 1
            await up.service._worker.run(lambda: connection.execute("PRAGMA query_only = OFF") and None)
            await send(Transport.GRPC, up.addresses, [one])
            assert (await ask(up, "/readyz")).status_code == 200

    asyncio.run(run())


def test_a_fault_that_shows_while_readiness_is_asked_for_is_in_the_answer(tmp_path: Path) -> None:
    """The first question after the start may come while the disk is tried for the first time."""

    async def run() -> Readiness:
        async with running(tmp_path / "ledger.db") as up:
            ledger, worker = up.service._parts.ledger, up.service._worker
            began, asked = threading.Event(), threading.Event()

            def write() -> None:
                began.set()
                asked.wait()
                ledger.prove_writable()

            async def prove() -> None:
                try:
                    await worker.run(write)
                except sqlite3.Error as error:
                    up.service.watch.failed(error)

            await worker.run(lambda: ledger.database.connection.execute("PRAGMA query_only = ON") and None)
            proving = asyncio.create_task(prove())
            await asyncio.to_thread(began.wait)
            asking = asyncio.create_task(up.service._admin._subject.readiness())
            await asyncio.sleep(0)  # the question is put, and waits behind the write
            asked.set()
            await proving
            answer = await asking
            await worker.run(lambda: ledger.database.connection.execute("PRAGMA query_only = OFF") and None)
            return answer

    answer = asyncio.run(run())
    assert (answer.ready, answer.facts["ledger"]) == (False, Fault.READ_ONLY)


def test_a_second_signal_ends_the_process_at_once_and_loses_nothing(tmp_path: Path) -> None:
    reference = replay_folders([FOLDER], tmp_path / "reference.db")
    ledger_path = tmp_path / "ledger.db"

    async def run() -> int:
        slow = {"SPANLEDGER_FORWARD__FLUSH_TIMEOUT_SECONDS": "600", "SPANLEDGER_EXPORTER__TIMEOUT_SECONDS": "600"}
        listening = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        serving = await start_serve(ledger_path, "--otlp-endpoint", f"http://127.0.0.1:{port}", environ=slow)
        await send(Transport.GRPC, serving.addresses, deliveries())
        serving.process.send_signal(signal.SIGTERM)
        code, _ = await serving.end(signal.SIGTERM)
        listening.close()
        return code

    assert asyncio.run(run()) in (0, 1)  # 0: it had stopped in good order before the second signal came
    assert standing(ledger_path).figures.report.cost_picousd == reference.figures.report.cost_picousd
