"""Enrichment on the wire: attributes are appended to records as bytes, everything else stays byte for byte.

Only the lengths of the record and of the frames around it change. An attribute that is there already is taken out
first: replaced, never doubled.
"""

from __future__ import annotations

from collections.abc import Mapping

from spanledger.core.batch import Scalar
from spanledger.core.usage import Signal
from spanledger.otlp.editing import RECORD_PATH, edited, with_attributes

ATTRIBUTES_FIELD = {Signal.TRACES: 9, Signal.LOGS: 6}


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
    field = ATTRIBUTES_FIELD[signal]

    def edit(place: int, _: int, record: bytes) -> bytes:
        attributes = wanted.get(place)
        return record if attributes is None else with_attributes(record, field, attributes)

    return edited(body, RECORD_PATH, edit)
