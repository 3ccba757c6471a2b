"""Redaction on the wire: attributes of every kind of record, bodies of log records and messages of span statuses are
hashed or dropped, all else stays byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from spanledger.core import content_keys
from spanledger.core.errors import PermanentError
from spanledger.core.reasons import Reason
from spanledger.core.redaction import DROPPED, Action, Redaction, Rules
from spanledger.core.usage import Problem, Signal
from spanledger.otlp.places import RECORDS, RESOURCE, SCOPE, Tree
from spanledger.otlp.wire import LENGTH_DELIMITED, WireField, fields, sized, varint


@dataclass(frozen=True, slots=True)
class _Alone:
    """A part that is left out alone when it is not sound."""

    tree: Tree


_Frame = Mapping[int, "_Frame | Tree | _Alone | str"]

_NESTED = frozenset({"array_value", "kvlist_value"})

_TEXTS: Mapping[Signal, Tree] = {
    Signal.LOGS: {5: content_keys.BODY_KEY},
    Signal.TRACES: {15: {2: content_keys.STATUS_MESSAGE_KEY}},
    Signal.METRICS: {},
}
"""Where text stands that is no attribute, by the key that rules know it by."""

_EVENT_NAME = re.compile(r"claude_code\.\w{1,64}", re.ASCII)
"""The client puts an event's name into the body; cost is told by it, so no rule touches it."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A request body after redaction, and the records that were left out because they cannot be read."""

    body: bytes
    problems: tuple[Problem, ...] = ()


def redact(signal: Signal, body: bytes, redaction: Redaction) -> Redacted:
    """Redact every attribute, log body and status message of a protobuf request body.

    A record that cannot be read is left out, for nobody knows what it holds.

    Raises:
        PermanentError: the frame of the body is not sound.
    """
    walk = _Walk(redaction)
    scopes: _Frame = {1: _Alone(SCOPE), 2: _Alone({**RECORDS[signal], **_TEXTS[signal]})}
    return Redacted(walk.message(body, {1: {1: _Alone(RESOURCE), 2: scopes}}), tuple(walk.problems))


@dataclass(slots=True)
class _Walk:
    redaction: Redaction
    problems: list[Problem] = field(default_factory=list)

    def message(self, message: bytes, tree: _Frame) -> bytes:
        """Rewrite what a tree of fields leads to; the message itself when nothing changes."""
        chunks: list[bytes] = []
        done = 0
        for one in fields(message):
            below = tree.get(one.number)
            if below is None or one.wire_type != LENGTH_DELIMITED:
                continue
            inner = message[one.value_start : one.end]
            outer = self._below(inner, below)
            if outer is not inner:
                chunks += (message[done : one.start], _framed(one, outer))
                done = one.end
        return b"".join((*chunks, message[done:])) if chunks else message

    def _below(self, inner: bytes, below: _Frame | _Alone | str) -> bytes | None:
        """The field's new content; None to leave it out."""
        match below:
            case content_keys.BODY_KEY:
                return self._body(inner)
            case content_keys.STATUS_MESSAGE_KEY:
                return self._status_message(inner)
            case str():
                return self._attribute(inner)
            case _Alone(tree):
                try:
                    return self.message(inner, tree)
                except PermanentError as error:
                    self.problems.append(
                        Problem(Reason.UNREADABLE_RECORD, f"left out, for it cannot be redacted: {error}")
                    )
                    return None
            case _:
                return self.message(inner, below)

    def _attribute(self, attribute: bytes) -> bytes | None:
        """An attribute as the rules leave it; None when it is dropped."""
        try:
            pair = KeyValue.FromString(attribute)
        except DecodeError as error:
            raise PermanentError(f"an attribute is not sound: {error}") from None
        rules = self.redaction.rules_for(pair.key)
        if not rules and pair.value.WhichOneof("value") not in _NESTED:
            return attribute
        before = pair.SerializeToString(deterministic=True)
        if not self._keeps(pair.value, rules):
            return None
        after = pair.SerializeToString(deterministic=True)
        return attribute if after == before else after

    def _body(self, body: bytes) -> bytes:
        """A log record's body as the rules leave it.

        One that is dropped leaves a word: an event without a body could be a call, and totals would change.
        """
        rules = self.redaction.rules_for(content_keys.BODY_KEY)
        try:
            value = AnyValue.FromString(body)
        except DecodeError as error:
            raise PermanentError(f"a body is not sound: {error}") from None
        kind = value.WhichOneof("value")
        if kind is None or (not rules and kind not in _NESTED) or _EVENT_NAME.fullmatch(value.string_value):
            return body
        before = value.SerializeToString(deterministic=True)
        if not self._keeps(value, rules):
            value.string_value = DROPPED
        after = value.SerializeToString(deterministic=True)
        return body if after == before else after

    def _status_message(self, message: bytes) -> bytes | None:
        rules = self.redaction.rules_for(content_keys.STATUS_MESSAGE_KEY)
        if not rules or not message:
            return message
        text = self.redaction.redacted(rules, message.decode(errors="replace"))
        return None if text is None else text.encode()

    def _keeps(self, value: AnyValue, rules: Rules) -> bool:
        """Redact a value in place; False when the attribute is to be dropped.

        Rules for parts, or none, go down into lists and maps; keys of maps have rules of their own before these.
        """
        if rules and rules[0].matching is None:
            return self._replaces(value, rules[0].action)
        match value.WhichOneof("value"):
            case "kvlist_value":
                pairs = value.kvlist_value.values
                kept = [pair for pair in pairs if self._keeps(pair.value, self._inner_rules(pair.key, rules))]
                del pairs[:]
                pairs.extend(kept)
            case "array_value":
                for inner in value.array_value.values:
                    self._keeps(inner, rules)
            case "string_value" if rules:
                value.string_value = self.redaction.redacted(rules, value.string_value) or ""
            case _:
                pass
        return True

    def _inner_rules(self, key: str, outer: Rules) -> Rules:
        """Rules of a key in a map and then those of the map, each once."""
        return tuple(dict.fromkeys((*self.redaction.rules_for(key), *outer)))

    def _replaces(self, value: AnyValue, action: Action) -> bool:
        """Hash a whole value, as the text that it is or is written as; False when it is dropped."""
        if action is Action.DROP:
            return False
        is_text = value.WhichOneof("value") == "string_value"
        text = value.string_value if is_text else value.SerializeToString(deterministic=True).hex()
        value.string_value = self.redaction.hashed(text)
        return True


def _framed(one: WireField, content: bytes | None) -> bytes:
    """A length-delimited field with other content; nothing when it is left out."""
    return b"" if content is None else varint(one.number << 3 | LENGTH_DELIMITED) + sized(content)
