"""A program with the SDK plug-in and one that sends through the service: the same cost for the same calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.trace import ReadableSpan

from spanledger.core.money import parse_usd
from spanledger.core.semconv import SPAN_LLM_REQUEST, Metric, Out
from spanledger.core.usage import Signal
from spanledger.otlp.decode import decode
from support.replaying import feed, open_parts, read_folder
from support.sdk_records import Call, Plugged, gen_ai_span, sdk_logs, sdk_spans
from support.splitting import protobuf_body
from support.truth import capture_folders

FOLDERS = capture_folders()
RECORDS = {Signal.TRACES: sdk_spans, Signal.LOGS: sdk_logs}


def service_total(folder: Path, signal: Signal, ledger: Path) -> tuple[int, int]:
    """Cost and requests that the service books when it receives one signal of a capture alone."""
    bodies = [body for body in read_folder(folder) if body.delivery.signal is signal]
    parts = open_parts(ledger)
    replayed = feed(parts, [[body.delivery] for body in bodies], [body.received_unix_nano or 0 for body in bodies])
    parts.ledger.close()
    return replayed.figures.report.cost_picousd, replayed.figures.report.requests


def records(folder: Path, signal: Signal) -> list[ReadableSpan | ReadableLogRecord]:
    """A capture's records of one signal as the SDK would hand them over."""
    bodies = [body.delivery for body in read_folder(folder) if body.delivery.signal is signal]
    return [record for body in bodies for record in RECORDS[signal](protobuf_body(body))]


@pytest.mark.parametrize("signal", [Signal.LOGS, Signal.TRACES])
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_plugin_and_the_service_charge_the_same(folder, signal, tmp_path):
    plugged = Plugged()

    plugged.send(*records(folder, signal))

    assert (plugged.total(Metric.COST), plugged.total(Metric.REQUESTS)) == service_total(
        folder, signal, tmp_path / "ledger.db"
    )


@pytest.mark.parametrize("name", ["s01_single_prompt", "s03_subagent", "s07_models"])
def test_a_call_costs_the_same_in_the_words_of_the_gen_ai_conventions(name):
    folder = next(folder for folder in FOLDERS if folder.name == name)
    calls = [span for span in records(folder, Signal.TRACES) if span.name == SPAN_LLM_REQUEST]
    calls = [span for span in calls if "input_tokens" in span.attributes]
    assert calls
    own, standard = Plugged(), Plugged()

    own.send(*calls)
    standard.send(*(as_gen_ai(span, number) for number, span in enumerate(calls, start=1)))

    pairs = zip(own.spans.get_finished_spans(), standard.spans.get_finished_spans(), strict=True)
    assert all(one.attributes.get(Out.LIST_USD) == other.attributes.get(Out.LIST_USD) for one, other in pairs)
    assert own.total(Metric.COST) == standard.total(Metric.COST) > 0


def as_gen_ai(span: ReadableSpan, number: int) -> ReadableSpan:
    """A client's span as an instrumentation library of convention 1.40 would have written it."""
    said = span.attributes
    reads, writes = said.get("cache_read_tokens", 0), said.get("cache_creation_tokens", 0)
    return gen_ai_span(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.response.model": said["model"],
            "gen_ai.response.id": f"msg_{number}",
            "gen_ai.usage.input_tokens": said["input_tokens"] + reads + writes,
            "gen_ai.usage.output_tokens": said["output_tokens"],
            "gen_ai.usage.cache_read.input_tokens": reads,
            "gen_ai.usage.cache_creation.input_tokens": writes,
        },
        Call(span=number),
    )


def test_records_of_captures_are_read_by_the_sdk_as_by_the_decoder():
    (folder,) = (folder for folder in FOLDERS if folder.name == "s01_single_prompt")
    bodies = [protobuf_body(b.delivery) for b in read_folder(folder) if b.delivery.signal is Signal.LOGS]
    decoded = [log for body in bodies for log in decode(Signal.LOGS, body).logs]
    plugged = Plugged()

    plugged.send(*records(folder, Signal.LOGS))

    priced = [log.log_record.attributes for log in plugged.logs.get_finished_logs()]
    costs = [parse_usd(attributes[Out.LIST_USD]) for attributes in priced if Out.LIST_USD in attributes]
    assert len(costs) == len(decoded) > 0
    assert sum(costs) == plugged.total(Metric.COST)
