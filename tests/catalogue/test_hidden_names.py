"""K49: cost by person without the person's name (anthropics/claude-code#39650, #5508)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from spanledger.core.delivery import Delivery, Encoding
from spanledger.core.usage import Signal
from spanledger.service.sink import OtlpSink
from support.replaying import Replayed, read_folder
from support.serving import REQUESTS, Transport, running, send, standing
from support.splitting import protobuf_body
from support.truth import CAPTURES

FOLDERS = ("s03_subagent", "s06b_permission_prompts", "s23_no_session_id")
EMAIL = "jane.doe@example.test"
PROMPT = "a prompt that nobody else should read"


def named(delivery: Delivery) -> Delivery:
    """A delivery as a client with a log-in sends it, prompts turned on."""
    request = REQUESTS[delivery.signal].FromString(protobuf_body(delivery))
    for attributes in _attributes_of_records(delivery.signal, request):
        attributes.append(KeyValue(key="user.email", value=AnyValue(string_value=EMAIL)))
        attributes.append(KeyValue(key="user_prompt", value=AnyValue(string_value=PROMPT)))
    return Delivery(delivery.signal, Encoding.PROTOBUF, request.SerializeToString())


def _attributes_of_records(signal: Signal, request: object) -> Iterable:
    match signal:
        case Signal.TRACES:
            scopes = [scope for group in request.resource_spans for scope in group.scope_spans]
            return [span.attributes for scope in scopes for span in scope.spans]
        case Signal.LOGS:
            scopes = [scope for group in request.resource_logs for scope in group.scope_logs]
            return [record.attributes for scope in scopes for record in scope.log_records]
        case Signal.METRICS:
            scopes = [scope for group in request.resource_metrics for scope in group.scope_metrics]
            metrics = [metric for scope in scopes for metric in scope.metrics]
            return [point.attributes for metric in metrics for point in metric.sum.data_points]


def served(ledger_path: Path, **privacy: object) -> tuple[Replayed, OtlpSink]:
    async def run() -> OtlpSink:
        async with running(ledger_path, privacy=privacy) as up:
            work = [named(body.delivery) for name in FOLDERS for body in read_folder(CAPTURES / name)]
            await send(Transport.HTTP_PROTOBUF, up.addresses, work)
            await up.service.rest()
        return up.sink

    sink = asyncio.run(run())
    return standing(ledger_path), sink


def everything_at(sink: OtlpSink) -> bytes:
    return b"".join(body for bodies in sink.bodies.values() for body in bodies)


def test_k49_hashed_names_give_the_same_totals_and_stand_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    salt = tmp_path / "salt"
    salt.write_text("a salt of a decent length\n")
    clear, clear_sink = served(tmp_path / "clear.db")
    with caplog.at_level(logging.DEBUG):
        hidden, sink = served(tmp_path / "hidden.db", identities="hash", content="drop", salt_file=str(salt))
    assert EMAIL.encode() in everything_at(clear_sink)
    assert set(clear.figures.report.groups["by_user"]) == {EMAIL}

    assert hidden.figures.metrics == clear.figures.metrics == sink.metric_totals()
    for part in ("by_model", "by_team", "by_query_class", "by_basis", "by_evidence"):
        assert hidden.figures.report.groups[part] == clear.figures.report.groups[part], part
    (by_user,) = hidden.figures.report.groups["by_user"].values()
    assert by_user == clear.figures.report.groups["by_user"][EMAIL]

    kept = b"".join(path.read_bytes() for path in tmp_path.glob("hidden.db*"))
    for told in (everything_at(sink), kept, caplog.text.encode()):
        assert EMAIL.encode() not in told
        assert PROMPT.encode() not in told
