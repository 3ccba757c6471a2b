"""Protobuf's wire format: walking over the fields of a message without reading what is in them, and writing some.

Faults are `PermanentError`s that say where a message stops making sense.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from spanledger.core.batch import Scalar
from spanledger.core.errors import PermanentError

VARINT, FIXED64, LENGTH_DELIMITED, GROUP_START, GROUP_END, FIXED32 = 0, 1, 2, 3, 4, 5
"""Wire types."""

FIELD_NUMBER_MAX = 2**29 - 1
GROUP_DEPTH_MAX = 100
"""Groups (an outdated encoding, which unknown fields may have) inside one another; protobuf's parsers take no more."""

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
        PermanentError: the fields do not add up to the message.
    """
    return (WireField(*field) for field in walk(message))


def walk(message: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Fields of a message, or of the one between two places of it, as the numbers that `WireField` has.

    Raises:
        PermanentError: the fields do not add up to the message.
    """
    position, size = start, len(message) if end is None else end
    while position < size:
        start = position
        tag, after_tag = message[position], position + 1
        if tag >= 0x80:
            tag, after_tag = read_varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number <= FIELD_NUMBER_MAX:
            raise PermanentError(f"there is no field {number}, at byte {start}")
        if wire_type == LENGTH_DELIMITED:
            length, value_start = _length(message, after_tag)
            position = value_start + length
        else:
            value_start, position = after_tag, _end_of_value(message, number, wire_type, after_tag)
        if position > size:
            raise PermanentError(f"field {number} at byte {start} runs past the end of its message")
        yield number, wire_type, start, after_tag, value_start, position


def _length(message: bytes, position: int) -> tuple[int, int]:
    """A number as `read_varint` reads it; most lengths have one or two bytes."""
    if position + 1 < len(message):
        first, second = message[position], message[position + 1]
        if first < 0x80:
            return first, position + 1
        if second < 0x80:
            return first & 0x7F | second << 7, position + 2
    return read_varint(message, position)


def _end_of_value(message: bytes, number: int, wire_type: int, position: int) -> int:
    match wire_type:
        case 0:
            return read_varint(message, position)[1]
        case 1:
            return position + 8
        case 3:
            return _end_of_group(message, number, position)
        case 5:
            return position + 4
        case _:
            raise PermanentError(f"field {number} has wire type {wire_type}, which does not exist here")


def _end_of_group(message: bytes, number: int, position: int) -> int:
    """Where a group ends; what is in it is skipped, groups inside it too."""
    open_groups = [number]
    while open_groups:
        tag, after_tag = read_varint(message, position)
        inner, wire_type = tag >> 3, tag & 7
        if wire_type == GROUP_START:
            open_groups.append(inner)
            position = after_tag
        elif wire_type == GROUP_END:
            if open_groups.pop() != inner:
                raise PermanentError(f"a group is closed as group {inner}, which it is not")
            position = after_tag
        elif wire_type == LENGTH_DELIMITED:
            length, value_start = read_varint(message, after_tag)
            position = value_start + length
        else:
            position = _end_of_value(message, inner, wire_type, after_tag)
        if len(open_groups) > GROUP_DEPTH_MAX:
            raise PermanentError(f"more than {GROUP_DEPTH_MAX} groups inside one another")
    return position


def read_varint(message: bytes, position: int) -> tuple[int, int]:
    """A number, and where it ends."""
    number = shift = 0
    for place in range(position, min(position + _VARINT_BYTES_MAX, len(message))):
        byte = message[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place + 1
        shift += 7
    raise PermanentError(f"a number at byte {position} does not end")


def varint(number: int) -> bytes:
    """Encode a number."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def sized(content: bytes) -> bytes:
    """Encode the value of a length-delimited field."""
    return varint(len(content)) + content


def tag_of(number: int) -> bytes:
    """Encode the tag of a length-delimited field."""
    return varint(number << 3 | LENGTH_DELIMITED)


def key_value(key: str, value: Scalar) -> bytes:
    """Encode an attribute: an OTLP KeyValue."""
    return b"\x0a" + sized(key.encode()) + b"\x12" + sized(any_value(value))


def key_of(key_value: bytes) -> str:
    """Key of an OTLP KeyValue; the last one, should there be several."""
    key = b""
    for number, wire_type, _, _, start, end in walk(key_value):
        if number == 1 and wire_type == LENGTH_DELIMITED:
            key = key_value[start:end]
    return key.decode(errors="replace")


def any_value(value: Scalar) -> bytes:
    """Encode an OTLP AnyValue."""
    match value:
        case bool():
            return b"\x10\x01" if value else b"\x10\x00"
        case str():
            return b"\x0a" + sized(value.encode())
        case int():
            return b"\x18" + varint(value & (2**64 - 1))
        case float():
            return b"\x21" + struct.pack("<d", value)
