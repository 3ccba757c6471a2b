"""The plug-in's exporters between SDK records and an exporter behind them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import ConsoleSpanExporter

from spanledger.core.errors import ConfigError
from spanledger.core.events import Event
from spanledger.core.genai import EVENT_INFERENCE
from spanledger.core.genai_names import GenAi
from spanledger.core.money import parse_usd
from spanledger.core.semconv import Metric
from spanledger.sdk import Pricer, SpanledgerLogExporter, SpanledgerSpanExporter
from support.logged import messages_of
from support.replaying import list_prices
from support.sdk_records import Call, Plugged, gen_ai_log, gen_ai_span, settings_with

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.response.model": "claude-sonnet-4-5-20250929",
    "gen_ai.response.id": "msg_1",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 10,
    "gen_ai.usage.cache_read.input_tokens": 700,
    "team.id": "core",
}
# Sonnet 4.5: 300 x $3 + 10 x $15 + 700 x $0.30, all per million = $0.00126.
COST_USD = "0.00126"
CLAUDE_CODE = {"model": "claude-haiku-5-5", "request_id": "req_1", "input_tokens": 100, "output_tokens": 10}


def priced(plugged: Plugged) -> dict:
    (span,) = plugged.spans.get_finished_spans()
    return dict(span.attributes)


def duplicates(plugged: Plugged) -> dict:
    return {labels["signal"]: count for labels, count in plugged.points()["spanledger.duplicates"]}


def test_a_gen_ai_span_leaves_with_its_cost():
    plugged = Plugged()
    original = gen_ai_span(CALL)

    plugged.send(original)

    attributes = priced(plugged)
    assert attributes["gen_ai.usage.cost.amount"] == 0.00126
    assert attributes["spanledger.cost.list_usd"] == COST_USD
    assert (attributes["spanledger.status"], attributes["spanledger.evidence"]) == ("exact", "span")
    assert attributes["gen_ai.usage.input_tokens"] == 1000, "what the program says stays"
    assert set(original.attributes) == set(CALL), "the span is shared with other exporters"


def test_cost_is_counted_by_the_hosts_meter():
    plugged = Plugged()

    plugged.send(gen_ai_span(CALL))

    (labels, value) = next(p for p in plugged.points()["spanledger.cost"] if p[0]["token_class"] == "input")
    assert value == 0.0009  # 300 x $3 per million
    assert (
        labels | {"model": "claude-sonnet-4-5-20250929", "provider": "anthropic", "team": "core", "basis": "billed"}
        == labels
    )
    assert plugged.total(Metric.COST) == plugged.total(Metric.USER_COST) == parse_usd(COST_USD)
    assert plugged.total(Metric.REQUESTS) == 1
    assert plugged.total(Metric.TOKENS) == 1010


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "exact"),
        ({"gen_ai.response.model": ""}, "provisional"),
        ({"gen_ai.usage.cache_creation.input_tokens": 200}, "lower_bound"),
        ({"gen_ai.response.model": "claude-x"}, "unpriced"),
        ({"gen_ai.response.model": "gpt-4o", "gen_ai.provider.name": "openai"}, "unpriced"),
    ],
)
def test_the_status_says_how_sure_a_figure_is(changes, status):
    plugged = Plugged()

    plugged.send(gen_ai_span(CALL | changes))

    assert priced(plugged)["spanledger.status"] == status
    assert ("gen_ai.usage.cost.amount" in priced(plugged)) == (status != "unpriced")


def test_two_readings_of_the_input_give_a_lower_bound():
    plugged = Plugged()
    old_name = {
        (GenAi.CACHE_READ_INPUT_TOKENS_OLD if key == GenAi.CACHE_READ_INPUT_TOKENS else key): value
        for key, value in CALL.items()
    }

    plugged.send(gen_ai_span(old_name))

    assert priced(plugged)["spanledger.status"] == "lower_bound"
    assert priced(plugged)["spanledger.cost.list_usd"] == COST_USD, "as if the 700 were among the 1,000"


def test_span_and_event_of_a_call_are_counted_once():
    plugged = Plugged()

    plugged.send(gen_ai_span(CALL), gen_ai_log(CALL, event_name=EVENT_INFERENCE))

    (log,) = plugged.logs.get_finished_logs()
    assert log.log_record.attributes["spanledger.cost.list_usd"] == COST_USD
    assert log.log_record.attributes["spanledger.evidence"] == "log"
    assert plugged.total(Metric.COST) == parse_usd(COST_USD)
    assert duplicates(plugged) == {"traces": 0, "logs": 0}


def test_an_event_without_a_response_id_is_known_by_its_span():
    plugged = Plugged()
    nameless = {key: value for key, value in CALL.items() if key != "gen_ai.response.id"}

    plugged.send(gen_ai_span(CALL), gen_ai_log(nameless, event_name=EVENT_INFERENCE))

    assert plugged.total(Metric.REQUESTS) == 1


def test_a_span_around_a_call_is_not_a_second_call():
    plugged = Plugged()
    frame = {key: value for key, value in CALL.items() if key not in ("gen_ai.operation.name", "gen_ai.response.id")}

    plugged.send(gen_ai_span(CALL, Call(span=2, parent=1)), gen_ai_span(frame, Call(span=1)))

    inner, outer = plugged.spans.get_finished_spans()
    assert "gen_ai.usage.cost.amount" in inner.attributes
    assert "gen_ai.usage.cost.amount" not in outer.attributes, "a backend that sums spans would charge it twice"
    assert plugged.total(Metric.REQUESTS) == 1


def test_one_response_in_two_spans_is_one_call():
    plugged = Plugged()

    plugged.send(gen_ai_span(CALL, Call(span=2)), gen_ai_span(CALL | {"layer": "framework"}, Call(span=3)))

    assert plugged.total(Metric.REQUESTS) == 1


def test_two_exporters_price_the_same_span_and_count_it_once():
    plugged = Plugged()
    span = gen_ai_span(CALL)

    plugged.send(span, span)

    assert all("gen_ai.usage.cost.amount" in sent.attributes for sent in plugged.spans.get_finished_spans())
    assert plugged.total(Metric.REQUESTS) == 1
    assert duplicates(plugged) == {"traces": 1, "logs": 0}


def test_claude_codes_own_records_are_read_by_its_own_rules():
    plugged = Plugged()
    event = CLAUDE_CODE | {"event.name": "api_request", "query_source": "sdk", "cost_usd": 0.000015}

    plugged.send(gen_ai_span(CLAUDE_CODE, name="claude_code.llm_request"), gen_ai_log(event))

    # Haiku 5.5: 100 x $0.10 + 10 x $0.50, per million.
    assert priced(plugged)["spanledger.cost.list_usd"] == "0.000015"
    assert priced(plugged)["spanledger.status"] == "provisional"
    assert plugged.total(Metric.REQUESTS) == 1


def test_two_calls_of_one_turn_are_two():
    plugged = Plugged()
    event = CLAUDE_CODE | {"event.name": "api_request"}

    plugged.send(*(gen_ai_log(event | {"request_id": f"req_{n}"}) for n in range(3)))

    assert plugged.total(Metric.REQUESTS) == 3


def test_other_spans_and_logs_go_through_untouched():
    plugged = Plugged()
    span, log = gen_ai_span({"http.route": "/"}, name="GET /"), gen_ai_log({"event.name": "login"})

    plugged.send(span, log)

    assert plugged.spans.get_finished_spans() == (span,)
    assert plugged.logs.get_finished_logs()[0] is log


def test_usage_that_cannot_be_read_is_told_and_counted_and_spoils_nothing(caplog):
    plugged = Plugged()

    plugged.span_exporter.export(
        [gen_ai_span(CALL | {"gen_ai.usage.output_tokens": "many"}), gen_ai_span(CALL, Call(9))]
    )

    assert len(plugged.spans.get_finished_spans()) == 2
    assert plugged.total(Metric.REQUESTS) == 1
    assert plugged.points()["spanledger.dropped"] == [({"reason": "bad_count"}, 1)]
    (message,) = messages_of(caplog, Event.PLUG_IN_USAGE_UNREADABLE)
    assert "'many' is not a whole number" in message


def test_series_beyond_the_budget_keep_the_total():
    plugged = Plugged(metrics__max_series="1")

    plugged.send(
        *(gen_ai_span(CALL | {"user.id": f"u{n}", "gen_ai.response.id": f"m{n}"}, Call(n)) for n in range(1, 4))
    )

    points = plugged.points()["spanledger.user.cost"]
    assert [labels for labels, _ in points if labels.get("otel.metric.overflow") is True]
    assert plugged.total(Metric.USER_COST) == 3 * parse_usd(COST_USD)


def test_long_labels_are_cut_and_stay_apart():
    """64 bytes: 45 of the value, 3 of the ellipsis, 16 digits."""
    plugged = Plugged(metrics__max_label_bytes="64")

    plugged.send(
        *(gen_ai_span(CALL | {"user.id": "u" * 100 + n, "gen_ai.response.id": f"m{n}"}, Call(int(n))) for n in "12")
    )

    users = [labels["user"] for labels, _ in plugged.points()["spanledger.user.cost"]]
    assert len(set(users)) == 2
    assert [len(user.encode()) for user in users] == [64, 64]
    assert plugged.total(Metric.USER_COST) == 2 * parse_usd(COST_USD)


def test_what_is_remembered_is_bounded():
    plugged = Plugged(sdk__max_calls="2")

    plugged.send(*(gen_ai_span(CALL | {"gen_ai.response.id": f"m{n}"}, Call(n)) for n in (1, 2, 3, 1)))

    assert plugged.total(Metric.REQUESTS) == 4, "the first was forgotten, as the setting says"


@pytest.mark.parametrize("name", ["spanledger", "no-such-exporter"])
def test_an_exporter_that_cannot_stand_behind_is_refused(name):
    with pytest.raises(ConfigError, match=r"sdk\.traces_exporter"):
        SpanledgerSpanExporter(pricer=Pricer(settings_with(sdk__traces_exporter=name), prices=list_prices()))


@pytest.mark.parametrize(
    ("settings", "protocol", "behind"),
    [
        ({}, "", GrpcSpanExporter),
        ({}, "grpc", GrpcSpanExporter),
        ({}, "http/protobuf", HttpSpanExporter),
        ({"sdk__traces_exporter": "otlp_proto_http"}, "grpc", HttpSpanExporter),
        ({"sdk__traces_exporter": "console"}, "", ConsoleSpanExporter),
    ],
)
def test_the_exporter_behind_is_chosen_by_name_and_protocol(monkeypatch, settings, protocol, behind):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)

    exporter = SpanledgerSpanExporter(pricer=Pricer(settings_with(**settings), prices=list_prices()))

    assert type(exporter._inner) is behind
    exporter.shutdown()


def test_the_exporter_behind_logs_is_chosen_apart_from_that_behind_spans():
    pricer = Pricer(settings_with(sdk__logs_exporter="console"), prices=list_prices())

    spans, logs = SpanledgerSpanExporter(pricer=pricer), SpanledgerLogExporter(pricer=pricer)

    assert (type(spans._inner), type(logs._inner)) == (GrpcSpanExporter, ConsoleLogRecordExporter)
    spans.shutdown()
    logs.shutdown()


def test_an_unknown_protocol_is_refused(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "carrier-pigeon")

    with pytest.raises(ConfigError, match="carrier-pigeon"):
        SpanledgerSpanExporter(pricer=Pricer(settings_with(), prices=list_prices()))


SCALARS = st.one_of(st.text(max_size=8), st.integers(), st.floats(), st.booleans(), st.none(), st.binary(max_size=4))


@given(st.dictionaries(st.sampled_from([*GenAi, "model", "request_id", "speed", "session.id", "x"]), SCALARS))
def test_no_attribute_of_a_program_can_stop_its_telemetry(attributes):
    plugged = Plugged()

    plugged.send(
        gen_ai_span(attributes),
        gen_ai_span(attributes, Call(2), name="claude_code.llm_request"),
        gen_ai_log(attributes, event_name=EVENT_INFERENCE),
        gen_ai_log(attributes | {"event.name": "api_request"}),
    )

    assert len(plugged.spans.get_finished_spans()) == len(plugged.logs.get_finished_logs()) == 2
    assert all(isinstance(span, ReadableSpan) for span in plugged.spans.get_finished_spans())
