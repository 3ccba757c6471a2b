"""Repricing beside a service, and what is left to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanledger.core.errors import ConfigError
from spanledger.core.pricing import Span
from spanledger.service.repricing import open_to_reprice
from support.booking import open_books
from support.replaying import list_prices, read_folder
from support.repricing import prices_without, reprice
from support.telling import NOW, SECOND, Client, Usage
from support.truth import CAPTURES

OPUS = "claude-opus-5-5"
HOUR = 3_600 * SECOND
DAY = 24 * HOUR


def test_it_adds_postings_beside_the_process_that_serves_the_ledger(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db", prices=prices_without(OPUS)) as serving:
        serving.take(Client().log("req-1", OPUS, Usage(input=1_000))).rest()
        serving.parts.pipeline.use(list_prices())
        beside = open_to_reprice(tmp_path / "ledger.db", list_prices(), post=True)
        assert reprice(beside, list_prices()).postings == 2
        beside.close()
        serving.take(Client().log("req-2", OPUS, Usage(input=500))).rest()
        assert serving.cost_usd == "0.006"  # (1,000 + 500) x 4 micro-USD; `rest` checks that the series agree


def test_it_refuses_beside_a_service_that_prices_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_books(path, prices=prices_without(OPUS)) as serving:
        serving.take(Client().log("req-1", OPUS, Usage(input=1_000))).rest()
        with pytest.raises(ConfigError) as refused:
            open_to_reprice(path, list_prices(), post=True)
        assert f"prices by early, this configuration by {list_prices().book.id}" in str(refused.value)
        trying = open_to_reprice(path, list_prices(), post=False)
        assert reprice(trying, list_prices(), post=False).postings == 2
        trying.close()
    alone = open_to_reprice(path, list_prices(), post=True)  # nobody serves it any more
    assert reprice(alone, list_prices()).postings == 2
    alone.close()


def test_a_call_of_a_clock_that_is_off_belongs_to_the_time_that_it_was_received(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db", prices=prices_without(OPUS)) as books:
        books.take(Client().log("req-1", OPUS, Usage(input=1_000), at=NOW - 300 * DAY), at=NOW).rest()
        assert reprice(books.ledger, list_prices(), Span(NOW - 301 * DAY, NOW - 299 * DAY)).charges == 0
        assert reprice(books.ledger, list_prices(), Span(NOW, NOW + 1)).postings == 2


def test_sums_that_wait_for_their_first_look_are_left_to_it(tmp_path: Path) -> None:
    """A log may still come: what looks like residual now need not be one."""
    usage = Usage(input=1_000)
    client = Client()
    with open_books(tmp_path / "ledger.db", prices=prices_without(OPUS)) as books:
        books.take(client.sums(OPUS, usage, 0.004, start=NOW - 60 * SECOND), at=NOW)
        books.parts.pipeline.use(list_prices())
        assert reprice(books.ledger, list_prices()).postings == 0
        books.take(client.log("req-1", OPUS, usage, at=NOW - SECOND), at=NOW + SECOND).rest()
        assert books.cost_usd == "0.004"
        assert books.ledger.postings.last_id() == 1


def test_calls_without_a_session_are_taken_hour_by_hour(tmp_path: Path) -> None:
    """A group that never ends is no more than an hour of work at a time."""
    client = Client(session="")
    with open_books(tmp_path / "ledger.db", prices=prices_without(OPUS)) as books:
        for hour in range(30):
            at = NOW + hour * HOUR
            books.take(client.log(f"req-{hour}", OPUS, Usage(input=1_000), at=at), at=at)
        books.rest()
        portions = books.ledger.portions.of_period(Span(NOW + HOUR, NOW + 25 * HOUR), DAY)
        assert [portion.records for portion in portions] == [1] * 24
        assert reprice(books.ledger, list_prices(), Span(NOW + HOUR, NOW + 25 * HOUR)).postings == 48
        assert books.figures.report.unpriced_requests == 6


def test_residuals_are_priced_again(tmp_path: Path) -> None:
    """The two cut attempts of this capture are residual of 0.0110056 USD; what was served in all is 0.0177712."""
    with open_books(tmp_path / "ledger.db", prices=prices_without(OPUS)) as books:
        for body in read_folder(CAPTURES / "s04d_stream_cut"):
            books.take(body.delivery, at=body.received_unix_nano or 0)
        books.rest()
        assert [residual.cost_picousd for residual in books.residuals] == [None, None]
        found = reprice(books.ledger, list_prices())
        books.rest()
        assert books.cost_usd == "0.0177712"
        assert sum(residual.cost_picousd or 0 for residual in books.residuals) == 110_056 * 10**5
        assert found.unpriced == {}
