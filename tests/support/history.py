"""A seeded past: weeks of a fleet's telemetry, as request bodies in order of arrival, and what each call was worth.

    history = History(seed=7)                                # 200 developers, November 2026
    parts = open_parts(path, settings=Settings())
    play(history, parts, every_seconds=300, on_tick=export)  # export(now_unix_nano) after each five minutes of the past
    history.served                                           # what it really cost, call by call

`play` runs the real pipeline on the clock of the past: deliveries are accepted in groups, what falls due is done at its
time, `on_booked` is told what became of each group, and `on_tick` is called at every whole multiple of
`every_seconds`. There a test folds and exports, for instance
`SeriesExport(...).begin("default", now_unix_nano)`, whose parts have the past's own times: series and gauges (give it
the readers of `service.gauges` and a `BudgetWatch` that was refreshed at `now_unix_nano`) can be sent to a backend that
takes old samples in order. The same seed gives the same bytes.

A month has about 94,000 calls and takes about two minutes. Every developer works as measured on client 2.1.330, except
that exports come every ten minutes instead of every 5 and 60 seconds. The fleet has:

- ten teams in five cost centers; one developer in twenty states neither;
- usage-based seats and API keys (billed), Max plans (notional), accounts that do not say (unknown), Bedrock;
- working hours in Berlin, New York and Tokyo, weekends with few, a holiday on the 20th;
- opus, sonnet and haiku, subagents, compaction, titles, the permission classifier (in no log event), skills, an MCP
  server, now and then a model without a price, requests that come twice, and log exports that are lost;
- sessions, lines, commits, pull requests, edit decisions and active time; two client versions; spans from a third.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from spanledger.config.fields import read_zone
from spanledger.core.delivery import Delivery, Encoding
from spanledger.core.periods import midnight_unix_nano
from spanledger.core.usage import Basis, Signal
from spanledger.service.assembly import Parts
from spanledger.service.pipeline import Accepted, prepare

SECOND = 10**9
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
EXPORT_INTERVAL = 10 * MINUTE
GROUP = 5 * MINUTE
UTC = read_zone("UTC")

Value = str | int | float

# Pico-USD per token: input, output, cache read, 5-minute write, 1-hour write.
RATES = {
    "claude-opus-5-5": (4_000_000, 20_000_000, 200_000, 5_000_000, 8_000_000),
    "claude-sonnet-5-5": (2_000_000, 10_000_000, 100_000, 2_500_000, 4_000_000),
    "claude-haiku-5-5": (100_000, 500_000, 10_000, 125_000, 200_000),
    "claude-sonnet-5": (2_000_000, 10_000_000, 200_000, 2_500_000, 4_000_000),
}
# What client 2.1.197 takes instead (measured): a newer model for the last one of its family that it knows, and Sonnet 5
# at a price that was withdrawn.
OLD_CLIENT = "2.1.197"
OLD_CLIENT_RATES = {
    "claude-opus-5-5": (5_000_000, 25_000_000, 500_000, 6_250_000, 10_000_000),
    "claude-sonnet-5-5": (3_000_000, 15_000_000, 300_000, 3_750_000, 6_000_000),
    "claude-haiku-5-5": (1_000_000, 5_000_000, 100_000, 1_250_000, 2_000_000),
    "claude-sonnet-5": (3_000_000, 15_000_000, 300_000, 3_750_000, 6_000_000),
}
UNKNOWN_MODEL = "claude-next-9"
CLASSIFIER = "claude-sonnet-5"
HOLIDAY = 20
TEAMS = [(f"team-{number}", f"cc-{100 + number % 5}") for number in range(10)]
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo")

# Kind of a call: its share, model or None for the developer's own, query source, class on metrics, more attributes.
Kind = tuple[float, str | None, str, str, Mapping[str, str]]
KINDS: tuple[Kind, ...] = (
    (0.60, None, "repl_main_thread", "main", {}),
    (0.08, None, "repl_main_thread", "main", {"skill.name": "release-notes"}),
    (0.05, None, "repl_main_thread", "main", {"mcp_server.name": "tickets", "mcp_tool.name": "search"}),
    (0.14, None, "agent:builtin:general-purpose", "subagent", {"agent.name": "general-purpose"}),
    (0.04, "claude-haiku-5-5", "agent:custom", "subagent", {"agent.name": "custom"}),
    (0.05, "claude-haiku-5-5", "generate_session_title", "auxiliary", {}),
    (0.015, None, "compact", "auxiliary", {}),
    (0.02, CLASSIFIER, "auto_mode", "auxiliary", {}),
    (0.005, UNKNOWN_MODEL, "repl_main_thread", "main", {}),
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request and when it arrives."""

    at_unix_nano: int
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Served:
    """A call as the API served it; `cost_picousd` is None for a model without a price."""

    at_unix_nano: int
    user: str
    team: str
    cost_center: str
    model: str
    basis: Basis
    cost_picousd: int | None


