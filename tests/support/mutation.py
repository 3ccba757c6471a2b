"""Mutations of request bodies: what transport faults, broken exporters and attackers make of real requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

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
