"""Tests with a real Collector. `make test-collector` builds it and names it in OTELCOL."""

from __future__ import annotations

import pytest

from support.collectors import BINARY


@pytest.fixture(autouse=True)
def _collector() -> None:
    if not BINARY:
        pytest.skip("no Collector: set OTELCOL, or run `make test-collector`, which builds one")