@dataclass(frozen=True, slots=True)
class _Call:
    number: int
    ended: int
    model: str
    source: str
    query_class: str
    more: Mapping[str, str]
    tokens: tuple[int, int, int, int, int]
    client_rates: Mapping[str, tuple[int, int, int, int, int]]

    @property
    def cost(self) -> int | None:
        rates = RATES.get(self.model)
        return None if rates is None else sum(n * rate for n, rate in zip(self.tokens, rates, strict=True))

    @property
    def client_cost(self) -> int:
        """What the client says: it takes a model that it does not know for opus."""
        rates = self.client_rates.get(self.model, self.client_rates["claude-opus-5-5"])
        return sum(n * rate for n, rate in zip(self.tokens, rates, strict=True))


@dataclass(slots=True)
class History:
    """The past of a fleet; `sent` makes it, once, and fills `served`."""

    seed: int = 7
    developers: int = 200
    first: date = date(2026, 11, 1)
    days: int = 30
    lost_log_exports: float = 0.002
    repeated: float = 0.005
    served: list[Served] = field(default_factory=list)

    def sent(self) -> Iterator[Sent]:
        """Requests in order of arrival."""
        fleet = [_Developer(self, number) for number in range(self.developers)]
        waiting: list[Sent] = []
        for day in (self.first + timedelta(n) for n in range(self.days)):
            for developer in fleet:
                waiting.extend(developer.work(day))
            waiting.sort(key=lambda sent: sent.at_unix_nano)
            # A day in New York ends in the next one: what comes later than the earliest of tomorrow waits.
            until = midnight_unix_nano(day, UTC) + 12 * HOUR
            ready = [sent for sent in waiting if sent.at_unix_nano < until]
            yield from ready
            waiting = waiting[len(ready) :]
        yield from waiting


