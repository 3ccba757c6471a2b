"""Price files: what is bundled, and that every mistake is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanledger.config.prices import load_price_book
from spanledger.core.errors import ConfigError
from support.truth import SPELLINGS

FILE = """
schema: 1
name: mine
version: "1"
checked: "2026-11-20"
source: contract
web_search: {usd_per_request: "0.01", source: contract, checked: "2026-11-20"}
models:
  - id: model-a
    aliases: [model-alias]
    prices:
      - from: "2026-01-01T00:00:00Z"
        rates: {input: "1", output: "2", cache_write_5m: "3", cache_write_1h: "4", cache_read: "0.5"}
        source: contract
        checked: "2026-11-20"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    return path


def test_the_bundled_book_knows_every_spelling_of_the_captures() -> None:
    book = load_price_book()
    assert {name for name in SPELLINGS if book.resolve(name).prices is None} == set()
    assert book.id.startswith("anthropic-list@")


def test_equal_content_is_an_equal_id_and_other_content_another(tmp_path: Path) -> None:
    first = load_price_book([written(tmp_path, FILE)])
    assert load_price_book([written(tmp_path, f"# a comment\n{FILE}")]).id == first.id
    assert load_price_book([written(tmp_path, FILE.replace('input: "1"', 'input: "1.1"'))]).id != first.id
    assert first.resolve("model-alias").prices is first.resolve("model-a").prices


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('input: "1"', "input: 1.10", 'model-a.prices.row 1.rates.input: 1.1 is not text: quote prices, as in "2.50"'),
        ('input: "1"', 'input: "-1"', "model-a.prices.row 1.rates.input"),
        ('input: "1"', 'input: "NaN"', "model-a.prices.row 1.rates.input"),
        ('input: "1"', 'input: "0.0000001"', "model-a.prices.row 1.rates.input"),
        ('input: "1", ', "", "model-a.prices.row 1.rates.input: Field required"),
        ('from: "2026-01-01T00:00:00Z"', "from: 2026-01-01", "give an instant with a zone"),
        ('from: "2026-01-01T00:00:00Z"', 'from: "2026-01-01T00:00:00"', "give an instant with a zone"),
        ("aliases:", "alias:", "model-a.alias: Extra inputs are not permitted"),
        ("schema: 1", "schema: 2", "schema"),
        ("aliases: [model-alias]", "aliases: [model-a]", "model-a: named by more than one model"),
        ("schema: 1", "schema: [", "is not YAML"),
    ],
)
def test_a_mistake_is_told_with_file_model_and_key(old: str, new: str, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, FILE.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_price_book([path])
    assert said in str(caught.value)
    if "named by" not in said:
        assert str(path) in str(caught.value)


def test_rows_must_rise_in_time(tmp_path: Path) -> None:
    row = FILE[FILE.index("      - from") :]
    with pytest.raises(ConfigError, match="`from` of its prices must rise from row to row"):
        load_price_book([written(tmp_path, FILE + row)])


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: price file cannot be read"):
        load_price_book([tmp_path / "none.yaml"])
