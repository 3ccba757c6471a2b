"""`spanledger serve` as a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanledger.service.runtime import Addresses
from support.serving import CENTURY_SECONDS

READY = re.compile(
    r"spanledger ready: OTLP gRPC on (?P<grpc>\S+), HTTP on (?P<http>[^;]+)"
    r"(; health and metrics on (?P<admin>[^;]+))?; .*"
)
_START_SECONDS = 30
TESTS = Path(__file__).parent.parent
COMMAND = Path(sys.executable).with_name("spanledger")


@dataclass(slots=True)
class Serving:
    """A running process and what it said when it was ready."""

    process: asyncio.subprocess.Process
    ready_line: str
    addresses: Addresses

    async def ready_again(self) -> Serving:
        """Wait until the same process says that it is ready once more."""
        return await _ready(self.process)

    async def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal and wait; the exit code and what stood on standard error."""
        self.process.send_signal(number)
        _, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, err.decode()


def service_environment() -> dict[str, str]:
    """Environment of a service under test, and of verbs that must have its settings."""
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "SPANLEDGER_"))},
        "SPANLEDGER_ADMIN__ENDPOINT": "127.0.0.1:0",
        "SPANLEDGER_FORWARD__JOIN_WINDOW_SECONDS": "0",
        "SPANLEDGER_METRICS__INTERVAL_SECONDS": "0.1",
        "SPANLEDGER_PRICES__STALE_AFTER_DAYS": "36500",
        "SPANLEDGER_SETTLE__CLOCK_SKEW_MAX_SECONDS": str(CENTURY_SECONDS),
        "PYTHONPATH": str(TESTS),
    }


async def start_serve(
    ledger_path: Path,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    kill_at: str | None = None,
    prefix: Sequence[str] = (),
) -> Serving:
    """Start `spanledger serve` on free ports, with no join window and a short metric interval.

    With `kill_at` it kills itself there; see `support.killed`. `prefix` is a command that runs it in its own place.
    """
    command = (COMMAND,) if kill_at is None else (sys.executable, "-m", "support.killed", kill_at)
    process = await asyncio.create_subprocess_exec(
        *prefix,
        *command,
        "serve",
        *("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--ledger", str(ledger_path), *arguments),
        env={**service_environment(), **(environ or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return await _ready(process)


async def _ready(process: asyncio.subprocess.Process) -> Serving:
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), _START_SECONDS)).decode().strip()
    match = READY.fullmatch(line)
    assert match is not None, (line, await _errors(process))
    return Serving(process, line, Addresses(match["grpc"], match["http"], match["admin"]))


async def _errors(process: asyncio.subprocess.Process) -> str:
    _, err = await process.communicate()
    return err.decode()
