"""A real client, the running service and the ledger say the same of what was served."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from pathlib import Path

import pytest

from spanledger.core.money import format_usd, parse_usd
from spanledger.ledger.ledger import Ledger
from spanledger.service.sink import OtlpSink
from support.client_lab import GRPC, HTTP, Worked, scenarios, work
from support.collectors import until
from support.processes import COMMAND, service_environment, start_serve
from support.serving import standing
from support.truth import served

pytestmark = pytest.mark.client

_AT_REST_SECONDS = 60
_WINDOWS = {"SPANLEDGER_FORWARD__JOIN_WINDOW_SECONDS": "10", "SPANLEDGER_SETTLE__RESIDUAL_WAIT_SECONDS": "10"}
_SHOWN_TO_PICOUSD = 10**12 // 10_000 // 2
"""`/cost` shows four decimals."""
_NO_SESSIONS = frozenset({"s23_no_session_id"})
"""Scenarios whose metrics name no session, so that no sum of the client's is a session's."""


@pytest.mark.parametrize("scenario", scenarios())
def test_served_shown_and_booked_are_the_same(scenario: str, tmp_path: Path) -> None:
    """What the API served at list price = the ledger; what `/cost` shows = the client's sums as the ledger has them."""
    ledger_path = tmp_path / "ledger.db"
    worked = asyncio.run(_worked(scenario, ledger_path, tmp_path))
    left, truth = standing(ledger_path), served(worked.folder)
    report = left.figures.report
    assert truth.recorded, "the client sent no record of a call"
    assert not truth.untold
    assert left.problems == []
    assert format_usd(report.cost_picousd) == format_usd(parse_usd(str(truth.cost_usd)))
    assert report.unpriced_requests == truth.unpriced_requests
    if scenario not in _NO_SESSIONS:
        _assert_printed(worked, ledger_path)
    if worked.shown_picousd is not None:
        assert abs(left.figures.client_cost_picousd - worked.shown_picousd) <= _SHOWN_TO_PICOUSD


async def _worked(scenario: str, ledger_path: Path, scratch: Path) -> Worked:
    """Let the client work against a service of its own, until all that it sent is settled and has gone on."""
    sink = OtlpSink()
    await sink.start()
    listen = ("--grpc", GRPC, "--http", HTTP, "--otlp-endpoint", sink.grpc_endpoint)
    serving = await start_serve(ledger_path, *listen, environ=_WINDOWS)
    worked = await work(scenario, scratch)
    await until(lambda: _is_at_rest(ledger_path), _AT_REST_SECONDS, "all windows are closed and the outbox is empty")
    assert await serving.end(signal.SIGTERM) == (0, "")
    await sink.stop()
    worked.keep(sink.bodies)
    return worked


def _is_at_rest(ledger_path: Path) -> bool:
    """Whether nothing waits in a ledger: no join window, no reconciliation, no payload."""
    ledger = Ledger.read(ledger_path)
    waits = (
        ledger.evidence.next_due_unix_nano(),
        ledger.residuals.next_due_unix_nano(),
        ledger.outbox.oldest_unix_nano(),
    )
    ledger.close()
    return waits == (None, None, None)


def _assert_printed(worked: Worked, ledger_path: Path) -> None:
    """The client's own figures against its sums in the ledger, session by session."""
    for session, printed in worked.printed_picousd.items():
        asked = (COMMAND, "session", session, "--ledger", ledger_path, "--json")
        told = subprocess.run(asked, capture_output=True, text=True, check=True, env=service_environment())
        assert json.loads(told.stdout)["client_cost_usd"]["metric"] == format_usd(printed), session
