"""Where a price list is wrong, matched wrongly, out of date, or left out. See README.md.

Asked as `spanledger prices rate` is asked, so that the answers are what a user sees; where the bug was in what becomes
of a call, through the whole pipeline.
"""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import repeat
from pathlib import Path

import pytest

from spanledger.config.prices import Layers, load_price_book
from spanledger.core.money import format_usd
from spanledger.core.posting import Status
from spanledger.core.semconv import Metric
from spanledger.core.usage import Tokens
from spanledger.service.price_lines import rate_line
from support.booking import open_books
from support.replaying import list_prices
from support.telling import Client, Usage

BOOK = list_prices().book
APPLICATION_PROFILE = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/k7x2m9q4w1zp"


def ask(model: str, day: str, /, *, provider: str = "anthropic", searches: int = 0, book=BOOK, **facts: object) -> dict:
    """Ask for a price. Facts are counts of tokens by class, and flags."""
    classes = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read", "cache_write_unspecified")
    line = {
        "id": model,
        "provider": provider,
        "model": model,
        "timestamp": day if "T" in day else f"{day}T12:00:00Z",
        "tokens": {name: facts.pop(name) for name in classes if name in facts},
        "server_tools": {"web_search_requests": searches},
        "flags": facts,
    }
    return rate_line(json.dumps(line), book)


def exact_usd(*asked: object, **facts: object) -> str:
    """The price of a call that must be exact."""
    answer = ask(*asked, **facts)
    assert answer["status"] == "exact", answer["reason"]
    return str(answer["usd"])


def test_k1_writes_for_an_hour_at_their_own_rate() -> None:
    """langfuse plugin #34: 1-hour writes at the 5-minute rate. Wrong: 0.4646875."""
    # 37,175 x 20
    assert exact_usd("claude-fable-5", "2026-08-01", cache_write_1h=37_175) == "0.7435"


def test_k2_a_window_with_writes_for_an_hour() -> None:
    """The same. Wrong: 12.3065."""
    # 1,900 x 10 + 16,300 x 50 + 4,800,000 x 1 + 533,800 x 20 = 19,000 + 815,000 + 4,800,000 + 10,676,000
    tokens = {"input": 1_900, "output": 16_300, "cache_read": 4_800_000, "cache_write_1h": 533_800}
    assert exact_usd("claude-fable-5", "2026-08-01", **tokens) == "16.31"


def test_k3_writes_for_an_hour_on_sonnet() -> None:
    """rajbos#1589. Wrong: 0.2773851."""
    # 9 x 3 + 2,086 x 15 + 240,177 x 0.30 + 46,404 x 6 = 27 + 31,290 + 72,053.1 + 278,424
    tokens = {"input": 9, "output": 2_086, "cache_read": 240_177, "cache_write_1h": 46_404}
    assert exact_usd("claude-sonnet-4-6", "2026-08-01", **tokens) == "0.3817941"


def test_k4_an_hour_costs_twice_the_input_on_every_row() -> None:
    """litellm#38056: rows of Haiku and Opus 3 with Sonnet's rate. Wrong: 24 times, 0.4 times."""
    blocks = [(row.model, row.rates) for model in BOOK.models for row in model.rows]
    blocks += [(row.model, row.long_prompt.rates) for model in BOOK.models for row in model.rows if row.long_prompt]
    blocks += [(model.id, fast.rates) for model in BOOK.models for fast in model.fast]
    assert len(blocks) == 45  # 33 rows, 5 of them with rates for long prompts, 7 blocks of fast rates
    assert [model for model, rates in blocks if rates.cache_write_1h != 2 * rates.input] == []


def test_k5_cache_writes_are_billed_once() -> None:
    """litellm#9812: creation added to input too. Wrong: 0.091311."""
    # 3 x 3 + 12,304 x 3.75 + 550 x 15 = 9 + 46,140 + 8,250
    tokens = {"input": 3, "cache_write_5m": 12_304, "output": 550}
    assert exact_usd("claude-3-7-sonnet-20250219", "2025-06-01", **tokens) == "0.054399"


