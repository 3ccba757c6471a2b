"""Gauges of the price book, and the warning about an old one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from spanledger.config.prices import Layers, load_price_book
from spanledger.core.book import PriceBook
from spanledger.core.events import Event
from spanledger.core.gauges import Gauge
from spanledger.core.money import format_usd
from spanledger.core.semconv import OVERFLOW_LABEL, Metric
from spanledger.core.views import SeriesKey, SeriesState
from spanledger.service.price_gauges import book_readings, price_readings
from support.logged import messages_of
from support.price_lists import put_list
from support.replaying import list_prices
from support.serving import running
from support.telling import NOW


def told(book: PriceBook, *used: tuple[str, str]) -> dict[tuple[str, str, str, str], str]:
    """Readings by model, provider, token class and tier, for models that were used at providers."""
    keys = [SeriesKey(Metric.TOKENS, (("model", model), ("provider", provider))) for model, provider in used]
    readings = list(price_readings(book, [SeriesState(key, 0, 1) for key in keys], NOW))
    assert all(one.gauge is Gauge.PRICE for one in readings)
    found = {tuple(value for _, value in one.labels): format_usd(one.value) for one in readings}
    assert len(found) == len(readings)
    return found


def by_tier(told: dict[tuple[str, str, str, str], str], token_class: str) -> dict[str, str]:
    return {key[3]: usd for key, usd in told.items() if key[2] == token_class}


def test_prices_of_the_tiers_that_differ() -> None:
    """Haiku 5.5: 0.10, above 100,000 tokens 0.50, in the US 1.1 times; Opus 5.5: 4, fast 8, in the US 4.40."""
    book = list_prices().book
    assert by_tier(told(book, ("claude-haiku-5-5", "anthropic")), "input") == {
        "standard": "0.1",
        "long_prompt": "0.5",
        "us_residency": "0.11",
    }
    opus = told(book, ("claude-opus-5-5", "anthropic"), ("claude-opus-5-5", "anthropic"))
    assert by_tier(opus, "input") == {"standard": "4", "fast": "8", "us_residency": "4.4"}
    classes = {key[2]: usd for key, usd in opus.items() if key[3] == "standard"}
    assert classes == {
        "input": "4",
        "output": "20",
        "cache_read": "0.2",
        "cache_write_5m": "5",
        "cache_write_1h": "8",
    }


@pytest.mark.parametrize("provider", ["bedrock", "vertex"])
def test_a_provider_with_regions_has_the_global_price_and_the_regional_one(provider: str) -> None:
    found = told(list_prices().book, ("claude-opus-5-5", provider))
    assert by_tier(found, "output") == {"standard": "20", "regional": "22"}


def test_only_models_that_were_used_and_have_a_price_are_told() -> None:
    book = list_prices().book
    assert told(book) == {}
    assert told(book, ("claude-next-9", "anthropic"), ("claude-opus-5-5", "other"), ("unknown", "anthropic")) == {}
    overflow = SeriesState(SeriesKey(Metric.TOKENS, ((OVERFLOW_LABEL, "true"),)), 0, 1)
    assert list(price_readings(book, [overflow], NOW)) == []


def test_what_a_contract_charges_is_told(tmp_path: Path) -> None:
    contract = tmp_path / "contract.yaml"
    contract.write_text('discounts: [{model: claude-opus-5-5, multiplier: "0.9"}]\n')
    found = told(load_price_book(Layers(contract=contract)), ("claude-opus-5-5", "anthropic"))
    assert by_tier(found, "output") == {"standard": "18", "fast": "36", "us_residency": "19.8"}


def test_the_age_of_the_list_and_refused_loads() -> None:
    book = list_prices().book
    checked, refused = book_readings(book, 3)
    assert (checked.gauge, checked.labels) == (Gauge.PRICE_BOOK_TIMESTAMP, (("price_book", book.id),))
    assert checked.value == book.checked_unix_nano
    assert (refused.gauge, refused.value) == (Gauge.PRICE_BOOK_RELOAD_FAILURES, 3)
    assert [one.gauge for one in book_readings(PriceBook("none", []), 0)] == [Gauge.PRICE_BOOK_RELOAD_FAILURES]


@pytest.mark.parametrize(("days", "warnings"), [("0.0001", 2), ("36500", 0)])
def test_an_old_list_is_warned_of_at_the_start_and_at_each_load(
    days: str, warnings: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put_list(tmp_path / "list.yaml", 1)

    async def run() -> None:
        settings = {"prices__files": [str(tmp_path / "list.yaml")], "prices__stale_after_days": days}
        async with running(tmp_path / "ledger.db", **settings) as up:
            assert await up.service.price_files.load()

    asyncio.run(run())
    messages = messages_of(caplog, Event.PRICES_STALE)
    assert ["was last checked on 2020-01-02" in message for message in messages] == [True] * warnings
