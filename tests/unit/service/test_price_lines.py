"""Lines of `spanledger prices rate`: exact figures, and invalid lines that say all that is wrong with them."""

from __future__ import annotations

import json

import pytest

from spanledger.config.prices import load_price_book
from spanledger.service.price_lines import rate_line

BOOK = load_price_book()
LINE = {
    "id": "c-1",
    "provider": "anthropic",
    "model": "claude-opus-5-5",
    "timestamp": "2026-11-20T12:00:00+01:00",
    "tokens": {"input": 107, "output": 53, "cache_write_5m": 513, "cache_read": 12011},
    "server_tools": {"web_search_requests": 0},
    "flags": {"speed": "normal", "inference_geo": None, "batch": False, "region": None},
}


def rated(**changes: object) -> dict[str, object]:
    return rate_line(json.dumps(LINE | changes), BOOK)


def test_a_line_that_can_be_priced() -> None:
    assert rated() == {
        "id": "c-1",
        "status": "exact",
        # 107 x 4 + 53 x 20 + 513 x 5 + 12,011 x 0.20 = 6,455.2 per million.
        "usd": "0.0064552",
        "list_usd": "0.0064552",
        "rates_usd_per_mtok": {
            "input": "4",
            "output": "20",
            "cache_write_5m": "5",
            "cache_write_1h": "8",
            "cache_read": "0.2",
        },
        "modifier": "1",
        "price_row": "claude-opus-5-5@2026-09-22T00:00:00Z",
        "price_book": BOOK.id,
        "reason": None,
    }


def test_a_lower_bound_says_so() -> None:
    answer = rated(tokens={"cache_write_unspecified": 1_000_000})
    assert (answer["status"], answer["usd"]) == ("lower_bound", "5")
    assert "5-minute rate" in str(answer["reason"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "gpt-9"}, "unknown_model: no price for model 'gpt-9'"),
        ({"provider": "vertex", "flags": {"speed": "fast"}}, "fast: "),
        ({"flags": {"speed": "fast", "batch": True}}, "batch: "),
        ({"timestamp": "2020-01-01T00:00:00Z"}, "no_price_at_that_time: "),
    ],
)
def test_what_has_no_price_is_unpriced_with_the_reason(changes: dict[str, object], said: str) -> None:
    answer = rated(**changes)
    assert (answer["status"], answer["usd"], answer["price_row"]) == ("unpriced", None, None)
    assert str(answer["reason"]).startswith(said)


@pytest.mark.parametrize(
    ("changes", "usd", "input_rate", "modifier"),
    [
        # Opus 5.5, a million input tokens at $4; fast at $8.
        ({"flags": {"speed": "fast"}}, "8", "8", "1"),
        ({"flags": {"batch": True}}, "2", "4", "0.5"),
        ({"flags": {"inference_geo": "us"}}, "4.4", "4", "1.1"),
        ({"flags": {"inference_geo": "us", "batch": True}}, "2.2", "4", "0.55"),
        ({"server_tools": {"web_search_requests": 2}}, "4.02", "4", "1"),
        ({"provider": "vertex", "flags": {"region": "us-east5"}}, "4.4", "4", "1.1"),
        ({"provider": "bedrock", "model": "eu.anthropic.claude-opus-5-5"}, "4.4", "4", "1.1"),
        ({"model": "claude-haiku-5-5", "tokens": {"input": 100_001}}, "0.0500005", "0.5", "1"),
    ],
)
def test_modifiers_show_in_the_answer(changes: dict[str, object], usd: str, input_rate: str, modifier: str) -> None:
    answer = rated(**{"tokens": {"input": 1_000_000}, **changes})
    assert (answer["status"], answer["usd"], answer["modifier"]) == ("exact", usd, modifier)
    assert answer["rates_usd_per_mtok"]["input"] == input_rate


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tokens": {"input": -1}}, "tokens.input"),
        ({"tokens": {"input": "1"}}, "tokens.input"),
        ({"tokens": {"input": 1.5}}, "tokens.input"),
        ({"tokens": {"input": 1, "imput": 2}}, "tokens.imput"),
        ({"tokens": None}, "tokens"),
        ({"flags": {"sped": "fast"}}, "flags.sped"),
        ({"flags": {"speed": "warp"}}, "flags.speed: 'warp' is not one of standard, normal, fast or null"),
        ({"provider": "openai"}, "provider: 'openai' is not one of anthropic, "),
        ({"timestamp": "2026-11-20"}, "timestamp: '2026-11-20': expected an instant with a zone"),
    ],
)
def test_a_line_that_cannot_be_used_is_invalid_and_says_where(changes: dict[str, object], said: str) -> None:
    answer = rated(**changes)
    assert (answer["id"], answer["status"], answer["usd"]) == ("c-1", "invalid", None)
    assert said in str(answer["reason"])


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "null",
        '"x"',
        "{}",
        '{"model": "\\ud800"}',
        "[" * 100_000,
        '{"id": ' + "9" * 5_000 + "}",
        '{"id": NaN}',
        b"\xff\xfe",
        "\0",
    ],
)
def test_no_line_is_an_exception(line: str | bytes) -> None:
    answer = rate_line(line, BOOK)
    assert (answer["id"], answer["status"]) == (None, "invalid")
    assert answer["reason"]


