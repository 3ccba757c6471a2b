"""The soak: a steady load for minutes, one `kill -9` with a restart, one outage of the destination.

    make soak SOAK_SECONDS=600

The load is four times that of 1,000 developers: captured sessions, played again with ids of their own, half over gRPC
(what is refused is not sent again, as Claude Code has it), half over HTTP (sent again until it is acknowledged). At the
end the ledger of every developer must say, to the pico-dollar, what the sessions cost that were acknowledged in full.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import socket
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from soak.fleet import CALLS_PER_SECOND, DEVELOPERS, GRPC_TIMEOUT_SECONDS, Fleet, Mix, Session, Tally, names_of
from spanledger.core.delivery import Delivery, Receipt
from spanledger.core.errors import RetryableError
from spanledger.core.semconv import Metric
from spanledger.core.usage import Signal
from spanledger.ledger.ledger import Ledger
from spanledger.service.audit import audit
from spanledger.service.sink import OtlpSink
from support.processes import Serving, start_serve
from support.replaying import replay_folders
from support.truth import CAPTURES

FOLDERS = [CAPTURES / name for name in ("s02_tools_edit_commit", "s03_subagent", "s06b_permission_prompts")]
FLEETS = 4

RESTART_AT = 0.2
OUTAGE = (0.4, 0.65)
"""Parts of the time of the load."""

MEMORY_BEFORE, MEMORY_AFTER = (0.3, 0.4), (0.9, 1.0)
"""When memory is compared: with the new process warm and the outage still to come, and at the end of the load."""

MEMORY_GROWTH_MAX_MIB = 64
MEMORY_PEAK_MAX_MIB = 512
LAG_MAX_SECONDS = 5.0
"""How late the settling of what is due may be, at the end of the load."""

OUTBOX_AGE_MAX_SECONDS = 30
"""How long the oldest payload may have waited then: the join window of 10 s, and some."""

REST_SECONDS = 120
"""Within which all must have come to rest after the load."""

SETTINGS = {
    "SPANLEDGER_FORWARD__JOIN_WINDOW_SECONDS": "10",
    "SPANLEDGER_FORWARD__RETRY__MAX_DELAY_SECONDS": "5",
    "SPANLEDGER_FORWARD__FLUSH_TIMEOUT_SECONDS": "60",
    "SPANLEDGER_METRICS__INTERVAL_SECONDS": "10",
}


@dataclass(slots=True)
class Sink(OtlpSink):
    """Keeps the names of records, and the bodies of our own metrics alone."""

    names: dict[Signal, set[int]] = field(default_factory=lambda: {signal: set() for signal in Signal})
    is_away: bool = False

    async def consume(self, delivery: Delivery) -> Receipt:
        if self.is_away:
            raise RetryableError("away")
        if delivery.signal is Signal.METRICS and Metric.COST.encode() in delivery.body:
            return await OtlpSink.consume(self, delivery)
        self.names[delivery.signal] |= names_of(delivery.signal, delivery.body)
        return Receipt()


@dataclass(frozen=True, slots=True)
class Sample:
    """The service at a moment of the load, as a part of its time."""

    at: float
    memory_mib: float
    settle_lag_seconds: float
    outbox_age_seconds: float
    outbox_payloads: int


@dataclass(slots=True)
class Run:
    """A soak under way and what it saw."""

    seconds: float
    folder: Path
    sink: Sink = field(default_factory=Sink)
    samples: list[Sample] = field(default_factory=list)
    serving: Serving | None = None
    down: tuple[float, float] = (0.0, 0.0)
    cpu_seconds: float = 0.0
    late_seconds: float = 0.0
    drained_seconds: float | None = None
    rested_seconds: float = 0.0
    fleet: Fleet | None = None

    async def go(self) -> Tally:
        """Do it all; the ledger is complete and closed afterwards."""
        await self.sink.start()
        addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        self.serving = await self._start(addresses)
        self.fleet = Fleet(*addresses)
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._load(began))
            tasks.create_task(self._restart(began, addresses))
            tasks.create_task(self._outage(began))
            watching = tasks.create_task(self._watch(began))
            await self._until(began, 1.0)
            watching.cancel()
        await self._rest()
        await self.fleet.close()
        self.cpu_seconds += cpu_seconds(self.serving)
        code, said = await self.serving.end(signal.SIGTERM)
        assert code == 0, said
        await self.sink.stop()
        return self.fleet.tally

    async def _start(self, addresses: list[str]) -> Serving:
        where = ("--grpc", addresses[0], "--http", addresses[1], "--otlp-endpoint", self.sink.grpc_endpoint)
        return await start_serve(self.folder / "ledger.db", *where, environ=SETTINGS)

    async def _load(self, began: float) -> None:
        """Begin sessions at a steady rate, whether the earlier ones get on or not."""
        assert self.fleet is not None
        mix, loop = Mix(FOLDERS), asyncio.get_running_loop()
        calls = sum(len(one.calls) for templates in mix.templates for one in templates)
        rate = FLEETS * CALLS_PER_SECOND * len(FOLDERS) / calls
        async with asyncio.TaskGroup() as sessions:
            for number in range(int(self.seconds * rate)):
                due = began + number / rate
                await asyncio.sleep(due - loop.time())
                self.late_seconds = max(self.late_seconds, loop.time() - due)
                sessions.create_task(self.fleet.play(mix.session(number, FLEETS * DEVELOPERS)))

    async def _restart(self, began: float, addresses: list[str]) -> None:
        await self._until(began, RESTART_AT)
        assert self.serving is not None
        self.cpu_seconds += cpu_seconds(self.serving)
        went = asyncio.get_running_loop().time()
        await self.serving.end(signal.SIGKILL)
        self.serving = await self._start(addresses)
        self.down = (went, asyncio.get_running_loop().time())

    async def _outage(self, began: float) -> None:
        await self._until(began, OUTAGE[0])
        self.sink.is_away = True
        await self._until(began, OUTAGE[1])
        self.sink.is_away = False

    async def _watch(self, began: float) -> None:
        loop = asyncio.get_running_loop()
        back = began + OUTAGE[1] * self.seconds
        while True:
            await asyncio.sleep(max(1.0, self.seconds / 120))
            at = (loop.time() - began) / self.seconds
            try:
                sample = await asyncio.to_thread(self._sample, at)
            except (OSError, StopIteration):
                continue  # it is being started again
            self.samples.append(sample)
            is_back = loop.time() > back and sample.outbox_age_seconds < OUTBOX_AGE_MAX_SECONDS
            if is_back and self.drained_seconds is None:
                self.drained_seconds = loop.time() - back

    def _sample(self, at: float) -> Sample:
        assert self.serving is not None
        memory = memory_mib(self.serving)
        gauges = scraped(self.serving)
        return Sample(
            at,
            memory,
            max(gauges["spanledger_settle_lag_seconds"], default=0.0),
            max(gauges["spanledger_outbox_age_seconds"], default=0.0),
            int(sum(gauges["spanledger_outbox_payloads"])),
        )

    async def _rest(self) -> None:
        """Wait until nothing waits for a window or for the destination."""
        began = time.monotonic()
        while time.monotonic() - began < REST_SECONDS:
            sample = await asyncio.to_thread(self._sample, 2.0)
            if not sample.outbox_payloads and not await asyncio.to_thread(self._is_waited_for):
                break
            await asyncio.sleep(1)
        self.rested_seconds = time.monotonic() - began

    def _is_waited_for(self) -> bool:
        """Whether spans wait for their log, payloads for their spans, or sums for their look: a minute at the most."""
        ledger = Ledger.read(self.folder / "ledger.db")
        try:
            dues = (ledger.evidence, ledger.residuals)
            return any(one.next_due_unix_nano() is not None for one in dues) or (
                ledger.outbox.next_ripe_unix_nano() is not None
            )
        finally:
            ledger.close()

    async def _until(self, began: float, part: float) -> None:
        await asyncio.sleep(began + part * self.seconds - asyncio.get_running_loop().time())


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `is_met` is None for what has no bound."""

    what: str
    measured: str
    bound: str = ""
    is_met: bool | None = None


