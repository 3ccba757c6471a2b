"""Metering: what a log record, a span or a data point says of usage, as values.

Rules measured on clients 2.1.197 and 2.1.330: numbers may come as strings, attributes may be missing, a failed call has
a span without tokens, and names differ between signals (`agent:custom` in the log is `agent.custom` on the span).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from spanledger.core.batch import Attributes, Batch, LogData, PointData, SpanData
from spanledger.core.digest import digest_of
from spanledger.core.modelid import ProviderForm, normalise
from spanledger.core.reading import (
    UnreadableRecordError,
    read_cost,
    read_count,
    read_money,
    read_nanoseconds,
    read_point_count,
    read_text,
)
from spanledger.core.reasons import Reason
from spanledger.core.semconv import ACTIVITY, METRIC_CLIENT_COST, METRICS, UNKNOWN, In, Quantity
from spanledger.core.turn import Turn
from spanledger.core.usage import (
    ActivityPoint,
    ControlPoint,
    Evidence,
    Problem,
    Provider,
    QueryClass,
    Source,
    Speed,
    Tokens,
    UsageRecord,
)

_TOKEN_KEYS = (In.INPUT_TOKENS, In.OUTPUT_TOKENS, In.CACHE_READ_TOKENS, In.CACHE_CREATION_TOKENS)
_MAIN_SOURCES = ("sdk", "repl_main_thread")
_SUBAGENT_PREFIXES = ("agent:", "agent.")
_SUBAGENT_SOURCES = ("hook_agent",)
_AUXILIARY_SOURCES = frozenset(
    (
        *("generate_session_title", "rename_generate_name", "compact", "web_search_tool"),
        *("auto_mode", "hook_prompt", "agent_summary", "away_summary"),
        *("prompt_suggestion", "extract_memories", "auto_dream", "memdir_relevance"),
        *("side_question", "tool_use_summary_generation", "web_fetch_apply", "model_validation"),
        *("quota_check", "verify_api_key", "insights", "feedback"),
        *("mcp_datetime_parse", "agent_namer", "agent_classifier", "teleport_generate_title"),
        *("resume_cache_warm", "cache_touch"),
    )
)
_PROVIDERS = {
    "firstparty": Provider.ANTHROPIC,
    "anthropic": Provider.ANTHROPIC,
    "bedrock": Provider.BEDROCK,
    "aws.bedrock": Provider.BEDROCK,
    "vertex": Provider.VERTEX,
    "gcp.vertex_ai": Provider.VERTEX,
    "foundry": Provider.FOUNDRY,
    "azure.ai.inference": Provider.FOUNDRY,
    "anthropicaws": Provider.ANTHROPIC_AWS,
    "anthropic_aws": Provider.ANTHROPIC_AWS,
}
_PROVIDER_OF_FORM = {
    ProviderForm.FIRST_PARTY: Provider.ANTHROPIC,
    ProviderForm.BEDROCK: Provider.BEDROCK,
    ProviderForm.VERTEX: Provider.VERTEX,
}


@dataclass(frozen=True, slots=True)
class Metered:
    """What a batch says. `usage` is aligned with the batch's logs or spans: None where there is no readable usage."""

    usage: tuple[UsageRecord | None, ...]
    points: tuple[ControlPoint, ...]
    problems: tuple[Problem, ...]
    activity: tuple[ActivityPoint, ...] = ()
    turns: tuple[Turn, ...] = ()


class Meter:
    """Turns batches into usage records, control points and activity points.

    `resource_labels` maps the allow-listed resource attributes to the labels that they become; of several for one label
    the first that a sender states counts. `kept` are further attributes that are kept of a sender.
    """

    def __init__(self, resource_labels: Mapping[str, str], kept: Sequence[str] = ()) -> None:
        labels: dict[str, tuple[str, ...]] = {}
        for attribute, label in resource_labels.items():
            labels[label] = (*labels.get(label, ()), attribute)
        self._labels = tuple(labels.items())
        self._kept = tuple(kept)

    def meter(self, batch: Batch) -> Metered:
        """Meter every candidate of a batch; an unreadable one becomes a problem and spoils nothing else."""
        senders = _Senders(self._labels, self._kept)
        problems = list(batch.problems)
        usage: list[UsageRecord | None] = []
        points: list[ControlPoint] = []
        activity: list[ActivityPoint] = []
        for item in (*batch.logs, *batch.spans, *batch.points):
            try:
                match item:
                    case LogData():
                        usage.append(_log(item, senders))
                    case SpanData():
                        usage.append(_span(item, senders))
                    case PointData(metric=metric) if metric in ACTIVITY:
                        activity.append(_activity(item, senders))
                    case PointData():
                        points.append(_point(item, senders))
            except UnreadableRecordError as error:
                problems.append(error.problem)
                if not isinstance(item, PointData):
                    usage.append(None)
        turns = tuple(_turn(span, senders) for span in batch.turns)
        return Metered(tuple(usage), tuple(points), tuple(problems), tuple(activity), turns)