def test_k6_input_is_what_was_not_cached() -> None:
    """langfuse#12306: a total of 130,213 taken for fresh input. Wrong: 0.72337375."""
    # 5 x 5 + 128,955 x 0.50 + 1,253 x 6.25 = 25 + 64,477.5 + 7,831.25
    tokens = {"input": 5, "cache_read": 128_955, "cache_write_5m": 1_253}
    assert exact_usd("claude-opus-4-8", "2026-08-01", **tokens) == "0.07233375"


def test_k7_cache_reads_are_not_free() -> None:
    """litellm#11364: reads and writes as good as free. Wrong: 0.047080."""
    # (98,805 - 66,360 - 32,435) x 5 + 66,360 x 0.50 + 32,435 x 6.25 + 5,120 x 25 = 50 + 33,180 + 202,718.75 + 128,000
    tokens = {"input": 10, "cache_read": 66_360, "cache_write_5m": 32_435, "output": 5_120}
    assert exact_usd("claude-opus-4-5", "2026-01-01", **tokens) == "0.36394875"
    # x 1.1
    in_europe = "eu.anthropic.claude-opus-4-5-20251101-v1:0"
    assert exact_usd(in_europe, "2026-01-01", provider="bedrock", **tokens) == "0.400343625"


def test_k8_output_is_what_the_model_wrote() -> None:
    """phoenix#10783: output taken as total minus prompt, 8,709. Wrong: 0.130635."""
    assert exact_usd("claude-sonnet-4-5", "2025-12-01", output=442) == "0.00663"
    # 3 x 3 + 442 x 15 + 7,917 x 0.30 + 350 x 3.75 = 9 + 6,630 + 2,375.1 + 1,312.5
    tokens = {"input": 3, "output": 442, "cache_read": 7_917, "cache_write_5m": 350}
    assert exact_usd("claude-sonnet-4-5", "2025-12-01", **tokens) == "0.0103266"


def test_k9_a_cached_call_on_bedrock() -> None:
    """phoenix#10036: 42 times too much. Wrong: 0.20."""
    # (3 x 3 + 12 x 15 + 13,216 x 0.30 + 25 x 3.75) x 1.1 = (9 + 180 + 3,964.8 + 93.75) x 1.1 = 4,247.55 x 1.1
    tokens = {"input": 3, "output": 12, "cache_read": 13_216, "cache_write_5m": 25}
    model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    assert exact_usd(model, "2025-12-01", provider="bedrock", **tokens) == "0.004672305"


def test_k10_more_read_than_input_is_no_mistake() -> None:
    """langfuse#13724: input clamped to zero when reads exceed it. Wrong: 0.05."""
    # 100 x 5 + 100,000 x 0.50
    assert exact_usd("claude-opus-4-8", "2026-08-01", input=100, cache_read=100_000) == "0.0505"


def test_k11_a_rise_that_was_cancelled_never_came() -> None:
    """llmgateway#3612, genai-prices 47df840: Sonnet 5 raised to 3/15 on 2026-09-01. Wrong: 18.00.

    The announced price was withdrawn on 2026-08-10; it stays in the list for the record and prices nothing.
    """
    # 2 + 10
    million = {"input": 1_000_000, "output": 1_000_000}
    assert exact_usd("claude-sonnet-5", "2026-09-15", **million) == "12"
    (withdrawal,) = BOOK.resolve("claude-sonnet-5").prices.withdrawals
    assert (withdrawal.row.id, withdrawal.withdrawn) == ("claude-sonnet-5@2026-09-01T00:00:00Z", "2026-08-10")


@pytest.mark.parametrize(
    ("model", "row"),
    [
        ("claude-sonnet-5", "claude-sonnet-5@2026-06-30T00:00:00Z"),
        ("claude-opus-5", "claude-opus-5@2026-07-24T00:00:00Z"),
        ("claude-fable-5-1", "claude-fable-5-1@2026-09-01T00:00:00Z"),
        ("claude-opus-5-5", "claude-opus-5-5@2026-09-22T00:00:00Z"),
        ("claude-opus-5[1m]", "claude-opus-5@2026-07-24T00:00:00Z"),
        ("claude-sonnet-4-5-20250929[1m]", "claude-sonnet-4-5-20250929@2026-04-30T00:00:00Z"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929@2026-04-30T00:00:00Z"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5-20250929@2026-04-30T00:00:00Z"),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929@2026-04-30T00:00:00Z"),
        ("claude-opus-5-6", None),
        ("claude-opus-55", None),
        ("claude-sonnet-5-5-preview", None),
        ("claude-sonnet", None),
        ("claude-sonnet-4-7", None),
        ("opus", None),
    ],
)
def test_k12_a_name_is_its_row_or_none(model: str, row: str | None) -> None:
    """claude-usage#181, ClaudeBar#299: a prefix falls to another family. Wrong: Sonnet 4's rate; 0 USD."""
    answer = ask(model, "2026-11-20", input=1)
    assert (answer["price_row"], answer["status"]) == (row, "exact" if row else "unpriced")


