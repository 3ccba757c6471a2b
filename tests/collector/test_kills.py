"""Collector -> spanledger -> Collector -> file, each killed once on the way: nothing lost, nothing charged twice."""

from __future__ import annotations

import asyncio
import signal
from decimal import Decimal
from pathlib import Path

import pytest

from spanledger.core.delivery import Delivery
from spanledger.core.money import format_usd, parse_usd, picousd_of_double
from spanledger.core.semconv import METRICS, Metric, Quantity
from spanledger.core.usage import Signal
from spanledger.otlp.encode import decode_sums
from support.collectors import CONFIGS, TOKEN, Archive, Collector, free_port, until
from support.processes import Serving, start_serve
from support.replaying import read_folder
from support.senders import PatientSender
from support.serving import REQUESTS, standing
from support.splitting import protobuf_body
from support.truth import capture_folders, served

pytestmark = pytest.mark.collector

FOLDERS = [folder for folder in capture_folders() if folder.name != "s10_cumulative"]
"""All but the one whose cumulative series began long before this test's ledger: those are a baseline, not a charge."""
TIMEOUT_SECONDS = 120


def deliveries() -> list[Delivery]:
    return [body.delivery for folder in FOLDERS for body in read_folder(folder)]


class Chain:
    """The three processes, each on ports and a folder that outlive it."""

    def __init__(self, folder: Path) -> None:
        self.archive = Archive(folder / "archive")
        self.ledger = folder / "ledger.db"
        self.behind = Collector("behind-files.yaml", folder / "behind", {"ARCHIVE": str(self.archive.folder)})
        self.grpc = f"127.0.0.1:{free_port()}"
        self.front = Collector("in-front.yaml", folder / "front", {"SPANLEDGER_GRPC": self.grpc})
        self.serving: Serving | None = None

    async def start(self) -> None:
        await self.behind.start()
        await self.start_spanledger()
        await self.front.start()

    async def start_spanledger(self) -> None:
        self.serving = await start_serve(
            self.ledger,
            *("--config", str(CONFIGS / "spanledger" / "between.yaml"), "--grpc", self.grpc),
            *("--otlp-endpoint", f"http://{self.behind.grpc}"),
            environ={
                "SPANLEDGER_SETTLE__RESIDUAL_WAIT_SECONDS": "1",
                "SPANLEDGER_FORWARD__RETRY__INITIAL_DELAY_SECONDS": "0.1",
            },
        )

    async def stop(self) -> None:
        await self.front.end(signal.SIGTERM)
        assert self.serving is not None
        await self.serving.end(signal.SIGTERM)
        await self.behind.end(signal.SIGTERM)

    def totals(self) -> dict[Metric, int]:
        """Series + adjustment of what the file says last, in pico-USD or counts."""
        latest = {
            (p.metric, p.attributes): p for body in self.archive.read()[Signal.METRICS] for p in decode_sums(body)
        }
        totals = dict.fromkeys((Metric.COST, Metric.REQUESTS), 0)
        for point in latest.values():
            metric = point.metric.removesuffix(".adjustment")
            if metric in totals:
                is_money = METRICS[Metric(metric)].quantity is Quantity.MONEY
                totals[Metric(metric)] += picousd_of_double(point.value) if is_money else int(point.value)
        return totals


def identities(one: Signal, body: bytes) -> set[object]:
    """What names each record of a request, whatever else was added to it."""
    request = REQUESTS[one].FromString(body)
    match one:
        case Signal.TRACES:
            return {
                (span.trace_id, span.span_id) for g in request.resource_spans for s in g.scope_spans for span in s.spans
            }
        case Signal.LOGS:
            return {
                (log.time_unix_nano, log.trace_id, log.span_id, log.body.SerializeToString(), _session(log))
                for g in request.resource_logs
                for s in g.scope_logs
                for log in s.log_records
            }
        case Signal.METRICS:
            return {
                (metric.name, point.start_time_unix_nano, point.time_unix_nano, _labels(point))
                for g in request.resource_metrics
                for s in g.scope_metrics
                for metric in s.metrics
                if metric.name.startswith("claude_code.")
                for point in metric.sum.data_points
            }


def _session(log) -> frozenset:
    return frozenset(
        pair.value.SerializeToString() for pair in log.attributes if pair.key in ("session.id", "event.sequence")
    )


def _labels(point) -> frozenset:
    return frozenset((pair.key, pair.value.SerializeToString()) for pair in point.attributes)


def missing(archive: Archive, sent: dict[Signal, set[object]]) -> dict[Signal, int]:
    """How many records were sent and are not in the files."""
    arrived = {one: set().union(*(identities(one, body) for body in archive.bodies[one])) for one in Signal}
    return {one: len(sent[one] - arrived[one]) for one in Signal if sent[one] - arrived[one]}


def test_each_of_three_processes_is_killed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = deliveries()
    sent = {one: set().union(*(identities(one, protobuf_body(d)) for d in work if d.signal is one)) for one in Signal}
    truth = sum((served(folder).cost_usd for folder in FOLDERS), Decimal(0))
    requests = sum(len(served(folder).recorded) for folder in FOLDERS)
    quarter = len(work) // 4
    chain = Chain(tmp_path)

    async def run() -> PatientSender:
        await chain.start()
        sender = PatientSender(chain.front.http, {"authorization": f"Bearer {TOKEN}"})
        await sender.send(work[:20])

        sending = asyncio.create_task(sender.send(work[20:quarter]))
        await chain.front.end(signal.SIGKILL)
        await chain.front.start()
        await sending

        sending = asyncio.create_task(sender.send(work[quarter : 2 * quarter]))
        assert chain.serving is not None
        await chain.serving.end(signal.SIGKILL)
        await sending  # the Collector in front takes everything while spanledger is away
        await chain.start_spanledger()

        sending = asyncio.create_task(sender.send(work[2 * quarter : 3 * quarter]))
        await chain.behind.end(signal.SIGKILL)
        await sending
        await sender.send(work[3 * quarter :])  # spanledger keeps what it cannot forward
        await chain.behind.start()

        await until(lambda: chain.totals()[Metric.COST] == parse_usd(str(truth)), TIMEOUT_SECONDS, f"${truth}")
        await until(lambda: not missing(chain.archive, sent), TIMEOUT_SECONDS, "all records in the files")
        await chain.stop()
        sender.close()
        return sender

    sender = asyncio.run(run())
    left = standing(chain.ledger)
    with capsys.disabled():
        told = f"{len(work)} requests ({sender.repeats} sent again) of {requests} calls, three kills"
        print(f"\n{told}: ${truth}, each once")
    assert left.problems == []
    assert format_usd(left.figures.report.cost_picousd) == format_usd(parse_usd(str(truth)))
    assert chain.totals()[Metric.COST] == left.figures.report.cost_picousd
    assert chain.totals()[Metric.REQUESTS] == left.figures.report.requests
    assert missing(chain.archive, sent) == {}
    assert sender.repeats > 0


def test_without_a_token_nothing_passes(tmp_path: Path) -> None:
    front = Collector("in-front.yaml", tmp_path / "front")

    async def run() -> list[int]:
        await front.start()
        sender = PatientSender(front.http, {})
        tried = [{}, {"authorization": "Bearer wrong"}, {"authorization": f"Bearer {TOKEN}"}]
        statuses = [sender.status(deliveries()[0], headers) for headers in tried]
        sender.close()
        await front.end(signal.SIGKILL)
        return statuses

    assert asyncio.run(run()) == [401, 401, 200]
