"""Residuals: when they are of, however late they are looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanledger.config.sections import Settings
from spanledger.core.usage import Evidence
from spanledger.service.assembly import assemble
from spanledger.service.pipeline import prepare
from support.booking import open_books
from support.replaying import read_folder, replay_folders
from support.telling import NOW, SECOND, Client, Usage
from support.truth import CAPTURES

DAY = 86_400 * 10**9


def test_a_residual_that_is_looked_at_weeks_later_is_still_of_its_interval(tmp_path: Path) -> None:
    """The service was down from the commit on: 8 days are more than `settle.clock_skew_max_seconds`."""
    folder = CAPTURES / "s04d_stream_cut"
    reference = replay_folders([folder], tmp_path / "reference.db")
    parts = assemble(Settings(), tmp_path / "ledger.db", forward=False)
    bodies = read_folder(folder)
    now = max(body.received_unix_nano or 0 for body in bodies)
    for body in bodies:
        parts.pipeline.accept([prepare(body.delivery, parts.meter)], now)
    while parts.pipeline.advance(now + 8 * DAY):
        pass
    postings = list(parts.ledger.postings.all())
    parts.ledger.close()
    residuals = [posting for posting in postings if posting.charge.evidence is Evidence.METRIC]
    assert residuals
    expected = [p for p in reference.postings if p.charge.evidence is Evidence.METRIC]
    assert [p.charge for p in residuals] == [p.charge for p in expected]


@pytest.mark.parametrize("session", ["session-1", ""], ids=["sums of the session", "sums without a session"])
def test_a_late_log_takes_the_place_of_its_residual_at_once(session: str, tmp_path: Path) -> None:
    """1,000 x 4 + 200 x 20 + 10,000 x 0.2 = 10,000 micro-USD; never twice that, not until the next look either."""
    client, usage = Client(), Usage(1_000, 200, 10_000)
    sums = Client(session=session).sums("claude-opus-5-5", usage, 0.01, start=NOW - SECOND, end=NOW + SECOND)
    with open_books(tmp_path / "ledger.db") as books:
        books.take(sums).rest()
        assert [charge.evidence for charge in books.charges] == [Evidence.METRIC]
        books.take(client.log("req_1", "claude-opus-5-5", usage, cost_usd=0.01), at=NOW + 90 * SECOND)
        assert [charge.evidence for charge in books.charges] == [Evidence.LOG]
        assert books.cost_usd == "0.01"


def test_a_late_span_takes_the_place_of_its_residual_when_it_is_charged(tmp_path: Path) -> None:
    client, usage = Client(), Usage(1_000, 200, 10_000)
    sums = client.sums("claude-opus-5-5", usage, 0.01, start=NOW - SECOND, end=NOW + SECOND)
    with open_books(tmp_path / "ledger.db") as books:
        books.take(sums).rest()
        books.take(client.span("req_1", "claude-opus-5-5", usage), at=NOW + 90 * SECOND)
        assert [charge.evidence for charge in books.charges] == [Evidence.METRIC]  # it waits for its log
        books.take(at=NOW + 101 * SECOND)
        assert [charge.evidence for charge in books.charges] == [Evidence.SPAN]
        assert books.cost_usd == "0.01"
