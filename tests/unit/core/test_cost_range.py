"""The least and the most that a charge may have cost, by the facts that its evidence leaves open; by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanledger.core.cost_range import CostRange
from spanledger.core.delivery import Delivery
from spanledger.core.posting import Status
from support.booking import open_books
from support.telling import NOW, SECOND, Client, Usage

MICRO = 10**6
START = NOW - 10 * SECOND
OPEN = Usage(1_000, 200, 30_000, 7_000)
TOLD = Usage(1_000, 200, 30_000, 7_000, write_5m=4_000, write_1h=3_000)
OPUS = "claude-opus-5-5"

client = Client()
vertex = Client(sender={"anthropic.provider": "vertex"})
old = Client(version="2.1.197")

# Opus 5.5 in micro-USD: 1,000 x 4 + 200 x 20 + 30,000 x 0.2 = 14,000 without cache writes, twice that fast.
SHORT = 14_000 + 7_000 * 5
LONG = 14_000 + 7_000 * 8
EXACT = 14_000 + 4_000 * 5 + 3_000 * 8
FAST = 2 * 14_000 + 7_000 * 10
FAST_LONG_US = (2 * 14_000 + 7_000 * 16) * 11 // 10
SEARCHES = 20 * 10_000


@pytest.mark.parametrize(
    ("delivery", "status", "least", "most"),
    [
        pytest.param(client.log("r", OPUS, TOLD, cost_usd=0.058), Status.EXACT, EXACT, EXACT, id="log"),
        pytest.param(client.span("r", OPUS, OPEN), Status.PROVISIONAL, SHORT, FAST_LONG_US, id="span"),
        pytest.param(
            client.span("r", OPUS, OPEN, speed="fast"), Status.PROVISIONAL, SHORT, FAST_LONG_US, id="span asked fast"
        ),
        pytest.param(
            client.span("r", OPUS, OPEN, query_source_safe="web_search_tool"),
            Status.PROVISIONAL,
            SHORT,
            FAST_LONG_US + SEARCHES,
            id="span of a search",
        ),
        pytest.param(
            client.sums(OPUS, OPEN, 0, start=START),
            Status.LOWER_BOUND,
            SHORT,
            LONG * 11 // 10 + SEARCHES,
            id="sums without a cost",
        ),
        pytest.param(client.sums(OPUS, OPEN, 0.058, start=START), Status.EXACT, EXACT, EXACT, id="sums"),
        pytest.param(old.sums(OPUS, OPEN, 0, start=START), Status.PROVISIONAL, 0, LONG * 11 // 10 + SEARCHES, id="old"),
        pytest.param(
            vertex.log("r", OPUS, TOLD, cost_usd=0.058), Status.LOWER_BOUND, EXACT, EXACT * 11 // 10, id="no region"
        ),
        pytest.param(client.log("r", "team-opus", TOLD, cost_usd=0.058), Status.UNPRICED, 0, None, id="no price"),
        pytest.param(
            # 80,000 of Opus 4.8, and as much again: served fast, or 8 searches.
            client.log("r", "claude-opus-4-8", TOLD, cost_usd=0.16), Status.LOWER_BOUND, 80_000, 176_000, id="several"
        ),
    ],
)  # fmt: skip
def test_a_charge_has_the_range_of_its_open_facts(
    delivery: Delivery, status: Status, least: int, most: int | None, tmp_path: Path
) -> None:
    with open_books(tmp_path / "ledger.db") as books:
        (charge,) = books.take(delivery).rest().charges
        assert charge.status is status
        assert books.costs == CostRange(least * MICRO, None if most is None else most * MICRO)


def test_a_span_is_charged_as_asked_and_may_have_cost_less(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db") as books:
        (charge,) = books.take(client.span("r", OPUS, OPEN, speed="fast")).rest().charges
        assert charge.cost_picousd == FAST * MICRO > books.costs.least_picousd


def test_fast_inference_without_a_known_price_has_no_most(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db") as books:
        log = client.log("r", "claude-sonnet-5-5", TOLD, cost_usd=0.5, speed="fast")
        (charge,) = books.take(log).rest().charges
        assert "fast" in charge.price.bounds
        assert books.costs.most_picousd is None


def test_ranges_add_up() -> None:
    one, other = CostRange(1, 2), CostRange(10, 20)
    assert one.plus(other) == CostRange(11, 22)
    assert one.plus(CostRange(0, None)) == CostRange(1, None)
    assert not CostRange(3, 3).is_open
    assert one.is_open
    assert CostRange(3, None).is_open


def test_a_session_and_a_call_say_their_range(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db") as books:
        books.take(client.span("r", OPUS, OPEN), client.log("r2", OPUS, TOLD, cost_usd=0.058)).rest()
        call = books.explain("r").as_json()["charge"]
        assert (call["least_usd"], call["cost_usd"], call["most_usd"]) == ("0.049", "0.049", "0.154")
        session = books.session("session-1").as_json()
        # 0.049 + 0.058 and 0.154 + 0.058
        assert (session["least_usd"], session["cost_usd"], session["most_usd"]) == ("0.107", "0.107", "0.212")
