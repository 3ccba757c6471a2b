"""A real OpenTelemetry Collector as a process, and a folder of files that it writes."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import requests

from spanledger.core.usage import Signal
from spanledger.otlp.otlp_json import to_protobuf

CONFIGS = Path(__file__).parents[2] / "collector-config"
BINARY = os.environ.get("OTELCOL", "")
"""Path of the Collector, as `make test-collector` gives it."""
TOKEN = "a-token-of-the-tests"
_READY_SECONDS = 30
_PAUSE_SECONDS = 0.05


def free_port() -> int:
    """A port that nobody listens on, below those that the system gives to clients."""
    while True:
        port = random.SystemRandom().randrange(12_000, 30_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


async def until(holds: Callable[[], bool], timeout_seconds: float, what: str) -> None:
    """Look at the work of other processes until something holds."""
    try:
        async with asyncio.timeout(timeout_seconds):
            while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - other processes set no event
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_seconds} s: {what}") from None


@dataclass(slots=True)
class Collector:
    """One configuration on ports and a storage folder of its own, which outlive a kill."""

    config: str
    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None

    def __post_init__(self) -> None:
        """Choose ports."""
        names = ("COLLECTOR_GRPC", "COLLECTOR_HTTP", "COLLECTOR_HEALTH", "COLLECTOR_SELF_PORT")
        self.ports = {name: free_port() for name in names}

    @property
    def grpc(self) -> str:
        """Where it takes OTLP over gRPC."""
        return f"127.0.0.1:{self.ports['COLLECTOR_GRPC']}"

    @property
    def http(self) -> str:
        """Where it takes OTLP over HTTP."""
        return f"127.0.0.1:{self.ports['COLLECTOR_HTTP']}"

    async def start(self) -> None:
        """Start it and wait until it says that it is healthy."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tokens = self.folder / "tokens"
        tokens.write_text(f"{TOKEN} # of the tests\n")
        with (self.folder / "log.txt").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                BINARY,
                *("--config", str(CONFIGS / self.config)),
                env={
                    "COLLECTOR_GRPC": self.grpc,
                    "COLLECTOR_HTTP": self.http,
                    "COLLECTOR_HEALTH": f"127.0.0.1:{self.ports['COLLECTOR_HEALTH']}",
                    "COLLECTOR_SELF_PORT": str(self.ports["COLLECTOR_SELF_PORT"]),
                    "COLLECTOR_TOKENS": str(tokens),
                    "COLLECTOR_STORAGE": str(self.folder / "storage"),
                    **self.environ,
                },
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
            )
        await until(self._is_healthy, _READY_SECONDS, f"{self.config} is healthy: {self.log()[-2000:]}")

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), _READY_SECONDS)

    def log(self) -> str:
        """What it wrote on standard error in all its lives."""
        path = self.folder / "log.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    def _is_healthy(self) -> bool:
        assert self.process is not None
        if self.process.returncode is not None:
            raise AssertionError(f"{self.config} ended by itself: {self.log()[-2000:]}")
        try:
            return requests.get(f"http://127.0.0.1:{self.ports['COLLECTOR_HEALTH']}", timeout=5).ok
        except requests.ConnectionError:
            return False


@dataclass(slots=True)
class Archive:
    """What `behind-files.yaml` wrote, read on as it grows."""

    folder: Path
    bodies: dict[Signal, list[bytes]] = field(default_factory=lambda: {signal: [] for signal in Signal})
    _read: dict[Signal, int] = field(default_factory=lambda: dict.fromkeys(Signal, 0))

    def read(self) -> dict[Signal, list[bytes]]:
        """Every request so far, in protobuf, by signal. A line that a kill cut off was never acknowledged."""
        for one in Signal:
            path = self.folder / f"{one}.jsonl"
            content = path.read_bytes()[self._read[one] :] if path.exists() else b""
            whole = content[: content.rfind(b"\n") + 1]
            self._read[one] += len(whole)
            self.bodies[one].extend(to_protobuf(one, line).body for line in _requests(whole))
        return self.bodies


def _requests(lines: bytes) -> Iterator[bytes]:
    for line in lines.splitlines():
        # After a kill the next line starts where the cut one ended.
        start = max(line.rfind(b'{"resource' + kind) for kind in (b"Spans", b"Logs", b"Metrics"))
        whole = line if start <= 0 or _is_json(line) else line[start:]
        yield whole


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
