"""Price files: what is bundled, layers over it, and that every mistake is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanledger.config.prices import Layers, load_price_book
from spanledger.core.book import PriceBook
from spanledger.core.errors import ConfigError
from spanledger.core.pricing import Modifier
from support.truth import answered, capture_folders

DATA = Path(__file__).parents[2] / "data" / "prices"
LIST = (DATA / "list.yaml").read_text()
BAD = sorted(DATA.glob("bad_*.yaml"))
CONTRACT = "bad_contract_"
UPDATE = """
schema: 1
name: newer
version: "2"
checked: "2026-11-21"
source: a newer price sheet
models:
  - id: model-c
    prices:
      - from: "2026-11-21T00:00:00Z"
        rates: {input: "7", output: "7", cache_write_5m: "7", cache_write_1h: "7", cache_read: "7"}
        source: a newer price sheet
        checked: "2026-11-21"
"""


def written(folder: Path, text: str, name: str = "prices.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def book_of(folder: Path, text: str, *updates: str) -> PriceBook:
    over = tuple(written(folder, update, f"update{number}.yaml") for number, update in enumerate(updates))
    return load_price_book(Layers(files=(written(folder, text),), updates=over))


def expected_problems(path: Path) -> list[str]:
    """What a bad file says of itself in its first lines."""
    return [
        f"{path}{line.removeprefix('# expect: ')}"
        for line in path.read_text().splitlines()
        if line.startswith("# expect: ")
    ]


def test_the_bundled_book_knows_every_spelling_of_the_captures() -> None:
    book = load_price_book()
    served = {request.served for folder in capture_folders() for request in answered(folder) if request.cost_usd}
    assert len(served) > 15
    assert {name for name in served if book.resolve(name).prices is None} == set()
    assert book.id.startswith("anthropic-list@")


def test_equal_content_is_an_equal_id_and_other_content_another(tmp_path: Path) -> None:
    first = book_of(tmp_path, LIST)
    assert book_of(tmp_path, f"# a comment\n{LIST}").id == first.id
    assert book_of(tmp_path, LIST.replace('input: "1"', 'input: "1.1"')).id != first.id
    assert first.resolve("model-alias").prices is first.resolve("model-a").prices


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_file_line_key_and_what_was_expected(path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_price_book(Layers(contract=path) if path.name.startswith(CONTRACT) else Layers(files=(path,)))
    assert expected_problems(path)
    assert list(caught.value.problems) == expected_problems(path)


def test_every_mistake_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    first = written(tmp_path, LIST.replace('input: "1"', 'input: "x"'), "first.yaml")
    second = written(tmp_path, LIST.replace("schema: 1", "schema: 9"), "second.yaml")
    with pytest.raises(ConfigError) as caught:
        load_price_book(Layers(files=(first, second, tmp_path / "none.yaml")))
    told = "\n".join(caught.value.problems)
    assert str(first) in told
    assert str(second) in told
    assert "none.yaml: cannot be read" in told


def test_an_improbable_row_is_taken_when_it_is_confirmed(tmp_path: Path) -> None:
    jump = LIST.replace('cache_read: "0.4"}', 'cache_read: "0.04"}')
    with pytest.raises(ConfigError, match="change of more than 50 %"):
        book_of(tmp_path, jump)
    assert book_of(tmp_path, jump.replace("announced: true", "announced: true\n        confirm: true"))


def test_a_model_of_an_update_takes_the_place_of_the_model(tmp_path: Path) -> None:
    book = book_of(tmp_path, LIST, UPDATE.replace("model-c", "model-b"))
    assert [row.layer for row in book.resolve("model-b").prices.rows] == ["newer"]
    assert [row.layer for row in book.resolve("model-a").prices.rows] == ["mine", "mine"]
    assert book.id.startswith("mine@1+newer@2#")


def test_an_update_withdraws_an_announced_price_by_leaving_it_out(tmp_path: Path) -> None:
    """The update holds model A without its announced row of 2026-12-01."""
    announced = LIST.index('      - from: "2026-12-01')
    kept = LIST[LIST.index("  - id: model-a") : announced]
    update = UPDATE[: UPDATE.index("  - id:")] + kept
    (row,) = book_of(tmp_path, LIST, update).resolve("model-alias").prices.rows
    assert (row.id, row.announced) == ("model-a@2026-01-01T00:00:00Z", False)


def test_rules_without_models_hold_for_models_of_an_update_and_the_newest_rule_of_a_kind_counts(tmp_path: Path) -> None:
    book = book_of(tmp_path, LIST, UPDATE)
    assert [one.modifier for one in book.resolve("model-c").prices.multipliers] == [Modifier.BATCH]
    rule = 'modifiers: [{name: regional, factor: "1.3", models: [model-a], source: s, checked: "2026-11-21"}]\nmodels:'
    dearer = book_of(tmp_path, LIST, UPDATE.replace("models:", rule))
    regional = dearer.resolve("model-a").prices.multiplier_at(Modifier.REGIONAL, 2**60)
    assert str(regional.factor) == "13/10"


def test_an_update_that_changes_a_row_by_more_than_half_must_say_so(tmp_path: Path) -> None:
    """0.125 to 1.25 for five-minute writes of model B: a slip of the decimal point."""
    update = UPDATE[: UPDATE.index("  - id:")] + LIST[LIST.index("  - id: model-b") :].replace('"0.125"', '"1.25"')
    with pytest.raises(ConfigError) as caught:
        book_of(tmp_path, LIST, update.replace('cache_write_1h: "0.2"', 'cache_write_1h: "2"'))
    place = f"{tmp_path / 'update0.yaml'}:11: models.model-b.prices.row 1.rates"
    told = [problem.partition(": looks like")[0] for problem in caught.value.problems if "same row" in problem]
    assert told == [
        f"{place}.cache_write_5m: 0.125 to 1.25 is a change of more than 50 % against the same row of mine",
        f"{place}.cache_write_1h: 0.2 to 2 is a change of more than 50 % against the same row of mine",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "? [x]\n: 1",
        "!!python/object:os.system {}",
        "a: " + "[" * 5_000,
        '"\\ud800": 1',
        "a: b: c",
        "\x00",
    ],
    ids=["recursive", "odd key", "foreign tag", "deep", "surrogate", "colon", "null byte"],
)
def test_hostile_yaml_is_refused_and_nothing_else(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"prices\.yaml"):
        load_price_book(Layers(files=(path,)))


def test_anchors_that_multiply_are_refused(tmp_path: Path) -> None:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    with pytest.raises(ConfigError, match="more than 200000 values"):
        book_of(tmp_path, laughs)
