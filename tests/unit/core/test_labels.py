"""Labels: no longer than their limit, the same when they fit, apart when they are different."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.core.labels import MIN_LABEL_BYTES, cut_key, cut_label
from spanledger.core.semconv import Metric
from spanledger.core.views import SeriesKey


@pytest.mark.parametrize("value", ["", "m" * 64, "ä" * 32])
def test_what_fits_is_left_as_it_is(value: str) -> None:
    assert cut_label(value, 64) == value
    key = SeriesKey(Metric.COST, (("model", value),))
    assert cut_key(key, 64) is key


def test_what_is_cut_ends_in_a_mark_that_keeps_it_apart() -> None:
    """64 bytes: 45 of the value, 3 of the ellipsis, 16 digits."""
    one, other = cut_label("m" * 64 + "1", 64), cut_label("m" * 64 + "2", 64)
    assert one != other
    for cut in (one, other):
        head, _, digest = cut.partition("…")
        assert (head, len(digest), len(cut.encode())) == ("m" * 45, 16, 64)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=20), st.integers(MIN_LABEL_BYTES, 100))
def test_a_cut_value_is_text_within_the_limit_and_is_not_cut_again(value: str, max_bytes: int) -> None:
    cut = cut_label(value * 10, max_bytes)
    assert len(cut.encode()) <= max_bytes
    assert cut_label(cut, max_bytes) == cut
