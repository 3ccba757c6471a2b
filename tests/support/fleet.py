"""A simulated fleet: developers whose clients lose, cut, alias and straddle, and what it really cost.

Every client works as measured on 2.1.330: it adds a call to its sums when the reply ends, stamps the log event -100 to
+400 ms from that, exports sums every 60 s, logs and spans every 5 s. Seeded: the same seed gives the same bytes.
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from spanledger.core.delivery import Delivery, Encoding
from spanledger.core.usage import Signal

SECOND = 10**9
DAY_START = 1_795_500_000 * SECOND  # 2026-11-24
METRIC_INTERVAL_SECONDS = 60
LOG_INTERVAL_SECONDS = 5

# USD per million tokens, in pico-USD per token: input, output, cache read, 5-minute write, 1-hour write.
RATES = {
    "claude-opus-5-5": (4_000_000, 20_000_000, 200_000, 5_000_000, 8_000_000),
    "claude-haiku-4-5-20251001": (1_000_000, 5_000_000, 100_000, 1_250_000, 2_000_000),
    "claude-sonnet-4-5-20250929": (3_000_000, 15_000_000, 300_000, 3_750_000, 6_000_000),
    "claude-sonnet-5": (2_000_000, 10_000_000, 200_000, 2_500_000, 4_000_000),
}
ALIAS, ALIASED = "team-sonnet", "claude-sonnet-4-5-20250929"
CLASSIFIER = "claude-sonnet-5[1m]"


@dataclass(frozen=True, slots=True)
class Options:
    """What goes wrong how often."""

    traces: float = 0.5
    aliases: float = 0.1
    lost_exports: float = 0.01
    cut_streams: float = 0.003
    classifier_calls: float = 0.1
    restarts: float = 0.002
    seconds_between_calls: float = 25.0
    cumulative: float = 0.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that reached the service, and when."""

    at_unix_nano: int
    delivery: Delivery
    session: str


@dataclass(slots=True)
class Fleet:
    """What a fleet sent, in order of arrival, and what each session was served, at list price."""

    sent: list[Sent] = field(default_factory=list)
    cost_picousd: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    calls: int = 0


@dataclass(frozen=True, slots=True)
class _Call:
    number: int
    ended: int
    stamped: int
    model: str  # as served
    asked: str
    source: str
    query_class: str
    tokens: tuple[int, int, int, int, int]
    has_log: bool = True
    cut_cost: int = 0

    @property
    def cost(self) -> int:
        return sum(count * rate for count, rate in zip(self.tokens, RATES[self.model], strict=True))


def simulate(seed: int, developers: int, hours: float, options: Options) -> Fleet:
    """Let developers work; the fleet's requests come in order of arrival."""
    fleet = Fleet()
    streams = [
        _Developer(random.Random(f"{seed}/{number}"), number, options, fleet).work(hours)
        for number in range(developers)
    ]
    fleet.sent = list(heapq.merge(*streams, key=lambda sent: sent.at_unix_nano))
    return fleet


