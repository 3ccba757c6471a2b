"""Metering: what one record says, whatever the types and gaps of the client that wrote it."""

from __future__ import annotations

import pytest

from spanledger.core.batch import Attributes, Batch, LogData, PointData, SpanData
from spanledger.core.metering import Meter, Metered, query_class
from spanledger.core.reading import TOKENS_MAX
from spanledger.core.reasons import Reason
from spanledger.core.usage import Provider, QueryClass, Signal, Speed, Temporality, Tokens, UsageRecord

RESOURCE: Attributes = {"service.name": "claude-code", "service.version": "2.1.330", "team.id": "platform"}
LOG: Attributes = {
    "session.id": "s-1",
    "user.id": "u-1",
    "anthropic.provider": "firstParty",
    "model": "claude-opus-5-5",
    "input_tokens": 107,
    "output_tokens": 53,
    "cache_read_tokens": 12011,
    "cache_creation_tokens": 513,
    "cache_creation_5m_tokens": 513,
    "cache_creation_1h_tokens": 0,
    "cost_usd": 0.0064551999999999995,
    "request_id": "req_1",
    "speed": "normal",
    "query_source": "sdk",
}
SPAN: Attributes = {
    "session.id": "s-1",
    "model": "claude-opus-5-5",
    "input_tokens": 107,
    "output_tokens": 53,
    "cache_read_tokens": 12011,
    "cache_creation_tokens": 513,
    "query_source_safe": "agent.custom",
}
METER = Meter({"team.id": "team", "cost_center": "cost_center"})


def meter_log(attributes: Attributes, resource: Attributes = RESOURCE, *, trace_id: str = "aa") -> Metered:
    log = LogData(resource, attributes, trace_id=trace_id, span_id="bb" if trace_id else "", time_unix_nano=1_000)
    return METER.meter(Batch(Signal.LOGS, items=1, logs=(log,)))


def meter_span(attributes: Attributes) -> Metered:
    span = SpanData(RESOURCE, attributes, "aa", "cc", "bb", start_unix_nano=500, end_unix_nano=1_005)
    return METER.meter(Batch(Signal.TRACES, items=1, spans=(span,)))


def only(metered: Metered) -> UsageRecord:
    (record,) = metered.usage
    assert record is not None
    assert metered.problems == ()
    return record


def test_a_log_event_gives_every_fact_that_it_holds() -> None:
    record = only(meter_log(LOG))
    assert record.identity == record.bucket == "req_1"
    assert record.tokens == Tokens(input=107, output=53, cache_read=12011, cache_write_5m=513)
    assert record.client_cost_picousd == 6_455_200_000  # 0.0064552 USD, the double's noise dropped
    assert record.query_class is QueryClass.MAIN
    assert record.speed is Speed.STANDARD
    assert record.source.provider is Provider.ANTHROPIC
    assert record.source.labels == (("team", "platform"), ("cost_center", ""))
    assert record.source.client_version == "2.1.330"
    assert record.parent_span_id == "bb"


def test_numbers_as_text_say_the_same() -> None:
    as_text = {key: str(value) if key.endswith(("_tokens", "_usd")) else value for key, value in LOG.items()}
    assert only(meter_log(as_text)) == only(meter_log(LOG))


def test_whole_doubles_are_counts() -> None:
    assert only(meter_log(LOG | {"input_tokens": 107.0})).tokens.input == 107


@pytest.mark.parametrize("value", [-1, "-1", "12.5", 12.5, "many", True, TOKENS_MAX + 1, "1e3", "", "٣"])
def test_a_count_that_cannot_be_one_refuses_the_record_alone(value: str | float | bool) -> None:
    bad = LogData(RESOURCE, LOG | {"output_tokens": value}, "aa", "bb", 1_000)
    good = LogData(RESOURCE, LOG, "aa", "bb", 1_000)
    metered = METER.meter(Batch(Signal.LOGS, items=2, logs=(bad, good)))
    assert metered.usage[0] is None
    assert metered.usage[1] is not None
    assert [problem.reason for problem in metered.problems] == [Reason.BAD_COUNT]
    assert "output_tokens" in metered.problems[0].detail


@pytest.mark.parametrize("value", ["free", -0.1, float("nan"), float("inf"), True, 1e9])
def test_a_cost_that_cannot_be_one_refuses_the_record(value: str | float | bool) -> None:
    metered = meter_log(LOG | {"cost_usd": value})
    assert metered.usage == (None,)
    assert [problem.reason for problem in metered.problems] == [Reason.BAD_COST]


def test_micros_stand_in_for_a_missing_cost() -> None:
    without = {key: value for key, value in LOG.items() if key != "cost_usd"}
    assert only(meter_log(without)).client_cost_picousd is None
    assert only(meter_log(without | {"cost_usd_micros": 6455})).client_cost_picousd == 6455 * 10**6


def test_cache_writes_without_a_full_split_stay_unspecified() -> None:
    older = {key: value for key, value in LOG.items() if "_5m_" not in key and "_1h_" not in key}
    assert only(meter_log(older)).tokens.cache_write_unspecified == 513
    partly = only(meter_log(LOG | {"cache_creation_5m_tokens": 100, "cache_creation_1h_tokens": 13})).tokens
    assert (partly.cache_write_5m, partly.cache_write_1h, partly.cache_write_unspecified) == (100, 13, 400)
    assert partly.cache_write == 513


