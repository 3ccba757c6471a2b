"""Records that come in another shape than expected. See README.md."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanledger.core.money import format_usd
from spanledger.core.posting import Status
from spanledger.core.semconv import Metric
from spanledger.core.usage import QueryClass, Signal, Tokens
from support.booking import open_books
from support.serving import running, standing
from support.telling import NOW, SECOND, Client, Usage

MODEL = "claude-opus-5-5"
USAGE = Usage(107, 53, 12_011, 513, write_5m=513, write_1h=0)
# 107 x 4 + 53 x 20 + 12,011 x 0.2 + 513 x 5 = 6,455.2 micro-USD
COST_USD = "0.0064552"


def as_text(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as clients before 2.1.122 write them: every number as text."""
    return {key: str(value) if isinstance(value, int | float) else value for key, value in attributes.items()}


def test_k23_numbers_as_text(tmp_path: Path) -> None:
    """The changelog of 2.1.122 and anthropics/claude-code#56098: numbers were text. Wrong: NULL."""
    numbers, texts = Client(session="numbers"), Client(session="texts")
    event = numbers.event("req_1", MODEL, USAGE, cost_usd=0.0064552)
    event_as_text = as_text(texts.event("req_2", MODEL, USAGE, cost_usd=0.0064552))
    assert event_as_text["input_tokens"] == "107"
    span_as_text = as_text({**USAGE.attributes(), "duration_ms": 1000})
    with open_books(tmp_path / "ledger.db") as books:
        books.take(numbers.logs([event]), numbers.span("req_3", MODEL, USAGE))
        books.take(texts.logs([event_as_text]), texts.span("req_4", MODEL, USAGE, **span_as_text))
        books.rest()
        of = {call.identity: (call.tokens, call.cost_picousd, call.client_cost_picousd) for call in books.calls}
        assert of["req_1"] == of["req_2"]
        assert of["req_3"] == of["req_4"]
        assert format_usd(of["req_2"][1] or 0) == COST_USD
        # four calls; those with a log are priced by it, the others by their spans alone: the same cost here
        assert books.cost_usd == "0.0258208"


def test_k24_a_count_without_a_value_in_a_batch_of_100(tmp_path: Path) -> None:
    """anthropics/claude-code#82365: the desktop app writes `{"doubleValue": {}}`. Wrong: the whole batch is refused."""
    records = [json_record(f"req_{n}") for n in range(99)]
    records.insert(50, json_record("req_bad", output_tokens={"doubleValue": {}}))
    answer = post_logs(records, tmp_path / "ledger.db")
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedLogRecords"] == "1"
    assert "output_tokens" in partial["errorMessage"]
    report = standing(tmp_path / "ledger.db").figures.report
    # 99 x 6,455.2 micro-USD
    assert (report.requests, format_usd(report.cost_picousd)) == (99, "0.6390648")


def test_k24_another_value_without_a_value_costs_the_record_nothing(tmp_path: Path) -> None:
    """The same, where the price does not stand on it: the call was served and its tokens are known."""
    records = [json_record(f"req_{n}") for n in range(99)]
    records.insert(50, json_record("req_100", cost_usd={"doubleValue": {}}, ttft_ms={"doubleValue": {}}))
    answer = post_logs(records, tmp_path / "ledger.db")
    assert (answer.status_code, answer.json()) == (200, {})
    report = standing(tmp_path / "ledger.db").figures.report
    assert (report.requests, format_usd(report.cost_picousd)) == (100, "0.64552")


def test_k25_no_cost_and_no_query_source(tmp_path: Path) -> None:
    """anthropics/claude-code#59942: attributes that stopped coming. Wrong: the record is dropped."""
    client = Client()
    with open_books(tmp_path / "ledger.db") as books:
        books.take(client.log("req_1", MODEL, USAGE, query_source=None))
        books.take(client.span("req_2", MODEL, USAGE, query_source_safe=None))
        books.rest()
        assert books.cost_usd == "0.0129104"  # twice 6,455.2 micro-USD
        for call in books.calls:
            assert (call.account.query_class, call.client_cost_picousd) == (QueryClass.UNKNOWN, None)
            assert call.verdict is None
        labels = [dict(state.key.labels) for state in books.ledger.series.states() if state.key.metric is Metric.COST]
        assert {one["query_class"] for one in labels} == {"unknown"}


def test_k37_a_streamed_call_without_a_price_is_told_not_zero(tmp_path: Path) -> None:
    """BerriAI/litellm#37923: a failed price lookup is booked as $0, and no budget trips. Wrong: 0."""
    client = Client()
    with open_books(tmp_path / "ledger.db") as books:
        books.take(client.log("req_1", "claude-next-9", USAGE, ttft_ms=400))
        books.take(client.span("req_1", "claude-next-9", USAGE), at=NOW + SECOND)
        books.rest()
        (call,) = books.calls
        assert (call.status, call.cost_picousd, call.tokens) == (Status.UNPRICED, None, Tokens(107, 53, 12_011, 513))
        series = {
            (state.key.metric, dict(state.key.labels).get("status")): state.value
            for state in books.ledger.series.states()
        }
        # What an alert stands on: a series of its own, from the first call on; no series of cost says 0.
        assert series[Metric.REQUESTS, "unpriced"] == 1
        assert books.total(Metric.TOKENS) == 107 + 53 + 12_011 + 513
        assert not any(metric in (Metric.COST, Metric.USER_COST) for metric, _ in series)
        for signal, what in ((Signal.LOGS, ExportLogsServiceRequest), (Signal.TRACES, ExportTraceServiceRequest)):
            (body,) = books.left(signal)
            said = str(what.FromString(body))
            assert "spanledger.unpriced_reason" in said
            assert "gen_ai.usage.cost" not in said
        report = books.figures.report
        assert (report.unpriced_requests, report.unpriced_tokens) == (1, 12_684)
        assert report.groups["by_model"]["claude-next-9"].cost_picousd is None


def json_record(request_id: str, **values: Mapping[str, Any]) -> dict[str, Any]:
    """An `api_request` event in OTLP/JSON, with some attributes' values as given."""
    event = Client().event(request_id, MODEL, USAGE, cost_usd=0.0064552)
    kinds = {int: "intValue", float: "doubleValue", str: "stringValue"}
    attributes = {key: {kinds[type(value)]: value} for key, value in event.items()} | values
    return {
        "timeUnixNano": str(NOW),
        "body": {"stringValue": "claude_code.api_request"},
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
    }


def post_logs(records: Sequence[Mapping[str, Any]], ledger_path: Path) -> requests.Response:
    """Send log records to a running service as one http/json request."""
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})

    async def post() -> requests.Response:
        async with running(ledger_path) as service:
            url = f"http://{service.addresses.http}/v1/logs"
            headers = {"content-type": "application/json"}
            return await asyncio.to_thread(requests.post, url, data=body, headers=headers, timeout=30)

    return asyncio.run(post())
