"""`spanledger reprice` as a user runs it; the example of docs/operate/correct-a-price.md, word by word."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from spanledger.cli.main import app
from support.serving import standing
from support.truth import CAPTURES

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "operate" / "correct-a-price.md").read_text()
FILES = dict(re.findall(r"`(\S+\.yaml)`:\n\n```yaml\n(.*?)```", PAGE, re.DOTALL))
STEPS = [
    (command, lines.splitlines())
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for command, lines in re.findall(r"^\$ spanledger (.*)\n((?:[^$].*\n)*)", block, re.MULTILINE)
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the example runs: its files and the captures."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "captures").symlink_to(CAPTURES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_example_of_the_page(folder: Path) -> None:
    assert set(FILES) == {"more-prices.yaml", "config.yaml"}
    assert len(STEPS) == 4
    for command, lines in STEPS:
        done = run(*command.split())
        assert (done.exit_code, done.stderr) == (0, "")
        for line in lines:
            assert words(line) in words(done.stdout), (command, done.stdout)
    assert "The ledger now holds 1.1794 USD" in PAGE
    assert standing(folder / "ledger.db").figures.report.cost_picousd == 11_794 * 10**8


@pytest.mark.usefixtures("folder")
def test_what_it_prints_as_json() -> None:
    run("replay", "tests/captures/s07_models", "--ledger", "ledger.db")
    done = run("reprice", "--from", "2026-11-22T17:00:00+00:00", "--config", "config.yaml", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 0
    books = (told.pop("price_book"), *told.pop("corrected_price_books"))
    assert [book.partition("#")[0] for book in books][1:] == [books[0].partition("+")[0]]
    (unpriced,) = told.pop("unpriced")
    assert "'acme-model-9'" in unpriced.pop("why")
    assert unpriced == {"requests": 1, "tokens": 38_200}
    change = {"charges": 1, "first_prices": 1, "before_usd": None, "after_usd": "0.096", "difference_usd": "0.096"}
    assert told == {
        "from": "2026-11-22T17:00:00.000Z",
        "to": None,
        "dry_run": False,
        "charges": 22,
        "postings": 2,
        "differences": [{"cost_center": "cc-42", "model": "claude-opus-9-9", "basis": "billed", **change}],
        "by_basis": {"billed": change},
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--from", "yesterday"], "--from yesterday: expected a day, as in 2026-11-01, or an instant with a zone"),
        (["--from", "2026-11-31"], "--from 2026-11-31: expected a day"),
        (["--from", "2026-11-01T09:30:00"], "--from 2026-11-01T09:30:00: expected a day"),
        (["--from", "2026-11-02", "--to", "2026-11-01"], "the period is empty"),
        (["--from", "2026-11-02", "--timezone", "Mars/Olympus"], "--timezone: 'Mars/Olympus' is no time zone"),
        (["--from", "2026-11-02"], "ledger ledger.db: there is none"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_used_is_told_and_exits_with_2(arguments: list[str], told: str) -> None:
    done = run("reprice", *arguments, "--config", "config.yaml")
    assert done.exit_code == 2
    assert told in done.stderr


@pytest.mark.usefixtures("folder")
def test_a_day_begins_in_the_time_zone_that_is_asked_for() -> None:
    """The calls were at 17:48 UTC: in Auckland (UTC+13) that was the 23rd, in UTC the 22nd."""
    run("replay", "tests/captures/s07_models", "--ledger", "ledger.db")
    asked = ["reprice", "--from", "2026-11-23", "--to", "2026-11-24", "--dry-run", "--config", "config.yaml", "--json"]
    assert json.loads(run(*asked).stdout)["charges"] == 0
    assert json.loads(run(*asked, "--timezone", "Pacific/Auckland").stdout)["charges"] == 22
