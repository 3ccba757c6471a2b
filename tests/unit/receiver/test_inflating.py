"""Decompression under limits: the same bytes whole or in pieces, and never more than allowed."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.config.receivers import Receiver
from spanledger.core.errors import PermanentError
from spanledger.core.reasons import Reason
from spanledger.receiver.inflating import Inflater, inflated
from support.hostile import MIB, bomb

LIMITS = Receiver(max_inflated_bytes=3 * MIB, max_inflation_ratio=100)


def in_pieces(body: bytes, size: int, limits: Receiver = LIMITS, encoding: str = "gzip") -> bytes:
    inflater = Inflater(encoding, limits)
    content = b"".join([inflater.feed(body[start : start + size]) for start in range(0, len(body), size)])
    inflater.finish()
    return content


@given(st.lists(st.binary(max_size=300), max_size=4), st.integers(1, 50))
def test_every_cut_of_every_body_gives_the_same(parts: list[bytes], size: int) -> None:
    body = b"".join(map(gzip.compress, parts))
    assert in_pieces(body, size) == inflated(body, "gzip", LIMITS) == b"".join(parts)


@given(st.binary(max_size=200))
def test_deflate_is_zlib(content: bytes) -> None:
    assert inflated(zlib.compress(content), "deflate", LIMITS) == content


@given(st.binary(min_size=1, max_size=100), st.integers(1, 20))
def test_whatever_comes_is_read_or_refused(body: bytes, size: int) -> None:
    for made in (body, gzip.compress(body)[: len(body)], gzip.compress(body) + body):
        try:
            in_pieces(made, size)
        except PermanentError as error:
            assert error.reason is Reason.BAD_COMPRESSION  # noqa: PT017 - either is right


@pytest.mark.parametrize("size", [1, 1_000, 10**9])
def test_the_size_is_held_to_the_byte(size: int) -> None:
    limits = Receiver(max_inflated_bytes=5_000)
    assert len(in_pieces(gzip.compress(bytes(5_000)), size, limits)) == 5_000
    with pytest.raises(PermanentError) as caught:
        in_pieces(gzip.compress(bytes(5_001)), size, limits)
    assert caught.value.reason is Reason.INFLATED_TOO_LARGE


def test_a_bomb_is_known_by_its_ratio_and_a_short_regular_body_is_none() -> None:
    assert len(inflated(gzip.compress(bytes(MIB)), "gzip", LIMITS)) == MIB
    with pytest.raises(PermanentError) as caught:
        inflated(bomb(3 * MIB), "gzip", LIMITS)
    assert caught.value.reason is Reason.INFLATED_TOO_MUCH


def test_another_compression_is_refused() -> None:
    with pytest.raises(PermanentError, match="'zstd' is not supported") as caught:
        Inflater("zstd", LIMITS)
    assert caught.value.reason is Reason.UNSUPPORTED_ENCODING


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_the_limit_is_the_largest_body_that_passes(encoding: str) -> None:
    limits = Receiver(max_inflated_bytes=1_000, max_inflation_ratio=100)
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    assert inflated(pack(b"x" * 1_000), encoding, limits) == b"x" * 1_000
    with pytest.raises(PermanentError) as caught:
        inflated(pack(b"x" * 1_001), encoding, limits)
    assert caught.value.reason is Reason.INFLATED_TOO_LARGE


def test_a_body_has_a_thousand_members_at_most() -> None:
    assert inflated(gzip.compress(b"") * 1_000, "gzip", LIMITS) == b""
    with pytest.raises(PermanentError, match="too many parts") as caught:
        inflated(gzip.compress(b"") * 1_001, "gzip", LIMITS)
    assert caught.value.reason is Reason.BAD_COMPRESSION
