"""Usage records: what one signal said of one model call, in the field's own terms.

A record is a value: equal on every transport, whatever the batch it came in. Sources: docs/architecture.md, captures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from spanledger.core.reasons import Reason
from spanledger.core.semconv import Metric


class Signal(StrEnum):
    """OTLP signals, as the last part of their HTTP path (`/v1/traces`)."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


class TokenClass(StrEnum):
    """Token classes of design §5, in the order of `Tokens`."""

    INPUT = "input"
    OUTPUT = "output"
    CACHE_READ = "cache_read"
    CACHE_WRITE_5M = "cache_write_5m"
    CACHE_WRITE_1H = "cache_write_1h"
    CACHE_WRITE_UNSPECIFIED = "cache_write_unspecified"
    WEB_SEARCH = "web_search"


TOKEN_CLASSES: tuple[TokenClass, ...] = tuple(TokenClass)


class Tokens(NamedTuple):
    """Counts by token class; they partition the usage, so their sum is what the wire said. `input` excludes cache."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_write_unspecified: int = 0
    web_search: int = 0

    @property
    def cache_write(self) -> int:
        """Tokens written to the cache, whatever their time to live."""
        return self.cache_write_5m + self.cache_write_1h + self.cache_write_unspecified

    @property
    def prompt(self) -> int:
        """Prompt length as price bands count it: input, cache reads and cache writes."""
        return self[0] + self[2] + self[3] + self[4] + self[5]

    @property
    def total(self) -> int:
        """All tokens; web searches are not tokens."""
        return self.prompt + self.output

    def times(self, rates: Tokens) -> int:
        """Cost: each count times the rate of its class."""
        a, b, c, d, e, f, g = self
        ra, rb, rc, rd, re, rf, rg = rates
        return a * ra + b * rb + c * rc + d * rd + e * re + f * rf + g * rg


class Provider(StrEnum):
    """Who serves the model; `other` when telemetry names one that we don't know."""

    ANTHROPIC = "anthropic"
    BEDROCK = "bedrock"
    VERTEX = "vertex"
    FOUNDRY = "foundry"
    ANTHROPIC_AWS = "anthropic_aws"
    OTHER = "other"


class QueryClass(StrEnum):
    """What a call was for, as the client's metrics class it; `unknown` when a record does not say."""

    MAIN = "main"
    SUBAGENT = "subagent"
    AUXILIARY = "auxiliary"
    UNKNOWN = "unknown"


class Speed(StrEnum):
    """Inference speed; `standard` is what the client's records call normal."""

    STANDARD = "standard"
    FAST = "fast"


class Evidence(StrEnum):
    """The signal that a posting took its figures from."""

    LOG = "log"
    SPAN = "span"
    INFERRED = "inferred"
    """The log, with a fact that only its cost figure gives away; see `core.verdict`."""
    METRIC = "metric"
    """Residual: the client's sums hold it, no record of a call does."""


class Basis(StrEnum):
    """Whether a call costs money: billed, covered by a seat or plan, or not known. Never summed silently."""

    BILLED = "billed"
    NOTIONAL = "notional"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Source:
    """Who sent a record: what all records of a session share. Absent facts are empty strings.

    `labels` holds the allow-listed resource attributes as (label, value) pairs, in the order of the setting.
    `resource_digest` identifies the whole OTLP resource; `service` is its `service.name`. `facts` are the further
    attributes that the configuration goes by, as (attribute, value) pairs, those that were stated. `tenant` is the
    name of the sender that was authenticated, and `tenant_email` the `user.email` that is known of it.
    """

    session_id: str = ""
    user_id: str = ""
    user_email: str = ""
    user_account_uuid: str = ""
    organization_id: str = ""
    plan: str = ""
    seat_type: str = ""
    provider: Provider = Provider.ANTHROPIC
    client_version: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    resource_digest: str = ""
    service: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    tenant: str = ""
    tenant_email: str = ""

    @property
    def user(self) -> str:
        """The name that cost is shown under: e-mail, else account, else the random id of a home directory."""
        return self.user_email or self.tenant_email or self.user_account_uuid or self.user_id

    @property
    def home(self) -> str:
        """The home directory that a record is from, told apart by tenant: what was learnt of one holds for it alone."""
        return f"{self.tenant}/{self.user_id}" if self.tenant else self.user_id

    @property
    def group(self) -> str:
        """Within which calls and control points are held against each other: session, else resource and user."""
        if not self.session_id:
            return f"resource:{self.resource_digest}:{self.user_id}"
        return f"tenant:{self.tenant}:session:{self.session_id}" if self.tenant else f"session:{self.session_id}"

    @property
    def without_session(self) -> Source:
        """The same sender where its session is not told."""
        return replace(self, session_id="")

    def label(self, name: str) -> str:
        """Value of an allow-listed label; empty when the sender did not say."""
        return dict(self.labels).get(name, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """One record of one model call: an `api_request` log event or a `claude_code.llm_request` span.

    `identity` names the call: its request id, or a digest of this record when it has none. All records that could be of
    one call share a `bucket`: the request id; without one, a digest of session and token counts. `digest`
    tells repeated records from different ones. Times are Unix nanoseconds; `time_unix_nano` is the end of the call on
    the client's clock. `client_cost_picousd` is None when the signal reports none.
    """

    evidence: Evidence
    identity: str
    bucket: str
    source: Source
    model: str
    tokens: Tokens
    time_unix_nano: int
    query_class: QueryClass
    query_source: str = ""
    speed: Speed = Speed.STANDARD
    client_cost_picousd: int | None = None
    request_id: str = ""
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    prompt_id: str = ""
    effort: str = ""
    agent_id: str = ""
    agent_name: str = ""
    skill_name: str = ""
    mcp_server_name: str = ""
    mcp_tool_name: str = ""
    duration_milliseconds: int = 0
    digest: str = ""


class Temporality(StrEnum):
    """OTLP aggregation temporality of a control point's sum."""

    DELTA = "delta"
    CUMULATIVE = "cumulative"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPoint:
    """One data point of `claude_code.cost.usage` or `claude_code.token.usage`: a control total over calls.

    `series` is the digest of resource and attributes; (metric, series, start, time) identifies the point.
    `amount` is pico-USD for cost, tokens otherwise. `token_type` is the client's own word (`cacheRead`); cost has none.
    `carried` is where the process before had ended in the same cumulative series, 0 when there was none.
    """

    metric: str
    series: str
    start_unix_nano: int
    time_unix_nano: int
    temporality: Temporality
    amount: int
    source: Source
    model: str
    query_class: QueryClass
    speed: Speed
    token_type: str
    carried: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityPoint:
    """One data point of a client's activity counter, as the metric of ours that it becomes.

    `series` is the digest of metric, resource and attributes; (series, start, time) identifies the point. `amount` is
    nanoseconds for durations, a count otherwise. `labels` are the metric's own.
    """

    metric: Metric
    series: str
    start_unix_nano: int
    time_unix_nano: int
    temporality: Temporality
    amount: int
    source: Source
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that could not be read: it alone is refused. `detail` is for people."""

    reason: Reason
    detail: str
