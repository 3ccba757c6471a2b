"""A hundred sessions of one or two exports each: what other dashboards show as $50 is $125 here, by whatever names."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from spanledger.config.sections import Settings
from spanledger.dashboards.boards import build
from spanledger.dashboards.recording import FILE_NAME
from spanledger.dashboards.settings import BACKENDS, BoardSettings, Naming
from support.backends import VICTORIAMETRICS, Prometheus, VictoriaMetrics
from support.backfilled import KEPT, Exporting, Past
from support.boards import Board, money, shown
from support.booking import open_books
from support.history import MINUTE, SECOND
from support.recorded import record, rules_in
from support.telling import NOW, Client, Usage

pytestmark = pytest.mark.prometheus

MODEL = "claude-opus-5-5"  # 4 USD per million tokens of input: 250,000 are 1 USD
SESSIONS = 100
END_OF_MONTH_SECONDS = 20 * 86_400
NAMED = {
    Naming.UNDERSCORES: "{}",
    Naming.SUFFIXES: "otlp: {translation_strategy: NoUTF8EscapingWithSuffixes}",
    Naming.VERBATIM: "otlp: {translation_strategy: NoTranslation}",
}
"""How Prometheus is told to name what comes."""


def book_sessions(folder: Path, prometheus: Prometheus) -> Past:
    """Each costs 1 USD in its first export, and every second one 0.50 USD in another: 100 x 1 + 50 x 0.50 = 125."""
    start = NOW // MINUTE * MINUTE - 200 * MINUTE
    with open_books(folder / "ledger.db") as books:
        exporting = Exporting(books.parts, Settings(), folder / "ledger.db", prometheus)
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
    prometheus.settle()
    return Past(folder / "ledger.db", prometheus, start // SECOND, end // SECOND)


async def panels(prometheus: Prometheus, settings: BoardSettings) -> dict[tuple[str, ...], float]:
    """What money panels say of the sessions in a backend; the overview's total among it."""
    texts = build(settings)
    rules = rules_in(texts.pop(FILE_NAME))
    boards = [Board(json.loads(text)) for text in texts.values()]
    await prometheus.start()
    try:
        past = await asyncio.to_thread(book_sessions, prometheus.folder, prometheus)
        await asyncio.to_thread(record, prometheus.url, past.start_unix, past.end_unix, MINUTE // SECOND, rules)
        await asyncio.to_thread(prometheus.settle)
        (overview,) = (board for board in boards if board.content["uid"] == "spanledger-overview")
        found = {("total",): await asyncio.to_thread(shown, past, overview, "Spent")}
        this_month = await asyncio.to_thread(shown, past, overview, "Spent", END_OF_MONTH_SECONDS)
        assert this_month == found[("total",)], "a range that ends in the future"
        for board in boards:
            found |= await asyncio.to_thread(money, past, board)
    finally:
        await prometheus.stop()
    return found


def named(folder: Path, naming: Naming) -> Prometheus:
    return Prometheus(folder, config=NAMED[naming], flags=KEPT)


def test_a_hundred_short_sessions_are_125_dollars_on_the_board(tmp_path: Path) -> None:
    found = asyncio.run(panels(named(tmp_path, Naming.UNDERSCORES), BACKENDS["prometheus"]))
    assert found[("total",)] == pytest.approx(125, abs=0.000001)


@pytest.mark.parametrize("naming", [Naming.SUFFIXES, Naming.VERBATIM])
def test_boards_of_other_names_say_the_same(naming: Naming, tmp_path: Path) -> None:
    committed = asyncio.run(panels(named(tmp_path / "committed", Naming.UNDERSCORES), BACKENDS["prometheus"]))
    found = asyncio.run(panels(named(tmp_path / "named", naming), BoardSettings(naming=naming)))
    assert found[("total",)] == pytest.approx(125, abs=0.000001)
    assert found == pytest.approx(committed, abs=0.000001)


@pytest.mark.skipif(not VICTORIAMETRICS, reason="no VictoriaMetrics: `make victoriametrics` builds it")
@pytest.mark.parametrize(
    ("backend", "flags"), [("victoriametrics", ()), ("mimir", ("-opentelemetry.usePrometheusNaming",))]
)
def test_boards_for_victoriametrics_say_the_same_there(backend: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    committed = asyncio.run(panels(named(tmp_path / "committed", Naming.UNDERSCORES), BACKENDS["prometheus"]))
    victoriametrics = VictoriaMetrics(tmp_path / "victoriametrics", flags=flags)
    found = asyncio.run(panels(victoriametrics, BACKENDS[backend]))
    assert found[("total",)] == pytest.approx(125, abs=0.000001)
    assert found == pytest.approx(committed, abs=0.000001)


def test_boards_without_anchored_say_the_same_totals(tmp_path: Path) -> None:
    """Bars alone are extrapolated to their ends."""
    found = asyncio.run(panels(named(tmp_path, Naming.UNDERSCORES), BACKENDS["mimir"]))
    assert found[("total",)] == pytest.approx(125, abs=0.000001)
