"""Enrichment on the wire: attributes are appended to records as bytes, everything else stays byte for byte.

Only the lengths of the record and of the frames around it change. An attribute that is there already is taken out
first: replaced, never doubled.
"""

from __future__ import annotations

from collections.abc import Mapping

from spanledger.core.batch import Scalar
from spanledger.core.usage import Signal
from spanledger.otlp.views import FRAME_GROUPS, FRAME_ITEMS, FRAME_SCOPES
from spanledger.otlp.wire import LENGTH_DELIMITED, fields, key_value, sized, varint

_ATTRIBUTES_FIELD = {Signal.TRACES: 9, Signal.LOGS: 6}
_KEY_FIELD = 1


def enrich(signal: Signal, body: bytes, additions: Mapping[int, Mapping[str, Scalar]]) -> bytes:
    """Write attributes on records of a request body.

    `additions` holds attributes by the place of the record in the request (`Batch.places`). Records without an entry,
    and all else, keep their bytes; without additions the body itself is returned.

    Raises:
        PermanentError: the body is not sound protobuf; `decode` would have refused it.
    """
    wanted = {place: attributes for place, attributes in additions.items() if attributes}
    if not wanted:
        return body
    editor = _Editor(_ATTRIBUTES_FIELD[signal], wanted)
    return editor.rewrite(body, (FRAME_GROUPS, FRAME_SCOPES, FRAME_ITEMS))


class _Editor:
    """Walks down the frames, counting records, and rewrites those that have additions."""

    def __init__(self, attributes_field: int, additions: Mapping[int, Mapping[str, Scalar]]) -> None:
        self._attributes_field = attributes_field
        self._additions = additions
        self._place = 0

    def rewrite(self, message: bytes, path: tuple[int, ...]) -> bytes:
        """Rewrite the records below `path`, the field numbers from here down to a record."""
        if not path:
            additions = self._additions.get(self._place)
            self._place += 1
            return message if additions is None else self._record(message, additions)
        chunks: list[bytes] = []
        done = 0
        for field in fields(message):
            if field.number != path[0] or field.wire_type != LENGTH_DELIMITED:
                continue
            inner = message[field.value_start : field.end]
            outer = self.rewrite(inner, path[1:])
            if outer is not inner:
                chunks += (message[done : field.length_start], varint(len(outer)), outer)
                done = field.end
        if not chunks:
            return message
        return b"".join((*chunks, message[done:]))

    def _record(self, record: bytes, additions: Mapping[str, Scalar]) -> bytes:
        if any(key.encode() in record for key in additions):
            record = self._without(record, additions)
        tag = varint(self._attributes_field << 3 | LENGTH_DELIMITED)
        appended = [tag + sized(key_value(key, value)) for key, value in additions.items()]
        return b"".join((record, *appended))

    def _without(self, record: bytes, additions: Mapping[str, Scalar]) -> bytes:
        """A record without the attributes that are about to be written."""
        chunks: list[bytes] = []
        done = 0
        for field in fields(record):
            if field.number != self._attributes_field or field.wire_type != LENGTH_DELIMITED:
                continue
            if _key(record[field.value_start : field.end]) in additions:
                chunks.append(record[done : field.start])
                done = field.end
        return b"".join((*chunks, record[done:]))


def _key(key_value: bytes) -> str:
    """Key of a KeyValue; the last one, should there be several."""
    key = b""
    for field in fields(key_value):
        if field.number == _KEY_FIELD and field.wire_type == LENGTH_DELIMITED:
            key = key_value[field.value_start : field.end]
    return key.decode(errors="replace")
