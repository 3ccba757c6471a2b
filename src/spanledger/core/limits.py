"""Limits of what one request may hold; every one is a setting of `receiver`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ContentLimits:
    """What a request may hold once it is decompressed.

    `max_records` bounds spans, log records and data points of a request, and `max_json_values` the values of a JSON
    body (each `{`, `[` and `,` outside texts): beyond them the request is refused. The others bound each record,
    resource and scope: its attributes (events and links count apart), the bytes of one value (of its text, or of a list
    or map as protobuf has it), how deep messages of protobuf are inside one another (an attribute takes 2 levels, an
    array in it 2 more, a map 3), and the fields of all of them together.

    Protobuf's parsers take 100 levels, and up to 6 are around a record: what is deeper could be sent on to nobody.
    """

    max_records: int = 50_000
    max_json_values: int = 1_000_000
    max_attributes: int = 512
    max_value_bytes: int = 2**20
    max_nesting_depth: int = 94
    max_fields: int = 20_000


DEFAULT_LIMITS = ContentLimits()
