"""Reports as a person asks for them: commands of the documentation, formats that agree, mistakes that are told."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from spanledger.cli.main import app
from spanledger.config.settings import load_settings
from spanledger.ledger.ledger import Ledger
from spanledger.service.audit import audit
from support.booking import open_books
from support.replaying import replay_folders
from support.telling import NOW, SECOND, Client, Usage
from support.truth import CAPTURES

ROOT = Path(__file__).parent.parent.parent
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "report.md").read_text(), re.DOTALL)
COMMANDS = [line.removeprefix(".venv/bin/spanledger ") for block in BLOCKS for line in block.splitlines()]
DAY = 86_400 * SECOND


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)


def shown_by(ledger: Path, *asked: str) -> dict:
    """A report as JSON."""
    return json.loads(run("report", "--ledger", ledger, *asked, "--json").stdout)


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "captures.db"
    replay_folders([CAPTURES], path)
    return path


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("report ")])
def test_the_commands_of_the_page_say_something(command: str, captures: Path) -> None:
    done = run(*shlex.split(command.replace("captures.db", str(captures))))
    assert done.exit_code == 0, done.stderr
    assert "No usage" not in done.stdout
    assert len(done.stdout.splitlines()) > 3


def test_the_page_makes_its_ledger_first() -> None:
    assert COMMANDS[0] == "replay tests/captures --ledger captures.db"
    assert sum(line.startswith("report ") for line in COMMANDS) == len(COMMANDS) - 1 >= 7


def test_csv_json_and_the_ledger_agree_to_the_pico_dollar(captures: Path) -> None:
    asked = ("--by", "cost_center,team,user,model", "--period", "2026")
    rows = list(csv.DictReader(io.StringIO(run("report", "--ledger", captures, *asked, "--format", "csv").stdout)))
    shown = shown_by(captures, *asked)
    assert [{name: str(value) for name, value in line.items()} for line in shown["lines"]] == rows
    ledger = Ledger.read(captures)
    replayed = audit(ledger).as_json(duplicates=0, problems=[])
    ledger.close()
    assert sum(Decimal(row["cost_usd"]) for row in rows) == Decimal(replayed["cost_usd"])
    assert shown["totals"]["billed"]["cost_usd"] == replayed["cost_usd"]
    assert shown["totals"]["billed"]["residual_usd"] == replayed["residual_usd"]
    assert shown["totals"]["billed"]["requests"] == replayed["requests"]
    assert shown["totals"]["billed"]["unpriced_requests"] == replayed["unpriced"]["requests"]
    models: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        models[row["model"]] += Decimal(row["cost_usd"])
    assert models == {model: Decimal(group["cost_usd"] or 0) for model, group in replayed["by_model"].items()}


def test_days_sum_to_their_month_in_any_time_zone(captures: Path) -> None:
    for zone in ("UTC", "Pacific/Kiritimati", "America/Los_Angeles"):
        shown = shown_by(captures, "--by", "day", "--timezone", zone, "--period", "2026")
        total = Decimal(shown["totals"]["billed"]["cost_usd"])
        assert sum(Decimal(line["cost_usd"]) for line in shown["lines"]) == total


def test_plans_and_keys_are_apart_and_a_pilot_is_extrapolated(tmp_path: Path) -> None:
    config = tmp_path / "spanledger.yaml"
    config.write_text("metrics: {resource_labels: {team.id: team, squad: team, key_alias: key}}\n")
    settings = load_settings(config, {}, {})
    pilot = Client(session="s1", user="ada", resource={"squad": "pilot", "key_alias": "k-7"})
    plan = Client(session="s2", user="bob", resource={"team.id": "core"}, sender={"anthropic.plan": "max"})
    usage = Usage(input=250_000)  # at 4 USD per million: 1 USD
    with open_books(tmp_path / "ledger.db", settings) as books:
        for n in range(4):
            books.take(pilot.log(f"req_{n}", "claude-opus-5-5", usage, at=NOW - n * DAY), at=NOW - n * DAY)
        books.take(plan.log("req_plan", "claude-opus-5-5", usage, at=NOW), at=NOW).rest()
        whole = books.cost_usd
    days = ("--period", "2026-11-01..2026-11-24")  # over, whenever this runs
    asked = ("report", "--config", config, "--ledger", tmp_path / "ledger.db", *days, "--json")
    shown = json.loads(run(*asked, "--by", "team,key", "--developers", "100").stdout)
    assert [(line["team"], line["key"], line["basis"], line["cost_usd"]) for line in shown["lines"]] == [
        ("pilot", "k-7", "billed", "4"),
        ("core", "unallocated", "notional", "1"),
    ]
    assert whole == "5"
    assert shown["unallocated"] == {"key": {"notional": "1"}}
    assert shown["developers"]["billed"]["per_active_day_usd"] == {"mean": "1", "p50": "1", "p90": "1"}
    # 4 USD in 4 days: 1 USD a day, 30 a month, of 100 developers 3,000.
    assert shown["rollout"]["observed_days"] == 4
    assert shown["rollout"]["month_usd"]["billed"]["mean"] == "3000"


def test_mistakes_are_told_at_once_with_what_was_meant(captures: Path) -> None:
    done = run(
        "report",
        "--ledger",
        captures,
        "--by",
        "cost_centre",
        "--period",
        "nov",
        "--timezone",
        "Mars/X",
        "--where",
        "teem=a",
    )
    assert done.exit_code == 2
    told = done.stderr.splitlines()
    assert [line.split(":")[1].split()[0] for line in told] == ["--by", "--where", "--timezone", "--period"]
    assert "did you mean cost_center?" in told[0]
    assert "did you mean team?" in told[1]


def test_a_condition_that_would_undo_another_is_told_and_a_grouping_counts_once(captures: Path) -> None:
    done = run("report", "--ledger", captures, "--where", "user=a", "--where", "user=b")
    assert (done.exit_code, "user has one value" in done.stderr) == (2, True)
    shown = run("report", "--ledger", captures, "--by", "team,team", "--period", "2026", "--format", "csv").stdout
    assert shown.splitlines()[0].split(",").count("team") == 1


def test_names_that_a_spreadsheet_would_run_are_harmless(tmp_path: Path) -> None:
    client = Client(user='=HYPERLINK("http://x")', resource={"team.id": "[red]a, b"})
    with open_books(tmp_path / "ledger.db") as books:
        books.take(client.log("req_1", "claude-opus-5-5", Usage(input=1))).rest()
    asked = ("report", "--ledger", tmp_path / "ledger.db", "--period", "2026", "--by", "user,team")
    (row,) = csv.DictReader(io.StringIO(run(*asked, "--format", "csv").stdout))
    assert row["user"].startswith("'=HYPERLINK(")
    assert row["team"] == "[red]a, b"
    assert "[red]a, b" in run(*asked).stdout


def test_a_period_without_usage_says_so(captures: Path) -> None:
    done = run("report", "--ledger", captures, "--period", "2024")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "No usage.")
