"""List prices by hand: what a request costs, from the numbers of the bundled price file and nothing else of ours.

Decimal arithmetic on the YAML text; the rules (dates, long prompts, fast inference, residency, region) are written anew
here from the official pages, so that a mistake of the product's is not made twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import yaml

import spanledger

PRICE_FILE = Path(spanledger.__file__).parent / "data" / "prices" / "anthropic.yaml"
_CLASSES = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
_MILLION = 10**6


@dataclass(frozen=True, slots=True)
class Usage:
    """What a reply says that it used; `write_5m` holds the cache writes without a split, as the API bills them."""

    input: int = 0
    output: int = 0
    read: int = 0
    write_5m: int = 0
    write_1h: int = 0
    searches: int = 0
    is_fast: bool = False
    is_us: bool = False

    @property
    def prompt(self) -> int:
        """Tokens of the prompt, cached or not."""
        return self.input + self.read + self.write_5m + self.write_1h


def usage_of(api: dict) -> Usage:
    """Read the `usage` object of the Messages API."""
    written, split = api.get("cache_creation_input_tokens") or 0, api.get("cache_creation") or {}
    long = min(split.get("ephemeral_1h_input_tokens") or 0, written)
    return Usage(
        input=api["input_tokens"],
        output=api["output_tokens"],
        read=api.get("cache_read_input_tokens") or 0,
        write_5m=written - long,
        write_1h=long,
        searches=(api.get("server_tool_use") or {}).get("web_search_requests") or 0,
        is_fast=api.get("speed") == "fast",
        is_us=api.get("inference_geo") == "us",
    )


def price_usd(model: str, usage: Usage, at: datetime, region: str = "") -> Decimal | None:
    """Price a request; None when the list has no such model.

    `region` is "" at Anthropic, else "global", "regional" or "govcloud": what the provider serves the model from.
    """
    name = _bare(model)
    prices = _models().get(name) or _models().get(re.sub(r"-\d{8}$", "", name))
    if prices is None:
        return None
    rates = _rates(prices, usage, at, first_party=not region)
    counts = (usage.input, usage.output, usage.read, usage.write_5m, usage.write_1h)
    cost = sum(Decimal(count) * Decimal(rates[name]) for count, name in zip(counts, _CLASSES, strict=True)) / _MILLION
    if usage.is_us and not region:
        cost *= _factor("us_residency", prices["id"])
    if region in ("regional", "govcloud"):
        cost *= _factor(region, prices["id"])
    return cost + usage.searches * Decimal(_book()["web_search"]["usd_per_request"])


def region_of_bedrock(model: str) -> str:
    """What the profile in a Bedrock id says."""
    profile = re.match(r"(?:arn:[^/]*/)?(global|us-gov)\.", model)
    return {"global": "global", "us-gov": "govcloud"}.get(profile[1] if profile else "", "regional")


def _rates(prices: dict, usage: Usage, at: datetime, *, first_party: bool) -> dict[str, str]:
    if usage.is_fast and first_party:
        for fast in prices.get("fast", []):
            if _time(fast["from"]) <= at and ("until" not in fast or at < _time(fast["until"])):
                return fast["rates"]
    row = max((r for r in prices["prices"] if "withdrawn" not in r and _time(r["from"]) <= at), key=_from)
    long = row.get("long_prompt")
    return long["rates"] if long and usage.prompt > long["above_tokens"] else row["rates"]


def _bare(model: str) -> str:
    """A model's name without what providers and gateways put around it."""
    name = re.sub(r"\[1m\]$|-latest$", "", model.lower()).split("/")[-1].replace("@", "-")
    return re.sub(r"-v1(:0)?$|:0$", "", re.sub(r"^(?:[a-z-]+\.)?anthropic\.", "", name))


def _factor(modifier: str, model: str) -> Decimal:
    (found,) = [m for m in _book()["modifiers"] if m["name"] == modifier]
    return Decimal(found["factor"]) if model in found["models"] else Decimal(1)


def _from(row: dict) -> datetime:
    return _time(row["from"])


@cache
def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


@cache
def _book() -> dict:
    return yaml.safe_load(PRICE_FILE.read_text())


@cache
def _models() -> dict[str, dict]:
    return {name: model for model in _book()["models"] for name in (model["id"], *model.get("aliases", []))}
