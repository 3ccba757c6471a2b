"""The examples of docs/prices.md are what the code takes, and they mean what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from spanledger.config.prices import Layers, load_price_book
from spanledger.config.settings import load_settings
from spanledger.core.rating import quote
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Tariff
from spanledger.core.usage import Provider, Tokens
from support.contracts import nano

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "prices.md"
CONTRACT, DEFAULTS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
MILLION = Tokens(input=10**6)


def test_the_contract_of_the_page(tmp_path: Path) -> None:
    file = tmp_path / "contract.yaml"
    file.write_text(CONTRACT)
    book = load_price_book(Layers(contract=file))
    arn = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123"

    def cost(provider: Provider, model: str, cost_center: str = "", at: str = "2026-11-20") -> int:
        outcome = quote(book, RatingInput(provider, model, nano(at), MILLION), cost_center).charged
        assert isinstance(outcome, Tariff), outcome
        return outcome.cost_picousd(MILLION)

    assert cost(Provider.BEDROCK, arn) == 3_600_000_000_000  # the override's 3.6, final: no regional premium
    assert cost(Provider.ANTHROPIC, "claude-opus-5-5") == 3_400_000_000_000  # 4 x 0.85
    assert cost(Provider.ANTHROPIC, "claude-opus-5-5", at="2026-09-30") == 4_000_000_000_000  # before the contract
    assert cost(Provider.ANTHROPIC, "team-sonnet") == 2_550_000_000_000  # 3 x 0.85
    assert cost(Provider.ANTHROPIC, "claude-sonnet-5-5", "cc-42") == 1_600_000_000_000  # 2 x 0.8, not 2 x 0.8 x 0.85


def test_the_defaults_of_the_page() -> None:
    defaults = yaml.safe_load(DEFAULTS)["prices"]["defaults"]
    settings = load_settings(None, {}, {"prices.defaults": defaults})
    assert [rule.evidence for rule in settings.prices.defaults] == [rule["evidence"] for rule in defaults]
