"""Extra frames: what may be a reply counted again, and what cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.core.control import Counts
from spanledger.core.recounts import may_be_recounts

ONE, OTHER = Counts(107, 53, 12_011, 513), Counts(3, 400, 90_000, 0)


@pytest.mark.parametrize(
    ("excess", "expected"),
    [
        (ONE, True),
        (ONE._replace(output=1), True),  # the frame came when a token of output had
        (Counts(2 * 107 + 3, 500, 2 * 12_011 + 90_000, 2 * 513), True),  # two frames of one, one of the other
        (ONE._replace(output=54), False),  # more output than the call had
        (Counts(107, 0, 0, 0), False),  # a frame repeats the reads too
        (Counts(0, 10, 0, 0), False),
        (Counts(), False),
        (Counts(108, 53, 12_011, 513), False),  # another call
    ],
)
def test_only_whole_frames_explain_an_excess(excess: Counts, expected: bool) -> None:
    assert may_be_recounts(excess, [ONE, OTHER]) is expected


def test_without_calls_nothing_is_explained() -> None:
    assert not may_be_recounts(ONE, [])
    assert not may_be_recounts(ONE, [Counts(0, 10, 0, 0)])


def test_an_excess_that_takes_too_many_sums_counts_as_explained() -> None:
    calls = [Counts(n, 1, n, n) for n in range(1, 60)]
    assert may_be_recounts(Counts(10**6, 0, 10**6 + 1, 10**6), calls)


counts = st.tuples(*(st.integers(0, 50) for _ in range(4))).map(lambda four: Counts(*four))


@given(st.lists(st.tuples(counts, st.integers(0, 2)), min_size=1, max_size=4))
def test_every_sum_of_frames_is_explained(frames: list[tuple[Counts, int]]) -> None:
    excess = Counts()
    for call, times in frames:
        for _ in range(times):
            excess = excess.plus(call)
    is_frame = excess.input or excess.cache_read or excess.cache_write
    calls = [call for call, _ in frames if any((call.input, call.cache_read, call.cache_write))]
    output = sum(call.output * times for call, times in frames if call in calls)
    assert may_be_recounts(excess._replace(output=output), calls) is bool(is_frame)