class _Senders:
    """Sources of one batch, each made and digested once: records of a batch mostly share a resource and a session."""

    def __init__(self, labels: tuple[tuple[str, tuple[str, ...]], ...], kept: tuple[str, ...]) -> None:
        self._labels = labels
        self._kept = kept
        self._resource_digests: dict[int, str] = {}
        self._sources: dict[tuple[str, ...], tuple[Source, str]] = {}

    def resource_digest(self, resource: Attributes) -> str:
        """Digest of a whole resource; the batch keeps its mapping alive, so its id names it."""
        digest = self._resource_digests.get(id(resource))
        if digest is None:
            digest = self._resource_digests[id(resource)] = digest_of(_canonical(resource))
        return digest

    def source(self, resource: Attributes, attributes: Attributes) -> tuple[Source, str]:
        """Source of a record and its digest."""
        facts = (
            read_text(attributes, In.SESSION_ID),
            read_text(attributes, In.USER_ID),
            read_text(attributes, In.USER_EMAIL),
            read_text(attributes, In.USER_ACCOUNT_UUID),
            read_text(attributes, In.ORGANIZATION_ID),
            read_text(attributes, In.PLAN),
            read_text(attributes, In.SEAT_TYPE),
            _provider(attributes),
            read_text(resource, In.SERVICE_VERSION) or read_text(attributes, In.APP_VERSION),
            self.resource_digest(resource),
            *(_first_stated(resource, attributes, keys) for _, keys in self._labels),
        )
        kept = tuple(_first_stated(resource, attributes, (key,)) for key in self._kept)
        known = self._sources.get((*facts, *kept))
        if known is None:
            source = replace(
                self._make(facts, resource),
                facts=tuple(pair for pair in zip(self._kept, kept, strict=True) if pair[1]),
            )
            # What is kept besides follows the settings, and must not make other records of those received before.
            known = self._sources[*facts, *kept] = (source, digest_of(*facts))
        return known

    def _make(self, facts: tuple[str, ...], resource: Attributes) -> Source:
        """A source; what it has besides the facts stands in the resource, which its digest names."""
        session_id, user_id, email, account, organization, plan, seat, provider, version, digest, *labels = facts
        tenant = read_text(resource, In.TENANT)
        return Source(
            session_id=session_id,
            user_id=user_id,
            user_email=email,
            user_account_uuid=account,
            organization_id=organization,
            plan=plan,
            seat_type=seat,
            provider=Provider(provider),
            client_version=version,
            labels=tuple((label, value) for (label, _), value in zip(self._labels, labels, strict=True)),
            resource_digest=digest,
            service=read_text(resource, In.SERVICE_NAME),
            tenant=tenant,
            tenant_email=read_text(resource, In.USER_EMAIL) if tenant else "",
        )


def _first_stated(resource: Attributes, attributes: Attributes, keys: tuple[str, ...]) -> str:
    """The first of some attributes that a resource or its record states; '' when neither does."""
    stated = (read_text(resource, key) or read_text(attributes, key) for key in keys)
    return next(filter(None, stated), "")


def _log(log: LogData, senders: _Senders) -> UsageRecord:
    attributes = log.attributes
    if not any(key in attributes for key in _TOKEN_KEYS):
        raise UnreadableRecordError(Reason.MISSING_TOKENS, "api_request event without any token count")
    tokens = _tokens(attributes)
    cost = read_cost(attributes)
    source, source_digest = senders.source(log.resource, attributes)
    query_source = read_text(attributes, In.QUERY_SOURCE)
    joint = (log.trace_id, log.span_id)
    call = _name_call(Evidence.LOG, attributes, tokens, source, joint, source_digest, log.time_unix_nano)
    return UsageRecord(
        evidence=Evidence.LOG,
        identity=call.identity,
        bucket=call.bucket,
        digest=call.digest,
        source=source,
        model=read_text(attributes, In.MODEL),
        tokens=tokens,
        time_unix_nano=log.time_unix_nano,
        query_class=query_class(query_source),
        query_source=query_source,
        speed=_speed(attributes),
        client_cost_picousd=cost,
        trace_id=log.trace_id,
        parent_span_id=log.span_id,
        duration_milliseconds=_duration(attributes),
        **_context(attributes),
    )