def figures(run: Run, tally: Tally) -> Iterator[Row]:
    """What was done."""
    requests = sum(count for what, count in tally.requests.items() if "acknowledged" in what)
    yield Row("load", f"{run.seconds:.0f} s, {requests / run.seconds:.0f} requests/s, late by {run.late_seconds:.1f} s")
    records = {str(kind): f"{count / run.seconds:.0f}" for kind, count in tally.acknowledged_records.items()}
    yield Row("records a second", ", ".join(f"{kind} {rate}" for kind, rate in sorted(records.items())))
    for what, count in sorted(tally.requests.items()):
        yield Row(f"  {what}", f"{count}")
    yield Row("CPU of the service", f"{run.cpu_seconds / run.seconds:.2f} cores")
    yield Row("down for the restart", f"{run.down[1] - run.down[0]:.1f} s")


def memory(run: Run) -> Iterator[Row]:
    """Memory is flat: it does not grow with what is sent, nor with an outage."""
    before, after = ([s.memory_mib for s in run.samples if a <= s.at <= b] for a, b in (MEMORY_BEFORE, MEMORY_AFTER))
    growth = statistics.median(after) - statistics.median(before)
    peak = max(sample.memory_mib for sample in run.samples)
    shown = f"{statistics.median(before):.0f} to {statistics.median(after):.0f} MiB"
    yield Row("memory", shown, f"+{MEMORY_GROWTH_MAX_MIB} MiB", growth <= MEMORY_GROWTH_MAX_MIB)
    yield Row("memory at its highest", f"{peak:.0f} MiB", f"{MEMORY_PEAK_MAX_MIB} MiB", peak <= MEMORY_PEAK_MAX_MIB)


