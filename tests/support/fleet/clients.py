"""Clients of a simulated fleet: processes that sum up, batch, and export on their own timers.

As measured on 2.1.330: a call is added to the sums when its reply ends; sums are collected every 60 s and sent when
there is something in them; a delta series starts at the collection before, if it was in that one, else at its first
call; log events and spans leave every 5 s; at exit all is flushed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from spanledger.core.delivery import Delivery, Encoding
from spanledger.core.usage import Signal
from support.fleet.calls import SECOND, Call, Habit
from support.fleet.wire import Line, LineSum, Sender, logs_body, metrics_body, spans_body

METRIC_INTERVAL = 60 * SECOND
BATCH_INTERVAL = 5 * SECOND


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that reached the service, and when."""

    at_unix_nano: int
    delivery: Delivery


@dataclass(slots=True)
class Truth:
    """What calls cost by session, or by user without one; `arrived` is of those that an export told of that came."""

    served: dict[str, int] = field(default_factory=dict)
    arrived: dict[str, int] = field(default_factory=dict)
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Outlet:
    """What becomes of exports: shares that are lost, come 90 s late, or come twice."""

    lost: float = 0.0
    late: float = 0.0
    repeated: float = 0.0


@dataclass(frozen=True, slots=True)
class Signals:
    """Which signals a client sends."""

    metrics: bool = True
    logs: bool = True
    traces: bool = True


@dataclass(slots=True)
class Process:
    """One process of a client, from its start to its end. A killed one flushes nothing."""

    rng: random.Random
    habit: Habit
    sender: Sender
    signals: Signals
    outlets: dict[Signal, Outlet]
    truth: Truth
    key: str
    multiplier: float = 1.0
    sums: dict[Line, LineSum] = field(default_factory=dict)
    collected: set[Line] = field(default_factory=set)
    untold: list[Call] = field(default_factory=list)
    told: set[int] = field(default_factory=set)

    def run(self, began: int, until: int, *, killed: bool) -> Iterator[list[Sent]]:
        """What arrives of each minute's exports, minute by minute, in order of export."""
        calls = [self.habit.title(began + SECOND)]
        next_turn = began + 2 * SECOND
        start = began
        while start < until:
            end = min(start + METRIC_INTERVAL, until)
            while next_turn < end:
                several, next_turn = self.habit.turn(next_turn)
                calls.extend(several)
            calls.sort(key=lambda call: call.ended)
            now = [call for call in calls if call.ended <= end]
            calls = calls[len(now) :]
            yield list(self._exports(now, start, end, is_last=end == until, killed=killed))
            start = end

    def _exports(self, calls: Sequence[Call], start: int, end: int, *, is_last: bool, killed: bool) -> Iterator[Sent]:
        for call in calls:
            self.truth.served[self.key] = self.truth.served.get(self.key, 0) + call.picousd
        self.truth.calls += len(calls)
        if self.signals.metrics:
            self._add(calls, start)
            if not (is_last and killed):
                yield from self._collect(end)
        flushed = end - BATCH_INTERVAL if is_last and killed else None
        if self.signals.logs:
            for at, batch in _batches([call for call in calls if call.has_log], start, end, flushed):
                yield from self._send(Signal.LOGS, at, logs_body(self.sender, batch, self.multiplier), batch)
        if self.signals.traces:
            for at, batch in _batches([call for call in calls if call.has_span], start, end, flushed):
                yield from self._send(Signal.TRACES, at, spans_body(self.sender, batch, self.rng), batch)

    def _add(self, calls: Sequence[Call], collected_at: int) -> None:
        self.untold.extend(calls)
        for call in calls:
            line = (call.asked, call.query_class, call.agent, call.served_fast)
            if line not in self.sums:
                start = collected_at if line in self.collected else call.ended
                self.sums[line] = LineSum(start, [0] * 4)
            held, count = self.sums[line], call.count
            added = (count.input, count.output, count.read, count.write)
            held.counts = [one + other for one, other in zip(held.counts, added, strict=True)]
            held.picousd += int(call.client_picousd * self.multiplier)

    def _collect(self, end: int) -> Iterator[Sent]:
        sums, self.collected = self.sums, set(self.sums)
        untold = self.untold
        if not self.sender.is_cumulative:
            self.sums, self.untold = {}, []
        if sums:
            arrived = list(self._send(Signal.METRICS, end, metrics_body(self.sender, sums, end), untold))
            if arrived:
                self.untold = []
            yield from arrived

    def _send(self, signal: Signal, at: int, body: bytes, calls: Sequence[Call]) -> Iterator[Sent]:
        outlet, rng = self.outlets[signal], self.rng
        if rng.random() < outlet.lost:
            return
        for call in calls:
            if call.number not in self.told:
                self.told.add(call.number)
                self.truth.arrived[self.key] = self.truth.arrived.get(self.key, 0) + call.picousd
        delivery = Delivery(signal, Encoding.PROTOBUF, body)
        arrives = at + int(rng.uniform(0.01, 2) * SECOND)
        arrives += 90 * SECOND if rng.random() < outlet.late else 0
        yield Sent(arrives, delivery)
        if rng.random() < outlet.repeated:
            yield Sent(arrives + int(rng.uniform(0.1, 30) * SECOND), delivery)


def _batches(calls: Sequence[Call], start: int, end: int, flushed: int | None) -> Iterator[tuple[int, list[Call]]]:
    """Calls by the time that they leave; what a killed process had not flushed is gone."""
    batches: dict[int, list[Call]] = {}
    for call in calls:
        at = start + (max(0, call.stamped - start) // BATCH_INTERVAL + 1) * BATCH_INTERVAL
        batches.setdefault(min(at, end + SECOND), []).append(call)
    for at, batch in batches.items():
        if flushed is None or at <= flushed:
            yield at, batch
