"""What is known of a tenant takes the place of what it claims, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from spanledger.core.tenant import Tenant
from spanledger.core.usage import Signal
from spanledger.otlp.claims import claim, unclaimed
from spanledger.service.captures import find_folders, read_body
from support.hostile import attribute, request, span, text
from support.hostile import field as wire
from support.serving import REQUESTS
from support.splitting import protobuf_body
from support.truth import CAPTURES

TENANT = Tenant("platform", (("cost_center", "4711"), ("team.id", "core"), ("user.id", "known")))
KNOWN = {"spanledger.tenant": "platform", **dict(TENANT.attributes)}
BODIES = [read_body(path).delivery for folder in find_folders([CAPTURES]) for path in folder.files]


def keyed(message: Message) -> Iterator[Message]:
    """Every message in a message that has attributes."""
    fields = [(field, value) for field, value in message.ListFields() if field.message_type is not None]
    for field, value in fields:
        inner = value if field.is_repeated else [value]
        for one in inner:
            if not isinstance(one, KeyValue | AnyValue):
                yield one
                yield from keyed(one)


def expected(signal: Signal, body: bytes) -> Message:
    """The same, worked out with the official messages."""
    message = REQUESTS[signal].FromString(body)
    for one in keyed(message):
        known = {} if not hasattr(one, "attributes") else KNOWN
        for pair in one.attributes if known and not isinstance(one, Resource) else ():
            if pair.key in known:
                pair.value.Clear()
                pair.value.string_value = known[pair.key]
        if isinstance(one, Resource):
            kept = [pair for pair in one.attributes if pair.key not in known]
            del one.attributes[:]
            one.attributes.extend(kept)
            one.attributes.extend(KeyValue(key=k, value=AnyValue(string_value=v)) for k, v in known.items())
    return message


@given(st.sampled_from(BODIES))
def test_captured_requests_get_the_tenants_attributes_everywhere(delivery: object) -> None:
    body = protobuf_body(delivery)
    claimed = claim(delivery.signal, body, TENANT)
    assert REQUESTS[delivery.signal].FromString(claimed) == expected(delivery.signal, body)
    assert claim(delivery.signal, claimed, TENANT) == claimed


def test_captures_repeat_their_resource_on_every_record() -> None:
    """Why records are looked at, not resources alone."""
    body = next(protobuf_body(one) for one in BODIES if one.signal is Signal.LOGS)
    assert body.count(b"team.id") > 1


@pytest.mark.parametrize(
    "resource",
    [b"", wire(1, b""), wire(1, wire(1, attribute("team.id", text("forged")))) * 2, wire(1, wire(9, b"new"))],
    ids=["none", "empty", "in two pieces", "with a field of a later version"],
)
def test_a_group_has_one_resource_with_each_attribute_once(resource: bytes) -> None:
    group = wire(2, wire(2, span(attribute("k", text("v")))))
    claimed = claim(Signal.TRACES, wire(1, group + resource), TENANT)
    found = REQUESTS[Signal.TRACES].FromString(claimed).resource_spans[0]
    pairs = [(pair.key, pair.value.string_value) for pair in found.resource.attributes]
    assert sorted(pairs) == sorted(KNOWN.items())
    assert found.scope_spans[0].spans[0].attributes[0].value.string_value == "v"
    assert (b"new" in claimed) == (b"new" in resource)


def test_a_forged_name_of_a_tenant_does_not_stand() -> None:
    forged = attribute("spanledger.tenant", text("somebody else"))
    body = wire(1, wire(1, wire(1, forged)) + wire(2, wire(2, span(forged))))
    assert b"somebody else" not in claim(Signal.TRACES, body, TENANT)


def test_text_that_quotes_a_key_is_left_alone() -> None:
    body = request(span(attribute("note", text("team.id is forged"))))
    assert b"team.id is forged" in claim(Signal.TRACES, body, TENANT)


def test_a_request_without_groups_stays_as_it_is() -> None:
    assert claim(Signal.LOGS, b"", TENANT) == b""
    assert claim(Signal.LOGS, wire(900, b"new"), TENANT) == wire(900, b"new")


def test_who_was_not_authenticated_is_no_tenant() -> None:
    """Else a sender without a token could write on a tenant's account."""
    kept, forged = attribute("team.id", text("core")), attribute("spanledger.tenant", text("red"))
    record = wire(2, wire(2, span(attribute("note", text("spanledger.tenant")))))
    body = wire(1, wire(1, wire(1, kept) + wire(1, forged)) + record)
    assert unclaimed(body) == wire(1, wire(1, wire(1, kept)) + record)
    plain = wire(1, wire(1, wire(1, kept)))
    assert unclaimed(plain) is plain
