"""What backends say of our metrics: a real Prometheus, and a scrape of the Collector's Prometheus exporter."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from dataclasses import dataclass, field
from pathlib import Path

import requests

from spanledger.core.money import picousd_of_double
from support.collectors import free_port, until

PROMETHEUS = os.environ.get("PROMETHEUS", "")
"""Path of Prometheus, as `make test-collector` gives it when there is one."""
VICTORIAMETRICS = os.environ.get("VICTORIAMETRICS", "")
"""Path of VictoriaMetrics, as `make test-prometheus` gives it when there is one."""
_READY_SECONDS = 60
_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Sample:
    """The last value of a series."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(slots=True)
class Prometheus:
    """A Prometheus that takes OTLP, deltas too unless told otherwise."""

    folder: Path
    config: str = "{}"
    flags: tuple[str, ...] = ()
    takes_deltas: bool = True
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def otlp_url(self) -> str:
        """Where it takes OTLP."""
        return f"{self.url}/api/v1/otlp"

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "prometheus.yml"
        config.write_text(self.config)
        await self._run(
            PROMETHEUS,
            *(f"--config.file={config}", f"--storage.tsdb.path={self.folder / 'data'}"),
            *(f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-otlp-receiver"),
            *(("--enable-feature=otlp-deltatocumulative",) if self.takes_deltas else ()),
            *self.flags,
        )
        await until(self._is_ready, _READY_SECONDS, "Prometheus is ready")

    async def stop(self) -> None:
        """Stop it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        await self.process.wait()

    async def _run(self, *command: str) -> None:
        with (self.folder / "log.txt").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)

    def samples(self, instance: str) -> list[Sample]:
        """Last value of every series of ours from an instance."""
        query = {"query": f'{{__name__=~"spanledger_.*", instance="{instance}"}}'}
        answer = requests.get(f"{self.url}/api/v1/query", params=query, timeout=10)
        answer.raise_for_status()
        return [
            Sample(one["metric"].pop("__name__"), one["metric"], float(one["value"][1]))
            for one in answer.json()["data"]["result"]
        ]

    def settle(self) -> None:
        """Have queries find what was taken; here they do at once."""

    def _is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=5).ok
        except requests.ConnectionError:
            return False


class VictoriaMetrics(Prometheus):
    """A VictoriaMetrics that takes OTLP and keeps the past; it answers as Prometheus does."""

    @property
    def otlp_url(self) -> str:
        """Where it takes OTLP."""
        return f"{self.url}/opentelemetry"

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        await self._run(
            VICTORIAMETRICS,
            *(f"-storageDataPath={self.folder / 'data'}", f"-httpListenAddr=127.0.0.1:{self.port}"),
            *("-retentionPeriod=50y", "-search.disableCache", "-search.latencyOffset=0s"),
            *self.flags,
        )
        await until(self._is_ready, _READY_SECONDS, "VictoriaMetrics is ready")

    def settle(self) -> None:
        """Have queries find what was taken."""
        requests.get(f"{self.url}/internal/force_flush", timeout=10).raise_for_status()


def scraped(address: str, instance: str | None = None) -> list[Sample]:
    """Series of ours, of an instance or all, in a scrape of an address."""
    text = requests.get(f"http://{address}/metrics", timeout=10).text
    found = (_SAMPLE.match(line) for line in text.splitlines() if line.startswith("spanledger_"))
    samples = [
        Sample(one["name"], dict(_LABEL.findall(one["labels"] or "")), float(one["value"])) for one in found if one
    ]
    return [sample for sample in samples if instance in (None, sample.labels.get("instance"))]


def cost_picousd(samples: list[Sample]) -> int:
    """Series + adjustment of the cost."""
    names = ("spanledger_cost_USD_total", "spanledger_cost_adjustment_USD")
    return sum(picousd_of_double(sample.value) for sample in samples if sample.name in names)
