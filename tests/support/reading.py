"""Everything that happens to the bytes of a request, and what must come of it whatever they are."""

from __future__ import annotations

from typing import Any

from google.protobuf import message_factory

from spanledger.core.delivery import Delivery, Encoding
from spanledger.core.enrichment import attributes_for
from spanledger.core.errors import PermanentError
from spanledger.core.metering import Meter
from spanledger.core.semconv import DEFAULT_RESOURCE_LABELS
from spanledger.core.tenant import Tenant
from spanledger.core.usage import Signal
from spanledger.otlp.enrich import enrich
from spanledger.otlp.shapes import SHAPES, _with_bytes_for_texts
from spanledger.service.pipeline import Prepared, prepare
from support.fuzzed import FuzzedLedger
from support.serving import REQUESTS

TENANT = Tenant("fuzz", (("team.id", "known"), ("user.email", "known@example.test")))
LEDGER = FuzzedLedger()
METER = Meter(DEFAULT_RESOURCE_LABELS)


def read(signal: Signal, encoding: Encoding, body: bytes, *, tenant: Tenant | None = None) -> Prepared | PermanentError:
    """Read a body as the service does: a batch, or a permanent error. Anything else that is raised is a finding.

    A batch can be enriched, is read the same again, and is booked once (`support.fuzzed`); what leaves can be read by
    any OTLP receiver that does not ask whether texts are UTF-8.
    """
    try:
        prepared = prepare(Delivery(signal, encoding, body, tenant), METER)
    except PermanentError as error:
        return error
    again = prepare(Delivery(signal, Encoding.PROTOBUF, prepared.body, tenant), METER)
    assert (again.body, again.usage, again.points) == (prepared.body, prepared.usage, prepared.points)
    _require_sound(signal, _enriched(prepared))
    for payload in LEDGER.take(prepared, tenant):
        _require_sound(signal, payload.body)
    return prepared


def _enriched(prepared: Prepared) -> bytes:
    additions = {
        place: attributes_for(record, None, gen_ai_cost=True)
        for place, record in zip(prepared.places, prepared.usage, strict=True)
        if record is not None
    }
    return enrich(prepared.signal, prepared.body, additions)


def _require_sound(signal: Signal, body: bytes) -> None:
    """The official request, but with bytes for texts."""
    _LENIENT[signal].FromString(body)


def _lenient() -> dict[Signal, Any]:
    pool = SHAPES["span"].descriptor.file.pool
    found = {}
    for signal, request in REQUESTS.items():
        file = _with_bytes_for_texts(request.DESCRIPTOR.file)
        del file.service[:]
        pool.AddSerializedFile(file.SerializeToString())
        name = request.DESCRIPTOR.full_name.replace("opentelemetry", "spanledger_shape")
        found[signal] = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    return found


_LENIENT = _lenient()
