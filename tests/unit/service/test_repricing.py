"""Repricing beside a service, and what is left to it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from spanledger.config.sections import Settings
from spanledger.core.delivery import Receipt
from spanledger.core.errors import ConfigError
from spanledger.core.posting import Reason
from spanledger.core.pricing import Span
from spanledger.service.assembly import policy_of
from spanledger.service.repricing import Repricer, open_to_reprice
from spanledger.service.restatement import Restatement
from support.booking import open_books
from support.replaying import list_prices, read_folder
from support.repricing import prices_without, reprice
from support.serving import CENTURY_SECONDS, Running, running, standing
from support.telling import NOW, SECOND, Client, Usage
from support.truth import CAPTURES

OPUS = "claude-opus-5-5"
POLICY = policy_of(Settings(), list_prices())
HOUR = 3_600 * SECOND
DAY = 24 * HOUR


def test_it_adds_postings_beside_the_process_that_serves_the_ledger(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db", prices=prices_without(OPUS)) as serving:
        serving.take(Client().log("req-1", OPUS, Usage(input=1_000))).rest()
        serving.parts.pipeline.use(list_prices())
        beside = open_to_reprice(tmp_path / "ledger.db", list_prices(), POLICY, post=True)
        assert reprice(beside, list_prices()).postings == 2
        beside.close()
        serving.take(Client().log("req-2", OPUS, Usage(input=500))).rest()
        assert serving.cost_usd == "0.006"  # (1,000 + 500) x 4 micro-USD; `rest` checks that the series agree


def test_it_refuses_beside_a_service_that_prices_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_books(path, prices=prices_without(OPUS)) as serving:
        serving.take(Client().log("req-1", OPUS, Usage(input=1_000))).rest()
        with pytest.raises(ConfigError) as refused:
            open_to_reprice(path, list_prices(), POLICY, post=True)
        assert f"prices by early, this configuration by {list_prices().book.id}" in str(refused.value)
        trying = open_to_reprice(path, list_prices(), POLICY, post=False)
        assert reprice(trying, list_prices(), post=False).postings == 2
        trying.close()
    alone = open_to_reprice(path, list_prices(), POLICY, post=True)  # nobody serves it any more
    assert reprice(alone, list_prices()).postings == 2
    alone.close()


def test_it_refuses_beside_a_service_that_books_by_other_settings(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    billed = Settings.model_validate({"basis": {"rules": [{"plan": "max", "basis": "billed"}]}})
    with open_books(path, billed):
        with pytest.raises(ConfigError, match="has other settings"):
            open_to_reprice(path, list_prices(), POLICY, post=True)
        open_to_reprice(path, list_prices(), policy_of(billed, list_prices()), post=True).close()


def test_what_is_posted_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """A log comes for a span that is just being priced again: the log's charge stands, once."""
    client, usage = Client(), Usage(input=1_000)
    with open_books(tmp_path / "ledger.db", prices=prices_without(OPUS)) as serving:
        serving.take(client.span("req-1", OPUS, usage), client.log("req-2", OPUS, usage)).rest()
        serving.parts.pipeline.use(list_prices())
        beside = open_to_reprice(tmp_path / "ledger.db", list_prices(), POLICY, post=True)
        repricer = Repricer(beside, list_prices(), POLICY, Span(0), post=True)
        late = [client.log("req-1", OPUS, usage)]

        def clock() -> int:
            """Asked for before and after a portion is worked out; between the two the log comes."""
            clocks.append(NOW)
            if len(clocks) == 2:
                serving.take(*late, at=NOW + HOUR)
            return NOW + HOUR

        clocks: list[int] = []
        found = repricer.run(repricer.portions(), clock, lambda _: None)
        beside.close()
        serving.rest()
        assert len(clocks) == 4  # worked out twice
        assert serving.cost_usd == "0.008"
        assert found.postings == 2  # of req-2; req-1 got its price by its log
        reasons = [posting.reason for posting in serving.ledger.postings.of("req-1")]
        assert reasons == [None, Reason.LATE_LOG, Reason.LATE_LOG]


def test_beside_a_busy_service_nothing_is_lost_or_refused(tmp_path: Path) -> None:
    """600 calls come while everything is priced again, over and over."""
    calls, path = 600, tmp_path / "ledger.db"
    client, usage = Client(), Usage(input=1_000)
    names = [f"req-{number}" for number in range(calls)]
    work = [client.logs([client.event(name, OPUS, usage) for name in names[n : n + 20]]) for n in range(0, calls, 20)]

    async def take(up: Running) -> None:
        for delivery in work:
            assert await up.service.consume(delivery) == Receipt()

    async def run() -> int:
        async with running(path) as up:
            taking, posted = asyncio.create_task(take(up)), 0
            while not taking.done():
                posted += (await asyncio.to_thread(reprice_beside, path)).postings
            await taking
            assert up.service.watch.fault is None
            return posted

    with open_books(path, prices=prices_without(OPUS)) as early:
        early.take(client.log("req-early", OPUS, usage)).rest()
    assert asyncio.run(run()) == 2
    replayed = standing(path)
    assert replayed.problems == []
    # 601 calls of 1,000 tokens at 4 micro-USD
    assert replayed.figures.report.cost_picousd == 601 * 4_000 * 10**6


def reprice_beside(path: Path) -> Restatement:
    settings = Settings.model_validate({"settle": {"clock_skew_max_seconds": CENTURY_SECONDS}})
    beside = open_to_reprice(path, list_prices(), policy_of(settings, list_prices()), post=True)
    try:
        return reprice(beside, list_prices(), settings=settings)
    finally:
        beside.close()


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
