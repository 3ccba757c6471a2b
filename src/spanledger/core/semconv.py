"""Every attribute and metric name that we read of the client or write, with unit, kind and meaning: one table.

Docs are generated from here and checked (docs/reference). No name of these families is spelt anywhere else.
Sources: captures of the client (docs/reference/attributes.md), OpenTelemetry semantic conventions, design §7.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# --- what the client sends -----------------------------------------------------------------------------------------

SPAN_LLM_REQUEST = "claude_code.llm_request"
SPAN_INTERACTION = "claude_code.interaction"
EVENT_API_REQUEST = "api_request"
BODY_API_REQUEST = "claude_code.api_request"
METRIC_CLIENT_COST = "claude_code.cost.usage"
METRIC_CLIENT_TOKENS = "claude_code.token.usage"
CONTROL_METRICS: frozenset[str] = frozenset({METRIC_CLIENT_COST, METRIC_CLIENT_TOKENS})
METRIC_CLIENT_SESSIONS = "claude_code.session.count"
METRIC_CLIENT_LINES = "claude_code.lines_of_code.count"
METRIC_CLIENT_COMMITS = "claude_code.commit.count"
METRIC_CLIENT_PULL_REQUESTS = "claude_code.pull_request.count"
METRIC_CLIENT_EDIT_DECISIONS = "claude_code.code_edit_tool.decision"
METRIC_CLIENT_ACTIVE_TIME = "claude_code.active_time.total"


class In(StrEnum):
    """Attribute keys that metering reads from the client's records and resources."""

    AGENT_ID = "agent_id"
    AGENT_NAME = "agent.name"
    APP_VERSION = "app.version"
    CACHE_CREATION_1H_TOKENS = "cache_creation_1h_tokens"
    CACHE_CREATION_5M_TOKENS = "cache_creation_5m_tokens"
    CACHE_CREATION_TOKENS = "cache_creation_tokens"
    CACHE_READ_TOKENS = "cache_read_tokens"
    COST_USD = "cost_usd"
    COST_USD_MICROS = "cost_usd_micros"
    DECISION = "decision"
    DURATION_MS = "duration_ms"
    EFFORT = "effort"
    EVENT_NAME = "event.name"
    EVENT_SEQUENCE = "event.sequence"
    INPUT_TOKENS = "input_tokens"
    MCP_SERVER_NAME = "mcp_server.name"
    MCP_TOOL_NAME = "mcp_tool.name"
    MODEL = "model"
    ORGANIZATION_ID = "organization.id"
    OUTPUT_TOKENS = "output_tokens"
    PLAN = "anthropic.plan"
    PROMPT_ID = "prompt.id"
    PROVIDER = "anthropic.provider"
    PROVIDER_NAME = "gen_ai.provider.name"
    QUERY_SOURCE = "query_source"
    QUERY_SOURCE_SAFE = "query_source_safe"
    REQUEST_ID = "request_id"
    REQUEST_MODEL = "gen_ai.request.model"
    SEAT_TYPE = "anthropic.seat_type"
    SERVICE_NAME = "service.name"
    SERVICE_VERSION = "service.version"
    SESSION_ID = "session.id"
    SKILL_NAME = "skill.name"
    SOURCE = "source"
    SPEED = "speed"
    START_TYPE = "start_type"
    TENANT = "spanledger.tenant"
    TOOL_NAME = "tool_name"
    TYPE = "type"
    USER_ACCOUNT_UUID = "user.account_uuid"
    USER_EMAIL = "user.email"
    USER_ID = "user.id"


TOKEN_COUNTS: tuple[In, ...] = (
    In.INPUT_TOKENS,
    In.OUTPUT_TOKENS,
    In.CACHE_READ_TOKENS,
    In.CACHE_CREATION_TOKENS,
    In.CACHE_CREATION_5M_TOKENS,
    In.CACHE_CREATION_1H_TOKENS,
)
"""Counts that the price of a call stands on."""
# --- what we write on spans and log records ------------------------------------------------------------------------


class On(StrEnum):
    """Which records carry an attribute of ours."""

    SPAN_AND_LOG = "span, log"
    SPAN = "span"
    TURN = "interaction span"


@dataclass(frozen=True, slots=True)
class AttributeSpec:
    """One attribute that enrichment writes: key, OTLP type, records that carry it, meaning."""

    key: str
    type: str
    on: On
    description: str