class _Developer:
    def __init__(self, history: History, number: int) -> None:
        self.history = history
        self.draw = random.Random(f"{history.seed}/{number}")
        self.number = number
        self.team, self.cost_center = TEAMS[number % len(TEAMS)] if number % 20 != 7 else ("", "")
        self.zone = read_zone(ZONES[number % len(ZONES)])
        self.level = self.draw.lognormvariate(0, 0.6)
        self.model = self.draw.choices(("claude-opus-5-5", "claude-sonnet-5-5"), (0.6, 0.4))[0]
        self.has_traces = number % 3 == 0
        self.version = OLD_CLIENT if number % 7 == 3 else "2.1.330"
        self.user, self.basis, self.sender = _identity(number)
        self.calls = 0
        self.sessions = 0

    def work(self, day: date) -> Iterator[Sent]:
        """A day of this developer."""
        presence = 0.06 if day.weekday() > 4 or day.day == HOLIDAY else 0.88
        if self.draw.random() >= presence:
            return
        morning = midnight_unix_nano(day, self.zone) + int(self.draw.uniform(8, 10) * HOUR)
        for _ in range(self.draw.choice((1, 1, 2, 3))):
            end = morning + int(self.draw.uniform(20, 120) * MINUTE)
            yield from self._session(morning, end)
            morning = end + int(self.draw.uniform(10, 90) * MINUTE)

    def _session(self, began: int, end: int) -> Iterator[Sent]:
        self.sessions += 1
        sender = {**self.sender, "session.id": f"{self.number:04d}-{self.sessions:05d}"}
        count = max(1, round(self.draw.gauss(14, 4) * self.level))
        calls = [self._call(at) for at in sorted(self.draw.randrange(began, end) for _ in range(count))]
        previous, is_first = began, True
        while previous < end:
            until = min(previous + EXPORT_INTERVAL, end)
            chunk = [call for call in calls if previous < call.ended <= until]
            yield from self._export(sender, chunk, previous, until, is_first=is_first)
            previous, is_first = until, False

    def _call(self, ended: int) -> _Call:
        draw = self.draw
        self.calls += 1
        _, model, source, query_class, more = draw.choices(KINDS, [kind[0] for kind in KINDS])[0]
        size = (
            1 if model == "claude-haiku-5-5" else 3
        )  # a prompt above 100,000 tokens would cost more per token on haiku
        writes = draw.choice((0, 0, draw.randint(200, 15_000))) * size
        long = writes if draw.random() < 0.2 and self.version == "2.1.330" else 0
        fresh, out, read = (draw.randint(*bounds) * size for bounds in ((1, 2_000), (20, 2_500), (0, 60_000)))
        tokens = (fresh, out, read, writes - long, long)
        client_rates = OLD_CLIENT_RATES if self.version == OLD_CLIENT else RATES
        ended = ended // 10**6 * 10**6
        call = _Call(self.calls, ended, model or self.model, source, query_class, more, tokens, client_rates)
        self.history.served.append(
            Served(
                call.ended,
                self.user,
                self.team or "unallocated",
                self.cost_center or "unallocated",
                call.model,
                self.basis,
                call.cost,
            )
        )
        return call

    def _export(
        self, sender: Mapping[str, Value], chunk: Sequence[_Call], start: int, end: int, *, is_first: bool
    ) -> Iterator[Sent]:
        told = [call for call in chunk if call.source != "auto_mode"]
        bodies = [(Signal.METRICS, self._metrics(sender, chunk, start, end, is_first=is_first))]
        if told and self.draw.random() >= self.history.lost_log_exports:
            bodies.append((Signal.LOGS, self._logs(sender, told)))
        if chunk and self.has_traces:
            bodies.append((Signal.TRACES, self._spans(sender, chunk)))
        for signal, body in bodies:
            sent = Sent(end + self.draw.randrange(10**8, 2 * SECOND), Delivery(signal, Encoding.PROTOBUF, body))
            yield sent
            if self.draw.random() < self.history.repeated:
                yield Sent(sent.at_unix_nano + SECOND, sent.delivery)

    def _logs(self, sender: Mapping[str, Value], calls: Iterable[_Call]) -> bytes:
        request = ExportLogsServiceRequest()
        group = request.resource_logs.add()
        group.resource.attributes.extend(_pairs(self._resource()))
        scope = group.scope_logs.add()
        for call in calls:
            fresh, out, read, short, long = call.tokens
            split = {"cache_creation_5m_tokens": short, "cache_creation_1h_tokens": long}
            facts = {
                **sender,
                "event.name": "api_request",
                "model": self._named(call),
                "input_tokens": fresh,
                "output_tokens": out,
                "cache_read_tokens": read,
                "cache_creation_tokens": short + long,
                **(split if self.version == "2.1.330" else {}),
                "cost_usd": call.client_cost / 10**12,
                "duration_ms": 900 + out * 12,
                "request_id": self._request_id(call),
                "query_source": call.source,
                **call.more,
            }
            record = scope.log_records.add(time_unix_nano=call.ended, attributes=_pairs(facts))
            record.body.string_value = "claude_code.api_request"
        return request.SerializeToString()

    def _spans(self, sender: Mapping[str, Value], calls: Iterable[_Call]) -> bytes:
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        group.resource.attributes.extend(_pairs(self._resource()))
        scope = group.scope_spans.add()
        for call in calls:
            fresh, out, read, short, long = call.tokens
            facts = {
                **sender,
                "model": self._asked(call),
                "input_tokens": fresh,
                "output_tokens": out,
                "cache_read_tokens": read,
                "cache_creation_tokens": short + long,
                "request_id": self._request_id(call),
                "query_source_safe": call.source.replace(":", "."),
            }
            scope.spans.add(
                name="claude_code.llm_request",
                trace_id=self.draw.randbytes(16),
                span_id=self.draw.randbytes(8),
                start_time_unix_nano=call.ended - (900 + out * 12) * 10**6,
                end_time_unix_nano=call.ended,
                attributes=_pairs(facts),
            )
        return request.SerializeToString()

    def _metrics(
        self, sender: Mapping[str, Value], calls: Sequence[_Call], start: int, end: int, *, is_first: bool
    ) -> bytes:
        request = ExportMetricsServiceRequest()
        group = request.resource_metrics.add()
        group.resource.attributes.extend(_pairs(self._resource()))
        scope = group.scope_metrics.add()
        sums: dict[str, list[tuple[Mapping[str, Value], float]]] = {}
        for (model, query_class), several in self._lines(calls).items():
            facts = {"model": model, "query_source": query_class}
            counts = [sum(call.tokens[n] for call in several) for n in range(5)]
            kinds = {"input": counts[0], "output": counts[1], "cacheRead": counts[2], "cacheCreation": sum(counts[3:])}
            for kind, amount in kinds.items():
                sums.setdefault("claude_code.token.usage", []).append(({**facts, "type": kind}, float(amount)))
            cost = sum(call.client_cost for call in several) / 10**12
            sums.setdefault("claude_code.cost.usage", []).append((facts, cost))
        for name, facts, amount in self._activity(len(calls), is_first=is_first):
            sums.setdefault(name, []).append((facts, amount))
        for name, points in sums.items():
            total = scope.metrics.add(name=name).sum
            total.aggregation_temporality, total.is_monotonic = 1, True
            for facts, amount in points:
                total.data_points.add(
                    attributes=_pairs({**sender, **facts}),
                    start_time_unix_nano=start,
                    time_unix_nano=end,
                    as_double=amount,
                )
        return request.SerializeToString()

    def _lines(self, calls: Iterable[_Call]) -> dict[tuple[str, str], list[_Call]]:
        lines: dict[tuple[str, str], list[_Call]] = {}
        for call in calls:
            lines.setdefault((self._asked(call), call.query_class), []).append(call)
        return lines

    def _activity(self, calls: int, *, is_first: bool) -> Iterator[tuple[str, Mapping[str, Value], float]]:
        draw = self.draw
        if is_first:
            start_type = draw.choices(("fresh", "continue", "resume"), (8, 1, 1))[0]
            yield "claude_code.session.count", {"start_type": start_type}, 1.0
        if not calls:
            return
        yield "claude_code.active_time.total", {"type": "cli"}, calls * draw.randint(2_000, 20_000) / 1000
        yield "claude_code.active_time.total", {"type": "user"}, draw.randint(5_000, 120_000) / 1000
        edits = draw.randint(0, 4)
        if edits:
            yield "claude_code.lines_of_code.count", {"type": "added"}, float(edits * draw.randint(1, 40))
            yield "claude_code.lines_of_code.count", {"type": "removed"}, float(edits * draw.randint(0, 15))
            decision = {"decision": draw.choices(("accept", "reject"), (9, 1))[0], "tool_name": "Edit"}
            yield (
                "claude_code.code_edit_tool.decision",
                {**decision, "source": "config", "language": "Go"},
                float(edits),
            )
        if draw.random() < 0.15:
            yield "claude_code.commit.count", {}, 1.0
        if draw.random() < 0.03:
            yield "claude_code.pull_request.count", {}, 1.0

    def _named(self, call: _Call) -> str:
        """The id of the model that served a call: on Bedrock that of the global profile, which costs no premium."""
        on_bedrock = self.sender["anthropic.provider"] == "bedrock" and call.model in RATES
        return f"global.anthropic.{call.model}" if on_bedrock else call.model

    def _asked(self, call: _Call) -> str:
        return f"{self._named(call)}[1m]" if call.model == CLASSIFIER else self._named(call)

    def _request_id(self, call: _Call) -> str:
        return f"req_{self.history.seed}_{self.number:04d}_{call.number:06d}"

    def _resource(self) -> dict[str, Value]:
        facts: dict[str, Value] = {"service.name": "claude-code", "service.version": self.version}
        if self.team:
            facts |= {"team.id": self.team, "cost_center": self.cost_center}
        return facts