def _span(span: SpanData, senders: _Senders) -> UsageRecord | None:
    """Meter a span; a failed call's has no tokens and no usage."""
    attributes = span.attributes
    if not any(key in attributes for key in _TOKEN_KEYS):
        return None
    tokens = _tokens(attributes)
    source, source_digest = senders.source(span.resource, attributes)
    query_source = read_text(attributes, In.QUERY_SOURCE_SAFE) or read_text(attributes, In.QUERY_SOURCE)
    joint = (span.trace_id, span.parent_span_id)
    own = f"{source_digest}{span.span_id}"
    call = _name_call(Evidence.SPAN, attributes, tokens, source, joint, own, span.end_unix_nano)
    return UsageRecord(
        evidence=Evidence.SPAN,
        identity=call.identity,
        bucket=call.bucket,
        digest=call.digest,
        source=source,
        model=read_text(attributes, In.MODEL) or read_text(attributes, In.REQUEST_MODEL),
        tokens=tokens,
        time_unix_nano=span.end_unix_nano,
        query_class=query_class(query_source),
        query_source=query_source,
        speed=_speed(attributes),
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        duration_milliseconds=_duration(attributes),
        **_context(attributes),
    )


def _turn(span: SpanData, senders: _Senders) -> Turn:
    source, _ = senders.source(span.resource, span.attributes)
    return Turn(source, span.trace_id, span.parent_span_id, span.start_unix_nano, span.end_unix_nano)


def _point(point: PointData, senders: _Senders) -> ControlPoint:
    attributes = point.attributes
    is_cost = point.metric == METRIC_CLIENT_COST
    source, _ = senders.source(point.resource, attributes)
    return ControlPoint(
        metric=point.metric,
        series=digest_of(source.resource_digest, _canonical(attributes)),
        start_unix_nano=point.start_unix_nano,
        time_unix_nano=point.time_unix_nano,
        temporality=point.temporality,
        amount=read_money(point.value, point.metric) if is_cost else read_point_count(point.value, point.metric),
        source=source,
        model=read_text(attributes, In.MODEL),
        query_class=_named_class(read_text(attributes, In.QUERY_SOURCE)),
        speed=_speed(attributes),
        token_type="" if is_cost else read_text(attributes, In.TYPE),
    )


def _activity(point: PointData, senders: _Senders) -> ActivityPoint:
    attributes, spec = point.attributes, METRICS[ACTIVITY[point.metric]]
    source, _ = senders.source(point.resource, attributes)
    is_time = spec.quantity is Quantity.DURATION
    return ActivityPoint(
        metric=spec.name,
        series=digest_of(point.metric, source.resource_digest, _canonical(attributes)),
        start_unix_nano=point.start_unix_nano,
        time_unix_nano=point.time_unix_nano,
        temporality=point.temporality,
        amount=read_nanoseconds(point.value, point.metric) if is_time else read_point_count(point.value, point.metric),
        source=source,
        labels=tuple((str(label), read_text(attributes, label) or UNKNOWN) for label in spec.labels),
    )


def query_class(query_source: str) -> QueryClass:
    """Class a raw `query_source` as the client's own metrics do (measured): main, subagent, else auxiliary.

    A span writes `.` for `:`. An empty source is `unknown`, never guessed.
    """
    if not query_source:
        return QueryClass.UNKNOWN
    if query_source.startswith(_MAIN_SOURCES[1]) or query_source == _MAIN_SOURCES[0]:
        return QueryClass.MAIN
    if query_source.startswith(_SUBAGENT_PREFIXES) or query_source in _SUBAGENT_SOURCES:
        return QueryClass.SUBAGENT
    return QueryClass.AUXILIARY


def known_class(query_source: str) -> QueryClass:
    """Class of a `query_source` that is known for certain; `unknown` for a word that we have not seen or read of."""
    named = query_class(query_source)
    if named is QueryClass.AUXILIARY and query_source.replace(".", ":") not in _AUXILIARY_SOURCES:
        return QueryClass.UNKNOWN
    return named


