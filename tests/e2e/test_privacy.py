"""Text of prompts, replies and tools: what is dropped is nowhere, and the ledger never holds any but in its outbox."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from spanledger.core.content_keys import CONTENT_KEYS
from spanledger.core.delivery import Delivery, Encoding
from spanledger.core.usage import Signal
from support.replaying import open_parts, read_folder, replay_folders, rest, take
from support.serving import REQUESTS, Transport, protobuf_body, running, send, standing
from support.truth import CAPTURES

FOLDERS = [CAPTURES / name for name in ("s02_tools_edit_commit", "s03_subagent")]
SECRET = "a-word-that-only-the-user-said"
PAGE = (Path(__file__).parents[2] / "docs" / "operate" / "privacy.md").read_text()
EXAMPLE = PAGE.partition("```yaml\n")[2].partition("```")[0]
JANE = {
    "user.email": "jane@example.test",
    "user.id": "id-of-jane",
    "user.account_uuid": "uuid-of-jane",
    "user.account_id": "account-of-jane",
    "prompt": "what jane said",
    "full_command": "rm what-jane-had",
    "host.name": "host-of-jane",
    "note": "ask jane@example.test",
}
CLEAR = ("jane@example", "-of-jane", "what jane", "what-jane")
NOBODY = "http://127.0.0.1:9"
"""A destination that is away: nothing listens on the port of `discard`."""


def keys() -> list[str]:
    """Each pattern as a plain key and, where it stands for more, as one that numbers a list."""
    return sorted({one.replace("*", part) for one in CONTENT_KEYS for part in ("", ".0.content")})


def secrets() -> Iterator[KeyValue]:
    """The secret under every key of content, and in maps and lists under keys that are none."""
    text = AnyValue(string_value=SECRET)
    yield from (KeyValue(key=key, value=text) for key in keys())
    parts = AnyValue(array_value=ArrayValue(values=[AnyValue(kvlist_value=_pairs(text=text, role=_word("user")))]))
    yield KeyValue(key="conversation", value=AnyValue(kvlist_value=_pairs(content=text, turns=parts)))


def _pairs(**values: AnyValue) -> KeyValueList:
    return KeyValueList(values=[KeyValue(key=key, value=value) for key, value in values.items()])


def _word(text: str) -> AnyValue:
    return AnyValue(string_value=text)


def fill(message: Message, pairs: Sequence[KeyValue]) -> None:
    """Add attributes wherever a message may hold some."""
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.full_name.endswith(("AnyValue", "KeyValue")):
            continue
        for inner in value if field.is_repeated else [value]:
            fill(inner, pairs)
    if "attributes" in message.DESCRIPTOR.fields_by_name:
        message.attributes.extend(pairs)  # type: ignore[attr-defined]


def told() -> list[Delivery]:
    """Captures with the secret in every place of them, and records that hold it as a body, an event or a status."""
    return [_filled(body.delivery) for folder in FOLDERS for body in read_folder(folder)]


def _filled(delivery: Delivery) -> Delivery:
    request = REQUESTS[delivery.signal].FromString(protobuf_body(delivery))
    match request:
        case ExportTraceServiceRequest():
            for span in (
                span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans
            ):
                span.status.message = f"failed: {SECRET}"
                span.events.add(name="tool.output")
                span.links.add()
        case ExportLogsServiceRequest():
            for scope in (scope for group in request.resource_logs for scope in group.scope_logs):
                scope.log_records.add(body=_word(SECRET))
                scope.log_records.add(body=AnyValue(kvlist_value=_pairs(role=_word("user"), parts=_word(SECRET))))
    fill(request, list(secrets()))
    return Delivery(delivery.signal, Encoding.PROTOBUF, request.SerializeToString())


def on_disk(ledger_path: Path) -> bytes:
    """Every byte of a ledger's file and its write-ahead log."""
    wal = ledger_path.with_name(f"{ledger_path.name}-wal")
    return ledger_path.read_bytes() + (wal.read_bytes() if wal.exists() else b"")


def outbox(ledger_path: Path) -> list[bytes]:
    connection = sqlite3.connect(f"file:{ledger_path}?mode=ro", uri=True)
    try:
        return [body for (body,) in connection.execute("SELECT body FROM outbox")]
    finally:
        connection.close()