class _Developer:
    """One developer at one machine; a restart gives a new process in the same session or a new one."""

    def __init__(self, rng: random.Random, number: int, options: Options, fleet: Fleet) -> None:
        self.rng, self.number, self.options, self.fleet = rng, number, options, fleet
        self.traces = rng.random() < options.traces
        self.alias = rng.random() < options.aliases
        self.cumulative = rng.random() < options.cumulative
        self.session = f"{number:06d}-0000"
        self.sessions = 0
        self.calls = 0

    def work(self, hours: float) -> Iterator[Sent]:
        began = DAY_START + int(self.rng.uniform(0, 600) * SECOND)
        end = began + int(hours * 3600 * SECOND)
        sent: list[Sent] = []
        while began < end:
            until, calls = self._process(began, end)
            sent.extend(self._export(calls, began, until))
            began = until + int(self.rng.uniform(2, 120) * SECOND)
            if self.rng.random() < 0.5:
                self.sessions += 1
                self.session = f"{self.number:06d}-{self.sessions:04d}"
        return iter(sorted(sent, key=lambda one: one.at_unix_nano))

    def _process(self, began: int, end: int) -> tuple[int, list[_Call]]:
        """Calls of one process, and when it ends."""
        calls: list[_Call] = []
        now = began + int(self.rng.uniform(0.5, 5) * SECOND)
        while now < end:
            calls.extend(self._calls(now))
            if self.rng.random() < self.options.restarts:
                return now + SECOND, calls
            now += int(self.rng.expovariate(1 / self.options.seconds_between_calls) * SECOND) + SECOND // 5
        return max(end, now), calls

    def _calls(self, now: int) -> Iterator[_Call]:
        draw = self.rng.random()
        if draw < self.options.classifier_calls:
            yield self._call(now, "claude-sonnet-5", CLASSIFIER, "auto_mode", "auxiliary", has_log=False)
        elif draw < 0.3:
            yield self._call(now, "claude-haiku-4-5-20251001", "claude-haiku-4-5-20251001", "agent:custom", "subagent")
        else:
            model, asked = (ALIASED, ALIAS) if self.alias else ("claude-opus-5-5", "claude-opus-5-5[1m]")
            call = self._call(now, model, asked, "repl_main_thread", "main")
            if self.rng.random() < self.options.cut_streams:
                cut = replace(self._call(now, model, asked, "repl_main_thread", "main"), has_log=False)
                cut = replace(cut, ended=call.ended - SECOND // 50, number=-call.number - 1)
                yield cut
                call = replace(call, cut_cost=cut.cost)
            yield call

    def _call(self, now: int, model: str, asked: str, source: str, query_class: str, *, has_log: bool = True) -> _Call:
        rng = self.rng
        writes = rng.choice((0, rng.randint(100, 20_000)))
        long = writes if rng.random() < 0.2 else 0
        tokens = (rng.randint(1, 3000), rng.randint(1, 4000), rng.randint(0, 150_000), writes - long, long)
        self.calls += 1
        return _Call(
            number=self.calls,
            ended=now,
            stamped=(now + int(rng.uniform(-0.1, 0.4) * SECOND)) // 10**6 * 10**6,
            model=model,
            asked=asked,
            source=source,
            query_class=query_class,
            tokens=tokens,
            has_log=has_log,
        )

    def _export(self, calls: list[_Call], began: int, until: int) -> Iterator[Sent]:
        for call in calls:
            self.fleet.cost_picousd[self.session] += call.cost
        self.fleet.calls += len(calls)
        yield from self._send(Signal.METRICS, self._metrics(calls, began, until))
        logged = [call for call in calls if call.has_log]
        yield from self._send(Signal.LOGS, self._records(logged, began, until, self._logs))
        if self.traces:
            spanned = [call for call in calls if call.number > 0]
            yield from self._send(Signal.TRACES, self._records(spanned, began, until, self._spans))

    def _send(self, signal: Signal, bodies: Iterable[tuple[int, bytes]]) -> Iterator[Sent]:
        for at, body in bodies:
            arrives = at + int(self.rng.uniform(0.01, 2) * SECOND)
            if self.rng.random() >= self.options.lost_exports:
                yield Sent(arrives, Delivery(signal, Encoding.PROTOBUF, body), self.session)

    def _metrics(self, calls: list[_Call], began: int, until: int) -> Iterator[tuple[int, bytes]]:
        interval = METRIC_INTERVAL_SECONDS * SECOND
        waiting = sorted(calls, key=lambda call: call.ended)
        starts: dict[tuple[str, str], int] = {}
        totals: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * 5)
        end = began
        while waiting:
            start, end = end, min(end + interval, until + 2 * SECOND)
            inside = [call for call in waiting if call.ended <= end]
            waiting = waiting[len(inside) :]
            if not self.cumulative:
                totals.clear()
            for call in inside:
                key = (call.asked, call.query_class)
                first = call.ended if self.cumulative else max(start, began)
                if not self.cumulative and key not in starts:
                    first = call.ended
                if self.cumulative:
                    starts.setdefault(key, first)
                else:
                    starts[key] = first if key not in totals else starts[key]
                counts = (*call.tokens[:3], call.tokens[3] + call.tokens[4], call.cost)
                totals[key] = [a + b for a, b in zip(totals[key], counts, strict=True)]
            if totals:
                yield end, self._metrics_body(totals, starts, end)

    def _metrics_body(
        self, totals: dict[tuple[str, str], list[int]], starts: dict[tuple[str, str], int], end: int
    ) -> bytes:
        request = ExportMetricsServiceRequest()
        group = request.resource_metrics.add()
        group.resource.attributes.extend(_pairs({"service.name": "claude-code", "service.version": "2.1.330"}))
        scope = group.scope_metrics.add()
        names = (("claude_code.token.usage", 4), ("claude_code.cost.usage", 1))
        tokens, cost = (scope.metrics.add(name=name).sum for name, _ in names)
        for total in (tokens, cost):
            total.aggregation_temporality, total.is_monotonic = 2 if self.cumulative else 1, True
        for (model, query_class), sums in totals.items():
            facts = {**self._sender(), "model": model, "query_source": query_class}
            when = {"start_time_unix_nano": starts[model, query_class], "time_unix_nano": end}
            for kind, amount in zip(("input", "output", "cacheRead", "cacheCreation"), sums, strict=False):
                tokens.data_points.add(attributes=_pairs({**facts, "type": kind}), as_double=amount, **when)
            cost.data_points.add(attributes=_pairs(facts), as_double=sums[4] / 10**12, **when)
        return request.SerializeToString()

    def _records(self, calls: list[_Call], began: int, until: int, encode) -> Iterator[tuple[int, bytes]]:
        interval = LOG_INTERVAL_SECONDS * SECOND
        batches: defaultdict[int, list[_Call]] = defaultdict(list)
        for call in calls:
            batches[min(until + SECOND, began + ((call.stamped - began) // interval + 1) * interval)].append(call)
        for at, batch in batches.items():
            yield at, encode(batch)

    def _logs(self, batch: list[_Call]) -> bytes:
        request = ExportLogsServiceRequest()
        group = request.resource_logs.add()
        group.resource.attributes.extend(_pairs({"service.name": "claude-code", "service.version": "2.1.330"}))
        scope = group.scope_logs.add()
        for call in batch:
            facts = {
                **self._sender(),
                "event.name": "api_request",
                "model": call.model,
                "input_tokens": call.tokens[0],
                "output_tokens": call.tokens[1],
                "cache_read_tokens": call.tokens[2],
                "cache_creation_tokens": call.tokens[3] + call.tokens[4],
                "cache_creation_5m_tokens": call.tokens[3],
                "cache_creation_1h_tokens": call.tokens[4],
                "cost_usd": (call.cost + call.cut_cost) / 10**12,
                "request_id": self._request_id(call),
                "query_source": call.source,
            }
            scope.log_records.add(
                time_unix_nano=call.stamped, attributes=_pairs(facts)
            ).body.string_value = "claude_code.api_request"
        return request.SerializeToString()

    def _spans(self, batch: list[_Call]) -> bytes:
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        group.resource.attributes.extend(_pairs({"service.name": "claude-code", "service.version": "2.1.330"}))
        scope = group.scope_spans.add()
        for call in batch:
            facts = {
                **self._sender(),
                "model": call.asked,
                "input_tokens": call.tokens[0],
                "output_tokens": call.tokens[1],
                "cache_read_tokens": call.tokens[2],
                "cache_creation_tokens": call.tokens[3] + call.tokens[4],
                "request_id": self._request_id(call),
                "query_source_safe": call.source.replace(":", "."),
            }
            scope.spans.add(
                name="claude_code.llm_request",
                trace_id=self.rng.randbytes(16),
                span_id=self.rng.randbytes(8),
                start_time_unix_nano=call.stamped - 3 * SECOND,
                end_time_unix_nano=call.stamped - 10**6,
                attributes=_pairs(facts),
            )
        return request.SerializeToString()

    def _sender(self) -> dict[str, str]:
        return {"session.id": self.session, "user.id": f"user-{self.number}", "anthropic.provider": "firstParty"}

    def _request_id(self, call: _Call) -> str:
        return f"req_{self.number}_{call.number}"


def _pairs(facts: dict[str, str | int | float]) -> list[KeyValue]:
    kinds = {str: "string_value", int: "int_value", float: "double_value"}
    return [KeyValue(key=key, value=AnyValue(**{kinds[type(value)]: value})) for key, value in facts.items()]
