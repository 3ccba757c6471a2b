"""Residuals: when they are of, however late they are looked at."""

from __future__ import annotations

from pathlib import Path

from spanledger.config.sections import Settings
from spanledger.core.usage import Evidence
from spanledger.service.assembly import assemble
from spanledger.service.pipeline import prepare
from support.replaying import read_folder, replay_folders
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
