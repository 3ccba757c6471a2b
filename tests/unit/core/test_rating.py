"""Rating: rates by instant, amounts by hand, and everything that would change the price refused aloud."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from spanledger.config.prices import load_price_book
from spanledger.core.rating import rate
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Bound, Tariff, Unpriced, UnpricedReason
from spanledger.core.usage import Provider, Speed, Tokens

BOOK = load_price_book()


def nano(instant: str) -> int:
    return int(datetime.fromisoformat(instant).replace(tzinfo=UTC).timestamp()) * 10**9


def call(model: str, instant: str = "2026-11-20", **more) -> RatingInput:
    facts = {"provider": Provider.ANTHROPIC, "tokens": Tokens(input=1), **more}
    return RatingInput(model=model, at_unix_nano=nano(instant), **facts)


@dataclass(frozen=True)
class Priced:
    tariff: Tariff
    cost_picousd: int
    bounds: tuple[Bound, ...]


def priced(asked: RatingInput) -> Priced:
    """A call that must have a price."""
    tariff = rate(BOOK, asked)
    assert isinstance(tariff, Tariff)
    return Priced(tariff, tariff.cost_picousd(asked.tokens), tariff.bounds_of(asked.tokens))


@pytest.mark.parametrize(
    ("instant", "cache_read_usd_per_mtok"),
    [("2026-10-06T23:59:59", "0.20"), ("2026-10-07T00:00:00", "0.10")],
)
def test_a_price_holds_from_its_instant_on(instant: str, cache_read_usd_per_mtok: str) -> None:
    rated = priced(call("claude-sonnet-5-5", instant, tokens=Tokens(cache_read=1_000_000)))
    assert rated.cost_picousd == int(float(cache_read_usd_per_mtok) * 100) * 10**10


def test_each_class_has_its_own_rate() -> None:
    tokens = Tokens(input=1, output=10, cache_read=100, cache_write_5m=1000, cache_write_1h=10_000)
    rated = priced(call("claude-fable-5-2", tokens=tokens))
    # $8, $40, $0.20, $10 and $16 per million: 8,000,000 pico-USD a token and so on.
    expected = (8_000_000, 10 * 40_000_000, 100 * 200_000, 1000 * 10_000_000, 10_000 * 16_000_000)
    assert rated.cost_picousd == sum(expected)
    assert rated.bounds == ()
    assert rated.tariff.row.id == "claude-fable-5-2@2026-11-09T00:00:00Z"


def test_writes_without_a_time_to_live_are_a_lower_bound() -> None:
    rated = priced(call("claude-opus-5-5", tokens=Tokens(cache_write_unspecified=1)))
    assert (rated.cost_picousd, rated.bounds) == (5_000_000, (Bound.CACHE_WRITE_TTL,))  # $5, not the $8 of an hour


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (call("gpt-9"), UnpricedReason.UNKNOWN_MODEL),
        (call(""), UnpricedReason.UNKNOWN_MODEL),
        (
            call("arn:aws:bedrock:us-east-1:1:application-inference-profile/a", provider=Provider.BEDROCK),
            UnpricedReason.OPAQUE_PROFILE,
        ),
        (call("claude-opus-5-5", provider=Provider.OTHER), UnpricedReason.UNKNOWN_PROVIDER),
        (call("claude-opus-5-5", "2020-01-01"), UnpricedReason.NO_PRICE_YET),
        (call("claude-opus-5-5", speed=Speed.FAST, batch=True), UnpricedReason.BATCH),
        (call("claude-opus-5-5", speed=Speed.FAST, provider=Provider.VERTEX), UnpricedReason.FAST),
        (call("claude-fable-5-2", speed=Speed.FAST, provider=Provider.ANTHROPIC_AWS), UnpricedReason.FAST),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_right_price_has_a_reason(asked: RatingInput, reason: UnpricedReason) -> None:
    outcome = rate(BOOK, asked)
    assert isinstance(outcome, Unpriced)
    assert outcome.reason is reason
    assert outcome.detail


ONE_OF_EACH = Tokens(input=1, output=1, cache_read=1, cache_write_5m=1, cache_write_1h=1)


@pytest.mark.parametrize(
    ("asked", "modifiers", "usd_per_million"),
    [
        # Opus 5.5 fast: 8 + 40 + 0.4 + 10 + 16
        (call("claude-opus-5-5", speed=Speed.FAST, tokens=ONE_OF_EACH), ("fast",), Decimal("74.4")),
        # Opus 4.6 fast ran at 30/150 until 2026-06-29: 30 + 150 + 3 + 37.5 + 60; since then at 5 + 25 + 0.5 + 6.25 + 10
        (call("claude-opus-4-6", "2026-06-28", speed=Speed.FAST, tokens=ONE_OF_EACH), ("fast",), Decimal("280.5")),
        (call("claude-opus-4-6", "2026-06-29", speed=Speed.FAST, tokens=ONE_OF_EACH), (), Decimal("46.75")),
        # Opus 5.5: (4 + 20 + 0.2 + 5 + 8) x 1.1
        (call("claude-opus-5-5", inference_geo="US", tokens=ONE_OF_EACH), ("us_residency x1.1",), Decimal("40.92")),
        # Haiku 4.5 has no residency premium: 1 + 5 + 0.1 + 1.25 + 2
        (call("claude-haiku-4-5", inference_geo="us", tokens=ONE_OF_EACH), (), Decimal("9.35")),
        (
            call("us.anthropic.claude-opus-5-5", provider=Provider.BEDROCK, tokens=ONE_OF_EACH),
            ("regional x1.1",),
            Decimal("40.92"),
        ),
        (
            call("anthropic.claude-opus-5-5", provider=Provider.BEDROCK, tokens=ONE_OF_EACH),
            ("regional x1.1",),
            Decimal("40.92"),
        ),
        (
            call("anthropic.claude-opus-5-5", provider=Provider.BEDROCK, region="global", tokens=ONE_OF_EACH),
            (),
            Decimal("37.2"),
        ),
        # (4 + 20 + 0.2 + 5 + 8) x 1.2
        (
            call(
                "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/anthropic.claude-opus-5-5",
                provider=Provider.BEDROCK,
                tokens=ONE_OF_EACH,
            ),
            ("govcloud x1.2",),
            Decimal("44.64"),
        ),
        (
            call("us-gov.anthropic.claude-opus-5-5", provider=Provider.BEDROCK, tokens=ONE_OF_EACH),
            ("govcloud x1.2",),
            Decimal("44.64"),
        ),
        (
            call("claude-opus-5-5", provider=Provider.VERTEX, region="europe-west1", tokens=ONE_OF_EACH),
            ("regional x1.1",),
            Decimal("40.92"),
        ),
        # (4 + 20 + 0.2 + 5 + 8) x 0.5, and with residency x 1.1
        (call("claude-opus-5-5", batch=True, tokens=ONE_OF_EACH), ("batch x0.5",), Decimal("18.6")),
        (
            call("claude-opus-5-5", batch=True, inference_geo="us", tokens=ONE_OF_EACH),
            ("us_residency x1.1", "batch x0.5"),
            Decimal("20.46"),
        ),
        # A web search is $0.01 flat, $10,000 a million: 4 x 1.1 + 10,000
        (
            call("claude-opus-5-5", inference_geo="us", tokens=Tokens(input=1, web_search=1)),
            ("us_residency x1.1",),
            Decimal("10004.4"),
        ),
        # Haiku 5.5 above 100,000 tokens: 100,001 x 0.05
        (call("claude-haiku-5-5", tokens=Tokens(cache_read=100_001)), ("long_prompt",), Decimal("5000.05")),
        (call("claude-haiku-5-5", tokens=Tokens(cache_read=100_000)), (), Decimal(1000)),
    ],
    ids=lambda value: str(value) if isinstance(value, Decimal) else "",
)
def test_modifiers_change_the_price(asked: RatingInput, modifiers: tuple[str, ...], usd_per_million: Decimal) -> None:
    rated = priced(asked)
    assert rated.tariff.modifiers == modifiers
    assert rated.cost_picousd == usd_per_million * 10**6
    assert rated.bounds == ()


@pytest.mark.parametrize(
    ("asked", "bounds"),
    [
        (call("claude-sonnet-5-5", speed=Speed.FAST), (Bound.FAST,)),  # never had fast inference
        (call("claude-opus-4-7", "2026-05-11", speed=Speed.FAST), (Bound.FAST,)),  # not yet
        (call("claude-opus-4-7", "2026-07-24", speed=Speed.FAST), (Bound.FAST,)),  # no longer
        (call("claude-opus-4-8", "2026-11-30", speed=Speed.FAST), (Bound.FAST,)),  # nobody says what comes then
        (call("claude-opus-4-6", "2026-06-29", speed=Speed.FAST), ()),  # documented: bills as standard
        (call("claude-opus-5-5", speed=Speed.FAST), ()),
    ],
)
def test_fast_without_a_known_price_is_the_standard_one_as_a_lower_bound(
    asked: RatingInput, bounds: tuple[Bound, ...]
) -> None:
    rated = priced(asked)
    assert rated.bounds == bounds


def test_an_unknown_region_is_a_lower_bound_where_regions_differ() -> None:
    newer = priced(call("claude-opus-5-5", provider=Provider.VERTEX))
    assert (newer.cost_picousd, newer.bounds) == (4_000_000, (Bound.REGION,))
    older = priced(call("claude-3-5-haiku@20241022", provider=Provider.VERTEX))
    assert older.bounds == ()


@pytest.mark.parametrize(
    "asked",
    [
        call("global.anthropic.claude-opus-5-5", provider=Provider.BEDROCK),
        call("claude-opus-5-5", provider=Provider.VERTEX, region="global"),
        call("us.anthropic.claude-3-5-haiku-20241022-v1:0", provider=Provider.BEDROCK),  # older: no premium
        call("claude-haiku-5-5", tokens=Tokens(input=1, cache_read=99_999)),  # exactly 100,000 is not above
        call("claude-opus-4-6", speed=Speed.FAST),  # since 2026-06-29 it runs and bills standard
    ],
)
def test_the_list_rate_holds_where_no_premium_does(asked: RatingInput) -> None:
    assert priced(asked).tariff.factor == 1
