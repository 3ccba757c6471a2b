"""After a reprice everything is as if the price had been there from the start, whenever the book changed."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanledger.core.posting import Charge
from spanledger.core.settling import Prices
from support.booking import Books, open_books
from support.replaying import list_prices, read_folder
from support.repricing import contract_prices, prices_times, prices_without, reprice, series_with_adjustment
from support.truth import CAPTURES

SECOND = 10**9
FOLDERS = (
    "s03_subagent",
    "s04d_stream_cut",
    "s06b_permission_prompts",
    "s06c_auto_mode_classifier",
    "s07_models",
    "s07f_fast_mode",
    "s08_bedrock",
    "s10_cumulative",
    "s14_cache_1h",
    "s19_gateway",
    "s23_no_session_id",
    "older-client/s02_tools_edit_commit",
)
MODELS = [one.id for one in list_prices().book.models]


def standing(books: Books) -> dict[str, Charge]:
    """Charges that stand, whatever book they were rated by."""
    charges = books.charges
    return {one.identity: replace(one, price=replace(one.price, price_book="")) for one in charges}


def stale_books(draw: random.Random) -> Prices:
    """The list, without some models or with wrong prices of some."""
    models = draw.sample(MODELS, k=draw.choice((1, 3, len(MODELS) // 2, len(MODELS))))
    if draw.random() < 0.5:
        return prices_without(*models)
    return prices_times(Fraction(draw.choice((1, 3)), 2), models)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_price_that_comes_late_ends_as_one_that_was_there(name: str, tmp_path: Path) -> None:
    bodies = read_folder(CAPTURES / name)
    start = min(body.received_unix_nano or 0 for body in bodies)
    numbers = itertools.count()

    @settings(max_examples=max(5, settings().max_examples // 10))
    @given(st.randoms(use_true_random=False), st.sampled_from([0, SECOND // 10, 15 * SECOND]))
    def told(draw: random.Random, pace_nano: int) -> None:
        right = draw.choice((list_prices(), contract_prices()))
        deliveries = [
            body.delivery for body in draw.sample(bodies, k=len(bodies) - draw.choice((0, 0, len(bodies) // 3)))
        ]
        changes = draw.randrange(len(deliveries) + 1)
        number = next(numbers)
        with open_books(tmp_path / f"{number}-late.db", prices=stale_books(draw)) as late:
            for place, delivery in enumerate(deliveries):
                if place == changes:
                    late.parts.pipeline.use(right)
                    if draw.random() < 0.5:
                        reprice(late.ledger, right)
                late.take(delivery, at=start + place * pace_nano)
            late.rest()
            late.parts.pipeline.use(right)
            reprice(late.ledger, right)
            late.rest()
            assert reprice(late.ledger, right).postings == 0
            with open_books(tmp_path / f"{number}.db", prices=right) as in_time:
                for place, delivery in enumerate(deliveries):
                    in_time.take(delivery, at=start + place * pace_nano)
                in_time.rest()
                assert standing(late) == standing(in_time)
                assert series_with_adjustment(late.ledger) == series_with_adjustment(in_time.ledger)
                assert late.ledger.report() == in_time.ledger.report()

    told()
