"""A hundred sessions of one or two exports each: what other dashboards show as $50 is $125 here."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from spanledger.config.sections import Settings
from support.backends import Prometheus
from support.backfilled import KEPT, Exporting, Past
from support.boards import read_boards, shown
from support.booking import open_books
from support.history import MINUTE, SECOND
from support.telling import NOW, Client, Usage

pytestmark = pytest.mark.prometheus

MODEL = "claude-opus-5-5"  # 4 USD per million tokens of input: 250,000 are 1 USD
SESSIONS = 100


def test_a_hundred_short_sessions_are_125_dollars_on_the_board(tmp_path: Path) -> None:
    """Each costs 1 USD in its first export, and every second one 0.50 USD in another: 100 x 1 + 50 x 0.50 = 125."""

    async def run() -> None:
        prometheus = Prometheus(tmp_path / "prometheus", flags=KEPT)
        await prometheus.start()
        try:
            start = NOW // MINUTE * MINUTE - 200 * MINUTE
            with open_books(tmp_path / "ledger.db") as books:
                exporting = Exporting(books.parts, Settings(), tmp_path / "ledger.db", prometheus)
                exporting.export(start)
                for number in range(SESSIONS):
                    at, client = start + (number + 1) * MINUTE, Client(session=f"session-{number}", user="dev")
                    books.take(client.log(f"req_{number}", MODEL, Usage(input=250_000), at=at - SECOND), at=at)
                    exporting.export(at)
                    if number % 2:
                        again = client.log(f"req_{number}b", MODEL, Usage(input=125_000), at=at + SECOND)
                        books.take(again, at=at + 2 * SECOND)
                books.rest()
                end = start + (SESSIONS + 5) * MINUTE
                exporting.export(end - MINUTE)
                exporting.export(end)
            past = Past(tmp_path / "ledger.db", prometheus, start // SECOND, end // SECOND)
            (overview,) = (board for board in read_boards() if board.content["uid"] == "spanledger-overview")
            assert await asyncio.to_thread(shown, past, overview, "Spent") == pytest.approx(125, abs=0.000001)
        finally:
            await prometheus.stop()

    asyncio.run(run())
