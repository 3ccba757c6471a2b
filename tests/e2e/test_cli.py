"""The command: exit codes, messages that say what to do, and `--json` that is one object."""

from __future__ import annotations

import gzip
import json
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import Result
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from typer.testing import CliRunner

from spanledger.cli.main import app
from support.truth import CAPTURES

S01 = CAPTURES / "s01_single_prompt"


def run(*arguments: str | Path, stdin: str = "", environ: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], input=stdin, env=environ, catch_exceptions=False)


def test_version_and_help() -> None:
    assert run("--version").stdout == f"spanledger {version('spanledger')}\n"
    shown = run("--help").stdout
    assert all(verb in shown for verb in ("serve", "replay", "demo", "prices"))


def test_replay_prints_one_object_with_exact_money() -> None:
    answer = run("replay", S01, "--json")
    assert answer.exit_code == 0
    shown = json.loads(answer.stdout)
    assert list(shown) == [
        *("cost_usd", "list_cost_usd", "client_cost_usd", "residual_usd", "requests", "duplicates", "unpriced"),
        *("by_model", "by_user", "by_team", "by_query_class", "by_basis", "by_evidence", "metrics", "problems"),
    ]
    # One call of Opus 5.5: 107 x $4 + 53 x $20 + 12,011 x $0.20 + 513 x $5, all per million.
    assert shown["cost_usd"] == "0.0064552"
    assert shown["residual_usd"] == "0"
    assert shown["metrics"]["spanledger.cost"] == shown["metrics"]["spanledger.user.cost"] == shown["cost_usd"]
    tokens = shown["by_model"]["claude-opus-5-5"]["tokens"]
    assert (tokens["input"], tokens["output"], tokens["cache_read"], tokens["cache_write_5m"]) == (107, 53, 12011, 513)


def test_replay_into_a_ledger_adds_up_and_counts_duplicates_of_the_run(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    first = json.loads(run("replay", S01, "--ledger", ledger, "--json").stdout)
    again = json.loads(run("replay", S01, "--ledger", ledger, "--json").stdout)
    assert again["duplicates"] == again["metrics"].pop("spanledger.duplicates") == 2 * first["requests"]
    assert first["metrics"].pop("spanledger.duplicates") == 0
    assert {**again, "duplicates": 0} == first
    both = json.loads(run("replay", CAPTURES / "s03_subagent", "--ledger", ledger, "--json").stdout)
    assert both["requests"] > first["requests"]


def test_replay_writes_what_would_be_forwarded(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("replay", S01, "--out", out).exit_code == 0
    spans = [
        span
        for file in sorted(out.rglob("*traces*"))
        for group in ExportTraceServiceRequest.FromString(file.read_bytes()).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]
    priced = [span for span in spans if any(pair.key == "spanledger.cost.list_usd" for pair in span.attributes)]
    assert [span.name for span in priced] == ["claude_code.llm_request"]
    assert len(spans) > len(priced)


def test_replay_shows_people_a_table() -> None:
    answer = run("replay", S01)
    assert "cost $0.0064552 billed, clients say $0.0064552; 1 requests, 0 duplicates, 0 unpriced" in answer.stdout
    assert "Cost by model" in answer.stdout


def test_replay_tells_of_a_body_that_it_cannot_read_and_prices_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "capture"
    shutil.copytree(S01, folder)
    (folder / "9999-traces.pb").write_bytes(b"\x0a\xff")
    answer = run("replay", folder, "--json")
    assert answer.exit_code == 1
    shown = json.loads(answer.stdout)
    assert shown["cost_usd"] == "0.0064552"
    (problem,) = shown["problems"]
    assert "9999-traces.pb" in problem


def test_replay_of_compressed_bodies_is_the_same(tmp_path: Path) -> None:
    for file in S01.iterdir():
        if file.suffix == ".pb":
            (tmp_path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    assert json.loads(run("replay", tmp_path, "--json").stdout)["cost_usd"] == "0.0064552"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay", "no/such"], "no/such: no such folder; give a folder with files named like 0001-traces.pb"),
        (["replay", "."], "holds no capture"),
        (["replay", str(S01), "--config", "none.yaml"], "none.yaml: configuration cannot be read"),
        (["prices", "rate", "--contract", "f.yaml"], "f.yaml: cannot be read"),
        (["serve", "--grpc", "4317"], "--grpc: receiver.grpc.endpoint: '4317' is not HOST:PORT, as in localhost:4317"),
        (
            ["serve", "--otlp-protocol", "http/json"],
            "--otlp-protocol: exporter.protocol: Input should be 'grpc' or",
        ),
    ],
)
def test_bad_input_is_told_and_exits_2(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = run(*arguments)
    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert said in answer.stderr


def test_a_destination_that_is_the_service_itself_is_refused(tmp_path: Path) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317"}
    answer = run("serve", "--ledger", tmp_path / "ledger.db", environ=environ)
    assert answer.exit_code == 2
    assert "http://localhost:4317 is this service's own receiver" in answer.stderr


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_bytes(b"not a database at all" * 100)
    answer = run("replay", S01, "--ledger", tmp_path / "broken.db")
    assert answer.exit_code == 2
    assert "broken.db" in answer.stderr


def test_prices_rate_answers_line_by_line() -> None:
    call = {
        "provider": "anthropic",
        "model": "claude-haiku-5-5",
        "timestamp": "2026-11-20T00:00:00Z",
        "tokens": {"input": 1, "output": 2, "cache_write_5m": 3, "cache_write_1h": 4, "cache_read": 5},
    }
    lines = [{**call, "id": "a"}, {**call, "id": "b", "model": "gpt-9"}, {"id": "c"}]
    answer = run("prices", "rate", stdin="".join(f"{json.dumps(line)}\n" for line in lines) + "\n")
    assert answer.exit_code == 0
    priced, unpriced, invalid = map(json.loads, answer.stdout.splitlines())
    # 1 x 0.10 + 2 x 0.50 + 3 x 0.125 + 4 x 0.20 + 5 x 0.01 = 2.325, per million.
    assert (priced["id"], priced["status"], priced["usd"]) == ("a", "exact", "0.000002325")
    assert (unpriced["id"], unpriced["status"], unpriced["usd"]) == ("b", "unpriced", None)
    assert (invalid["id"], invalid["status"]) == ("c", "invalid")
