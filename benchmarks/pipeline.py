"""Measure the running service under load, and check that every item, dollar and ledger row is right.

    make bench LOAD=path/to/otlp_perf_load.py

LOAD is a load generator that sends Claude Code shaped telemetry, is the null sink behind the service, and reads
the service's CPU time. For each case the service starts on a fresh, durable ledger (`synchronous=FULL`, OK after the
commit) with no join window. CPU is user + system time of the service alone, so other work on the machine matters
little. The reference, measured in the same run, is reading and writing the same bodies with opentelemetry-proto.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from spanledger.ledger.ledger import Ledger

COST_ATTRIBUTE = "gen_ai.usage.cost.amount"
REQUESTS = {5: 6_000, 512: 150}
WARMUP = {5: 300, 512: 10}
WINDOW = {5: 64, 512: 16}
MESSAGES = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest}
READY = re.compile(r"OTLP gRPC on \S+?:(\d+), HTTP on \S+?:(\d+);")
START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Case:
    transport: str
    signal: str
    shape: str
    batch: int

    def load_arguments(self, requests: int) -> list[str]:
        kinds = ["--signal", self.signal, "--shape", self.shape, "--batch", str(self.batch)]
        return [*kinds, "--requests", str(requests)]


PROFILED = Case("h2", "logs", "real", 512)


@dataclass(frozen=True, slots=True)
class Measured:
    case: Case
    cpu_us_per_request: float
    cpu_us_per_item: float
    reference_us_per_item: float
    peak_rss_mib: float
    problems: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", type=Path, required=True, help="the load generator, otlp_perf_load.py")
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    if not arguments.load.is_file():
        parser.error(f"--load {arguments.load}: no such file")
    cases = [Case(*values) for values in product(("h2", "http"), ("traces", "logs"), ("lab", "real"), (5, 512))]
    share = 0.1 if arguments.quick else 1.0
    results: list[Measured] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring", total=len(cases))
        for case in cases:
            results.append(measure(case, arguments.load, share, profile=False))
            progress.advance(task)
    if arguments.json:
        print(json.dumps([{**_shown(one)} for one in results], indent=2))
    else:
        show(results)
        print("Where the time goes with real logs over gRPC (all threads sampled, waiting left out):", flush=True)
        measure(PROFILED, arguments.load, share, profile=True)
    return 1 if any(one.problems for one in results) else 0


def measure(case: Case, load: Path, share: float, *, profile: bool) -> Measured:
    """Run one case: warm up, load, stop, and compare what came out with what went in."""
    warmup, requests = WARMUP[case.batch], round(REQUESTS[case.batch] * share)
    with tempfile.TemporaryDirectory() as folder, sink(load) as (sink_port, sink_process):
        ledger = Path(folder) / "ledger.db"
        with serving(ledger, sink_port, profile=profile) as (ports, process):
            port = ports[0] if case.transport == "h2" else ports[1]
            sender = [sys.executable, str(load), "send", "--transport", case.transport, "--port", str(port)]
            sender += ["--window", str(WINDOW[case.batch])]
            first = _json(run([*sender, *case.load_arguments(warmup), "--nonce-base", "50000000"]))
            # The settle time lets forwarding, which comes after the answers, into the CPU figure.
            second = _json(run([*sender, *case.load_arguments(requests), "--pid", str(process.pid), "--settle", "2"]))
        sink_process.send_signal(signal.SIGTERM)
        arrived = json.loads(sink_process.communicate()[0].splitlines()[-1])
        problems = compare(case, [first["expected"][case.signal], second["expected"][case.signal]], arrived, ledger)
        reference = reference_us_per_item(case, load, folder)
    return Measured(
        case,
        second["server_cpu_us_per_request"],
        second["server_cpu_us_per_item"],
        reference,
        second["server_peak_rss_mib"],
        problems,
    )


def compare(case: Case, sent: list[dict], arrived: dict, ledger_path: Path) -> list[str]:
    """Items, enriched records and cost at the sink, rows and cost in the ledger, against what was sent."""
    items, calls, cost = (sum(part[key] for part in sent) for key in ("items", "usage_records", "cost_pico_usd"))
    ledger = Ledger.open(ledger_path, max_series=100_000)
    report = ledger.report()
    ledger.close()
    figures = {
        "items at the sink": (arrived.get(f"{case.signal}.items", 0), items),
        "enriched records at the sink": (arrived.get(f"{case.signal}.enriched", 0), calls),
        "pico-USD at the sink": (arrived.get(f"{case.signal}.cost_pico_usd", 0), cost),
        "calls in the ledger": (report.requests, calls),
        "pico-USD in the ledger": (report.cost_picousd, cost),
    }
    return [f"{name}: {found}, expected {wanted}" for name, (found, wanted) in figures.items() if found != wanted]


def reference_us_per_item(case: Case, load: Path, folder: str) -> float:
    """CPU of parsing and serialising the same bodies with the official message classes; the best of some rounds."""
    out = Path(folder) / "bodies"
    run([sys.executable, str(load), "dump", *case.load_arguments(8), "--out", str(out)])
    bodies = [path.read_bytes() for path in out.glob("*.pb")]
    rounds = []
    for _ in range(5):
        started = time.process_time()
        for body in bodies:
            MESSAGES[case.signal].FromString(body).SerializeToString()
        rounds.append((time.process_time() - started) * 1e6 / (len(bodies) * case.batch))
    return min(rounds)


@contextmanager
def sink(load: Path) -> Iterator[tuple[int, subprocess.Popen]]:
    port = _free_port()
    command = [sys.executable, str(load), "sink", "--port", str(port), "--verify", COST_ATTRIBUTE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield port, process
        finally:
            process.terminate()


@contextmanager
def serving(ledger: Path, sink_port: int, *, profile: bool) -> Iterator[tuple[tuple[int, int], subprocess.Popen]]:
    """Run the service; leaving stops it cleanly, so that its outbox is empty."""
    command = Path(sys.executable).with_name("spanledger")
    start = [sys.executable, str(Path(__file__).with_name("sampled.py"))] if profile else [str(command)]
    flags = ["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--ledger", str(ledger)]
    destination = ["--otlp-endpoint", f"http://127.0.0.1:{sink_port}"]
    environ = {**os.environ, "SPANLEDGER_FORWARD__JOIN_WINDOW_SECONDS": "0"}
    with subprocess.Popen([*start, *flags, *destination], stdout=subprocess.PIPE, text=True, env=environ) as process:
        try:
            assert process.stdout is not None
            ready = READY.search(process.stdout.readline())
            assert ready is not None, "the service did not start"
            yield (int(ready[1]), int(ready[2])), process
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def show(results: list[Measured]) -> None:
    table = Table(title="CPU of the service, forwarding and ledger included", title_justify="left", box=None)
    for column in ("transport", "signal", "shape", "items/request"):
        table.add_column(column)
    for column in ("µs/request", "µs/item", "reference µs/item", "ratio", "peak RSS MiB", "exact"):
        table.add_column(column, justify="right")
    for one in results:
        case = one.case
        table.add_row(
            {"h2": "gRPC", "http": "http/protobuf"}[case.transport],
            *(case.signal, case.shape, str(case.batch)),
            f"{one.cpu_us_per_request:.0f}",
            f"{one.cpu_us_per_item:.1f}",
            f"{one.reference_us_per_item:.1f}",
            f"{one.cpu_us_per_item / one.reference_us_per_item:.1f}",
            f"{one.peak_rss_mib:.0f}",
            "no" if one.problems else "yes",
        )
    Console(width=120).print(table)
    for one in results:
        for problem in one.problems:
            print(f"{one.case}: {problem}")


def run(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _json(text: str) -> dict:
    return json.loads(text.splitlines()[-1])


def _shown(one: Measured) -> dict[str, object]:
    case = one.case
    return {
        "transport": case.transport,
        "signal": case.signal,
        "shape": case.shape,
        "items_per_request": case.batch,
        "cpu_us_per_request": one.cpu_us_per_request,
        "cpu_us_per_item": one.cpu_us_per_item,
        "reference_us_per_item": round(one.reference_us_per_item, 2),
        "peak_rss_mib": one.peak_rss_mib,
        "problems": one.problems,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