def play(
    history: History,
    parts: Parts,
    *,
    every_seconds: int,
    on_tick: Callable[[int], None] = lambda _: None,
    on_booked: Callable[[Accepted], None] = lambda _: None,
) -> None:
    """Run a history through a pipeline, and let everything come to rest; see above."""
    parts.ledger.database.connection.execute("PRAGMA synchronous = OFF")  # nobody pulls a plug in the past
    tick = every_seconds * SECOND
    now = midnight_unix_nano(history.first, UTC)
    group: list[Delivery] = []

    def pass_time(until: int) -> None:
        nonlocal now
        while now // tick < until // tick:
            now = (now // tick + 1) * tick
            _do_what_is_due(parts, now)
            on_tick(now)
        now = until

    def book() -> None:
        on_booked(parts.pipeline.accept([prepare(delivery, parts.meter) for delivery in group], now))
        group.clear()

    for sent in history.sent():
        window = sent.at_unix_nano // GROUP * GROUP + GROUP
        if window > now:
            if group:
                book()
            pass_time(window)
        group.append(sent.delivery)
    book()
    while (due := parts.pipeline.next_advance_unix_nano()) is not None:
        pass_time(max(now, due))
        parts.pipeline.advance(now)
    for _ in range(2):
        pass_time((now // tick + 1) * tick)


def _do_what_is_due(parts: Parts, now: int) -> None:
    while (due := parts.pipeline.next_advance_unix_nano()) is not None and due <= now:
        parts.pipeline.advance(due)


def _identity(number: int) -> tuple[str, Basis, dict[str, Value]]:
    """Name, basis and attributes of a developer: how the client is signed in."""
    facts: dict[str, Value] = {"user.id": f"{number:064x}", "anthropic.provider": "firstParty"}
    email = f"dev{number:03d}@example.com"
    account = {**facts, "user.email": email, "organization.id": "org-1"}
    match number % 20:
        case 0 | 1 | 2:
            return email, Basis.NOTIONAL, {**account, "anthropic.plan": "max"}
        case 3:
            return email, Basis.UNKNOWN, account
        case 4 | 5:
            return f"{number:064x}", Basis.BILLED, {**facts, "anthropic.provider": "bedrock"}
        case 6 | 7:
            return f"{number:064x}", Basis.BILLED, facts
        case _:
            seat = {"anthropic.plan": "enterprise", "anthropic.seat_type": "usage_based"}
            return email, Basis.BILLED, {**account, **seat}


def _pairs(facts: Mapping[str, Value]) -> list[KeyValue]:
    kinds = {str: "string_value", int: "int_value", float: "double_value"}
    return [KeyValue(key=key, value=AnyValue(**{kinds[type(value)]: value})) for key, value in facts.items()]
