"""The demonstration, and that its captures are those of the tests."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

from typer.testing import CliRunner

from spanledger.cli.main import app
from spanledger.core.money import parse_usd
from spanledger.core.semconv import Metric
from spanledger.core.usage import Signal
from spanledger.service.demo import demo_captures, lost_on_the_way, run_demo
from spanledger.service.sink import OtlpSink
from support.replaying import replay_folders
from support.truth import CAPTURES


def test_the_packaged_captures_are_those_of_the_tests() -> None:
    for folder in demo_captures():
        original = CAPTURES / folder.path.name
        for file in folder.files:
            assert gzip.decompress(file.read_bytes()) == (original / file.name.removesuffix(".gz")).read_bytes()
        bodies = [file for file in original.iterdir() if file.suffix in (".pb", ".json") and "meta" not in file.name]
        assert len(folder.files) == len([file for file in bodies if file.name != "truth.json"])


def test_the_demo_shows_what_a_replay_of_its_captures_says(tmp_path: Path) -> None:
    reference = replay_folders([folder.path for folder in demo_captures()], tmp_path / "reference.db").figures
    answer = CliRunner().invoke(app, ["demo", "--json"])
    assert answer.exit_code == 0, answer.output
    shown = json.loads(answer.stdout)
    assert shown["problems"] == []
    assert parse_usd(shown["cost_usd"]) == reference.report.cost_picousd
    assert shown["arrived"]["spanledger.cost"] == f"${shown['cost_usd']}"
    assert shown["arrived"]["spanledger.requests"] == f"{reference.report.requests:,}"


def test_people_see_the_span_the_tables_and_the_verdict() -> None:
    answer = CliRunner().invoke(app, ["demo"])
    assert answer.exit_code == 0, answer.output
    for shown in (
        "One llm_request span",
        "spanledger.cost.list_usd",
        "Cost by model",
        "Cost by user",
        "Cost by query class",
        "Where the client's own figure differs",
        "unpriced",
        "Arrived at the sink:",
        "agree: metrics at the sink = ledger = report, to the pico-dollar",
    ):
        assert shown in answer.stdout


def test_a_pico_dollar_lost_on_the_way_is_found(tmp_path: Path) -> None:
    result = asyncio.run(run_demo(demo_captures()[:1], tmp_path, lambda _: None))
    exported = result.figures.metrics
    assert lost_on_the_way(exported, result.arrived) == []
    less = {**result.arrived, Metric.COST: exported[Metric.COST] - 1}
    (problem,) = lost_on_the_way(exported, less)
    assert problem.startswith("spanledger.cost in the ledger is $")
    # The sink adds up what it was sent: without the last metrics request its totals are other ones.
    sink = OtlpSink(bodies={**{signal: [] for signal in Signal}})
    assert lost_on_the_way(exported, sink.metric_totals()) != []
