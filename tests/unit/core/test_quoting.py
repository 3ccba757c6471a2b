"""Contracts: which rule holds, what it leaves of a price, and that list and contract stay apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from spanledger.config.prices import Layers, load_price_book
from spanledger.core.rating import quote
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Tariff, Unpriced
from spanledger.core.usage import Provider, Speed, Tokens
from support.contracts import nano

RATES = {"input": "3", "output": "9", "cache_write_5m": "3.5", "cache_write_1h": "5", "cache_read": "0.15"}
MILLION = Tokens(input=1_000_000)
OPUS = "claude-opus-5-5"  # 4 / 20 / 5 / 8 / 0.20 at list; fast 8 / 40 / 10 / 16 / 0.40

Ask = Callable[..., "Told"]


@dataclass(frozen=True)
class Told:
    """A quote, and the tokens that it was asked for."""

    listed: Tariff | Unpriced
    charged: Tariff | Unpriced
    tokens: Tokens

    @property
    def cost_picousd(self) -> int:
        return self.charged.cost_picousd(self.tokens)


@pytest.fixture
def under(tmp_path: Path) -> Callable[..., Ask]:
    """A way to ask for prices under a contract."""

    def made(**contract: object) -> Ask:
        path = tmp_path / "contract.yaml"
        path.write_text(json.dumps(contract))
        book = load_price_book(Layers(contract=path))

        def ask(model: str = OPUS, at: str = "2026-11-20", cost_center: str = "", **facts: object) -> Told:
            given = {"provider": Provider.ANTHROPIC, "tokens": MILLION, **facts}
            return Told(
                *quote(book, RatingInput(model=model, at_unix_nano=nano(at), **given), cost_center), given["tokens"]
            )

        return ask

    return made


def usd(told: Told) -> tuple[float, float]:
    """What is charged and what the list says, in USD; these figures are small enough for a double."""
    return told.cost_picousd / 10**12, told.listed.cost_picousd(told.tokens) / 10**12


def test_a_discount_multiplies_the_list_and_leaves_it_beside(under) -> None:
    quoted = under(discounts=[{"multiplier": "0.85"}])()
    assert usd(quoted) == (3.4, 4.0)
    assert quoted.charged.modifiers == ("contract x0.85",)
    assert quoted.charged.row.id == "claude-opus-5-5@2026-09-22T00:00:00Z"
    assert quoted.listed.modifiers == ()


def test_a_discount_multiplies_with_modifiers_and_never_a_web_search(under) -> None:
    ask = under(discounts=[{"multiplier": "0.85"}])
    quoted = ask(inference_geo="us", batch=True, tokens=Tokens(input=1_000_000, web_search=3))
    # 4 x 1.1 x 0.5 x 0.85 + 3 x 0.01; at list 4 x 1.1 x 0.5 + 3 x 0.01
    assert usd(quoted) == (1.9, 2.23)
    assert str(quoted.charged.factor) == "187/400"  # 0.4675
    assert ask(speed=Speed.FAST).cost_picousd == 6_800_000_000_000  # 8 x 0.85


@pytest.mark.parametrize(
    ("facts", "multiplier"),
    [
        ({}, 0.9),
        ({"provider": Provider.ANTHROPIC_AWS}, 0.8),
        ({"model": "claude-opus-5"}, 0.7),
        ({"cost_center": "cc-1"}, 0.6),
        ({"cost_center": "cc-1", "model": "claude-opus-5"}, 0.6),  # one fact each: the cost center before the model
        ({"provider": Provider.ANTHROPIC_AWS, "model": "claude-opus-5"}, 0.5),
        ({"provider": Provider.ANTHROPIC_AWS, "model": "claude-opus-5", "cost_center": "cc-1"}, 0.5),  # two before one
        ({"cost_center": "cc-2"}, 0.9),
    ],
)
def test_the_most_specific_discount_counts_and_they_do_not_stack(under, facts, multiplier) -> None:
    ask = under(
        discounts=[
            {"multiplier": "0.9"},
            {"multiplier": "0.5", "provider": "anthropic_aws", "model": "claude-opus-5"},
            {"multiplier": "0.8", "provider": "anthropic_aws"},
            {"multiplier": "0.7", "model": "claude-opus-5"},
            {"multiplier": "0.6", "cost_center": "cc-1"},
        ]
    )
    charged, listed = usd(ask(**facts))
    assert charged == pytest.approx(listed * multiplier, abs=0)


@pytest.mark.parametrize(
    ("at", "charged"),
    [
        ("2026-09-30T23:59:59.999999+00:00", 4.0),
        ("2026-10-01T00:00:00", 3.6),
        ("2026-10-31T22:59:59", 3.6),
        ("2026-10-31T23:00:00", 3.2),  # November began in UTC+1
        ("2026-12-31T23:59:59", 3.2),
        ("2027-01-01T00:00:00", 3.6),
    ],
)
def test_discounts_hold_from_an_instant_inclusive_until_another_exclusive(under, at: str, charged: float) -> None:
    ask = under(
        discounts=[
            {"multiplier": "0.9", "from": "2026-10-01"},
            # The same calls, from later on: the newer agreement counts while it holds.
            {"multiplier": "0.8", "from": "2026-11-01T00:00:00+01:00", "until": "2027-01-01T00:00:00Z"},
        ]
    )
    assert usd(ask(at=at))[0] == charged


def test_an_override_is_final_and_no_discount_comes_on_top(under) -> None:
    ask = under(overrides=[{"model": OPUS, "rates": RATES}], discounts=[{"multiplier": "0.5"}])
    for facts in (
        {},
        {"speed": Speed.FAST},
        {"inference_geo": "us"},
        {"batch": True},
        {"batch": True, "speed": Speed.FAST},
    ):
        quoted = ask(**facts)
        assert quoted.cost_picousd == 3 * 10**12
        assert quoted.charged.row.id == "contract/claude-opus-5-5"
        assert quoted.charged.modifiers == ()
    assert usd(ask("claude-opus-5"))[0] == 2.5  # another model has the discount
    vertex = ask(provider=Provider.VERTEX)
    assert (vertex.charged.bounds, vertex.listed.bounds) == ((), ("region",))


def test_an_override_may_keep_the_modifiers_of_the_list(under) -> None:
    ask = under(overrides=[{"model": OPUS, "rates": RATES, "modifiers": "keep"}], discounts=[{"multiplier": "0.5"}])
    assert usd(ask(inference_geo="us", batch=True))[0] == 1.65  # 3 x 1.1 x 0.5
    assert usd(ask("us.anthropic.claude-opus-5-5", provider=Provider.BEDROCK))[0] == 3.3
    fast = ask(speed=Speed.FAST, tokens=Tokens(input=1_000_000, cache_read=1_000_000))
    assert usd(fast) == (6.3, 8.4)  # twice 3 + 0.15, as the list's 8 + 0.40 is twice its 4 + 0.20
    assert fast.charged.block == "fast"
    assert ask(provider=Provider.VERTEX).charged.bounds == ("region",)


def test_an_override_that_keeps_modifiers_follows_the_list_for_long_prompts(under) -> None:
    ask = under(overrides=[{"model": "claude-sonnet-4-5", "rates": RATES, "modifiers": "keep"}])
    long = ask("claude-sonnet-4-5", "2026-04-29", tokens=Tokens(input=250_000, output=1_000))
    # Input kinds twice, output one and a half times: 250,000 x 6 + 1,000 x 13.5 per million
    assert usd(long)[0] == 1.5135


@pytest.mark.parametrize(
    ("facts", "row"),
    [
        ({}, "contract/claude-opus-5-5"),
        ({"at": "2026-10-01"}, "contract/claude-opus-5-5@2026-10-01T00:00:00Z"),
        ({"at": "2026-10-31"}, "contract/claude-opus-5-5@2026-10-01T00:00:00Z"),
        ({"provider": Provider.BEDROCK, "model": "eu.anthropic.claude-opus-5-5"}, "contract/bedrock/claude-opus-5-5"),
        (
            {"provider": Provider.BEDROCK, "model": "us.anthropic.claude-opus-5-5"},
            "contract/bedrock/us/claude-opus-5-5",
        ),
    ],
)
def test_the_most_specific_override_counts(under, facts: dict, row: str) -> None:
    ask = under(
        overrides=[
            {"model": OPUS, "rates": RATES},
            {"model": OPUS, "rates": RATES, "from": "2026-10-01T00:00:00Z", "until": "2026-11-01T00:00:00Z"},
            {"model": OPUS, "rates": RATES, "provider": "bedrock"},
            {"model": "us.anthropic.claude-opus-5-5", "rates": RATES, "provider": "bedrock"},
        ]
    )
    assert ask(**facts).charged.row.id == row


def test_a_model_that_only_the_contract_knows(under) -> None:
    ask = under(
        aliases={"team-model": "acme-model-9"},
        overrides=[{"model": "Acme-Model-9", "rates": RATES, "from": "2026-11-01", "provider": "anthropic"}],
    )
    quoted = ask("team-model[1m]")
    assert (quoted.cost_picousd, quoted.charged.model) == (3 * 10**12, "acme-model-9")
    assert quoted.listed.reason == "no_price_at_that_time"
    for outside in (ask("acme-model-9", "2026-10-31"), ask("acme-model-9", provider=Provider.VERTEX)):
        assert outside.charged.reason == "no_price_at_that_time"
        assert "the contract none for this provider and time" in outside.charged.detail


@pytest.mark.parametrize(
    ("target", "modifiers", "charged"),
    [
        ("claude-opus-5-5", ("regional x1.1",), 4.4),  # no profile named: an in-region endpoint, as a bare id is
        ("us.anthropic.claude-opus-5-5", ("regional x1.1",), 4.4),
        ("global.anthropic.claude-opus-5-5", (), 4.0),
    ],
)
def test_an_alias_says_what_an_arn_hides(under, target: str, modifiers: tuple, charged: float) -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/AbC123"
    quoted = under(aliases={arn: target})(arn, provider=Provider.BEDROCK)
    assert usd(quoted) == (charged, charged)
    assert (quoted.charged.model, quoted.charged.modifiers) == (OPUS, modifiers)


def test_an_alias_of_an_arn_in_govcloud_keeps_its_region(under) -> None:
    arn = "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:application-inference-profile/abc"
    quoted = under(aliases={arn: "claude-opus-5-5"})(arn, provider=Provider.BEDROCK)
    assert quoted.charged.modifiers == ("govcloud x1.2",)


def test_a_rate_finer_than_money_is_rounded_half_to_even_once(under) -> None:
    """Haiku 5.5 cache writes: 0.125 x 1.1 x 0.5 x 0.875 = 0.06015625 USD per million = 60,156.25 pico-USD a token."""
    ask = under(discounts=[{"multiplier": "0.875"}])
    haiku = {"model": "claude-haiku-5-5", "inference_geo": "us", "batch": True, "tokens": Tokens()}
    assert ask(**haiku).charged.rates.cache_write_5m == 60_156
    halves = under(discounts=[{"multiplier": "0.85"}])(**haiku).charged.rates
    assert halves.cache_write_5m == 58_438  # 58,437.5
    one, many = (ask(**haiku | {"tokens": Tokens(cache_write_5m=count)}).cost_picousd for count in (1, 10**5))
    assert many == one * 10**5


def test_without_a_price_a_discount_makes_none(under) -> None:
    quoted = under(discounts=[{"multiplier": "0.85"}])("gpt-9")
    assert quoted.charged is quoted.listed
    assert quoted.charged.reason == "unknown_model"


def test_without_a_contract_both_are_one(under) -> None:
    quoted = under()()
    assert quoted.charged is quoted.listed
