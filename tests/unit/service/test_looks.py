"""When a session is held against its client's sums: when something came that they may tell more of, no sooner."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from spanledger.core.delivery import Delivery
from support.booking import Books, open_books
from support.telling import NOW, SECOND, Client, Usage

CLIENT = Client()
CALL = Usage(107, 53, 12_011, 513, write_5m=513, write_1h=0)
OPUS, ALIAS = "claude-opus-5-5", "team-opus"
USD = 0.0064552  # 107 x 4 + 53 x 20 + 12,011 x 0.2 + 513 x 5 = 6,455.2 micro-USD

LOG = CLIENT.log("req_1", OPUS, CALL, cost_usd=USD, speed="normal")
SPAN = CLIENT.span("req_1", OPUS, CALL)
SUMS = CLIENT.sums(OPUS, CALL, USD, start=NOW - 30 * SECOND, end=NOW + 30 * SECOND)
EARLIER = CLIENT.sums(OPUS, CALL, USD, start=NOW - 60 * SECOND, end=NOW - 30 * SECOND)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    with open_books(tmp_path / "ledger.db") as books:
        yield books


def will_be_looked_at(books: Books) -> bool:
    return books.ledger.residuals.is_noted("session:session-1")


@pytest.mark.parametrize("deliveries", [(LOG,), (LOG, SPAN), (SPAN, LOG), (EARLIER, LOG)])
def test_a_call_that_explains_itself_waits_for_its_sums(books: Books, deliveries: tuple[Delivery, ...]) -> None:
    for delivery in deliveries:
        books.take(delivery).rest()
    assert not will_be_looked_at(books)
    books.take(SUMS)
    assert will_be_looked_at(books)


@pytest.mark.parametrize("late", [LOG, CLIENT.log("req_1", OPUS, CALL, cost_usd=USD, at=NOW + 30 * SECOND + 10**8)])
def test_a_call_whose_sums_came_is_looked_at(books: Books, late: Delivery) -> None:
    books.take(SUMS).rest()
    books.take(late)
    assert will_be_looked_at(books)
    # The residual that the sums were posted as is taken back: charged once.
    assert books.rest().cost_usd == "0.0064552"


def test_a_lone_span_is_looked_at_when_its_sums_are_there(books: Books) -> None:
    books.take(SUMS).rest()
    books.take(SPAN)
    assert not will_be_looked_at(books)  # its log may come
    books.take(at=books.now_unix_nano + 20 * SECOND)
    assert will_be_looked_at(books)


@pytest.mark.parametrize(
    "deliveries",
    [
        (LOG, CLIENT.span("req_1", ALIAS, CALL)),
        (CLIENT.span("req_1", ALIAS, CALL), LOG),
        (CLIENT.log("req_1", OPUS, CALL, cost_usd=0.9), SPAN),
    ],
    ids=["an alias's model", "an alias's model, the log last", "the model that an open figure was asked of"],
)
def test_records_that_tell_of_one_another_are_looked_at_without_sums(
    books: Books, deliveries: tuple[Delivery, ...]
) -> None:
    books.take(*deliveries)
    assert will_be_looked_at(books)


def test_a_figure_that_may_hold_cut_attempts_is_held_against_sums_before_it(books: Books) -> None:
    books.take(EARLIER).rest()
    books.take(CLIENT.log("req_1", OPUS, CALL, cost_usd=0.9))
    assert will_be_looked_at(books)