def _named_class(name: str) -> QueryClass:
    """Read the class that a data point carries; other words are `unknown`."""
    try:
        return QueryClass(name)
    except ValueError:
        return QueryClass.UNKNOWN


@dataclass(frozen=True, slots=True)
class _CallName:
    identity: str
    bucket: str
    digest: str


class _Context(TypedDict):
    request_id: str
    prompt_id: str
    effort: str
    agent_id: str
    agent_name: str
    skill_name: str
    mcp_server_name: str
    mcp_tool_name: str


def _context(attributes: Attributes) -> _Context:
    return _Context(
        request_id=read_text(attributes, In.REQUEST_ID),
        prompt_id=read_text(attributes, In.PROMPT_ID),
        effort=read_text(attributes, In.EFFORT),
        agent_id=read_text(attributes, In.AGENT_ID),
        agent_name=read_text(attributes, In.AGENT_NAME),
        skill_name=read_text(attributes, In.SKILL_NAME),
        mcp_server_name=read_text(attributes, In.MCP_SERVER_NAME),
        mcp_tool_name=read_text(attributes, In.MCP_TOOL_NAME),
    )


_DIGESTED = (In.MODEL, In.COST_USD, In.SPEED, In.QUERY_SOURCE, In.PROMPT_ID, In.EVENT_SEQUENCE, In.EFFORT, In.AGENT_ID)


def _name_call(
    evidence: Evidence,
    attributes: Attributes,
    tokens: Tokens,
    source: Source,
    joint: tuple[str, str],
    own: str,
    time_unix_nano: int,
) -> _CallName:
    """Name the call of a record: its request id, else a digest of the record.

    Records without a request id are paired in the bucket of their session, or user, and four token counts. `joint` is
    the trace and the parent span, which log and span share, but a log event outside of a turn has neither (measured:
    2.1.197, title of a session). `own` is what only this record has. What one tenant
    sends is never a record of another's call, whatever ids it claims.
    """
    facts = [f"{key}={attributes[key]}" for key in _DIGESTED if key in attributes]
    request_id = read_text(attributes, In.REQUEST_ID)
    digest = digest_of(evidence, request_id, repr(tokens), *joint, own, str(time_unix_nano), *facts)
    if request_id:
        name = f"{source.tenant}/{request_id}" if source.tenant else request_id
        return _CallName(name, name, digest)
    identity = f"{evidence}:{digest}"
    whom = source.session_id or source.user_id or joint[0]
    if not whom:
        return _CallName(identity, identity, digest)
    counts = f"{tokens.input},{tokens.output},{tokens.cache_read},{tokens.cache_write}"
    return _CallName(identity, "join:" + digest_of(whom, counts, *filter(None, (source.tenant,))), digest)


def _tokens(attributes: Attributes) -> Tokens:
    cache_write = read_count(attributes, In.CACHE_CREATION_TOKENS)
    cache_write_5m = read_count(attributes, In.CACHE_CREATION_5M_TOKENS)
    cache_write_1h = read_count(attributes, In.CACHE_CREATION_1H_TOKENS)
    return Tokens(
        input=read_count(attributes, In.INPUT_TOKENS),
        output=read_count(attributes, In.OUTPUT_TOKENS),
        cache_read=read_count(attributes, In.CACHE_READ_TOKENS),
        cache_write_5m=cache_write_5m,
        cache_write_1h=cache_write_1h,
        cache_write_unspecified=max(0, cache_write - cache_write_5m - cache_write_1h),
    )


def _duration(attributes: Attributes) -> int:
    """How long the call took; a record is not refused for it."""
    try:
        return read_count(attributes, In.DURATION_MS)
    except UnreadableRecordError:
        return 0


def _provider(attributes: Attributes) -> Provider:
    """Provider that the client names; an older client names none, then the form of the model id decides."""
    named = read_text(attributes, In.PROVIDER) or read_text(attributes, In.PROVIDER_NAME)
    if named:
        return _PROVIDERS.get(named.lower(), Provider.OTHER)
    return _PROVIDER_OF_FORM[normalise(read_text(attributes, In.MODEL)).provider_form]


def _speed(attributes: Attributes) -> Speed:
    return Speed.FAST if read_text(attributes, In.SPEED) == "fast" else Speed.STANDARD


def _canonical(attributes: Attributes) -> str:
    return repr(sorted((key, str(value)) for key, value in attributes.items()))
