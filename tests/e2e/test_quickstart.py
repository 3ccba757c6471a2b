"""`spanledger quickstart` as users run it: what it prints, and what it sees of a running service."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from spanledger.cli.main import app
from spanledger.core.usage import Signal
from support.processes import start_serve
from support.replaying import read_folder
from support.serving import Transport, send
from support.truth import CAPTURES

DELIVERIES = [body.delivery for body in read_folder(CAPTURES / "s02_tools_edit_commit")]


def quickstart(*arguments: str) -> Result:
    """The verb in this process: most of the time of another goes into starting it."""
    return CliRunner().invoke(app, ["quickstart", *arguments])


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("OTEL_", "SPANLEDGER_")):
            monkeypatch.delenv(name)


def test_it_prints_what_a_shell_and_managed_settings_take() -> None:
    text = quickstart("--attribute", "cost_center=R&D 42").stdout
    shell = [line for line in text.splitlines() if line.startswith("export ")]
    script = "; ".join([*shell, "env"])
    read = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    block = json.loads(text[text.index("\n{") : text.rindex("}") + 1])
    assert block["env"]["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    assert {f"{key}={value}" for key, value in block["env"].items()} <= set(read.stdout.splitlines())
    assert "over gRPC it never is" in text
    assert json.loads(quickstart("--attribute", "cost_center=R&D 42", "--json").stdout)["environment"] == block["env"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [(("--protocol", "carrier-pigeon"), "carrier-pigeon"), (("--attribute", "cost_center"), "KEY=VALUE")],
)
def test_a_mistake_is_told(arguments: tuple[str, ...], problem: str) -> None:
    refused = quickstart(*arguments)
    assert refused.exit_code == 2
    assert problem in refused.stderr


def test_the_check_says_what_is_seen_and_what_is_missing(tmp_path: Path) -> None:
    ledger_path = tmp_path / "ledger.db"

    async def run() -> list[Result]:
        serving = await start_serve(ledger_path)
        check = ("--check", "--json", "--ledger", str(ledger_path))
        nothing = await asyncio.to_thread(quickstart, *check, "--wait-seconds", "0")
        await send(Transport.HTTP_PROTOBUF, serving.addresses, [d for d in DELIVERIES if d.signal is not Signal.TRACES])
        no_traces = await asyncio.to_thread(quickstart, *check, "--wait-seconds", "0")
        waiting = asyncio.create_task(asyncio.to_thread(quickstart, *check))
        await send(Transport.HTTP_PROTOBUF, serving.addresses, [d for d in DELIVERIES if d.signal is Signal.TRACES])
        complete = await waiting
        await serving.end(signal.SIGTERM)
        return [nothing, no_traces, complete]

    nothing, no_traces, complete = asyncio.run(run())
    assert (nothing.exit_code, json.loads(nothing.stdout)["complete"]) == (1, False)
    assert no_traces.exit_code == 1
    levels = {one["subject"]: one["level"] for one in json.loads(no_traces.stdout)["findings"]}
    assert (levels["logs"], levels["traces"], levels["metrics"]) == ("ok", "problem", "ok")
    assert complete.exit_code == 0, complete.stdout
    seen = {one["subject"]: one["what"] for one in json.loads(complete.stdout)["findings"]}
    assert seen["client version"] == "2.1.330"
    assert seen["session ids"] == "1 session(s)"


def test_without_a_service_it_says_so(tmp_path: Path) -> None:
    told = quickstart("--check", "--wait-seconds", "0", "--ledger", str(tmp_path / "none.db"))
    assert told.exit_code == 1
    assert "Nothing came within the last hour." in told.stdout
