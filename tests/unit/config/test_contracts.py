"""Contract files: how figures and times may be written, and that a contract shows in the book's id."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanledger.config.prices import Layers, load_price_book
from spanledger.core.book import PriceBook
from support.contracts import nano

QUOTED = """
overrides:
  - model: claude-opus-5-5
    rates: {input: "3", output: "9.5", cache_write_5m: "3.5", cache_write_1h: "5", cache_read: "0.15"}
    from: "2026-11-09T00:00:00Z"
    until: "2027-11-09T00:00:00+01:00"
discounts:
  - multiplier: "0.85"
    cost_center: "4711"
"""


def book_of(folder: Path, contract: str) -> PriceBook:
    path = folder / "contract.yaml"
    path.write_text(contract)
    return load_price_book(Layers(contract=path))


def test_figures_and_times_may_stand_without_quotes_and_no_float_comes_in_between(tmp_path: Path) -> None:
    quoted, bare = book_of(tmp_path, QUOTED), book_of(tmp_path, QUOTED.replace('"', ""))
    assert bare.id == quoted.id
    (override,), (discount,) = bare.contract.overrides, bare.contract.discounts
    assert (override.rates.output, override.rates.cache_read) == (9_500_000, 150_000)
    assert (override.span.from_unix_nano, override.span.until_unix_nano) == (
        nano("2026-11-09"),
        nano("2027-11-08T23:00:00"),
    )
    assert (str(discount.multiplier), discount.scope.cost_center) == ("17/20", "4711")


def test_a_day_is_its_beginning_in_utc(tmp_path: Path) -> None:
    for day in ("2026-12-01", '"2026-12-01"'):
        (discount,) = book_of(tmp_path, f"discounts: [{{multiplier: 0.9, from: {day}}}]").contract.discounts
        assert discount.span.from_unix_nano == nano("2026-12-01T00:00:00")


def test_keys_with_nothing_after_them_say_nothing(tmp_path: Path) -> None:
    contract = book_of(tmp_path, "aliases:\noverrides:\ndiscounts:\n").contract
    assert (contract.aliases, contract.overrides, contract.discounts) == ({}, (), ())


def test_the_contract_shows_in_the_id_of_the_book(tmp_path: Path) -> None:
    plain = load_price_book()
    named = book_of(tmp_path, f"name: acme\nversion: 2026-1\n{QUOTED}")
    assert named.id.startswith(f"{plain.id.partition('#')[0]}+acme@2026-1#")
    assert book_of(tmp_path, QUOTED.replace("0.85", "0.86")).id != book_of(tmp_path, QUOTED).id
    assert book_of(tmp_path, QUOTED + "# a comment\n").id == book_of(tmp_path, QUOTED).id


@pytest.mark.parametrize("name", ["TEAM-Sonnet", " team-sonnet ", "team-sonnet[1m]", "Team-Sonnet[1M]"])
def test_an_alias_is_found_whatever_its_case_and_suffix(name: str, tmp_path: Path) -> None:
    book = book_of(tmp_path, "aliases: {Team-Sonnet: claude-sonnet-5-5}")
    assert book.resolve(name).prices is book.resolve("claude-sonnet-5-5").prices
    assert book.resolve("my-team-sonnet").prices is None
