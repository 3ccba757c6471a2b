"""Verdicts: what the client's own figure gives away, and that nothing is taken from it that is not certain.

K numbers name bugs that other tools have or had.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.config.clients import load_client_prices
from spanledger.config.prices import load_price_book
from spanledger.core.money import parse_usd
from spanledger.core.rating import rate
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Tariff
from spanledger.core.usage import Provider, Speed, Tokens
from spanledger.core.verdict import Judgement, Verdict, judge

BOOK, CLIENTS = load_price_book(), load_client_prices()
NOW = "2.1.330"
TOKENS = Tokens(input=107, output=53, cache_read=12_011, cache_write_5m=513)


def call(model: str = "claude-opus-5-5", tokens: Tokens = TOKENS, at: str = "2026-11-20", **more) -> RatingInput:
    instant = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()) * 10**9
    return RatingInput(**{"provider": Provider.ANTHROPIC, **more}, model=model, at_unix_nano=instant, tokens=tokens)


def judged(asked: RatingInput, usd: str, version: str = NOW) -> Judgement:
    return judge(BOOK, CLIENTS, version, asked, parse_usd(usd))


def ours(asked: RatingInput) -> int:
    tariff = rate(BOOK, asked)
    assert isinstance(tariff, Tariff)
    return tariff.cost_picousd(asked.tokens)


def test_the_list_price_is_equal() -> None:
    # 107 x 4 + 53 x 20 + 12,011 x 0.2 + 513 x 5 = 6,455.2 micro-USD (capture s01)
    assert judged(call(), "0.0064552") == Judgement(Verdict.EQUAL, call())


@pytest.mark.parametrize(
    ("model", "version", "at", "usd", "ours_usd"),
    [
        # K14: 10,000 x 5 + 1,000 x 25 micro-USD = 0.075; version 2.1.159 says three times as much.
        ("claude-opus-4-8", "2.1.159", "2026-06-02", "0.225", "0.075"),
        # 10,000 x 3 + 1,000 x 15 = 0.045; the same version says 5/3 of it.
        ("claude-sonnet-4-5", "2.1.159", "2026-06-02", "0.075", "0.045"),
        # K15: 10,000 x 2 + 1,000 x 10 = 0.03; the client says 1.5 times as much.
        ("claude-sonnet-5", "2.1.240", "2026-08-19", "0.045", "0.03"),
        # 2.1.197 does not know newer models: 10,000 x 0.1 + 1,000 x 0.5 = 0.0015, said ten times as much.
        ("claude-haiku-5-5", "2.1.197", "2026-11-20", "0.015", "0.0015"),
        # 10,000 x 4 + 1,000 x 20 = 0.06, said at 5/25.
        ("claude-opus-5-5", "2.1.197", "2026-11-20", "0.075", "0.06"),
        # 10,000 x 2 + 1,000 x 10 = 0.03, said at 3/15.
        ("claude-sonnet-5-5", "2.1.197", "2026-11-20", "0.045", "0.03"),
    ],
)
def test_k14_k15_a_known_error_of_a_version_is_named_and_never_charged(
    model: str, version: str, at: str, usd: str, ours_usd: str
) -> None:
    asked = call(model, Tokens(input=10_000, output=1_000), at)
    judgement = judged(asked, usd, version)
    assert (judgement.verdict, judgement.inferred, judgement.call) == (Verdict.CLIENT_TABLE, False, asked)
    assert judgement.citation
    assert ours(judgement.call) == parse_usd(ours_usd)


def test_k16_a_client_that_leaves_tokens_out_changes_nothing() -> None:
    # The figure lacks the cache reads: 6,455.2 - 2,402.2 micro-USD.
    judgement = judged(call(), "0.004053")
    assert (judgement.verdict, judgement.call) == (Verdict.UNEXPLAINED, call())


def test_the_served_speed_is_told_by_the_figure() -> None:
    # Asked fast (twice the rates), served and billed standard (capture s07f).
    asked = call(speed=Speed.FAST)
    judgement = judged(asked, "0.0064552")
    assert (judgement.verdict, judgement.inferred, judgement.call.speed) == (
        Verdict.INFERRED_FACTS,
        True,
        Speed.STANDARD,
    )


def test_fast_unasked_of_a_model_billed_standard_costs_the_standard_rates() -> None:
    # Opus 4.6 at 30/150 in the client's table: 107 x 30 + 53 x 150 + 12,011 x 3 + 513 x 37.5 = 66,430.5
    judgement = judged(call("claude-opus-4-6"), "0.0664305")
    assert (judgement.verdict, judgement.call.speed) == (Verdict.INFERRED_FACTS, Speed.FAST)
    # 107 x 5 + 53 x 25 + 12,011 x 0.5 + 513 x 6.25 = 11,071.75
    assert ours(judgement.call) == parse_usd("0.01107175")


def test_us_residency_is_told_by_the_figure() -> None:
    judgement = judged(call(), "0.00710072")  # 6,455.2 x 1.1
    assert (judgement.verdict, judgement.call.inference_geo) == (Verdict.INFERRED_FACTS, "us")
    assert ours(judgement.call) == parse_usd("0.00710072")


@pytest.mark.parametrize("searches", [1, 3, 20])
def test_k36_web_searches_are_told_by_the_figure(searches: int) -> None:
    judgement = judged(call(), f"{0.0064552 + searches * 0.01:.7f}")
    assert (judgement.verdict, judgement.call.tokens.web_search) == (Verdict.INFERRED_FACTS, searches)
    assert ours(judgement.call) == parse_usd("0.0064552") + searches * 10**10


def test_two_facts_at_once_are_found() -> None:
    judgement = judged(call(), "0.02710072")  # 6,455.2 x 1.1 and two searches, which residency does not multiply
    assert (judgement.call.inference_geo, judgement.call.tokens.web_search) == ("us", 2)


def test_21_searches_are_not_looked_for() -> None:
    assert judged(call(), "0.2164552").verdict is Verdict.UNEXPLAINED


def test_k54_the_time_to_live_is_told_by_the_figure() -> None:
    # Sonnet 5: 6 x 2 + 384 x 10 + 22,076 x 0.2 + 11,352 x 2.5 = 36,647.2 micro-USD with all writes for five minutes;
    # 48,647 - 36,647.2 = 11,999.8, and an hour costs 1.5 more a token: 8,000 of them, to the figure's rounding.
    asked = call("claude-sonnet-5", Tokens(6, 384, 22_076, cache_write_unspecified=11_352))
    judgement = judged(asked, "0.048647", "2.1.250")
    assert judgement.call.tokens == Tokens(6, 384, 22_076, cache_write_5m=3_352, cache_write_1h=8_000)
    assert (judgement.verdict, judgement.inferred) == (Verdict.INFERRED_FACTS, True)


def test_a_time_to_live_that_the_figure_is_too_coarse_for_is_not_taken() -> None:
    # Haiku 5.5: an hour costs 0.075 micro-USD more a token, and the figure is rounded to whole micro-USD.
    asked = call("claude-haiku-5-5", Tokens(1_000, 100, 0, cache_write_unspecified=10_000))
    judgement = judged(asked, "0.001777")
    assert (judgement.inferred, judgement.call) == (False, asked)


def test_a_time_to_live_that_a_coarse_figure_tells_all_the_same_is_taken() -> None:
    # Haiku 4.5: 1,000 x 1 + 200 x 5 + 30,000 x 0.1 + 7,000 x 1.25 = 13,750 micro-USD; an hour costs 0.75 more a token,
    # and only 3,000 of them make 16,000 to the rounding: 2,999 make 15,999.25.
    asked = call("claude-haiku-4-5", Tokens(1_000, 200, 30_000, cache_write_unspecified=7_000))
    assert judged(asked, "0.016").call.tokens.cache_write_1h == 3_000


def test_searches_beside_a_free_mixture_of_writes_are_not_taken() -> None:
    # Opus 5.5, 49,000 micro-USD with all writes for five minutes: two searches and 1,000 of an hour would do, but with
    # two free numbers something nearly always does.
    asked = call(tokens=Tokens(1_000, 200, 30_000, cache_write_unspecified=7_000))
    judgement = judged(asked, "0.072")
    assert (judgement.verdict, judgement.is_open, judgement.call) == (Verdict.UNEXPLAINED, True, asked)
    assert judged(asked, "0.069").call.tokens.web_search == 2


def test_a_known_error_of_a_version_leaves_no_other_reading_of_its_figure() -> None:
    # 2.1.197 prices Fable 5.1 as Fable 5: 110,000 + 3,000 x 7.5 + ... = 160,000 micro-USD with 3,000 writes of an hour.
    # At list the same figure would be 6,000 of them.
    asked = call("claude-fable-5-1", Tokens(1_000, 200, 30_000, cache_write_unspecified=7_000))
    assert judged(asked, "0.16", "2.1.197").call.tokens.cache_write_1h == 3_000
    assert judged(asked, "0.16").call.tokens.cache_write_1h == 6_000


def test_a_regional_premium_is_ours_alone() -> None:
    asked = call("us.anthropic.claude-opus-5-5", provider=Provider.BEDROCK)
    assert judged(asked, "0.0064552") == Judgement(Verdict.REGIONAL_PREMIUM, asked)
    assert ours(asked) == parse_usd("0.00710072")


def test_residency_is_not_read_into_bedrock() -> None:
    asked = call("global.anthropic.claude-opus-5-5", provider=Provider.BEDROCK)
    judgement = judged(asked, "0.00710072")
    assert judgement.inferred is False
    assert judgement.verdict is Verdict.MANAGED_RATES


def test_an_administrators_multiplier_is_named() -> None:
    # 6,455.2 x 0.85
    assert judged(call(), "0.00548692") == Judgement(Verdict.MANAGED_RATES, call())


def test_a_model_that_nobody_knows() -> None:
    # The client prices it as the session's default model (capture s07).
    assert judged(call("acme-model-9"), "0.0064552").verdict is Verdict.UNKNOWN_MODEL


@given(
    st.tuples(*(st.integers(0, 200_000) for _ in range(5))).map(lambda counts: Tokens(*counts)),
    st.sampled_from(["claude-opus-5-5", "claude-sonnet-5", "claude-haiku-5-5", "claude-fable-5-2"]),
)
def test_the_list_price_is_always_equal_and_infers_nothing(tokens: Tokens, model: str) -> None:
    asked = call(model, tokens)
    judgement = judge(BOOK, CLIENTS, NOW, asked, ours(asked))
    assert judgement == Judgement(Verdict.EQUAL, asked)


@given(st.integers(0, 10**12))
def test_whatever_a_client_says_only_a_whole_explanation_changes_the_charge(cost_picousd: int) -> None:
    judgement = judge(BOOK, CLIENTS, NOW, call(), cost_picousd)
    if judgement.inferred:
        assert abs(ours(judgement.call) - cost_picousd) <= 10**6
    else:
        assert judgement.call == call()