def test_an_event_without_any_count_is_a_problem_and_a_span_without_one_is_a_failed_call() -> None:
    assert [p.reason for p in meter_log({"model": "claude-opus-5-5"}).problems] == [Reason.MISSING_TOKENS]
    assert meter_span({"model": "claude-opus-5-5", "success": False}) == Metered((None,), (), ())


def test_log_and_span_without_request_id_share_a_bucket_and_not_an_identity() -> None:
    anonymous = {key: value for key, value in LOG.items() if key != "request_id"}
    log, span = only(meter_log(anonymous)), only(meter_span(SPAN))
    assert log.bucket == span.bucket
    assert log.identity != span.identity
    other = only(meter_span(SPAN | {"output_tokens": 54}))
    assert other.bucket != span.bucket


def test_a_log_outside_a_trace_may_be_of_any_span_of_its_session_with_its_counts() -> None:
    anonymous = {key: value for key, value in LOG.items() if key != "request_id"}
    assert only(meter_log(anonymous, trace_id="")).bucket == only(meter_span(SPAN)).bucket
    elsewhere = only(meter_log(anonymous | {"session.id": "another"}, trace_id=""))
    assert elsewhere.bucket != only(meter_span(SPAN)).bucket


def test_a_record_that_tells_neither_call_nor_sender_nor_trace_is_its_own_bucket() -> None:
    nobody = {key: value for key, value in LOG.items() if key not in ("request_id", "session.id", "user.id")}
    record = only(meter_log(nobody, trace_id=""))
    assert record.bucket == record.identity


def test_records_that_differ_in_sender_are_different_evidence_of_one_call() -> None:
    there, here = only(meter_log(LOG)), only(meter_log(LOG, RESOURCE | {"team.id": "search"}))
    assert there.identity == here.identity
    assert there.digest != here.digest


@pytest.mark.parametrize(
    ("attributes", "provider"),
    [
        ({"anthropic.provider": "bedrock"}, Provider.BEDROCK),
        ({"anthropic.provider": "vertex"}, Provider.VERTEX),
        ({"anthropic.provider": "somewhere"}, Provider.OTHER),
        ({"gen_ai.provider.name": "aws.bedrock"}, Provider.BEDROCK),
        ({"gen_ai.provider.name": "gcp.vertex_ai"}, Provider.VERTEX),
        ({"model": "us.anthropic.claude-opus-5-5"}, Provider.BEDROCK),
        ({"model": "claude-sonnet-4-5@20250929"}, Provider.VERTEX),
        ({"model": "claude-opus-5-5"}, Provider.ANTHROPIC),
    ],
)
def test_the_provider_is_named_or_shows_in_the_model_id(attributes: Attributes, provider: Provider) -> None:
    assert only(meter_span({"input_tokens": 1, **attributes})).source.provider is provider


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("sdk", QueryClass.MAIN),
        ("repl_main_thread", QueryClass.MAIN),
        ("repl_main_thread:compact", QueryClass.MAIN),
        ("agent:builtin:general-purpose", QueryClass.SUBAGENT),
        ("agent.custom", QueryClass.SUBAGENT),
        ("hook_agent", QueryClass.SUBAGENT),
        ("hook_prompt", QueryClass.AUXILIARY),
        ("compact", QueryClass.AUXILIARY),
        ("agent_namer", QueryClass.AUXILIARY),
        ("sdk_other", QueryClass.AUXILIARY),
        ("", QueryClass.UNKNOWN),
    ],
)
def test_query_sources_are_classed_as_the_client_classes_them(source: str, expected: QueryClass) -> None:
    assert query_class(source) is expected


def point(metric: str, value: float, attributes: Attributes) -> PointData:
    return PointData(metric, RESOURCE, attributes, 1, 2, Temporality.DELTA, value)


def test_points_are_control_totals_in_pico_usd_or_tokens() -> None:
    attributes: Attributes = {"model": "claude-opus-5-5", "query_source": "auxiliary", "session.id": "s-1"}
    cost = point("claude_code.cost.usage", 0.0064552, attributes)
    tokens = point("claude_code.token.usage", 12011.0, attributes | {"type": "cacheRead"})
    metered = METER.meter(Batch(Signal.METRICS, items=2, points=(cost, tokens)))
    assert [p.amount for p in metered.points] == [6_455_200_000, 12011]
    assert [p.token_type for p in metered.points] == ["", "cacheRead"]
    assert {p.query_class for p in metered.points} == {QueryClass.AUXILIARY}
    assert metered.points[0].series != metered.points[1].series


@pytest.mark.parametrize(("value", "taken"), [(0.5, 0), (-1.0, 0), (10.0**15, 1), (10.0**15 + 1, 0)])
def test_a_count_of_tokens_that_cannot_be_is_refused(value: float, taken: int) -> None:
    metered = METER.meter(Batch(Signal.METRICS, items=1, points=(point("claude_code.token.usage", value, {}),)))
    assert len(metered.points) == taken
    assert [problem.reason for problem in metered.problems] == [Reason.BAD_COUNT] * (1 - taken)