class Out(StrEnum):
    """Attribute keys that enrichment writes."""

    COST_AMOUNT = "gen_ai.usage.cost.amount"
    COST_CURRENCY = "gen_ai.usage.cost.currency"
    COST_SOURCE = "gen_ai.usage.cost.source"
    INPUT_TOKENS = "gen_ai.usage.input_tokens"
    OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
    CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
    CACHE_CREATION_INPUT_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
    RESPONSE_MODEL = "gen_ai.response.model"
    LIST_USD = "spanledger.cost.list_usd"
    CLIENT_USD = "spanledger.cost.client_usd"
    STATUS = "spanledger.status"
    EVIDENCE = "spanledger.evidence"
    VERDICT = "spanledger.verdict"
    BASIS = "spanledger.basis"
    PRICE_BOOK = "spanledger.price_book"
    PRICE_ROW = "spanledger.price_row"
    UNPRICED_REASON = "spanledger.unpriced_reason"
    COST_CENTER = "spanledger.cost_center"
    ASSUMED = "spanledger.assumed"
    TURN_COST_USD = "spanledger.turn.cost_usd"
    TURN_REQUESTS = "spanledger.turn.requests"
    TURN_STATUS = "spanledger.turn.status"
    TURN_UNPRICED_REQUESTS = "spanledger.turn.unpriced_requests"


ATTRIBUTES: tuple[AttributeSpec, ...] = (
    AttributeSpec(
        Out.COST_AMOUNT,
        "double",
        On.SPAN_AND_LOG,
        "Our price of the call in USD, by contract where there is one; absent when unpriced.",
    ),
    AttributeSpec(Out.COST_CURRENCY, "string", On.SPAN_AND_LOG, "Always `USD`; absent when unpriced."),
    AttributeSpec(Out.COST_SOURCE, "string", On.SPAN_AND_LOG, "Always `local`: priced here; absent when unpriced."),
    AttributeSpec(Out.INPUT_TOKENS, "int", On.SPAN, "Prompt tokens, cached ones included."),
    AttributeSpec(Out.OUTPUT_TOKENS, "int", On.SPAN, "Output tokens, thinking included."),
    AttributeSpec(Out.CACHE_READ_INPUT_TOKENS, "int", On.SPAN, "Prompt tokens read from the cache."),
    AttributeSpec(Out.CACHE_CREATION_INPUT_TOKENS, "int", On.SPAN, "Prompt tokens written to the cache."),
    AttributeSpec(Out.RESPONSE_MODEL, "string", On.SPAN, "The model that served the call, when its log event came."),
    AttributeSpec(
        Out.LIST_USD, "string", On.SPAN_AND_LOG, "The price at list, an exact decimal; absent when the list has none."
    ),
    AttributeSpec(Out.CLIENT_USD, "string", On.SPAN_AND_LOG, "What the client said that the call cost."),
    AttributeSpec(Out.STATUS, "string", On.SPAN_AND_LOG, "`exact`, `provisional`, `lower_bound` or `unpriced`."),
    AttributeSpec(
        Out.EVIDENCE,
        "string",
        On.SPAN_AND_LOG,
        "What the figure stands on: `log`, `span`, or `inferred`: the log and a fact that its cost gives away.",
    ),
    AttributeSpec(
        Out.VERDICT,
        "string",
        On.SPAN_AND_LOG,
        "Why the client's figure is what it is: `equal`, `client_table`, `unknown_model`, `managed_rates`, "
        "`regional_premium`, `inferred_facts` or `unexplained`. Attempts that were cut show only later, in the sums: "
        "then the ledger and `spanledger explain` say `aborted_attempts`.",
    ),
    AttributeSpec(Out.BASIS, "string", On.SPAN_AND_LOG, "`billed`, `notional` (covered by a plan) or `unknown`."),
    AttributeSpec(Out.PRICE_BOOK, "string", On.SPAN_AND_LOG, "Version of the price book that priced the call."),
    AttributeSpec(
        Out.PRICE_ROW,
        "string",
        On.SPAN_AND_LOG,
        "Row of the price book: model and the instant it holds from; `contract/` before it for a row of the contract.",
    ),
    AttributeSpec(Out.UNPRICED_REASON, "string", On.SPAN_AND_LOG, "Why there is no price, and what to configure."),
    AttributeSpec(
        Out.ASSUMED,
        "string",
        On.SPAN_AND_LOG,
        "What bears on the price and is configured, not told (`prices.defaults`), or announced and not confirmed.",
    ),
    AttributeSpec(Out.COST_CENTER, "string", On.SPAN_AND_LOG, "Cost center of the sender, when it says one."),
    AttributeSpec(
        Out.TURN_COST_USD,
        "string",
        On.TURN,
        "What the calls of the turn cost that had come when its span left, an exact decimal; never add it to calls.",
    ),
    AttributeSpec(Out.TURN_REQUESTS, "int", On.TURN, "The calls that the sum is of; absent when there were none."),
    AttributeSpec(
        Out.TURN_STATUS, "string", On.TURN, "As sure as the least sure call: a call without a price: `lower_bound`."
    ),
    AttributeSpec(Out.TURN_UNPRICED_REQUESTS, "int", On.TURN, "Calls of the turn without a price, when there are any."),
)

