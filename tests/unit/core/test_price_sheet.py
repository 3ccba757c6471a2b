"""Every row, band, fast block and modifier of the price list against figures typed by hand (`support.price_sheet`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import product

import pytest

from spanledger.service.price_lines import rate_line
from support.price_sheet import MODELS, Asked, expected, instants, prompts
from support.replaying import list_prices

BOOK = list_prices().book
CLASSES = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
COUNTS = dict(zip(CLASSES, (3, 50, 700, 11_000, 1), strict=True))
PLACES = {
    "anthropic": {"": ("{}", None)},
    "anthropic_aws": {"": ("{}", None)},
    "foundry": {"": ("{}", None)},
    "bedrock": {
        "global": ("global.anthropic.{}", None),
        "regional": ("eu.anthropic.{}", None),
        "gov": ("us-gov.anthropic.{}", None),
    },
    "vertex": {"": ("{}", None), "global": ("{}", "global"), "regional": ("{}", "europe-west1")},
}
"""By provider and place: how an id is written there, and the region that a line gives."""


def all_asked(model: str, at: str) -> Iterator[tuple[Asked, dict]]:
    """Every combination of facts about a call at an instant, and the line that asks for its price."""
    for provider, places in PLACES.items():
        for place, (form, region) in places.items():
            for prompt, fast, geo, batch in product(prompts(model), (False, True), ("", "us"), (False, True)):
                asked = Asked(model, at, provider, prompt, fast, geo, batch, place)
                flags = {"speed": "fast" if fast else "normal", "inference_geo": geo, "batch": batch, "region": region}
                yield asked, line_of(asked, form.format(model), flags)


def line_of(asked: Asked, model: str, flags: dict) -> dict:
    """The prompt is input, reads and writes; what is written by the model does not count."""
    fresh = COUNTS["input"] + COUNTS["cache_write_5m"] + COUNTS["cache_write_1h"]
    return {
        "id": 1,
        "provider": asked.provider,
        "model": model,
        "timestamp": asked.at,
        "tokens": COUNTS | {"cache_read": asked.prompt - fresh},
        "server_tools": {"web_search_requests": 2},
        "flags": flags,
    }


def check(asked: Asked, line: dict) -> None:
    """Hold an answer against the sheet: status, rates, modifier, row, and the sum with two searches at a cent each."""
    answer, by_hand = rate_line(json.dumps(line), BOOK), expected(asked)
    assert answer["status"] == by_hand.status, (asked, answer)
    if by_hand.status == "unpriced":
        assert (answer["usd"], answer["rates_usd_per_mtok"], answer["price_row"]) == (None, None, None)
        return
    rates = tuple(Decimal(answer["rates_usd_per_mtok"][name]) for name in CLASSES)
    told = (rates, Decimal(answer["modifier"]), answer["price_row"])
    assert told == (by_hand.rates, by_hand.modifier, by_hand.row), asked
    tokens = sum(line["tokens"][name] * rate for name, rate in zip(CLASSES, by_hand.rates, strict=True))
    assert Decimal(answer["usd"]) == tokens * by_hand.modifier / 10**6 + Decimal("0.02"), asked


@pytest.mark.parametrize(("model", "day"), instants())
def test_a_price_changes_at_its_instant_and_not_before(model: str, day: str) -> None:
    for asked, line in all_asked(model, f"{day}T00:00:00Z"):
        check(asked, line)
        # The nanosecond before it, written in another zone: as the day before ends in UTC it is almost 14:00 at UTC+14.
        day_before = date.fromisoformat(day) - timedelta(days=1)
        moment_before = {"timestamp": f"{day}T13:59:59.999999999+14:00"}
        check(replace(asked, at=f"{day_before}T23:59:59.999999999Z"), line | moment_before)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_today(model: str) -> None:
    for asked, line in all_asked(model, "2026-11-24T12:00:00Z"):
        check(asked, line)


def test_the_sheet_and_the_book_have_the_same_models() -> None:
    assert {model.id for model in BOOK.models} == set(MODELS)
