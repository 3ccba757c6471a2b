"""A real client at work: the scenarios of a capture lab, with our service where the lab's receiver would be.

The lab is a folder outside of this repository with `labrun.py`: it starts a fake Messages API that writes down what it
served (`truth.json`), and the client, whose words it keeps (`runs.json`).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from spanledger.core.money import parse_usd, picousd_of_double
from spanledger.core.usage import Signal

LAB = os.environ.get("LAB", "")
CLIENT = os.environ.get("CLIENT", "")
"""Path of the client, as `make e2e-client` gives it."""
GRPC, HTTP = "127.0.0.1:14317", "127.0.0.1:14318"
"""Where a lab's client sends."""
_SCENARIO_SECONDS = 400
_SHOWN_COST = re.compile(r"(?:Estimated|Total) cost:\s+\$(\d+\.\d+)")
_STAND_IN = '''"""In the place of the lab's receiver: the service listens there already."""
import signal
signal.sigwait({signal.SIGTERM})
'''


def scenarios() -> list[str]:
    """Names of the lab's scenarios; none without a lab."""
    if not LAB:
        return []
    listed = subprocess.run([sys.executable, f"{LAB}/labrun.py", "--list"], capture_output=True, text=True, check=True)
    return listed.stdout.split()


@dataclass(frozen=True, slots=True)
class Worked:
    """What a scenario left: its folder, with `truth.json`, and the client's words."""

    folder: Path

    @property
    def printed_picousd(self) -> dict[str, int]:
        """Cost by session, as the client's print mode says; one that is continued goes on with its sum."""
        results = [run["result"] for run in self._runs if "total_cost_usd" in run.get("result", {})]
        costs: dict[str, int] = {}
        for result in results:
            session = result["session_id"]
            costs[session] = max(costs.get(session, 0), picousd_of_double(result["total_cost_usd"]))
        return costs

    @property
    def shown_picousd(self) -> int | None:
        """What `/cost` shows on the screen, to four decimals; None where nobody asked."""
        shown = [match[1] for run in self._runs if (match := _SHOWN_COST.search(run.get("text", "")))]
        return parse_usd(shown[-1]) if shown else None

    def keep(self, bodies: Mapping[Signal, Iterable[bytes]]) -> None:
        """Store request bodies as a capture folder has them."""
        every = [(signal, body) for signal, several in bodies.items() for body in several]
        for number, (signal, body) in enumerate(every):
            (self.folder / f"{number:04d}-{signal}.pb").write_bytes(body)

    @property
    def _runs(self) -> list[dict]:
        return json.loads((self.folder / "runs.json").read_text())["runs"]


async def work(scenario: str, scratch: Path) -> Worked:
    """Let the client work through a scenario; a service listens on `GRPC` and `HTTP` meanwhile."""
    lab = scratch / "lab"
    shutil.copytree(LAB, lab)
    (lab / "otlp_receiver.py").write_text(_STAND_IN)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(lab / "labrun.py"), "--client", CLIENT, "--out", str(scratch / "out"), scenario),
        env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin", "HOME": str(scratch), "LANG": "C.UTF-8"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), _SCENARIO_SECONDS)
    assert process.returncode == 0, said.decode()
    return Worked(scratch / "out" / scenario)