# --- metrics that we emit ------------------------------------------------------------------------------------------


class Quantity(StrEnum):
    """What a series counts, and so how its integers are encoded."""

    MONEY = "money"
    """Pico-USD, encoded as a double of USD."""
    COUNT = "count"
    """A whole number, encoded as an integer."""
    DURATION = "duration"
    """Nanoseconds, encoded as a double of seconds."""


class Metric(StrEnum):
    """Metrics that are folds of postings, or of what else senders' records add up to."""

    COST = "spanledger.cost"
    USER_COST = "spanledger.user.cost"
    CLIENT_COST = "spanledger.cost.client"
    TOKENS = "spanledger.tokens"
    REQUESTS = "spanledger.requests"
    COST_ADJUSTMENT = "spanledger.cost.adjustment"
    USER_COST_ADJUSTMENT = "spanledger.user.cost.adjustment"
    CLIENT_COST_ADJUSTMENT = "spanledger.cost.client.adjustment"
    TOKENS_ADJUSTMENT = "spanledger.tokens.adjustment"
    REQUESTS_ADJUSTMENT = "spanledger.requests.adjustment"
    PURPOSE_COST = "spanledger.purpose.cost"
    PURPOSE_COST_ADJUSTMENT = "spanledger.purpose.cost.adjustment"
    MODIFIER_COST = "spanledger.modifier.cost"
    MODIFIER_COST_ADJUSTMENT = "spanledger.modifier.cost.adjustment"
    UNPRICED_REQUESTS = "spanledger.unpriced_requests"
    UNPRICED_REQUESTS_ADJUSTMENT = "spanledger.unpriced_requests.adjustment"
    UNPRICED_TOKENS = "spanledger.unpriced_tokens"
    UNPRICED_TOKENS_ADJUSTMENT = "spanledger.unpriced_tokens.adjustment"
    UNALLOCATED_COST = "spanledger.unallocated.cost"
    UNALLOCATED_COST_ADJUSTMENT = "spanledger.unallocated.cost.adjustment"
    CLIENT_GAP = "spanledger.client_gap"
    DUPLICATES = "spanledger.duplicates"
    RESIDUAL_COST = "spanledger.residual.cost"
    RESIDUAL_COST_ADJUSTMENT = "spanledger.residual.cost.adjustment"
    SIGNAL_TOKENS = "spanledger.signal.tokens"
    SIGNAL_TOKENS_ADJUSTMENT = "spanledger.signal.tokens.adjustment"
    SESSIONS = "spanledger.sessions"
    LINES_OF_CODE = "spanledger.lines_of_code"
    COMMITS = "spanledger.commits"
    PULL_REQUESTS = "spanledger.pull_requests"
    EDIT_DECISIONS = "spanledger.edit_decisions"
    ACTIVE_TIME = "spanledger.active_time"


