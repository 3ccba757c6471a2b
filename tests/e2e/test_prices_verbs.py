"""`spanledger prices`: what each verb prints, its `--json`, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from spanledger.cli.main import app

DATA = Path(__file__).parents[1] / "data" / "prices"
LIST = DATA / "list.yaml"
CONTRACT = """
name: acme
aliases: {"team-sonnet": claude-sonnet-5-5}
overrides:
  - {model: claude-opus-5-5, provider: bedrock, from: 2026-10-01,
     rates: {input: 3.6, output: 18, cache_write_5m: 4.5, cache_write_1h: 7.2, cache_read: 0.18}}
discounts:
  - {multiplier: 0.9, until: 2027-01-01}
  - {multiplier: 0.85, cost_center: research}
"""


def run(*arguments: str | Path, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(app, ["prices", *map(str, arguments)], input=stdin, catch_exceptions=False)


def told(*arguments: str | Path, exit_code: int = 0) -> dict:
    answer = run(*arguments, "--json")
    assert answer.exit_code == exit_code, answer.output
    return json.loads(answer.stdout)


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    path = tmp_path / "contract.yaml"
    path.write_text(CONTRACT)
    return path


def model(listed: dict, name: str) -> dict:
    return next(one for one in listed["models"] if one["model"] == name)


def test_list_gives_a_line_a_model_at_an_instant(contract: Path) -> None:
    listed = told("list", "--at", "2026-10-07")
    assert (listed["at"], listed["provider"], len(listed["models"])) == ("2026-10-07T00:00:00Z", "anthropic", 27)
    haiku = model(listed, "claude-haiku-5-5")
    assert haiku["rates_usd_per_mtok"]["input"] == "0.1"
    assert haiku["long_prompt"] == {
        "above_tokens": 100_000,
        "rates_usd_per_mtok": {
            "input": "0.5",
            "output": "2.5",
            "cache_write_5m": "0.625",
            "cache_write_1h": "1",
            "cache_read": "0.05",
        },
    }
    assert model(listed, "claude-fable-5-2")["price_row"] is None  # it came later
    assert model(listed, "claude-opus-5-5")["fast_rates_usd_per_mtok"]["input"] == "8"
    by_contract = model(told("list", "--at", "2026-10-07", "--contract", contract), "claude-sonnet-5-5")
    assert by_contract["rates_usd_per_mtok"]["cache_read"] == "0.09"
    assert by_contract["list_rates_usd_per_mtok"]["cache_read"] == "0.1"
    shown = run("list", "--at", "2026-10-07", "--provider", "bedrock").stdout
    assert "USD per million tokens at bedrock, 2026-10-07T00:00:00Z" in shown
    assert "above 100,000 tokens 0.5/2.5" in shown


def test_list_shows_what_is_announced(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"prices: {{files: [{LIST}]}}")
    line = model(told("list", "--at", "2026-11-24", "--config", config), "model-a")
    assert [row["price_row"] for row in line["announced"]] == ["model-a@2026-12-01T00:00:00Z"]
    assert "announced from 2026-12-01T00:00:00Z: 1/2" in run("list", "--at", "2026-11-24", "--config", config).stdout


def test_show_gives_all_of_a_model_by_any_form_of_its_id(contract: Path) -> None:
    shown = told("show", "eu.anthropic.claude-opus-5-5", "--contract", contract)
    assert (shown["model"], shown["prices"][0]["list"]) == ("claude-opus-5-5", "anthropic-list")
    assert shown["overrides"][0]["modifiers"] == "final"
    assert [(one["cost_center"], one["multiplier"]) for one in shown["discounts"]] == [
        ("research", "0.85"),
        (None, "0.9"),
    ]
    assert told("show", "team-sonnet", "--contract", contract)["contract_aliases"] == ["team-sonnet"]
    sonnet = run("show", "claude-sonnet-5").stdout
    assert "withdrawn 2026-08-10" in sonnet
    assert "regional x1.1, always" in sonnet
    assert "after that it bills as standard" in run("show", "claude-opus-4-6").stdout
    unknown = run("show", "gpt-9")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert "no price of 'gpt-9'" in unknown.stderr


def test_explain_works_a_price_out_from_the_name_to_the_sum(contract: Path) -> None:
    call = ("team-sonnet[1m]", "--input", "1000", "--cache-write", "200", "--web-search", "2", "--inference-geo", "us")
    when = ("--at", "2026-11-24", "--contract", contract)
    explained = told("explain", *call, *when)
    # (1,000 x 2 + 200 x 2.50) x 1.1 x 0.9 per million + 2 x 0.01; at list without the 0.9
    assert (explained["usd"], explained["list_usd"], explained["status"]) == ("0.022475", "0.02275", "lower_bound")
    assert (explained["modifier"], explained["price_row"]) == ("0.99", "claude-sonnet-5-5@2026-10-07T00:00:00Z")
    assert [line["usd"] for line in explained["sum"]] == ["0.00198", "0.000495", "0.02"]
    text = run("explain", *call, *when).stdout
    for step in (
        "model: 'team-sonnet[1m]', by the contract's aliases 'claude-sonnet-5-5', is claude-sonnet-5-5",
        "modifier: us_residency x1.1 (inference_geo us)",
        "contract: discount x0.9 for every call, always until 2027-01-01T00:00:00Z",
        "lower bound: cache writes without a time to live",
        "at list $0.02275",
    ):
        assert step in text
    own = told("explain", "us.anthropic.claude-opus-5-5", "--provider", "bedrock", "--output", "10", *when)
    assert own["steps"][-1].startswith(
        "contract: own rates for provider bedrock, model claude-opus-5-5, from 2026-10-01"
    )
    long = run("explain", "claude-haiku-5-5", "--cache-read", "100001", "--at", "2026-11-24").stdout
    assert "rates: of a long prompt, 100,001 tokens are above 100,000; the whole call" in long


def test_explain_says_why_there_is_no_price() -> None:
    answer = told("explain", "claude-opus-5-6", exit_code=1)
    assert (answer["status"], answer["usd"]) == ("unpriced", None)
    assert "in the contract (prices.contract) name its model under `aliases`" in answer["steps"][-1]
    assert run("explain", "claude-opus-5-5", "--fast", "--provider", "vertex").exit_code == 1


def test_rate_answers_line_for_line(contract: Path) -> None:
    line = {
        "id": "a",
        "provider": "anthropic",
        "model": "team-sonnet",
        "timestamp": "2026-11-20T00:00:00Z",
        "tokens": {"input": 1_000_000},
        "cost_center": "research",
    }
    stdin = (
        b"\xef\xbb\xbf" + json.dumps(line).encode() + b"\r\n\r\nnonsense\n" + json.dumps(line | {"id": "b"}).encode()
    )
    answer = run("rate", "--contract", contract, stdin=stdin)
    first, junk, last = map(json.loads, answer.stdout.splitlines())
    assert (answer.exit_code, first["usd"], first["list_usd"], first["modifier"]) == (0, "1.7", "2", "0.85")
    assert (junk["status"], last["id"]) == ("invalid", "b")
    without = json.loads(run("rate", stdin=json.dumps(line)).stdout)
    assert (without["status"], without["usd"]) == ("unpriced", None)


def test_diff_tells_what_two_books_say_differently(contract: Path, tmp_path: Path) -> None:
    assert told("diff", "bundled", "current")["changes"] == []
    assert "They say the same." in run("diff", "bundled", "current").stdout
    changes = told("diff", "bundled", contract, exit_code=1)["changes"]
    assert {
        "of": "contract",
        "what": "discount for cost center research, always",
        "before": None,
        "after": "x0.85",
    } in changes
    dearer = tmp_path / "dearer.yaml"
    dearer.write_text(
        LIST.read_text().replace('cache_read: "0.4"', 'cache_read: "0.3"').replace("id: model-b", "id: model-c")
    )
    assert told("diff", LIST, dearer, exit_code=1)["changes"] == [
        {"of": "model-b", "what": "the model", "before": "listed", "after": None},
        {"of": "model-c", "what": "the model", "before": None, "after": "listed"},
        {"of": "model-a", "what": "from 2026-12-01T00:00:00Z cache_read", "before": "0.4", "after": "0.3"},
    ]


def test_diff_lays_a_list_that_is_not_whole_over_the_bundled_one(tmp_path: Path) -> None:
    update = tmp_path / "update.yaml"
    row = LIST.read_text()[LIST.read_text().index("  - id: model-b") :]
    update.write_text(f'schema: 1\nname: newer\nversion: "2"\nchecked: "2026-11-24"\nsource: s\nmodels:\n{row}')
    changes = told("diff", "bundled", update, exit_code=1)["changes"]
    assert changes == [{"of": "model-b", "what": "the model", "before": None, "after": "listed"}]


def test_verify_is_content_with_the_bundled_list() -> None:
    found = told("verify", "bundled", "--at", "2026-11-24")
    assert (found["findings"], found["models"], found["rows"]) == ([], 27, 33)
    assert "claude-sonnet-5@2026-09-01T00:00:00Z: announced, withdrawn on 2026-08-10" in found["notes"]
    assert "nothing to look at" in run("verify", "--at", "2026-11-24").stdout


def test_verify_finds_what_a_person_should_look_at(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    rates = '{input: "2", output: "4", cache_write_5m: "6", cache_write_1h: "8", cache_read: "1"}'
    block = f'      - from: "2026-08-01T00:00:00Z"\n        rates: {rates}\n'
    path.write_text(LIST.read_text().replace("    prices:\n", block + "    prices:\n", 1))
    found = told("verify", path, "--at", "2027-03-01", exit_code=1)
    assert found["findings"] == [
        "the list was last checked on 2026-11-20, more than 30 days ago: compare it with its source",
        "model-a@2026-12-01T00:00:00Z: announced and in effect; confirm it (take `announced` away) or withdraw it",
        "model-a: fast rates: a gap from 2026-06-01T00:00:00Z until 2026-08-01T00:00:00Z",
    ]


def test_verify_looks_a_contract_over(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(
        "overrides:\n"
        "  - {model: acme-9, rates: {input: 1, output: 1, cache_write_5m: 1, cache_write_1h: 1, cache_read: 1}}\n"
        "discounts:\n"
        "  - {multiplier: 0.9, provider: vertex, until: 2026-06-01}\n"
        "  - {multiplier: 0.8, provider: vertex, from: 2026-07-01}\n"
        "  - {multiplier: 0.123456, provider: bedrock}\n"
    )
    found = told("verify", path, "--at", "2026-11-24", exit_code=1)
    assert found["findings"] == [
        "contract: discount for provider vertex: a gap from 2026-06-01T00:00:00Z until 2026-07-01T00:00:00Z"
    ]
    assert "acme-9: in no list, priced by the contract alone" in found["notes"]
    assert "contract: discount for provider vertex, always until 2026-06-01T00:00:00Z: has ended" in found["notes"]
    assert any(note.startswith("contract: x0.123456 leaves rates finer than one pico-USD") for note in found["notes"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", str(DATA / "bad_jump.yaml")), "bad_jump.yaml:26: models.model-a.prices.row 2.rates.cache_read"),
        (("verify", str(DATA / "bad_contract_alias_of_unknown_model.yaml")), "did you mean claude-sonnet-5-5?"),
        (("verify", "none.yaml"), "none.yaml: cannot be read"),
        (("diff", "bundled", str(DATA.parents[1] / "catalogue" / "README.md")), "README.md"),
        (("list", "--at", "soon"), "--at 'soon': expected an instant with a zone"),
        (("rate", "--contract", "none.yaml"), "none.yaml: cannot be read"),
    ],
)
def test_bad_input_exits_2_and_says_where(arguments: tuple[str, ...], said: str) -> None:
    answer = run(*arguments)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert said in answer.stderr
