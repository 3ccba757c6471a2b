"""Claims on the wire: what is known of a tenant takes the place of what it claims.

Its attributes stand in every resource of its requests, and in a record, event or data point wherever the same key
stands there: the client repeats its resource on each. Everything else stays byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spanledger.core.semconv import In
from spanledger.core.tenant import Tenant
from spanledger.core.usage import Signal
from spanledger.otlp.editing import edited, with_attributes
from spanledger.otlp.frame import GROUPS
from spanledger.otlp.places import RECORDS, RESOURCE, SCOPE, Tree
from spanledger.otlp.wire import LENGTH_DELIMITED, key_of, key_value, sized, tag_of, varint, walk

_RESOURCE_FIELD, _SCOPES_FIELD = 1, 2


def claim(signal: Signal, body: bytes, tenant: Tenant) -> bytes:
    """A request body as its tenant may send it: every resource has the tenant's name and attributes.

    Raises:
        PermanentError: the body is not sound protobuf.
    """
    attributes = {In.TENANT.value: tenant.name, **dict(tenant.attributes)}
    claims = _Claims({key: key_value(key, value) for key, value in attributes.items()})
    scopes: Tree = {_SCOPES_FIELD: {1: SCOPE, 2: RECORDS[signal]}}
    chunks: list[bytes] = []
    for number, wire_type, start, _, value_start, end in walk(body):
        if number == GROUPS and wire_type == LENGTH_DELIMITED:
            chunks.append(tag_of(GROUPS) + sized(_group(body[value_start:end], attributes, claims, scopes)))
        else:
            chunks.append(body[start:end])
    return b"".join(chunks)


def unclaimed(body: bytes) -> bytes:
    """A request body of nobody who was authenticated: no resource of it names a tenant.

    Raises:
        PermanentError: the body is not sound protobuf.
    """
    key = In.TENANT.value
    if key.encode() not in body:
        return body
    attributes = (frozenset({GROUPS}), frozenset({_RESOURCE_FIELD}), frozenset(RESOURCE))
    return edited(body, attributes, lambda _, __, pair: None if key_of(pair) == key else pair)


def _group(group: bytes, attributes: Mapping[str, str], claims: _Claims, scopes: Tree) -> bytes:
    """A resource group with the tenant's attributes; a resource that comes in pieces is put together."""
    resource: list[bytes] = []
    rest: list[bytes] = []
    for number, wire_type, start, _, value_start, end in walk(group):
        if number == _RESOURCE_FIELD and wire_type == LENGTH_DELIMITED:
            resource.append(group[value_start:end])
        else:
            rest.append(group[start:end])
    owned = with_attributes(b"".join(resource), next(iter(RESOURCE)), attributes)
    return tag_of(_RESOURCE_FIELD) + sized(owned) + claims.over(b"".join(rest), scopes)


@dataclass(frozen=True, slots=True)
class _Claims:
    """Attributes by key, each as the KeyValue that takes the place of one with the same key."""

    pairs: Mapping[str, bytes]

    def over(self, message: bytes, tree: Tree) -> bytes:
        """Replace what a tree of fields leads to; the message itself when it holds no such key."""
        if not any(key.encode() in message for key in self.pairs):
            return message
        chunks: list[bytes] = []
        done = 0
        for number, wire_type, _, length_start, value_start, end in walk(message):
            below = tree.get(number)
            if below is None or wire_type != LENGTH_DELIMITED:
                continue
            inner = message[value_start:end]
            outer = self.pairs.get(key_of(inner), inner) if isinstance(below, str) else self.over(inner, below)
            if outer is not inner:
                chunks += (message[done:length_start], varint(len(outer)), outer)
                done = end
        return b"".join((*chunks, message[done:])) if chunks else message
