"""`spanledger dashboards`: the boards as they are committed, what is stale, and what another backend gets."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from spanledger.cli.main import app

COMMITTED = Path(__file__).parents[2] / "dashboards"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["dashboards", *map(str, arguments)], catch_exceptions=False)


def test_build_writes_the_committed_boards_and_check_finds_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "boards"
    assert run("build", folder).exit_code == 0
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert {str(path.relative_to(folder)): path.read_bytes() for path in written} == {
        str(path.relative_to(COMMITTED)): path.read_bytes()
        for path in (*COMMITTED.glob("*.json"), COMMITTED / "rules" / "boards.yaml")
    }
    assert (run("check", folder).exit_code, run("check", folder).stdout) == (0, "nothing is stale\n")


def test_check_names_what_is_stale_or_missing(tmp_path: Path) -> None:
    run("build", tmp_path)
    (tmp_path / "overview.json").write_text("{}")
    (tmp_path / "quality.json").unlink()
    checked = run("check", tmp_path, "--json")
    stale = [str(tmp_path / name) for name in ("overview.json", "quality.json")]
    assert (checked.exit_code, json.loads(checked.stdout)) == (1, {"stale": stale})


def test_another_backend_gets_its_own_queries(tmp_path: Path) -> None:
    built = run("build", tmp_path, "--backend", "victoriametrics", "--json")
    assert len(json.loads(built.stdout)["written"]) == 6
    assert '__name__=\\"spanledger.user.cost\\"' in (tmp_path / "chargeback.json").read_text()
    assert run("check", tmp_path).exit_code == 1
    assert run("check", tmp_path, "--backend", "victoriametrics").exit_code == 0


def test_an_unknown_backend_is_told_which_there_are(tmp_path: Path) -> None:
    refused = run("build", tmp_path, "--backend", "graphite")
    assert refused.exit_code == 2
    assert "--backend graphite: there is prometheus, mimir, victoriametrics" in refused.stderr
    assert list(tmp_path.iterdir()) == []
