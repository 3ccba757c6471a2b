"""Whatever bytes arrive, the result is a batch or a permanent error, never anything else.

Mutations of real captures, whole and in pieces, protobuf and JSON, through limits, tenants, decoding, metering, the
ledger, its postings and series, enrichment and the metrics that leave. More examples: HYPOTHESIS_PROFILE=nightly.
Guided by coverage: `make fuzz`.
"""

from __future__ import annotations

from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.core.delivery import Encoding
from spanledger.core.usage import Signal
from spanledger.service.captures import find_folders, read_body
from support.mutation import JSON_MUTATIONS, WIRE_MUTATIONS, edit_figures, edit_times
from support.reading import TENANT, read
from support.serving import REQUESTS, otlp_json
from support.splitting import protobuf_body, split_records
from support.truth import CAPTURES


@cache
def bodies(signal: Signal, encoding: Encoding) -> list[bytes]:
    """Captured bodies, and each of their records alone; every one once, the shortest first."""
    deliveries = [read_body(path).delivery for folder in find_folders([CAPTURES]) for path in folder.files]
    mine = [delivery for delivery in deliveries if delivery.signal is signal]
    protobuf = {protobuf_body(one) for delivery in mine for one in (delivery, *split_records(delivery)[:3])}
    if encoding is Encoding.PROTOBUF:
        return sorted(protobuf, key=len)
    return sorted((otlp_json(signal, body) for body in sorted(protobuf, key=len)[:150]), key=len)


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("signal", list(Signal))
@given(data=st.data(), seed=st.integers(0, 2**32), tenant=st.sampled_from([None, TENANT]))
def test_mutated_captures(signal: Signal, encoding: Encoding, data: st.DataObject, seed: int, tenant: object) -> None:
    random = Random(seed)
    known = bodies(signal, encoding)
    body = data.draw(st.sampled_from(known))
    mutations = JSON_MUTATIONS if encoding is Encoding.JSON else WIRE_MUTATIONS
    for mutation in data.draw(st.lists(st.sampled_from(mutations), min_size=1, max_size=4)):
        body = mutation(random, body, random.choice(known))
    read(signal, encoding, body, tenant=tenant)


@pytest.mark.parametrize("signal", list(Signal))
@given(data=st.data(), seed=st.integers(0, 2**32), encoding=st.sampled_from(Encoding))
def test_figures_that_cannot_be(signal: Signal, data: st.DataObject, seed: int, encoding: Encoding) -> None:
    """They come again and again, each time a little later: no total that grows may come to an end of its own."""
    random = Random(seed)
    request = REQUESTS[signal].FromString(data.draw(st.sampled_from(bodies(signal, Encoding.PROTOBUF)[:150])))
    edit_figures(random, request)
    for _ in range(4):
        edit_times(request, by_nano=60 * 10**9)
        body = request.SerializeToString()
        read(signal, encoding, body if encoding is Encoding.PROTOBUF else otlp_json(signal, body))


@pytest.mark.parametrize("encoding", list(Encoding))
@given(body=st.binary(max_size=400), signal=st.sampled_from(Signal))
def test_any_bytes(encoding: Encoding, body: bytes, signal: Signal) -> None:
    read(signal, encoding, body)


@given(
    text=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    (
                        "resourceSpans",
                        "scopeSpans",
                        "spans",
                        "attributes",
                        "key",
                        "value",
                        "intValue",
                        "traceId",
                        "kvlistValue",
                        "values",
                    )
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=30,
    ),
    signal=st.sampled_from(Signal),
)
def test_any_json(text: object, signal: Signal) -> None:
    import json

    read(signal, Encoding.JSON, json.dumps(text).encode())


@pytest.mark.parametrize("signal", list(Signal))
def test_unmutated_captures_are_batches(signal: Signal) -> None:
    for encoding in Encoding:
        for body in bodies(signal, encoding)[:40]:
            prepared = read(signal, encoding, body, tenant=TENANT)
            assert not isinstance(prepared, Exception)
            assert prepared.problems == ()
