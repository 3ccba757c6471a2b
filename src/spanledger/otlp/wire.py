"""The protobuf wire format, as far as editing request bodies in place needs it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from spanledger.core.batch import Scalar
from spanledger.core.errors import PermanentError

LENGTH_DELIMITED = 2
"""Wire type of texts, bytes and messages."""
_END_GROUP = 4
_VARINT_BYTES_MAX = 10


@dataclass(frozen=True, slots=True)
class WireField:
    """A field on the wire: `start` of its tag, `length_start` of what follows it, value from `value_start` to `end`."""

    number: int
    wire_type: int
    start: int
    length_start: int
    value_start: int
    end: int


def fields(message: bytes) -> Iterator[WireField]:
    """Fields of a message, in order.

    Raises:
        PermanentError: the message is not sound.
    """
    position, size = 0, len(message)
    while position < size:
        start = position
        tag, after_tag = _read_varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        value_start, position = _value_bounds(message, number, wire_type, after_tag)
        if position > size:
            raise PermanentError(f"field {number} runs past the end of its message")
        yield WireField(number, wire_type, start, after_tag, value_start, position)


def _value_bounds(message: bytes, number: int, wire_type: int, after_tag: int) -> tuple[int, int]:
    match wire_type:
        case 0:
            return after_tag, _read_varint(message, after_tag)[1]
        case 1:
            return after_tag, after_tag + 8
        case 2:
            length, value_start = _read_varint(message, after_tag)
            return value_start, value_start + length
        case 3:
            return after_tag, _group_end(message, number, after_tag)
        case 5:
            return after_tag, after_tag + 4
        case _:
            raise PermanentError(f"field {number} has wire type {wire_type}, which does not exist here")


def _group_end(message: bytes, number: int, position: int) -> int:
    """Where a group (an outdated encoding that unknown fields may have) ends."""
    while True:
        tag, after_tag = _read_varint(message, position)
        if tag & 7 == _END_GROUP:
            if tag >> 3 != number:
                raise PermanentError(f"group {number} is closed as group {tag >> 3}")
            return after_tag
        position = _value_bounds(message, tag >> 3, tag & 7, after_tag)[1]


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    number, shift = 0, 0
    for place in range(position, min(position + _VARINT_BYTES_MAX, len(message))):
        byte = message[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place + 1
        shift += 7
    raise PermanentError(f"a number at byte {position} does not end")


def key_value(key: str, value: Scalar) -> bytes:
    """An attribute: OTLP's KeyValue."""
    return b"\x0a" + sized(key.encode()) + b"\x12" + sized(any_value(value))


def any_value(value: Scalar) -> bytes:
    """OTLP's AnyValue."""
    match value:
        case bool():
            return b"\x10\x01" if value else b"\x10\x00"
        case str():
            return b"\x0a" + sized(value.encode())
        case int():
            return b"\x18" + varint(value & (2**64 - 1))
        case float():
            return b"\x21" + struct.pack("<d", value)


def sized(content: bytes) -> bytes:
    """Bytes behind their length."""
    return varint(len(content)) + content


def varint(number: int) -> bytes:
    """A number, seven bits a byte."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
