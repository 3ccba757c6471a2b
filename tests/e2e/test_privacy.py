"""Text of prompts, replies and tools: what is dropped is nowhere, and the ledger never holds any but in its outbox."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import requests
import yaml
from click.testing import Result
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from typer.testing import CliRunner

from spanledger.cli.main import app
from spanledger.core.content_keys import CONTENT_KEYS
from spanledger.core.delivery import Delivery, Encoding
from spanledger.core.events import Event
from spanledger.core.usage import Signal
from support.logged import messages_of
from support.replaying import open_parts, read_folder, replay_folders, rest, take
from support.serving import REQUESTS, Transport, protobuf_body, running, send, standing
from support.telling import Client, Usage
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


async def kept_and_sent_on(
    transport: Transport, ledger_path: Path, deliveries: list[Delivery], **privacy: object
) -> list[bytes]:
    """All that a service keeps while its destination is away, and after that, and all that it sends on then."""
    away = privacy | {"exporter__endpoint": NOBODY, "forward__flush_timeout_seconds": "0.1"}
    async with running(ledger_path, **away) as up:
        await send(transport, up.addresses, deliveries)
        await up.service.rest()
        kept, waiting = on_disk(ledger_path), outbox(ledger_path)
    async with running(ledger_path, **privacy) as up:
        pass
    assert len(waiting) == len(deliveries)
    assert outbox(ledger_path) == []
    forwarded = [body for bodies in up.sink.bodies.values() for body in bodies]
    return [kept, on_disk(ledger_path), *waiting, *forwarded]


@pytest.mark.parametrize("transport", list(Transport))
def test_content_that_is_dropped_is_neither_on_disk_nor_sent_on(transport: Transport, tmp_path: Path) -> None:
    ledger_path = tmp_path / "ledger.db"
    found = asyncio.run(kept_and_sent_on(transport, ledger_path, told(), privacy__content="drop"))
    assert not any(SECRET.encode() in one for one in found)
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

    found = asyncio.run(kept_and_sent_on(transport, ledger_path, people(), **privacy))
    assert [text for text in CLEAR if any(text.encode() in one for one in found)] == []
    assert standing(ledger_path).figures.report.cost_picousd > 0


BUDGETS = """
budgets:
  warn_at_percent: [50]
  limits:
    of-jane: {scope: user, owner: "jane@example.test", period: month, limit_usd: 4, basis: [billed, unknown]}
    of-others: {scope: user, owner: "joe@example.test", period: month, limit_usd: 4, basis: [billed, unknown]}
"""
HASHED = "privacy: {identities: hash, salt_file: SALT}"


def cli(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)


def spent_of(folder: Path, privacy: str) -> tuple[list[str], str, bytes]:
    """What budgets and a report say after two dollars of jane and one of joe, and all that the service tells."""
    folder.mkdir()
    ledger_path, config = folder / "ledger.db", folder / "spanledger.yaml"
    (folder / "salt").write_text("a salt of a decent length")
    config.write_text(BUDGETS + privacy.replace("SALT", str(folder / "salt")))
    given = yaml.safe_load(config.read_text())
    more = {f"{section}__{key}": value for section, keys in given.items() for key, value in keys.items()}
    usage, now = Usage(input=250_000), time.time_ns()  # x 4 USD / 1,000,000 = 1 USD a call
    senders = [("jane", 2), ("joe", 1)]

    async def run() -> bytes:
        async with running(ledger_path, **more) as up:
            for name, calls in senders:
                client = Client(session=name, user=f"id-{name}", sender={"user.email": f"{name}@example.test"})
                logs = [client.log(f"req_{name}_{n}", "claude-opus-5-5", usage, at=now) for n in range(calls)]
                await send(Transport.GRPC, up.addresses, logs)
            await up.service.rest()
            url = f"http://{up.addresses.admin}/metrics"
            scraped = (await asyncio.to_thread(requests.get, url, timeout=10)).content
        return b"".join([scraped, *up.sink.bodies[Signal.METRICS], *up.sink.bodies[Signal.LOGS]])

    said = asyncio.run(run())
    asked = ("--config", config, "--ledger", ledger_path, "--json")
    states = json.loads(cli("budget", "status", *asked).stdout)["budgets"]
    report = json.loads(cli("report", *asked, "--where", "user=jane@example.test", "--by", "model").stdout)
    return [state["spent_usd"] for state in states], report["lines"][0]["cost_usd"], said


def test_budgets_and_questions_by_name_count_hashed_people(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = spent_of(tmp_path / "plain", "")
    assert plain[:2] == (["2", "1"], "2")
    assert b"jane@example.test" in plain[2]
    assert "jane@example.test" in messages_of(caplog, Event.BUDGET_REACHED)[0]  # 2 of 4 USD: the level of 50 %
    caplog.clear()
    hashed = spent_of(tmp_path / "hashed", HASHED)
    assert hashed[:2] == plain[:2]
    assert b"example.test" not in hashed[2]
    assert b"spanledger_budget_spent" in hashed[2]
    assert len(messages_of(caplog, Event.BUDGET_REACHED)) == 1
    assert "example.test" not in caplog.text


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
