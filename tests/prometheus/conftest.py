"""Tests with a real Prometheus and promtool. `make test-prometheus` builds them and names them."""

from __future__ import annotations

import os

import pytest

from support.backends import PROMETHEUS


@pytest.fixture(autouse=True)
def _prometheus() -> None:
    if not (PROMETHEUS and os.environ.get("PROMTOOL")):
        pytest.skip("no Prometheus and promtool: run `make test-prometheus`, which builds them")
