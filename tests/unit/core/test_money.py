"""Money: exact in, exact out; anything finer, larger or stranger is refused."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.core.money import (
    format_usd,
    parse_usd,
    picousd_from_reported,
    picousd_of_double,
    rate_picousd_per_token,
    rate_usd_per_mtok,
    usd_double,
)


@pytest.mark.parametrize(
    ("usd_per_mtok", "picousd_per_token"),
    [("4", 4_000_000), ("0.20", 200_000), ("18.75", 18_750_000), ("0.000001", 1), ("0", 0), ("1E+1", 10_000_000)],
)
def test_a_price_compiles_to_whole_picousd_per_token(usd_per_mtok: str, picousd_per_token: int) -> None:
    assert rate_picousd_per_token(usd_per_mtok) == picousd_per_token
    assert Decimal(rate_usd_per_mtok(picousd_per_token)) == Decimal(usd_per_mtok)


@pytest.mark.parametrize("text", ["0.0000001", "-1", "NaN", "Infinity", "", "1,5", "1e99", "0x1"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"pico-USD|number|decimal|larger"):
        rate_picousd_per_token(text)


@given(st.integers(-(10**30), 10**30))
def test_printing_is_exact_and_plain(picousd: int) -> None:
    text = format_usd(picousd)
    assert Fraction(text) * 10**12 == picousd
    assert re.fullmatch(r"-?\d+(\.\d*[1-9])?", text)
    if picousd >= 0:
        assert parse_usd(text) == picousd


@given(st.integers(-(2**52), 2**52))
def test_a_double_gives_its_amount_back(picousd: int) -> None:
    assert picousd_of_double(usd_double(picousd)) == picousd


@pytest.mark.parametrize(
    ("reported", "picousd"),
    [
        (0.0064551999999999995, 6_455_200_000),  # capture s01: the client's sum in doubles
        ("0.0064551999999999995", 6_455_200_000),
        (0.1 + 0.2, 300_000_000_000),
        (1e-7, 100_000),
        (0, 0),
        (3, 3 * 10**12),
    ],
)
def test_a_clients_double_stands_for_the_nearest_picousd(reported: float | str, picousd: int) -> None:
    assert picousd_from_reported(reported) == picousd


@pytest.mark.parametrize("reported", [-0.01, float("nan"), float("inf"), "free", 1e300])
def test_a_reported_figure_that_is_no_cost_is_refused(reported: float | str) -> None:
    with pytest.raises(ValueError, match=r"number|larger"):
        picousd_from_reported(reported)


def test_finer_than_a_picousd_is_not_money() -> None:
    with pytest.raises(ValueError, match="finer"):
        parse_usd("0.0000000000001")
