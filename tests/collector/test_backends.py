"""Client versions, protocols, signals, backends: ledger against what was served, and each backend against the ledger.

The results are the table of docs/reference/compatibility.md: `make compatibility` writes them, and this test fails when
they are others.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from spanledger.core.gauges import GAUGES
from spanledger.core.money import format_usd, parse_usd, picousd_of_double
from spanledger.core.prometheus_names import prometheus_name
from spanledger.core.semconv import METRICS, Metric
from spanledger.core.usage import Signal
from spanledger.ledger.ledger import Ledger
from spanledger.otlp.encode import decode_sums
from spanledger.telemetry import COMMIT_DURATION, COUNTERS
from support.backends import PROMETHEUS, Prometheus, cost_picousd, scraped
from support.collectors import Archive, Collector, free_port, until
from support.replaying import read_folder
from support.serving import Transport, running, send, standing
from support.truth import CAPTURES, served

pytestmark = pytest.mark.collector

RESULTS = Path(__file__).parents[2] / "docs" / "reference" / "compatibility.json"
CLIENTS = {
    "2.1.197": CAPTURES / "older-client" / "s02_tools_edit_commit",
    "2.1.330": CAPTURES / "s02_tools_edit_commit",
    "2.1.330, auto mode": CAPTURES / "s06c_auto_mode_classifier",
}
SIGNALS = ("traces logs metrics", "logs metrics", "logs", "traces", "metrics")
OTLP, FILES, SCRAPE, PUSHED = "OTLP", "Collector, files", "Collector, Prometheus exporter", "Prometheus 3, OTLP"
DIRECT = "scrape of /metrics"
NAMES = {
    *(prometheus_name(spec.name, spec.unit, is_counter=spec.monotonic) for spec in METRICS.values()),
    *(prometheus_name(spec.name, spec.unit, is_counter=False) for spec in GAUGES.values()),
    *(prometheus_name(spec.name, spec.unit, is_counter=True) for spec in COUNTERS.values()),
    *(f"{prometheus_name(COMMIT_DURATION, 's', is_counter=False)}_{part}" for part in ("bucket", "count", "sum")),
}
"""Every name of docs/reference/metrics.md."""
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Backends:
    """Everything that our metrics are sent to."""

    archive: Archive
    files: Collector
    scrape: Collector
    scrape_address: str
    prometheus: Prometheus

    def destinations(self) -> dict[str, dict[str, object]]:
        """Settings that send to all of them."""
        pushed = {"endpoint": f"{self.prometheus.url}/api/v1/otlp", "protocol": "http/protobuf", "signals": []}
        several = {
            "files": {"endpoint": f"http://{self.files.grpc}"},
            "scrape": {"endpoint": f"http://{self.scrape.grpc}", "signals": []},
            "prometheus": pushed,
        }
        return {name: {**settings, "timeout_seconds": 60} for name, settings in several.items()}


@asynccontextmanager
async def backends(folder: Path) -> AsyncIterator[Backends]:
    archive = Archive(folder / "archive")
    scrape_address = f"127.0.0.1:{free_port()}"
    up = Backends(
        archive,
        Collector("behind-files.yaml", folder / "files", {"ARCHIVE": str(archive.folder)}),
        Collector("behind-scrape.yaml", folder / "scrape", {"SCRAPE": scrape_address}),
        scrape_address,
        Prometheus(folder / "prometheus"),
    )
    await asyncio.gather(up.files.start(), up.scrape.start(), up.prometheus.start())
    try:
        yield up
    finally:
        await asyncio.gather(up.files.end(signal.SIGTERM), up.scrape.end(signal.SIGTERM), up.prometheus.stop())


@dataclass(frozen=True)
class Run:
    """One client, protocol and set of signals: what the ledger says, and what arrived where."""

    client: str
    protocol: Transport
    signals: str
    ledger_picousd: int
    arrived: dict[str, int]
    names: dict[str, set[str]]

    @property
    def row(self) -> dict[str, object]:
        """The run as the table has it."""
        difference = self.ledger_picousd - parse_usd(str(served(CLIENTS[self.client]).cost_usd))
        sign = "-" if difference < 0 else ""
        return {
            "client": self.client,
            "protocol": self.protocol.value,
            "signals": self.signals,
            "difference_usd": sign + format_usd(abs(difference)),
            "backends": {name: amount == self.ledger_picousd for name, amount in self.arrived.items()},
        }


async def run_one(up: Backends, folder: Path, client: str, protocol: Transport, signals: str) -> Run:
    ledger_path = folder / f"{client}-{protocol.name}-{signals.replace(' ', '-')}.db"
    wanted = {Signal(one) for one in signals.split()}
    deliveries = [b.delivery for b in read_folder(CLIENTS[client]) if b.delivery.signal in wanted]
    patience = {"forward__flush_timeout_seconds": "60", "exporter__timeout_seconds": "60"}
    async with running(ledger_path, destinations=up.destinations(), **patience) as service:
        await send(protocol, service.addresses, deliveries)
        await service.service.rest()
        assert service.addresses.admin is not None
        await asyncio.to_thread(scraped, service.addresses.admin)  # a new series says 0 to the first scrape
        of_service = await asyncio.to_thread(scraped, service.addresses.admin)
    sink = service.sink
    instance = instance_of(ledger_path)
    of_archive, of_scrape, of_prometheus = (
        await asyncio.to_thread(archived, up.archive, instance),
        await asyncio.to_thread(scraped, up.scrape_address, instance),
        await asyncio.to_thread(up.prometheus.samples, instance),
    )
    return Run(
        client,
        protocol,
        signals,
        standing(ledger_path).figures.report.cost_picousd,
        {
            OTLP: sink.metric_totals()[Metric.COST],
            FILES: of_archive,
            SCRAPE: cost_picousd(of_scrape),
            PUSHED: cost_picousd(of_prometheus),
            DIRECT: cost_picousd(of_service),
        },
        {
            SCRAPE: {one.name for one in of_scrape},
            PUSHED: {one.name for one in of_prometheus},
            DIRECT: {one.name for one in of_service},
        },
    )


def instance_of(ledger_path: Path) -> str:
    ledger = Ledger.read(ledger_path)
    instance = ledger.database.meta("service_instance_id")
    ledger.close()
    assert instance is not None
    return instance


def archived(archive: Archive, instance: str) -> int:
    """Series + adjustment of the cost of one ledger, as the files say it last."""
    latest = {}
    for body in archive.read()[Signal.METRICS]:
        if instance.encode() in body:
            latest |= {(p.metric, p.attributes): p for p in decode_sums(body) if p.metric.startswith("spanledger.cost")}
    names = (Metric.COST, Metric.COST_ADJUSTMENT)
    return sum(picousd_of_double(point.value) for (name, _), point in latest.items() if name in names)


@pytest.fixture(autouse=True)
def _prometheus() -> None:
    if not PROMETHEUS:
        pytest.skip("no Prometheus: set PROMETHEUS to a binary of version 3")


def test_every_combination_gives_the_same_money(tmp_path: Path) -> None:
    async def run() -> list[Run]:
        async with backends(tmp_path) as up:
            return [
                await run_one(up, tmp_path, client, protocol, signals)
                for client in CLIENTS
                for protocol in Transport
                for signals in SIGNALS
            ]

    runs = asyncio.run(run())
    results = [one.row for one in runs]
    if os.environ.get("COMPATIBILITY") == "write":
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    assert [(one.row, one.arrived) for one in runs if not all(one.row["backends"].values())] == []
    assert results == json.loads(RESULTS.read_text())
    assert [one for one in runs if one.names[SCRAPE] != one.names[PUSHED]] == [], "the same names, scraped or pushed"
    assert [one.names[PUSHED] ^ one.names[DIRECT] for one in runs if one.names[PUSHED] != one.names[DIRECT]] == []
    arrived = {name for one in runs for name in one.names[PUSHED]}
    assert arrived - NAMES == set()
    assert {"spanledger_cost_USD_total", "spanledger_cost_adjustment_USD", "spanledger_outbox_size_bytes"} <= arrived


SCRAPE_CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: spanledger
    static_configs: [{{targets: ["{address}"]}}]
"""