ADJUSTMENT_OF: dict[Metric, Metric] = {
    Metric.COST: Metric.COST_ADJUSTMENT,
    Metric.USER_COST: Metric.USER_COST_ADJUSTMENT,
    Metric.CLIENT_COST: Metric.CLIENT_COST_ADJUSTMENT,
    Metric.TOKENS: Metric.TOKENS_ADJUSTMENT,
    Metric.REQUESTS: Metric.REQUESTS_ADJUSTMENT,
    Metric.PURPOSE_COST: Metric.PURPOSE_COST_ADJUSTMENT,
    Metric.MODIFIER_COST: Metric.MODIFIER_COST_ADJUSTMENT,
    Metric.UNPRICED_REQUESTS: Metric.UNPRICED_REQUESTS_ADJUSTMENT,
    Metric.UNPRICED_TOKENS: Metric.UNPRICED_TOKENS_ADJUSTMENT,
    Metric.UNALLOCATED_COST: Metric.UNALLOCATED_COST_ADJUSTMENT,
    Metric.RESIDUAL_COST: Metric.RESIDUAL_COST_ADJUSTMENT,
    Metric.SIGNAL_TOKENS: Metric.SIGNAL_TOKENS_ADJUSTMENT,
}
"""The twin that takes a metric's corrections. Every total that we show is series + adjustment."""

