"""What the outbox keeps for a destination: up to exactly its bytes, and up to exactly its age."""

from __future__ import annotations

from pathlib import Path

from spanledger.config.settings import load_settings
from spanledger.core.delivery import Delivery, Encoding
from spanledger.core.usage import Signal
from spanledger.service.assembly import Parts
from spanledger.service.pipeline import prepare
from support.hostile import request, span
from support.replaying import open_parts

BODY = request(span())
SECOND_NANO = 10**9


def parts_with(tmp_path: Path, **forward: int) -> Parts:
    flags = {f"forward.{key}": value for key, value in forward.items()} | {"exporter.endpoint": "http://127.0.0.1:9"}
    return open_parts(tmp_path / "ledger.db", settings=load_settings(None, {}, flags))


def kept(parts: Parts, at_unix_nano: int) -> bool:
    """Whether another payload is kept."""
    prepared = prepare(Delivery(Signal.TRACES, Encoding.PROTOBUF, BODY), parts.meter)
    return parts.pipeline.accept([prepared], at_unix_nano).not_forwarded == {}


def test_the_outbox_is_full_when_it_holds_exactly_its_bytes(tmp_path: Path) -> None:
    parts = parts_with(tmp_path, outbox_max_bytes=2 * len(BODY))
    assert [kept(parts, 1), kept(parts, 2), kept(parts, 3)] == [True, True, False]
    assert parts.ledger.outbox.pending_bytes("default") == 2 * len(BODY)
    parts.ledger.close()


def test_a_byte_too_few_is_a_payload_less(tmp_path: Path) -> None:
    parts = parts_with(tmp_path, outbox_max_bytes=2 * len(BODY) - 1)
    assert [kept(parts, 1), kept(parts, 2)] == [True, False]
    parts.ledger.close()


def test_a_payload_is_as_old_as_it_may_be_before_it_expires(tmp_path: Path) -> None:
    parts = parts_with(tmp_path, outbox_max_age_seconds=3)
    assert kept(parts, 7)
    assert parts.pipeline.expire(7 + 3 * SECOND_NANO) == {}
    assert parts.pipeline.expire(8 + 3 * SECOND_NANO) == {"default": 1}
    assert parts.ledger.outbox.oldest_unix_nano() is None
    parts.ledger.close()
