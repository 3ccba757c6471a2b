"""Times that cannot be: no record of a call is refused for one, and none takes others along."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from spanledger.config.settings import load_settings
from spanledger.core.delivery import Delivery, Encoding
from spanledger.core.usage import Signal
from support.booking import open_books
from support.replaying import feed, open_parts, read_folder
from support.serving import REQUESTS
from support.splitting import protobuf_body
from support.telling import NOW, SECOND, Client, Usage
from support.truth import CAPTURES

RECEIVED = 1_790_000_000 * 10**9
FAR = [2**62, 2**62 + 1, 2**63 - 1, 2**63, 2**64 - 1]
FOLDER = CAPTURES / "s03_subagent"


def records(signal: Signal, request: Any) -> Iterable[Any]:
    match signal:
        case Signal.TRACES:
            return (span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans)
        case Signal.LOGS:
            return (log for group in request.resource_logs for scope in group.scope_logs for log in scope.log_records)
        case Signal.METRICS:
            scopes = chain.from_iterable(group.scope_metrics for group in request.resource_metrics)
            return (point for scope in scopes for metric in scope.metrics for point in metric.sum.data_points)


def told_at(delivery: Delivery, unix_nano: int) -> Delivery:
    request = REQUESTS[delivery.signal].FromString(protobuf_body(delivery))
    for record in records(delivery.signal, request):
        for field in record.DESCRIPTOR.fields:
            if field.name.endswith("time_unix_nano"):
                setattr(record, field.name, unix_nano)
    return Delivery(delivery.signal, Encoding.PROTOBUF, request.SerializeToString())


@pytest.mark.parametrize("unix_nano", FAR)
@pytest.mark.parametrize("signal", [Signal.LOGS, Signal.TRACES])
def test_calls_are_charged_at_the_time_of_receipt(signal: Signal, unix_nano: int, tmp_path: Path) -> None:
    deliveries = [body.delivery for body in read_folder(FOLDER) if body.delivery.signal is signal]
    totals = []
    for number, group in enumerate((deliveries, [told_at(one, unix_nano) for one in deliveries])):
        parts = open_parts(tmp_path / f"{number}.db", forward=False)
        left = feed(parts, [[one] for one in group], [RECEIVED] * len(group))
        parts.ledger.close()
        assert left.problems == []
        totals.append((left.figures.report.requests, left.figures.report.cost_picousd))
    assert totals[0][0] > 0
    assert totals[1] == totals[0]


@pytest.mark.parametrize("unix_nano", FAR)
def test_sums_of_no_time_take_no_call_along(unix_nano: int, tmp_path: Path) -> None:
    deliveries = [body.delivery for body in read_folder(FOLDER)]
    logs = [one for one in deliveries if one.signal is Signal.LOGS]
    sums = [told_at(one, unix_nano) for one in deliveries if one.signal is Signal.METRICS]
    parts = open_parts(tmp_path / "ledger.db", forward=False)
    left = feed(parts, [[*sums, *logs]], [RECEIVED])
    calls = sum(posting.sign for posting in left.postings if posting.charge.evidence != "metric")
    parts.ledger.close()
    assert left.problems == []
    assert calls == left.figures.report.requests > 0


@pytest.mark.parametrize(("tolerance_seconds", "calls"), [("2.9", 2), ("3", 1)])
def test_without_request_id_the_setting_says_how_far_apart_one_call_may_be(
    tolerance_seconds: str, calls: int, tmp_path: Path
) -> None:
    settings = load_settings(None, {}, {"settle.join_tolerance_seconds": tolerance_seconds})
    client, usage, trace, parent = Client(), Usage(input=10, output=1), "aa" * 16, "bb" * 8
    event = client.event(None, "claude-opus-5-5", usage)
    with open_books(tmp_path / "ledger.db", settings) as books:
        books.take(client.logs([event], trace=trace, parent=parent))
        books.take(client.span(None, "claude-opus-5-5", usage, at=NOW + 3 * SECOND), at=NOW + 3 * SECOND)
        assert len(books.rest().calls) == calls