def test_prometheus_scrapes_the_service(tmp_path: Path) -> None:
    booked = parse_usd(str(served(CLIENTS["2.1.330"]).cost_usd))

    async def run() -> None:
        async with running(tmp_path / "ledger.db") as up:
            assert up.addresses.admin is not None
            prometheus = Prometheus(tmp_path / "prometheus", SCRAPE_CONFIG.format(address=up.addresses.admin))
            await prometheus.start()
            for body in read_folder(CLIENTS["2.1.330"]):
                await send(Transport.GRPC, up.addresses, [body.delivery])
            await up.service.rest()
            instance = up.addresses.admin
            await until(lambda: cost_picousd(prometheus.samples(instance)) == booked, TIMEOUT_SECONDS, f"{booked}")
            await prometheus.stop()

    asyncio.run(run())


def test_prometheus_adds_deltas_up_to_the_same(tmp_path: Path) -> None:
    async def run() -> tuple[int, int]:
        prometheus = Prometheus(tmp_path / "prometheus")
        await prometheus.start()
        ledger_path = tmp_path / "ledger.db"
        pushed = {"endpoint": f"{prometheus.url}/api/v1/otlp", "protocol": "http/protobuf", "signals": []}
        more = {"metrics__temporality": "delta", "metrics__interval_seconds": "0.1"}
        async with running(ledger_path, destinations={"prometheus": pushed}, **more) as up:
            for body in read_folder(CLIENTS["2.1.330"]):
                await send(Transport.GRPC, up.addresses, [body.delivery])
            await up.service.rest()
        samples = await asyncio.to_thread(prometheus.samples, instance_of(ledger_path))
        await prometheus.stop()
        return cost_picousd(samples), standing(ledger_path).figures.report.cost_picousd

    arrived, booked = asyncio.run(run())
    assert arrived == booked == parse_usd(str(served(CLIENTS["2.1.330"]).cost_usd))
