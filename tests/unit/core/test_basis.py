"""Basis: which usage costs money, by the built-in rules and by those of the settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from spanledger.config.sections import Settings
from spanledger.config.settings import load_settings
from spanledger.core.basis import DEFAULT_BASIS_RULES, basis_of
from spanledger.core.errors import ConfigError
from spanledger.core.usage import Basis, Provider, Source
from support.booking import open_books
from support.replaying import list_prices
from support.repricing import reprice, series_with_adjustment
from support.telling import Client, Usage

PAGE = (Path(__file__).parents[3] / "docs" / "basis.md").read_text()
EXAMPLE = PAGE.partition("```yaml\n")[2].partition("```")[0]
EMAIL = {"user_email": "dev@example.com"}


def with_rules(*rules: dict[str, object]) -> Settings:
    return Settings.model_validate({"basis": {"rules": list(rules)}})


@pytest.mark.parametrize(
    ("sender", "basis"),
    [
        ({}, Basis.BILLED),
        ({"provider": Provider.BEDROCK}, Basis.BILLED),
        ({"provider": Provider.VERTEX}, Basis.BILLED),
        ({"plan": "pro"}, Basis.NOTIONAL),
        ({"plan": "max", **EMAIL}, Basis.NOTIONAL),
        ({"plan": "max", "seat_type": "usage_based"}, Basis.BILLED),
        ({"plan": "team", "seat_type": "premium"}, Basis.NOTIONAL),
        ({"plan": "team", "seat_type": "standard"}, Basis.NOTIONAL),
        ({"plan": "team", "seat_type": "other"}, Basis.UNKNOWN),
        ({"plan": "enterprise", "seat_type": "premium"}, Basis.NOTIONAL),
        ({"plan": "enterprise", "seat_type": "usage_based"}, Basis.BILLED),
        ({"plan": "enterprise"}, Basis.UNKNOWN),
        ({"plan": "ultra"}, Basis.UNKNOWN),
        ({"seat_type": "premium"}, Basis.UNKNOWN),
        (EMAIL, Basis.UNKNOWN),
        ({"user_account_uuid": "u"}, Basis.UNKNOWN),
        ({"organization_id": "o"}, Basis.UNKNOWN),
    ],
)
def test_what_holds_without_rules_of_ones_own(sender: dict[str, str], basis: Basis) -> None:
    assert basis_of(Source(**sender), DEFAULT_BASIS_RULES) is basis
    assert Settings().basis.compiled == DEFAULT_BASIS_RULES


@pytest.mark.parametrize(
    ("sender", "basis"),
    [
        ({"provider": Provider.BEDROCK, **EMAIL}, Basis.BILLED),
        ({"organization_id": "3c2f6f5e-1f0f-4a4e-9d5e-0a4f5b6c7d8e", "plan": "max"}, Basis.BILLED),
        (EMAIL, Basis.NOTIONAL),
        ({"seat_type": "other", **EMAIL}, Basis.UNKNOWN),
        ({}, Basis.BILLED),
        ({"plan": "max"}, Basis.NOTIONAL),
    ],
)
def test_the_rules_of_the_page_come_before_the_built_in_ones(sender: dict[str, str], basis: Basis) -> None:
    settings = Settings.model_validate(yaml.safe_load(EXAMPLE))
    assert basis_of(Source(**sender), settings.basis.compiled) is basis


def test_the_first_rule_that_holds_decides() -> None:
    rules = with_rules({"plan": ["max", "pro"], "basis": "billed"}, {"plan": "max", "basis": "unknown"}).basis.compiled
    assert basis_of(Source(plan="max"), rules) is Basis.BILLED


def test_mistakes_are_told_with_line_and_nearest_key(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "basis:\n  rules:\n    - {plan: max, basis: paid}\n    - plam: max\n      basis: billed\n"
        "    - provider: [bedrok]\n      basis: billed\n"
    )
    with pytest.raises(ConfigError) as refused:
        load_settings(config, {}, {})
    providers = "'anthropic', 'bedrock', 'vertex', 'foundry', 'anthropic_aws' or 'other'"
    assert refused.value.problems == (
        f"{config}:3: basis.rules.0.basis: Input should be 'billed', 'notional' or 'unknown'",
        f"{config}:4: basis.rules.1.plam: no such setting; did you mean basis.rules.1.plan?",
        f"{config}:6: basis.rules.2.provider.0: Input should be {providers}",
    )


def test_a_rule_that_is_never_reached_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="rule 1 holds for every sender: the rules after it are never reached"):
        with_rules({"basis": "billed"}, {"plan": "max", "basis": "notional"})


def test_calls_and_residuals_have_the_basis_of_the_rules_and_reprice_books_earlier_ones_by_them(tmp_path: Path) -> None:
    """One call of 1,000 tokens, and 500 more that only the sums know of, on a plan that is said to be billed."""
    client = Client(sender={"anthropic.plan": "max"})
    usage, more = Usage(input=1_000), Usage(input=1_500)
    work = (client.log("req-1", "claude-opus-5-5", usage), client.sums("claude-opus-5-5", more, 0.006, start=1))
    billed = with_rules({"plan": "max", "basis": "billed"})
    with open_books(tmp_path / "by-rule.db", billed) as books:
        books.take(*work).rest()
        by_rule = series_with_adjustment(books.ledger)
        assert {charge.account.basis for charge in books.charges} == {Basis.BILLED}
        assert len(books.residuals) == 1
    with open_books(tmp_path / "built-in.db") as books:
        books.take(*work).rest()
        assert {charge.account.basis for charge in books.charges} == {Basis.NOTIONAL}
        found = reprice(books.ledger, list_prices(), settings=billed)
        books.rest()
        assert series_with_adjustment(books.ledger) == by_rule
        # 1,500 tokens x 4 micro-USD leave one basis for the other.
        assert {basis: change.picousd for basis, change in found.by_basis().items()} == {
            Basis.BILLED: 6_000 * 10**6,
            Basis.NOTIONAL: -6_000 * 10**6,
        }
