"""The running service keeps days: a report need not read what it has rolled up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from spanledger.core.periods import Period, date_of
from spanledger.core.posting import Posting
from spanledger.core.usage import Basis
from spanledger.ledger.days import SLICE_POSTINGS
from spanledger.ledger.ledger import Ledger
from spanledger.service.usage_report import report_usage
from support.booking import open_books
from support.serving import running
from support.telling import NOW, Client, Usage


def test_the_service_rolls_up_what_it_finds(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_books(path) as books:
        books.take(Client().log("req_1", "claude-opus-4-5", Usage(input=1_000_000))).rest()  # $5
        (charge,) = books.charges
        more = range(2 * SLICE_POSTINGS)
        with books.ledger.transaction():
            books.ledger.postings.add(
                [Posting(replace(charge, identity=f"req_1_{number}"), 0, None, None, NOW) for number in more]
            )

    async def run() -> None:
        async with running(path):
            pass

    asyncio.run(run())
    zone = ZoneInfo("UTC")
    ledger = Ledger.read(path)
    assert ledger.days.kept_to(zone, frozenset()) == 2 * SLICE_POSTINGS  # one is left for readers
    day = date_of(charge.occurred_unix_nano, zone)
    totals = report_usage(ledger, Period(day, day, zone), ["user"], {}).totals
    assert totals[Basis.BILLED].cost_picousd == (2 * SLICE_POSTINGS + 1) * 5 * 10**12
    ledger.close()
