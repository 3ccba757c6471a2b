"""Sums of prices: the price of a whole is the sum of the prices of its parts, at list and by contract, in any split."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from spanledger.config.prices import Layers, load_price_book
from spanledger.core.book import PriceBook
from spanledger.core.rating import quote
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Tariff
from spanledger.core.usage import Provider, Speed, Tokens
from support.contracts import nano
from support.replaying import list_prices

MODELS = [model.id for model in list_prices().book.models]
COUNTS = st.integers(0, 10**9)
TOKENS = st.lists(st.builds(Tokens, *[COUNTS] * 7), min_size=1, max_size=8)
MULTIPLIERS = ("0.85", "0.875", "0.333333", "1", "1.234567", "0.000001")


@cache
def discounted(multiplier: str) -> PriceBook:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "contract.yaml"
        path.write_text(json.dumps({"discounts": [{"multiplier": multiplier}]}))
        return load_price_book(Layers(contract=path))


@settings(max_examples=150, deadline=None)
@given(
    parts=TOKENS,
    model=st.sampled_from(MODELS),
    multiplier=st.sampled_from(MULTIPLIERS),
    speed=st.sampled_from(Speed),
    inference_geo=st.sampled_from(["", "us"]),
    batch=st.booleans(),
)
def test_the_price_of_a_whole_is_the_sum_of_its_parts(
    parts: list[Tokens], model: str, multiplier: str, speed: Speed, inference_geo: str, batch: bool
) -> None:
    def costs(tokens: Tokens) -> tuple[int, int] | None:
        # the length of the prompt is that of a call, not of a sum
        call = RatingInput(
            Provider.ANTHROPIC, model, nano("2026-11-24"), tokens, speed, "", inference_geo, batch, prompt_tokens=0
        )
        quoted = quote(discounted(multiplier), call)
        if not isinstance(quoted.charged, Tariff) or not isinstance(quoted.listed, Tariff):
            return None
        return quoted.charged.cost_picousd(tokens), quoted.listed.cost_picousd(tokens)

    whole = costs(Tokens(*map(sum, zip(*parts, strict=True))))
    shares = [costs(part) for part in parts]
    if whole is None:
        assert set(shares) == {None}
    else:
        assert whole == tuple(map(sum, zip(*shares, strict=True)))


@settings(max_examples=50, deadline=None)
@given(model=st.sampled_from(MODELS), multiplier=st.sampled_from(MULTIPLIERS), batch=st.booleans())
def test_a_rounded_rate_is_off_by_half_a_pico_dollar_at_most(model: str, multiplier: str, batch: bool) -> None:
    call = RatingInput(Provider.ANTHROPIC, model, nano("2026-11-24"), Tokens(), inference_geo="us", batch=batch)
    quoted = quote(discounted(multiplier), call)
    assert isinstance(quoted.charged, Tariff)
    assert isinstance(quoted.listed, Tariff)
    numerator, denominator = int(multiplier.replace(".", "")), 10 ** len(multiplier.partition(".")[2])
    for charged, listed in zip(quoted.charged.rates[:-1], quoted.listed.rates[:-1], strict=True):
        assert abs(2 * (charged * denominator - listed * numerator)) <= denominator
    assert quoted.charged.rates.web_search == quoted.listed.rates.web_search
