"""Restatement: a price that came late, or was wrong, and what becomes of figures that were told already."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from spanledger.config.prices import Layers, load_price_book
from spanledger.core.money import format_usd
from spanledger.core.posting import Reason, Status
from spanledger.core.pricing import Span
from spanledger.core.semconv import Metric
from spanledger.core.usage import Basis
from spanledger.service.restatement import Difference, Line
from support.booking import Books, open_books
from support.replaying import list_prices
from support.repricing import prices_times, prices_without, reprice, series_with_adjustment
from support.telling import NOW, SECOND, Client, Usage

HOUR = 3_600 * SECOND
OPUS = "claude-opus-5-5"  # 4 / 20 / 0.20 / 5 / 8 USD per million
CLIENT = Client(resource={"cost_center": "cc-7"})


def series(books: Books, metric: Metric) -> dict[str, int]:
    """A metric's series by their last label: the reason of a twin's."""
    found: dict[str, int] = {}
    for state in books.ledger.series.states():
        if state.key.metric is metric:
            name = dict(state.key.labels).get("reason", "")
            found[name] = found.get(name, 0) + state.value
    return found


def test_k40_a_price_that_comes_after_the_usage(tmp_path: Path) -> None:
    """langfuse/langfuse#12184: a price added with an earlier start changed nothing that was there.

    1,000 x 4 + 500 x 20 + 2,000 x 0.20 = 14,400 micro-USD.
    """
    usage = Usage(input=1_000, output=500, read=2_000)
    with open_books(tmp_path / "late.db", prices=prices_without(OPUS)) as late:
        late.take(CLIENT.log("req-1", OPUS, usage)).rest()
        assert late.figures.report.unpriced_requests == 1
        assert series(late, Metric.COST) == {}
        late.parts.pipeline.use(list_prices())
        found = reprice(late.ledger, list_prices())
        late.rest()
        assert late.cost_usd == "0.0144"
        # A first price takes nothing back: it counts where the cost would have been counted.
        assert series(late, Metric.COST) == {"": 14_400 * 10**6}
        assert series(late, Metric.COST_ADJUSTMENT) == {}
        assert series(late, Metric.USER_COST) == {"": 14_400 * 10**6}
        # The request was counted as unpriced and can't be uncounted: its twin moves it.
        assert series(late, Metric.REQUESTS) == {"": 1}
        assert series(late, Metric.REQUESTS_ADJUSTMENT) == {"reprice": 0}
        in_time = prices_from_the_start(tmp_path, usage)
        assert series_with_adjustment(late.ledger) == in_time
        assert found.differences == {
            Line(Basis.BILLED, "cc-7", OPUS): Difference(1, 1, None, 14_400 * 10**6),
        }
        first, back, put = late.ledger.postings.of("req-1")
        assert (first.charge.status, put.charge.status) == (Status.UNPRICED, Status.EXACT)
        assert [(p.revision, p.corrects, p.reason) for p in (back, put)] == [
            (1, 0, Reason.REPRICE),
            (2, 0, Reason.REPRICE),
        ]
        assert (back.charge.price.price_book, put.charge.price.price_book) == ("early", list_prices().book.id)


def prices_from_the_start(tmp_path: Path, usage: Usage) -> object:
    with open_books(tmp_path / "in-time.db", prices=list_prices()) as books:
        books.take(CLIENT.log("req-1", OPUS, usage)).rest()
        return series_with_adjustment(books.ledger)


def test_a_second_run_posts_nothing(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db", prices=prices_without(OPUS)) as books:
        books.take(CLIENT.log("req-1", OPUS, Usage(input=10))).rest()
        assert reprice(books.ledger, list_prices()).postings == 2
        again = reprice(books.ledger, list_prices())
        assert (again.charges, again.postings, again.differences) == (1, 0, {})


def test_a_book_that_says_the_same_in_a_newer_version_corrects_nothing(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db", prices=prices_times(Fraction(1), (), "older")) as books:
        books.take(CLIENT.log("req-1", OPUS, Usage(input=10))).rest()
        assert reprice(books.ledger, list_prices()).postings == 0


def test_a_wrong_price_of_a_period_is_corrected_in_the_twins(tmp_path: Path) -> None:
    """Three calls an hour apart at 1.5 times the price; the middle one is of the period.

    100 x 4 = 400 micro-USD each; 600 were charged: 3 x 600 - 200 = 1,600.
    """
    with open_books(tmp_path / "ledger.db", prices=prices_times(Fraction(3, 2), [OPUS])) as books:
        for number in range(3):
            books.take(
                CLIENT.log(f"req-{number}", OPUS, Usage(input=100), at=NOW + number * HOUR), at=NOW + number * HOUR
            )
        books.rest()
        assert books.cost_usd == "0.0018"
        found = reprice(books.ledger, list_prices(), Span(NOW + HOUR, NOW + 2 * HOUR))
        books.rest()
        assert books.cost_usd == "0.0016"
        assert series(books, Metric.COST) == {"": 1_800 * 10**6}
        assert series(books, Metric.COST_ADJUSTMENT) == {"reprice": -200 * 10**6}
        assert series(books, Metric.TOKENS_ADJUSTMENT) == {}
        assert found.differences == {
            Line(Basis.BILLED, "cc-7", OPUS): Difference(1, 0, 600 * 10**6, 400 * 10**6),
        }
        assert found.books == {"wrong"}


def test_a_dry_run_tells_the_same_and_posts_nothing(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db", prices=prices_without(OPUS)) as books:
        books.take(CLIENT.log("req-1", OPUS, Usage(input=10))).rest()
        before = books.ledger.postings.last_id()
        told = reprice(books.ledger, list_prices(), post=False)
        assert books.ledger.postings.last_id() == before
        assert told == reprice(books.ledger, list_prices())


def test_what_has_no_price_still_is_told_with_what_to_do(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db", prices=prices_without(OPUS)) as books:
        books.take(CLIENT.log("req-1", "claude-next-9", Usage(input=10, output=5))).rest()
        found = reprice(books.ledger, list_prices())
        assert found.postings == 0
        ((why, left),) = found.unpriced.items()
        assert "claude-next-9" in why
        assert (left.requests, left.tokens) == (1, 15)


def test_a_contract_that_comes_late_is_charged_from_its_first_day_on(tmp_path: Path) -> None:
    """Two calls of 1,000 tokens at 4 micro-USD, an hour apart; 20 % off for cost center cc-7 from between the two.

    4,000 + 4,000 x 0.8 = 7,200 micro-USD; at list it stays 8,000.
    """
    contract = tmp_path / "contract.yaml"
    contract.write_text('discounts: [{cost_center: cc-7, multiplier: "0.8", from: "2026-11-24T06:30:00Z"}]\n')
    prices = replace(list_prices(), book=load_price_book(Layers(contract=contract)))
    with open_books(tmp_path / "ledger.db") as books:
        for number in range(2):
            at = NOW + number * HOUR
            books.take(CLIENT.log(f"req-{number}", OPUS, Usage(input=1_000), at=at), at=at)
        books.rest()
        found = reprice(books.ledger, prices)
        books.rest()
        assert books.cost_usd == "0.0072"
        assert format_usd(books.ledger.report().list_cost_picousd) == "0.008"
        assert found.differences == {
            Line(Basis.BILLED, "cc-7", OPUS): Difference(1, 0, 4_000 * 10**6, 3_200 * 10**6),
        }
        assert reprice(books.ledger, prices).postings == 0