@pytest.mark.parametrize("call_id", [None, "é\n", 7, 1.5, True, ["x"], {"a": None}, 10**30])
def test_any_id_comes_back(call_id: object) -> None:
    assert rated(id=call_id)["id"] == call_id
    assert rated(id=call_id, tokens=None)["id"] == call_id


def test_huge_counts_are_exact() -> None:
    answer = rated(tokens={"input": 2**63 - 1, "output": 10**18 + 1})
    # 9,223,372,036,854,775,807 x 4 + 1,000,000,000,000,000,001 x 20 per million
    assert answer["usd"] == "56893488147419.103248"
    assert rated(tokens={"input": 2**63})["status"] == "invalid"


@pytest.mark.parametrize(
    ("timestamp", "cache_read"),
    [
        ("2026-10-06T23:59:59.999999999Z", "0.2"),
        ("2026-10-07T00:00:00Z", "0.1"),
        ("2026-10-07t01:59:59.9+02:00", "0.2"),
        ("2026-10-07 02:00:00+02:00", "0.1"),
        ("2026-10-06T16:00:00-08:00", "0.1"),
        ("2026-10-06T23:59:59-00:00", "0.2"),
    ],
)
def test_instants_are_compared_in_utc(timestamp: str, cache_read: str) -> None:
    answer = rated(model="claude-sonnet-5-5", timestamp=timestamp)
    assert answer["rates_usd_per_mtok"]["cache_read"] == cache_read


@pytest.mark.parametrize(
    "timestamp",
    ["2026-10-07T00:00:00", "20261007T000000Z", "2026-13-01T00:00:00Z", "2026-10-07T24:00:00Z", "", 0, None],
)
def test_what_is_no_instant_is_invalid(timestamp: object) -> None:
    answer = rated(timestamp=timestamp)
    assert answer["status"] == "invalid"
    assert str(answer["reason"]).startswith("timestamp: ")


@pytest.mark.parametrize(
    "timestamp", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1969-12-31T23:59:59Z"]
)
def test_the_ends_of_time_are_instants(timestamp: str) -> None:
    assert rated(timestamp=timestamp)["status"] in ("exact", "unpriced")


def test_a_callers_own_keys_are_left_alone_unless_a_key_of_ours_is_missing() -> None:
    assert rated(note="mine")["status"] == "exact"
    without = {key: value for key, value in LINE.items() if key != "server_tools"}
    answer = rate_line(json.dumps(without | {"server_tool": {"web_search_requests": 5}}), BOOK)
    assert answer["status"] == "invalid"
    assert "unknown key server_tool; did you mean server_tools?" in str(answer["reason"])
