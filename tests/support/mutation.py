"""Mutations of request bodies: what transport faults, broken exporters and attackers make of real requests."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from spanledger.otlp.wire import walk
from support.hostile import field, nested_array, nested_map, varint

Mutation = Callable[[Random, bytes, bytes], bytes]
"""Takes chance, a body and another body; gives a mutated body."""


def flip_bits(random: Random, body: bytes, _: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(random.randint(1, 8) if changed else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def cut(random: Random, body: bytes, _: bytes) -> bytes:
    return body[: random.randint(0, len(body))]


def lose(random: Random, body: bytes, _: bytes) -> bytes:
    start = random.randint(0, len(body))
    return body[:start] + body[start + random.randint(0, 40) :]


def repeat(random: Random, body: bytes, _: bytes) -> bytes:
    start, size = random.randint(0, len(body)), random.randint(0, 200)
    return body[:start] + body[start : start + size] * random.randint(2, 4) + body[start + size :]


def splice(random: Random, body: bytes, other: bytes) -> bytes:
    """The head of one body and the tail of another."""
    return body[: random.randint(0, len(body))] + other[random.randint(0, len(other)) :]


def overwrite(random: Random, body: bytes, _: bytes) -> bytes:
    """Bytes that mean something on the wire, or in a text."""
    start = random.randint(0, len(body))
    made = random.choice(
        (b"\x00", b"\xff" * 10, b"\x80\x80\x01", b"\x0b", b"\x0c", b"\xed\xa0\x80", b'"', b"\\u", b"1e999")
    )
    return body[:start] + made + body[start + len(made) :]


def edit_field(random: Random, body: bytes, _: bytes) -> bytes:
    """Change one field somewhere in the tree of messages, keeping all lengths around it right."""
    return _edited(random, body, random.randint(1, 6))


def _edited(random: Random, message: bytes, depth: int) -> bytes:
    try:
        found = list(walk(message))
    except Exception:  # noqa: BLE001 - not a message: change it as a text
        return flip_bits(random, message, b"")
    if not found:
        return message + _made(random)
    number, wire_type, start, _, value_start, end = random.choice(found)
    if wire_type == 2 and depth > 1:
        return message[:start] + field(number, _edited(random, message[value_start:end], depth - 1)) + message[end:]
    piece = message[start:end]
    return message[:start] + _other(random, number, wire_type, piece) + message[end:]


def _other(random: Random, number: int, wire_type: int, piece: bytes) -> bytes:
    match random.randrange(6):
        case 0:
            return b""
        case 1:
            return piece * 2
        case 2:
            return varint(number << 3 | random.randrange(8)) + piece[1:]
        case 3:
            return varint(random.choice((0, 1, 2, 9, 2**29 - 1, 2**32)) << 3 | wire_type) + piece[1:]
        case 4:
            return field(number, random.choice((nested_array, nested_map))(random.choice((1, 30, 60, 200))))
        case _:
            return piece + _made(random)


def _made(random: Random) -> bytes:
    return random.choice((field(15, b"new"), b"\xf8\x01\x01", b"\xfb\x01\xfc\x01", field(1, b"\xff\xfe"), b"\x00"))


def edit_json(random: Random, body: bytes, _: bytes) -> bytes:
    """Change one value somewhere in a JSON document."""
    try:
        content = json.loads(body)
    except ValueError:
        return flip_bits(random, body, b"")
    return json.dumps(_edited_json(random, content, random.randint(1, 12))).encode()


def _edited_json(random: Random, value: Any, depth: int) -> Any:
    if depth and isinstance(value, dict) and value:
        key = random.choice(list(value))
        made = dict(value)
        made[key if random.random() < 0.9 else key.upper()] = _edited_json(random, made[key], depth - 1)
        return made
    if depth and isinstance(value, list) and value:
        place = random.randrange(len(value))
        return [*value[:place], _edited_json(random, value[place], depth - 1), *value[place + 1 :]]
    scalars = (None, True, -1, 2**63, 2**64, 1e308, -0.0, "", "zz", "\ud800", "9" * 30, [], {}, [[]], {"": {}}, "NaN")
    return random.choice(scalars)


def edit_figures(random: Random, request: Message) -> None:
    """Put what cannot be in the place of some figures, texts and times of a request; its shape stays as it is."""
    for holder, described in random.choices(list(_scalar_fields(request)), k=random.randint(1, 8)):
        made = _STRANGE[described.cpp_type](random, getattr(holder, described.name))
        setattr(holder, described.name, made)


def edit_times(request: Message, by_nano: int) -> None:
    """Let all of it have happened later."""
    for holder, described in _scalar_fields(request):
        if described.name.endswith("time_unix_nano"):
            setattr(holder, described.name, min(getattr(holder, described.name) + by_nano, 2**64 - 1))


def _scalar_fields(message: Message) -> Iterator[tuple[Message, FieldDescriptor]]:
    """Fields that are set, all the way down, each with the message that it is of."""
    for described, value in message.ListFields():
        for inner in value if described.is_repeated else [value]:
            if isinstance(inner, Message):
                yield from _scalar_fields(inner)
            elif described.cpp_type in _STRANGE and not described.is_repeated:
                yield message, described


def _strange_text(random: Random, text: str | bytes) -> str | bytes:
    if isinstance(text, bytes):
        return random.randbytes(len(text))
    parts = ("", "\0", "/", "x" * 5_000, "9" * 30, "nan", "-1", "\u2028\U0001f600", "'", "%", "{}", text.upper())
    return random.choice((*parts, text + random.choice(parts)))


_WHOLE = (0, 1, 10**9, 10**9 + 1, 10**10, 10**10 + 1, 10**15, 10**15 + 1, 10**18, 2**53 + 1, 2**62, 2**63 - 1)
_DOUBLES = (*map(float, _WHOLE), -0.0, 0.5, -1.0, 1e-320, 1e6, 1e308, math.inf, -math.inf, math.nan)
_STRANGE: Mapping[int, Callable[[Random, Any], Any]] = {
    FieldDescriptor.CPPTYPE_STRING: _strange_text,
    FieldDescriptor.CPPTYPE_INT64: lambda random, _: random.choice((*_WHOLE, -1, -(2**63))),
    FieldDescriptor.CPPTYPE_UINT64: lambda random, at: random.choice((*_WHOLE, 2**64 - 1, at + 1, max(0, at - 1))),
    FieldDescriptor.CPPTYPE_DOUBLE: lambda random, _: random.choice(_DOUBLES),
    FieldDescriptor.CPPTYPE_ENUM: lambda random, _: random.randrange(4),
}
"""What is put in the place of a value, by the type of its field."""

_OF_BYTES: tuple[Mutation, ...] = (flip_bits, cut, lose, repeat, splice, overwrite)
WIRE_MUTATIONS: tuple[Mutation, ...] = (
    *_OF_BYTES,
    edit_field,
    edit_field,
    edit_field,
)
JSON_MUTATIONS: tuple[Mutation, ...] = (
    *_OF_BYTES,
    edit_json,
    edit_json,
    edit_json,
)
