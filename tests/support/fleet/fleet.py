"""A simulated fleet: developers whose clients lose, cut, alias and straddle, and what it really cost.

Seeded: the same seed and options give the same bytes, in order of arrival, made as they are asked for.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from spanledger.core.usage import Signal
from support.fleet.calls import SECOND, Habit, Mix
from support.fleet.clients import Outlet, Process, Sent, Signals, Truth
from support.fleet.wire import Sender

DAY_START = 1_795_500_000 * SECOND  # 2026-11-24T06:40:00Z
STAGGER_SECONDS = 600

ALIAS = ("team-sonnet", "claude-sonnet-4-5-20250929")
_MAIN_MODELS = (
    ("claude-opus-5-5", "claude-opus-5-5"),
    ("claude-opus-5-5[1m]", "claude-opus-5-5"),
    ("claude-sonnet-5-5", "claude-sonnet-5-5"),
    ("claude-sonnet-4-5[1m]", "claude-sonnet-4-5-20250929"),
)
_OLD_MODELS = ("claude-opus-4-6", "claude-opus-4-6"), ("claude-haiku-4-5-20251001", "claude-haiku-4-5-20251001")
_BEDROCK_MODEL, _BEDROCK_HELPER = "us.anthropic.claude-opus-5-5", "us.anthropic.claude-haiku-5-5"


@dataclass(frozen=True, slots=True)
class Options:
    """Shares of developers of a kind, and of exports that go wrong.

    The defaults are the fleet that the figures in docs are of; `HARD` has everything that we know of at once.
    """

    mix: Mix = field(default_factory=Mix)
    traces: float = 0.5
    aliases: float = 0.1
    restarts_an_hour: float = 0.4
    killed: float = 0.0
    lost: float = 0.01
    lost_traces: float = 0.0
    late: float = 0.0
    repeated: float = 0.0
    cumulative: float = 0.0
    overlapping: float = 0.0
    without_session: float = 0.0
    without_metrics: float = 0.0
    metrics_only: float = 0.0
    old_versions: float = 0.0
    bedrock: float = 0.0
    fast: float = 0.0
    managed: float = 0.0


HARD = Options(
    mix=Mix(
        interrupted=0.005, unknown_sources=0.02, web_searches=0.01, long_prompts=0.05, identical=0.05, cut_streams=0.01
    ),
    killed=0.1,
    lost_traces=0.01,
    late=0.02,
    repeated=0.02,
    cumulative=0.15,
    overlapping=0.1,
    without_session=0.1,
    without_metrics=0.05,
    metrics_only=0.05,
    old_versions=0.1,
    bedrock=0.05,
    fast=0.05,
    managed=0.05,
)


@dataclass(slots=True)
class Fleet:
    """Developers at work. `sent` makes their requests in order of arrival; `truth` is complete when it has ended."""

    seed: int
    developers: int
    hours: float
    options: Options
    truth: Truth = field(default_factory=Truth)

    def sent(self) -> Iterator[Sent]:
        streams = []
        for number in range(self.developers):
            developer = _Developer(random.Random(f"{self.seed}/{number}"), number, self.options, self.truth)
            streams.extend(developer.terminals(self.hours))
        return heapq.merge(*streams, key=lambda one: one.at_unix_nano)


class _Developer:
    """One developer, with a terminal or, where processes overlap, two on one session."""

    def __init__(self, rng: random.Random, number: int, options: Options, truth: Truth) -> None:
        self.rng, self.number, self.options, self.truth = rng, number, options, truth
        self.is_old, self.is_bedrock = self._is(options.old_versions), self._is(options.bedrock)
        self.has_alias = self._is(options.aliases) and not self.is_bedrock
        self.is_fast = self._is(options.fast) and not self.has_alias and not self.is_bedrock and not self.is_old
        self.is_cumulative, self.overlaps = self._is(options.cumulative), self._is(options.overlapping)
        self.has_session = not self._is(options.without_session)
        self.multiplier = 1.3 if self._is(options.managed) else 1.0
        self.signals = self._signals()

    def terminals(self, hours: float) -> list[Iterator[Sent]]:
        began = DAY_START + int(self.rng.uniform(0, STAGGER_SECONDS) * SECOND)
        end = began + int(hours * 3600 * SECOND)
        return [self._terminal(terminal, began, end) for terminal in range(1 + self.overlaps)]

    def _terminal(self, terminal: int, began: int, end: int) -> Iterator[Sent]:
        """Processes one after the other; requests leave in order of arrival as far as the next minute can't be before.

        What is late waits on a heap.
        """
        rng = random.Random(f"{self.rng.random()}/{terminal}")
        habit = self._habit(rng, terminal)
        waiting: list[tuple[int, int, Sent]] = []
        sessions = made = 0
        while began < end:
            until = min(end, began + int(rng.expovariate(self.options.restarts_an_hour / 3600) * SECOND) + 60 * SECOND)
            process = self._process(rng, habit, f"{self.number:05d}-{sessions:03d}", terminal)
            minute = began
            for arrivals in process.run(began, until, killed=rng.random() < self.options.killed):
                for one in arrivals:
                    made += 1
                    heapq.heappush(waiting, (one.at_unix_nano, made, one))
                while waiting and waiting[0][0] <= minute:
                    yield heapq.heappop(waiting)[2]
                minute += 60 * SECOND
            began = until + int(rng.uniform(2, 120) * SECOND)
            sessions += not self.overlaps and rng.random() < 0.5
        while waiting:
            yield heapq.heappop(waiting)[2]

    def _process(self, rng: random.Random, habit: Habit, session: str, terminal: int) -> Process:
        options = self.options
        exports = Outlet(options.lost, options.late, options.repeated)
        traces = Outlet(options.lost_traces, options.late, options.repeated)
        outlets = {Signal.METRICS: exports, Signal.LOGS: exports, Signal.TRACES: traces}
        user = f"user-{self.number:05d}"
        key = session if self.has_session else user
        sender = self._sender(user, session, f"{self.number}_{terminal}")
        return Process(rng, habit, sender, self.signals, outlets, self.truth, key, self.multiplier)

    def _sender(self, user: str, session: str, prefix: str) -> Sender:
        attributes: dict[str, str | bool] = {"user.id": user, "terminal.type": "xterm-256color"}
        if self.has_session:
            attributes["session.id"] = session
        if not self.is_old:
            attributes["anthropic.provider"] = "bedrock" if self.is_bedrock else "firstParty"
            attributes["anthropic.custom_base_url"] = self.has_alias
        resource = {"service.name": "claude-code", "service.version": "2.1.197" if self.is_old else "2.1.330"}
        return Sender(attributes, {**resource, "os.type": "linux"}, self.is_cumulative, not self.is_old, prefix)

    def _habit(self, rng: random.Random, terminal: int) -> Habit:
        main = rng.choice(_MAIN_MODELS)
        if self.is_old:
            return Habit(rng, self.options.mix, *_OLD_MODELS)
        if self.is_fast:
            main = _MAIN_MODELS[0]
        if self.is_bedrock:
            names = (_BEDROCK_MODEL,) * 2, (_BEDROCK_HELPER,) * 2
            return Habit(rng, self.options.mix, *names, classifier=("us.anthropic.claude-sonnet-5",) * 2)
        if self.has_alias:
            main = ALIAS
        return Habit(rng, self.options.mix, main, fast=self.is_fast)

    def _signals(self) -> Signals:
        traces = self._is(self.options.traces)
        if self._is(self.options.metrics_only):
            return Signals(logs=False, traces=False)
        return Signals(metrics=not self._is(self.options.without_metrics), traces=traces)

    def _is(self, share: float) -> bool:
        return self.rng.random() < share
