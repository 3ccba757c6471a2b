"""Tests with a real client. `make e2e-client` gets it, and runs them where there is no network but loopback."""

from __future__ import annotations

import pytest

from support.client_lab import CLIENT, LAB


@pytest.fixture(autouse=True)
def _client() -> None:
    if not (CLIENT and LAB):
        pytest.skip("no client or no lab: set CLIENT and LAB, or run `make e2e-client`, which gets the client")