ADJUSTED_BY: dict[Metric, Metric] = {twin: metric for metric, twin in ADJUSTMENT_OF.items()}
"""The metric that a twin corrects."""


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One cumulative sum: name, UCUM unit, quantity, whether it only rises, its own labels, meaning.

    `resource_labels` tells whether the allow-listed resource attributes (`metrics.resource_labels`) follow `labels`.
    """

    name: Metric
    unit: str
    quantity: Quantity
    monotonic: bool
    labels: tuple[str, ...]
    resource_labels: bool
    description: str


_UNPRICED = ("model", "provider", "unpriced_reason")
_CALL = ("basis", "model", "provider", "query_class", "speed")

_SERIES: tuple[MetricSpec, ...] = (
    MetricSpec(Metric.COST, "USD", Quantity.MONEY, True, (*_CALL, "token_class"), True, "Cost at our price book."),
    MetricSpec(Metric.USER_COST, "USD", Quantity.MONEY, True, ("basis", "user"), True, "Cost by user."),
    MetricSpec(
        Metric.CLIENT_COST,
        "USD",
        Quantity.MONEY,
        True,
        ("client_version", "model", "provider"),
        False,
        "What the clients reported for the same calls.",
    ),
    MetricSpec(Metric.TOKENS, "{token}", Quantity.COUNT, True, (*_CALL, "token_class"), True, "Tokens, priced or not."),
    MetricSpec(
        Metric.REQUESTS,
        "{request}",
        Quantity.COUNT,
        True,
        (*_CALL, "status", "evidence"),
        True,
        "Model calls, each once.",
    ),
    MetricSpec(
        Metric.PURPOSE_COST,
        "USD",
        Quantity.MONEY,
        True,
        ("basis", "purpose", "agent", "skill", "mcp_server"),
        True,
        "Cost by what calls were for: `main`, `subagent`, each kind of background work by its name (`compact`, ...), "
        "`residual` where only the client's sums tell. `none` where a call had no agent, skill or MCP server.",
    ),
    MetricSpec(
        Metric.MODIFIER_COST,
        "USD",
        Quantity.MONEY,
        True,
        ("basis", "model", "provider", "modifiers"),
        True,
        "Cost by what made calls cost other than the plain price of their model: `fast`, `long_prompt`, "
        "`us_residency`, `regional`, `govcloud`, `batch`, several with commas (`fast,us_residency`); else `none`.",
    ),
    MetricSpec(
        Metric.UNPRICED_REQUESTS,
        "{request}",
        Quantity.COUNT,
        True,
        _UNPRICED,
        True,
        "Model calls without a price, and why; what they cost is not in any cost.",
    ),
    MetricSpec(
        Metric.UNPRICED_TOKENS,
        "{token}",
        Quantity.COUNT,
        True,
        _UNPRICED,
        True,
        "Tokens without a price: of calls, and of what only the client's sums hold.",
    ),
    MetricSpec(
        Metric.UNALLOCATED_COST,
        "USD",
        Quantity.MONEY,
        True,
        ("basis", "missing"),
        False,
        "Cost whose sender leaves out allow-listed labels; `missing` lists them (`cost_center,team`), so that no cost "
        "is in two series.",
    ),
    MetricSpec(
        Metric.RESIDUAL_COST,
        "USD",
        Quantity.MONEY,
        True,
        ("basis", "model", "query_class"),
        True,
        "The part of `spanledger.cost` that only the clients' own sums hold: no record of a call came.",
    ),
    MetricSpec(
        Metric.SIGNAL_TOKENS,
        "{token}",
        Quantity.COUNT,
        True,
        ("signal",),
        True,
        "Tokens that each signal (`logs`, `traces`, `metrics`) told of, each call once; see docs/completeness.md.",
    ),
)

_GAP = MetricSpec(
    Metric.CLIENT_GAP,
    "USD",
    Quantity.MONEY,
    False,
    ("client_version", "verdict"),
    False,
    "The list price minus the client's figure, over priced calls that have one, by the reason for the difference; "
    "corrections included.",
)

_DUPLICATES = MetricSpec(
    Metric.DUPLICATES,
    "{record}",
    Quantity.COUNT,
    True,
    ("signal",),
    True,
    "Records of calls that had come before, by signal; none is charged again.",
)


_ACTIVITY: tuple[MetricSpec, ...] = (
    MetricSpec(
        Metric.SESSIONS,
        "{process}",
        Quantity.COUNT,
        True,
        (In.START_TYPE,),
        True,
        "Client processes started; one that continues a session counts again.",
    ),
    MetricSpec(Metric.LINES_OF_CODE, "{line}", Quantity.COUNT, True, (In.TYPE,), True, "Lines `added` and `removed`."),
    MetricSpec(Metric.COMMITS, "{commit}", Quantity.COUNT, True, (), True, "Commits made by the client."),
    MetricSpec(
        Metric.PULL_REQUESTS, "{pull_request}", Quantity.COUNT, True, (), True, "Pull requests made by the client."
    ),
    MetricSpec(
        Metric.EDIT_DECISIONS,
        "{decision}",
        Quantity.COUNT,
        True,
        (In.DECISION, In.SOURCE, In.TOOL_NAME),
        True,
        "Edits accepted and rejected, and by whom.",
    ),
    MetricSpec(
        Metric.ACTIVE_TIME, "s", Quantity.DURATION, True, (In.TYPE,), True, "Time that `user` and `cli` were active."
    ),
)


def _adjustment(spec: MetricSpec) -> MetricSpec:
    return MetricSpec(
        ADJUSTMENT_OF[spec.name],
        spec.unit,
        spec.quantity,
        False,
        (*spec.labels, "reason"),
        spec.resource_labels,
        f"Corrections to `{spec.name}`: add it to every total.",
    )


METRICS: dict[Metric, MetricSpec] = {
    spec.name: spec for spec in (*_SERIES, *map(_adjustment, _SERIES), _GAP, _DUPLICATES, *_ACTIVITY)
}
"""Every cumulative metric, adjustment twins included."""

TOTALS: tuple[Metric, ...] = tuple(metric for metric in METRICS if metric not in ADJUSTED_BY)
"""Metrics that have a total: all but the twins, whose values go into it."""

ACTIVITY: dict[str, Metric] = {
    METRIC_CLIENT_SESSIONS: Metric.SESSIONS,
    METRIC_CLIENT_LINES: Metric.LINES_OF_CODE,
    METRIC_CLIENT_COMMITS: Metric.COMMITS,
    METRIC_CLIENT_PULL_REQUESTS: Metric.PULL_REQUESTS,
    METRIC_CLIENT_EDIT_DECISIONS: Metric.EDIT_DECISIONS,
    METRIC_CLIENT_ACTIVE_TIME: Metric.ACTIVE_TIME,
}
"""The client's activity counters and the metric that each becomes; a label of ours is the client's attribute."""

READ_METRICS: frozenset[str] = CONTROL_METRICS | ACTIVITY.keys()
"""Metrics of the client that are read."""

OVERFLOW_LABEL = "otel.metric.overflow"
"""Marks the series that takes what the label budget (`metrics.max_series`) has no room for (OpenTelemetry SDK rule)."""

DEFAULT_RESOURCE_LABELS: dict[str, str] = {"team.id": "team", "department": "department", "cost_center": "cost_center"}
"""Allow-listed resource attributes and the labels that they become."""

COST_CENTER_LABEL = "cost_center"
"""The label that discounts for a cost center, and `spanledger.cost_center`, go by."""

UNALLOCATED = "unallocated"
"""Value of a resource label when the sender does not say."""

NONE = "none"
"""Value of a label of a call that had no such thing: no agent, skill, MCP server or price modifier."""

UNKNOWN = "unknown"
"""Value of `user` and of `client_version` when the sender does not say."""