def test_k13_reads_of_fable_5_1_at_a_fortieth_of_input() -> None:
    """claude-carbon#30: a tenth of input assumed. Wrong: 1.00."""
    assert exact_usd("claude-fable-5-1", "2026-10-01", cache_read=1_000_000) == "0.25"


def test_k17_an_application_profile_has_the_price_of_its_model_or_none(tmp_path: Path) -> None:
    """claude-code#27890, #80601: the ARN as a model of its own. Wrong: one price for all; 5/25."""
    unknown = ask(APPLICATION_PROFILE, "2026-11-20", provider="bedrock", input=1_000_000)
    assert (unknown["status"], unknown["usd"]) == ("unpriced", None)
    assert "aliases" in unknown["reason"]
    contract = tmp_path / "contract.yaml"
    contract.write_text(f"aliases:\n  {APPLICATION_PROFILE}: eu.anthropic.claude-sonnet-5\n")
    book = load_price_book(Layers(contract=contract))
    # 2 x 1.1
    mapped = ask(APPLICATION_PROFILE, "2026-11-20", provider="bedrock", book=book, input=1_000_000)
    assert (mapped["status"], mapped["usd"]) == ("exact", "2.2")


@pytest.mark.parametrize(
    ("model", "facts", "modifier"),
    [
        ("global.anthropic.claude-opus-4-6-v1", {"provider": "bedrock"}, "1"),
        ("us.anthropic.claude-opus-4-6-v1", {"provider": "bedrock"}, "1.1"),
        ("anthropic.claude-opus-4-6-v1", {"provider": "bedrock"}, "1.1"),
        ("claude-opus-4-6", {"inference_geo": "us"}, "1.1"),
        ("claude-opus-4-5", {"inference_geo": "us"}, "1"),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", {"provider": "bedrock"}, "1.1"),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", {"provider": "bedrock"}, "1"),
        ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", {"provider": "bedrock"}, "1.2"),
    ],
)
def test_k18_the_place_has_a_price(model: str, facts: dict[str, str], modifier: str) -> None:
    """claude-code#60641, #83690, #92751, litellm#38369: no premium, or where none is. Wrong: 1.0 for all."""
    answer = ask(model, "2026-06-01", input=1_000_000, **facts)
    rate = Decimal(answer["rates_usd_per_mtok"]["input"])
    assert (answer["status"], answer["modifier"]) == ("exact", modifier)
    assert Decimal(answer["usd"]) == rate * Decimal(modifier)


def test_k19_fast_has_dates_and_models() -> None:
    """ccusage#886, traceroost#124: fast at the standard rate, or six times it for ever."""
    call = {"input": 10_000, "output": 1_000, "speed": "fast"}
    # 10,000 x 10 + 1,000 x 50
    assert exact_usd("claude-opus-4-8", "2026-08-01", **call) == "0.15"
    # 10,000 x 30 + 1,000 x 150, six times standard; from 2026-06-29 on 10,000 x 5 + 1,000 x 25
    assert exact_usd("claude-opus-4-6", "2026-06-28T23:59:59Z", **call) == "0.45"
    assert exact_usd("claude-opus-4-6", "2026-06-29T00:00:00Z", **call) == "0.075"
    sonnet = ask("claude-sonnet-5", "2026-08-01", **call)
    assert (sonnet["status"], sonnet["usd"]) == ("lower_bound", "0.03")  # 10,000 x 2 + 1,000 x 10, and it says so
    assert "fast" in sonnet["reason"]


