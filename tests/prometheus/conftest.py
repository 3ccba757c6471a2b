"""Tests with a real Prometheus and promtool. `make test-prometheus` builds them and names them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from support.backends import PROMETHEUS, Prometheus
from support.backfilled import KEPT, Past, book_the_past

DEVELOPERS = int(os.environ.get("SPANLEDGER_TEST_DEVELOPERS", "200"))


@pytest.fixture(autouse=True, scope="session")
def _prometheus() -> None:
    if not (PROMETHEUS and os.environ.get("PROMTOOL")):
        pytest.skip("no Prometheus and promtool: run `make test-prometheus`, which builds them")


@pytest.fixture(scope="session")
def past(_prometheus: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """A month of a fleet, made once: booked, exported, and in a Prometheus that answers."""
    folder = tmp_path_factory.mktemp("past")
    prometheus = Prometheus(folder / "prometheus", flags=KEPT)
    with asyncio.Runner() as runner:
        runner.run(prometheus.start())
        try:
            yield book_the_past(folder, prometheus, developers=DEVELOPERS)
        finally:
            runner.run(prometheus.stop())