@pytest.mark.parametrize("transport", list(Transport))
def test_content_that_is_dropped_is_neither_on_disk_nor_sent_on(transport: Transport, tmp_path: Path) -> None:
    ledger_path, privacy = tmp_path / "ledger.db", {"privacy__content": "drop"}

    async def run() -> list[bytes]:
        away = privacy | {"exporter__endpoint": NOBODY, "forward__flush_timeout_seconds": "0.1"}
        async with running(ledger_path, **away) as up:
            await send(transport, up.addresses, told())
            await up.service.rest()
            kept, waiting = on_disk(ledger_path), outbox(ledger_path)
        async with running(ledger_path, **privacy) as up:
            pass
        assert len(waiting) == len(told())
        assert outbox(ledger_path) == []
        forwarded = [body for signal in Signal for body in up.sink.bodies[signal]]
        return [kept, on_disk(ledger_path), *waiting, *forwarded]

    assert not any(SECRET.encode() in found for found in asyncio.run(run()))
    reference = replay_folders(FOLDERS, tmp_path / "reference.db")
    assert standing(ledger_path).balances == reference.balances


def people() -> list[Delivery]:
    """A capture whose sender says who she is, on what host, and what she does."""
    return [_of_jane(body.delivery) for body in read_folder(CAPTURES / "s03_subagent")]


def _of_jane(delivery: Delivery) -> Delivery:
    request = REQUESTS[delivery.signal].FromString(protobuf_body(delivery))
    fill(request, [KeyValue(key=key, value=_word(text)) for key, text in JANE.items()])
    return Delivery(delivery.signal, Encoding.PROTOBUF, request.SerializeToString())


@pytest.mark.parametrize("transport", list(Transport))
def test_the_manuals_example_leaves_nothing_in_clear(transport: Transport, tmp_path: Path) -> None:
    ledger_path, salt = tmp_path / "ledger.db", tmp_path / "salt"
    salt.write_text("a salt of a decent length")
    example = yaml.safe_load(EXAMPLE)["privacy"] | {"salt_file": str(salt)}
    privacy = {f"privacy__{key}": value for key, value in example.items()}
    assert {"privacy__rules", "privacy__identities", "privacy__content"} <= privacy.keys()

    async def run() -> list[bytes]:
        away = privacy | {"exporter__endpoint": NOBODY, "forward__flush_timeout_seconds": "0.1"}
        async with running(ledger_path, **away) as up:
            await send(transport, up.addresses, people())
            await up.service.rest()
            kept, waiting = on_disk(ledger_path), outbox(ledger_path)
        async with running(ledger_path, **privacy) as up:
            pass
        assert len(waiting) == len(people())
        forwarded = [body for bodies in up.sink.bodies.values() for body in bodies]
        return [kept, on_disk(ledger_path), *waiting, *forwarded]

    found = asyncio.run(run())
    assert [text for text in CLEAR if any(text.encode() in one for one in found)] == []
    assert standing(ledger_path).figures.report.cost_picousd > 0


def test_without_a_destination_the_ledger_never_holds_content(tmp_path: Path) -> None:
    """Nothing is redacted by default, and neither evidence nor postings have room for text of prompts and replies."""
    ledger_path = tmp_path / "ledger.db"
    parts = open_parts(ledger_path, forward=False)
    for number, delivery in enumerate(told()):
        take(parts, [delivery], number)
    meanwhile = on_disk(ledger_path)
    rest(parts, len(told()))
    parts.ledger.close()
    assert standing(ledger_path).postings
    assert SECRET.encode() not in meanwhile + on_disk(ledger_path)


def test_content_that_is_kept_is_on_disk_until_it_has_left(tmp_path: Path) -> None:
    ledger_path = tmp_path / "ledger.db"

    async def run() -> None:
        async with running(ledger_path, exporter__endpoint=NOBODY, forward__flush_timeout_seconds="0.1") as up:
            await send(Transport.GRPC, up.addresses, told())
            await up.service.rest()
        assert SECRET.encode() in on_disk(ledger_path)
        async with running(ledger_path) as up:
            pass
        assert any(SECRET.encode() in body for body in up.sink.bodies[Signal.LOGS])

    asyncio.run(run())
    assert outbox(ledger_path) == []
    assert SECRET.encode() not in on_disk(ledger_path)