def lag(run: Run) -> Iterator[Row]:
    """What waits is back to normal after the outage, still under load."""
    last = [sample for sample in run.samples if sample.at >= MEMORY_AFTER[0]]
    settling = max(sample.settle_lag_seconds for sample in last)
    age = max(sample.outbox_age_seconds for sample in last)
    worst = max(run.samples, key=lambda sample: sample.outbox_age_seconds)
    yield Row("in the outage waited", f"{worst.outbox_age_seconds:.0f} s, {worst.outbox_payloads} payloads")
    drained = "never" if run.drained_seconds is None else f"{run.drained_seconds:.0f} s after it"
    yield Row("outbox drained", drained, "in the load", run.drained_seconds is not None)
    yield Row("settling late, at the end", f"{settling:.1f} s", f"{LAG_MAX_SECONDS:.0f} s", settling <= LAG_MAX_SECONDS)
    yield Row("outbox age, at the end", f"{age:.1f} s", f"{OUTBOX_AGE_MAX_SECONDS} s", age <= OUTBOX_AGE_MAX_SECONDS)
    is_at_rest = run.rested_seconds < REST_SECONDS
    yield Row("all at rest", f"{run.rested_seconds:.0f} s after it", f"{REST_SECONDS} s", is_at_rest)


def money(run: Run, tally: Tally) -> Iterator[Row]:
    """Nothing acknowledged is lost, and nothing is counted twice."""
    ledger = Ledger.open(run.folder / "ledger.db", max_series=10_000)
    spent: Counter[str] = Counter()
    live: set[str] = set()
    for posting in ledger.postings.all():
        charge = posting.charge
        spent[charge.account.user] += posting.sign * (charge.cost_picousd or 0)
        live ^= {charge.identity}
    said = audit(ledger)
    ledger.close()
    worth = worth_of_sessions(run.folder)
    least, most = expected(tally, worth)
    short = [user for user in most if spent[user] < least[user]]
    over = [user for user in most if spent[user] > most[user]]
    broken = {session.number for session in tally.broken}
    lost = tally.acknowledged_calls - live
    yield Row("sessions", f"{len(tally.whole)} acknowledged in full, {len(broken)} in part")
    yield Row("developers charged too little", f"{len(short)} of {len(most)}", "0", not short)
    yield Row("developers charged too much", f"{len(over)} of {len(most)}", "0", not over)
    yield Row("acknowledged calls lost", f"{len(lost)} of {len(tally.acknowledged_calls)}", "0", not lost)
    yield Row("ledger", f"${said.report.cost_picousd / 10**12:.6f}", "adds up", not said.disagreements)
    equal = run.sink.metric_totals() == said.metrics
    yield Row("metrics at the destination", "equal" if equal else "differ", "those of the ledger", equal)
    for kind in Signal:
        arrived, sent = len(run.sink.names[kind]), tally.sent_records[kind]
        acknowledged = tally.acknowledged_records[kind]
        yield Row(f"{kind} forwarded", f"{arrived}", f"{acknowledged} to {sent}", acknowledged <= arrived <= sent)
    away = [why for at, why in tally.refusals if not run.down[0] - 1 <= at <= run.down[1] + GRPC_TIMEOUT_SECONDS]
    yield Row("gRPC refused but around the restart", f"{len(away)} {set(away) or ''}", "0", not away)


def expected(tally: Tally, worth: list[int]) -> tuple[Counter[str], Counter[str]]:
    """What each developer spent at least, and at most: a session that was acknowledged in part may be there in part."""
    least: Counter[str] = Counter()
    most: Counter[str] = Counter()
    by_user: defaultdict[bool, list[Session]] = defaultdict(list)
    by_user[True], by_user[False] = tally.whole, tally.broken
    for is_whole, sessions in by_user.items():
        for session in sessions:
            cost = worth[session.number % len(FOLDERS)]
            least[session.user] += cost if is_whole else 0
            most[session.user] += cost
    return least, most


def worth_of_sessions(folder: Path) -> list[int]:
    """What each capture costs, in pico-USD, by a replay of it alone."""
    replays = [replay_folders([one], folder / f"{one.name}.db") for one in FOLDERS]
    return [replay.figures.report.cost_picousd for replay in replays]


def free_ports(count: int) -> list[int]:
    """Ports that no client's own connection takes while the service is away."""
    found: list[int] = []
    for port in range(20_000 + os.getpid() % 5_000, 32_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")


def memory_mib(serving: Serving) -> float:
    lines = Path(f"/proc/{serving.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def cpu_seconds(serving: Serving) -> float:
    fields = Path(f"/proc/{serving.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scraped(serving: Serving) -> defaultdict[str, list[float]]:
    """Values by metric."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    with urllib.request.urlopen(f"http://{serving.addresses.admin}/metrics", timeout=20) as answer:
        for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)$", answer.read().decode(), re.MULTILINE):
            found[name].append(float(value))
    return found


def main() -> int:
    """Run and print the table; 1 when a bound is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long the load lasts")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        run = Run(seconds, Path(folder))
        tally = asyncio.run(run.go())
        rows = [*figures(run, tally), *memory(run), *lag(run), *money(run, tally)]
    for row in rows:
        verdict = "" if row.is_met is None else "ok" if row.is_met else "NOT MET"
        bound = f"(bound: {row.bound})" if row.bound else ""
        print(f"{row.what:40} {row.measured:44} {bound:32} {verdict}".rstrip())
    return int(any(row.is_met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
