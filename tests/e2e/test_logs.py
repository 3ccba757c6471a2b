"""The log of a real service as JSON: every line of it, and a destination that is away told once."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path

from support.processes import COMMAND, service_environment

NOWHERE = "http://127.0.0.1:9"
ENVIRON = {
    "SPANLEDGER_LOG__FORMAT": "json",
    "SPANLEDGER_EXPORTER__ENDPOINT": NOWHERE,
    "SPANLEDGER_METRICS__INTERVAL_SECONDS": "0.05",
    "SPANLEDGER_FORWARD__FLUSH_TIMEOUT_SECONDS": "1",
}


def run_until_told(ledger: Path, lines_wanted: int, **environ: str) -> list[dict[str, object]]:
    """Lines of a service with a destination that is away, up to its stop after so many."""

    async def run() -> list[dict[str, object]]:
        process = await asyncio.create_subprocess_exec(
            *(COMMAND, "serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"),
            *("--ledger", str(ledger)),
            env=service_environment() | ENVIRON | environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        lines = [await asyncio.wait_for(process.stderr.readline(), 30) for _ in range(lines_wanted)]
        process.terminate()
        out, rest = await process.communicate()
        assert (process.returncode, out) == (os.EX_OK, b"")
        return [json.loads(line) for line in [*lines, *rest.splitlines()]]

    return asyncio.run(run())


def test_with_no_interval_no_repeat_is_folded(tmp_path: Path) -> None:
    told = run_until_told(tmp_path / "ledger.db", 5, SPANLEDGER_LOG__REPEAT_INTERVAL_SECONDS="0")
    assert [line["event"] for line in told[:5]] == ["service.ready", *["metrics.not_sent"] * 4]
    assert not any("repeated" in line for line in told)


def test_every_line_is_json_and_repeats_are_folded(tmp_path: Path) -> None:
    ready, away, *rest = run_until_told(tmp_path / "ledger.db", 2)
    assert (ready["event"], ready["level"]) == ("service.ready", "info")
    listening = r"listening: OTLP gRPC on 127\.0\.0\.1:\d+, HTTP on .*; to http://127\.0\.0\.1:9"
    assert re.fullmatch(listening, str(ready["message"]))
    assert away["event"] == "metrics.not_sent"
    assert away["fields"]["destination"] == "default"  # type: ignore[index]
    # The flush at the stop fails alike: one line with a count.
    assert [(line["event"], "repeated" in line) for line in rest] == [("metrics.not_sent", True)]
