"""docs/prices.md: its contract is one that can be used, and its examples print what it says; so do its settings."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from spanledger.cli.main import app
from spanledger.config.settings import load_settings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "prices.md").read_text()
REFERENCE = ROOT / "docs" / "reference"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def examples() -> list[tuple[str, list[str]]]:
    """Commands of the page and the lines that each prints, among others."""
    (console,) = blocks("console")
    parts = console.split("$ ")[1:]
    return [(command, lines) for command, *lines in (part.strip("\n").split("\n") for part in parts)]


def contract() -> str:
    return next(block for block in blocks("yaml") if block.startswith("# contract.yaml"))


@pytest.mark.parametrize(("command", "lines"), examples(), ids=lambda value: str(value)[:60])
def test_the_examples_print_what_the_page_says(
    command: str, lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "contract.yaml").write_text(contract())
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(command)
    answer = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert (program, answer.exit_code) == ("spanledger", 0)
    printed = [" ".join(line.split()) for line in answer.stdout.splitlines()]
    assert [line for line in lines if " ".join(line.split()) not in printed] == []


def test_the_settings_can_be_used(tmp_path: Path) -> None:
    (settings,) = (block for block in blocks("yaml") if block.startswith("prices:"))
    (tmp_path / "config.yaml").write_text(settings)
    loaded = load_settings(tmp_path / "config.yaml", {}, {})
    assert [default.evidence for default in loaded.prices.defaults] == [
        "CLOUD_ML_REGION in the managed settings",
        "the client's default on a subscription",
    ]


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ("price-list", (ROOT / "src/spanledger/data/prices/anthropic.yaml").read_text()),
        ("price-list", (ROOT / "tests/data/prices/list.yaml").read_text()),
        (
            "contract",
            contract().replace("2026-10-01T00:00:00Z", "'2026-10-01T00:00:00Z'").replace("2027-01-01", "'2027-01-01'"),
        ),
    ],
    ids=["bundled list", "test list", "contract of the page"],
)
def test_the_published_schemas_take_what_the_program_takes(schema: str, text: str) -> None:
    validator = jsonschema.Draft202012Validator(json.loads((REFERENCE / f"{schema}.schema.json").read_text()))
    validator.check_schema(validator.schema)
    assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize(
    "name", ["price_not_quoted", "rate_missing", "key_misspelt", "modifier_unknown", "schema_unknown"]
)
def test_the_published_schema_refuses_what_the_program_refuses(name: str) -> None:
    schema = json.loads((REFERENCE / "price-list.schema.json").read_text())
    bad = yaml.safe_load((ROOT / "tests" / "data" / "prices" / f"bad_{name}.yaml").read_text())
    assert not jsonschema.Draft202012Validator(schema).is_valid(bad)
