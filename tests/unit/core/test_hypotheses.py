"""Hypotheses: working out how many searches a figure holds finds what trying every number finds."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from spanledger.config.prices import load_price_book
from spanledger.core.client_prices import ClientPricing, Origin
from spanledger.core.hypotheses import FACTS, SEARCHES_MAX, Match, as_stated, with_changes
from spanledger.core.rating_input import RatingInput
from spanledger.core.usage import Provider, Speed, Tokens

BOOK = load_price_book()
# Factors of known errors, and one that makes rates of no whole pico-USD.
WAYS = [ClientPricing(Origin.ERRATUM, BOOK, factor=factor) for factor in (Fraction(1), Fraction(3, 2), Fraction(1, 7))]
COUNTS = st.one_of(st.just(0), st.integers(0, 100_000))
CALLS = st.builds(
    RatingInput,
    provider=st.sampled_from([Provider.ANTHROPIC, Provider.BEDROCK]),
    model=st.sampled_from(["claude-opus-5-5", "claude-haiku-5-5", "claude-sonnet-5"]),
    at_unix_nano=st.just(1_795_500_000 * 10**9),
    tokens=st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.integers(0, 2)).map(lambda n: Tokens(*n)),
    speed=st.sampled_from(Speed),
    inference_geo=st.sampled_from(["", "us"]),
)


@given(
    CALLS,
    st.sampled_from(WAYS),
    st.sampled_from(Speed),
    st.sampled_from(["", "us"]),
    st.integers(0, SEARCHES_MAX + 1),
    st.one_of(st.just(0), st.integers(-2_000, 2_000), st.just(10**6)),
    st.booleans(),
)
def test_every_way_that_gives_the_figure_is_found(
    stated: RatingInput, way: ClientPricing, speed: Speed, geo: str, searches: int, off: int, is_rounded: bool
) -> None:
    served = replace(_searched(stated, searches), speed=speed, inference_geo=geo)
    figure = (way.cost_picousd(served) or 0) + off
    if is_rounded:
        figure = figure // 10**6 * 10**6
    for number in FACTS:
        assert with_changes(WAYS, stated, number, figure) == _by_trying(stated, number, figure)


def _by_trying(stated: RatingInput, number: int, figure: int) -> list[Match]:
    """Price the call with every set of so many changes."""
    found = []
    for way in WAYS:
        for speed in (stated.speed, *(one for one in Speed if one is not stated.speed)):
            for has_geo in (False, True):
                for searches in range(SEARCHES_MAX + 1):
                    if (speed is not stated.speed) + has_geo + bool(searches) == number:
                        geo = "us" if has_geo else stated.inference_geo
                        tried = replace(_searched(stated, searches), speed=speed, inference_geo=geo)
                        found.extend(as_stated([way], tried, figure))
    return found


def _searched(call: RatingInput, searches: int) -> RatingInput:
    return replace(call, tokens=call.tokens._replace(web_search=call.tokens.web_search + searches))