def test_k20_a_long_prompt_moves_the_whole_call() -> None:
    """claude-code-hub#869, ccusage's tiers: only what exceeds the limit is dearer. Wrong: 0.495."""
    # 150,000 x 6 + 100,000 x 0.60 + 1,000 x 22.5 = 900,000 + 60,000 + 22,500
    tokens = {"input": 150_000, "cache_read": 100_000, "output": 1_000}
    assert exact_usd("claude-sonnet-4-5", "2026-01-01", **tokens) == "0.9825"
    # exactly 200,000 is not above it, and output does not count
    assert exact_usd("claude-sonnet-4-5", "2026-01-01", input=200_000, output=100_000) == "2.1"


def test_k21_a_premium_ends_on_its_day() -> None:
    """claude-relay-service#1143, claude-code-hub#955: the premium for long prompts kept. Wrong: twice, always."""
    assert exact_usd("claude-sonnet-4-6", "2026-03-12T23:59:59Z", input=300_000) == "1.8"
    assert exact_usd("claude-sonnet-4-6", "2026-03-13T00:00:00Z", input=300_000) == "0.9"


def test_k22_one_model_with_and_without_its_suffix(tmp_path: Path) -> None:
    """claude-code#63536: `[1m]` makes two models of one. Wrong: two series."""
    client = Client()
    with open_books(tmp_path / "ledger.db") as books:
        books.take(
            client.log("r1", "claude-sonnet-5", Usage(1_000)), client.log("r2", "claude-sonnet-5[1m]", Usage(1_000))
        )
        books.rest()
        assert [charge.account.model for charge in books.charges] == ["claude-sonnet-5"] * 2
        assert {charge.account.served_model for charge in books.charges} == {"claude-sonnet-5", "claude-sonnet-5[1m]"}
        series = [state.key for state in books.ledger.series.states() if state.key.metric is Metric.COST]
        assert [dict(key.labels)["model"] for key in series] == ["claude-sonnet-5"]


def test_k36_web_searches_have_their_fee() -> None:
    """litellm#27621, #31355, langfuse#15856: the fee left out. Wrong: 0."""
    # 1,000 x 5 per million + 3 x 0.01; never multiplied: 1,000 x 5 x 1.1 x 0.5 per million + 3 x 0.01
    assert exact_usd("claude-opus-5", "2026-11-20", input=1_000, searches=3) == "0.035"
    assert (
        exact_usd("claude-opus-5", "2026-11-20", input=1_000, searches=3, inference_geo="us", batch=True) == "0.03275"
    )


def test_k36_searches_that_no_record_counts_are_taken_from_the_clients_figure(tmp_path: Path) -> None:
    """The same, in telemetry: the event has no count, the client's cost has the fee."""
    with open_books(tmp_path / "ledger.db") as books:
        books.take(Client().log("r1", "claude-opus-5", Usage(1_000), cost_usd=0.035)).rest()
        (charge,) = books.charges
        assert (charge.tokens.web_search, books.cost_usd, charge.evidence) == (3, "0.035", "inferred")


def test_k38_an_unknown_model_is_neither_free_nor_guessed(tmp_path: Path) -> None:
    """openclaw#90674, OpenLIT; ccwb: 0 USD, or Sonnet's price."""
    with open_books(tmp_path / "ledger.db") as books:
        books.take(Client().log("r1", "claude-next-9", Usage(1_000, 100), cost_usd=0.0075)).rest()
        (charge,) = books.charges
        assert (charge.status, charge.cost_picousd, charge.tokens) == (Status.UNPRICED, None, Tokens(1_000, 100))
        assert "aliases" in charge.price.unpriced_detail
        assert books.figures.report.unpriced_tokens == 1_100
        assert books.total(Metric.UNPRICED_REQUESTS) == 1
        assert books.total(Metric.COST) == 0


def test_k52_ten_million_tiny_calls_are_exactly_one_dollar(tmp_path: Path) -> None:
    """Otari rounds each row to micro-USD; floats drift. Haiku 4.5 reads one token for 0.0000001 USD. Wrong: 0."""
    with open_books(tmp_path / "ledger.db") as books:
        books.take(Client().log("r1", "claude-haiku-4-5", Usage(read=1))).rest()
        (charge,) = books.charges
        assert format_usd(charge.cost_picousd) == "0.0000001"
        assert format_usd(sum(repeat(charge.cost_picousd, 10_000_000))) == "1"
    # and of all ten million calls together
    assert exact_usd("claude-haiku-4-5", "2026-11-20", cache_read=10_000_000) == "1"
