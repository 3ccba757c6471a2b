"""Every configuration of collector-config/, in the Collector that its manifest builds."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from support.collectors import BINARY, CONFIGS, Collector

pytestmark = pytest.mark.collector

COLLECTORS = sorted(path.name for path in CONFIGS.glob("*.yaml") if "service:" in path.read_text().splitlines())


def test_there_are_configurations() -> None:
    assert {"in-front.yaml", "behind.yaml", "sidecar.yaml", "migration.yaml"} <= set(COLLECTORS)


@pytest.mark.parametrize("name", COLLECTORS)
def test_it_starts_without_a_warning_and_stops(name: str, tmp_path: Path) -> None:
    async def run() -> tuple[int, str]:
        ports = {"SCRAPE": "127.0.0.1:0", "COLLECTOR_COST_GRPC": "127.0.0.1:0", "ARCHIVE": str(tmp_path)}
        collector = Collector(name, tmp_path / "collector", ports)
        await collector.start()
        return await collector.end(signal.SIGTERM), collector.log()

    code, log = asyncio.run(run())
    complaints = [line for line in log.splitlines() if re.search(r"\t(warn|error)\t", line)]
    assert code == 0
    # Nobody listens where it sends to, and gRPC says so.
    assert [line for line in complaints if '"grpc_log": true' not in line] == []


def test_the_manifest_has_exactly_the_components_that_are_used() -> None:
    listed = yaml.safe_load(subprocess.run([BINARY, "components"], capture_output=True, text=True, check=True).stdout)
    used: dict[str, set[str]] = {"receivers": set(), "processors": set(), "exporters": set(), "extensions": set()}
    for name in COLLECTORS:
        configuration = yaml.safe_load((CONFIGS / name).read_text())
        for kind, names in used.items():
            names.update(component.partition("/")[0] for component in configuration.get(kind, {}))
    built = {kind: {component["name"] for component in listed[kind]} for kind in used}
    assert used == built
