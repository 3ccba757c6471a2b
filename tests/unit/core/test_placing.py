"""Placing: a call near the border of an interval lies where the sums hold it."""

from __future__ import annotations

import random

import pytest

from spanledger.core.control import Counts, Interval
from spanledger.core.placing import place
from spanledger.core.received import ReceivedCall
from support.sums import AUXILIARY, HAIKU, MAIN, OPUS, SONNET, Names, call, interval, line

A, B, C = Counts(10, 200, 3_000, 40), Counts(11, 150, 2_000, 0), Counts(500, 20, 0, 7)


def places(spans: list[Interval], calls: list[ReceivedCall]) -> list[list[str]]:
    return [sorted(one.identity for one in placed.calls) for placed in place(spans, calls, Names())]


def test_a_call_away_from_every_border_lies_where_its_time_says() -> None:
    spans = [interval(0, 60, {line(): A}), interval(60, 120, {line(): B})]
    assert places(spans, [call("a", 30, A), call("b", 90, B)]) == [["a"], ["b"]]
    assert places(spans, [call("a", 90, A), call("b", 30, B)]) == [["b"], ["a"]]


@pytest.mark.parametrize("late", [-0.1, 0, 0.1, 0.4, 0.5])
def test_a_call_stamped_on_the_other_side_lies_where_the_sums_hold_it(late: float) -> None:
    spans = [interval(0, 60, {line(): A}), interval(60, 120, {line(): B})]
    assert places(spans, [call("a", 60 + late, A), call("b", 90, B)]) == [["a"], ["b"]]
    assert places(spans, [call("a", 30, A), call("b", 60 - late, B)]) == [["a"], ["b"]]


def test_beyond_half_a_second_the_time_decides() -> None:
    spans = [interval(0, 60, {line(): A}), interval(60, 120, {line(): B})]
    assert places(spans, [call("a", 60.501, A), call("b", 90, B)]) == [[], ["a", "b"]]


def test_several_calls_at_one_border_are_placed_together() -> None:
    spans = [interval(0, 60, {line(): A.plus(C)}), interval(60, 120, {line(): B})]
    at_border = [call("a", 60.1, A), call("b", 59.95, B), call("c", 60.3, C)]
    assert places(spans, at_border) == [["a", "c"], ["b"]]


def test_sides_at_borders_that_follow_one_another_are_taken_together() -> None:
    """An interval so short that a call of it is near both its ends."""
    spans = [interval(0, 60, {line(): A}), interval(60, 60.4, {line(): B}), interval(60.4, 120, {line(): C})]
    at_border = [call("a", 60.15, A), call("b", 60.45, B), call("c", 60.6, C)]
    assert places(spans, at_border) == [["a"], ["b"], ["c"]]


def test_a_call_is_told_from_a_residual_of_its_class_by_its_line() -> None:
    """Both intervals hold a cut attempt on Sonnet besides; only by class either side would do."""
    cut = Counts(20, 400, 5_000, 80)
    spans = [
        interval(0, 60, {line(OPUS): A, line(SONNET): cut}),
        interval(60, 120, {line(SONNET): cut}),
    ]
    assert places(spans, [call("a", 60.2, A, model=OPUS)]) == [["a"], []]
    assert places(list(spans), [call("a", 59.9, A, model=OPUS)]) == [["a"], []]


def test_a_call_is_placed_by_its_class_before_its_line() -> None:
    spans = [interval(0, 60, {line(HAIKU, AUXILIARY): A}), interval(60, 120, {line(HAIKU, MAIN): A})]
    assert places(spans, [call("a", 60.2, A, model=HAIKU, query_class=AUXILIARY)]) == [["a"], []]


def test_of_equal_ways_the_one_by_the_clock_is_taken() -> None:
    spans = [interval(0, 60, {line(): A}), interval(60, 120, {line(): A})]
    assert places(spans, [call("a", 59.9, A)]) == [["a"], []]
    assert places(spans, [call("a", 60.1, A)]) == [[], ["a"]]


def test_a_call_of_a_lost_interval_is_not_put_into_its_neighbour() -> None:
    """The sums of (60, 120] never came; what they held stays out of the interval before."""
    spans = [interval(0, 60, {line(): A}), interval(120, 180, {line(): C})]
    assert places(spans, [call("a", 30, A), call("b", 60.2, B), call("c", 150, C)]) == [["a"], ["c"]]


def test_a_call_stamped_before_its_series_began_lies_in_it() -> None:
    """A series starts when its first call is added, and the log event may be stamped a tenth of a second earlier."""
    assert places([interval(10, 60, {line(): A})], [call("a", 9.9, A)]) == [["a"]]


def test_a_call_of_no_interval_is_left_out() -> None:
    assert places([interval(10, 60, {line(): A})], [call("a", 5, A), call("b", 61, A)]) == [[]]
    assert places([], [call("a", 5, A)]) == []


def test_equal_calls_are_placed_one_each() -> None:
    spans = [interval(0, 60, {line(): A}), interval(60, 120, {line(): A})]
    assert [len(one) for one in places(spans, [call("a", 59.8, A), call("b", 59.9, A)])] == [1, 1]


@pytest.mark.parametrize("size", [6, 8, 20])
@pytest.mark.parametrize("seed", range(35))
def test_a_crowd_at_a_border_leaves_no_residual_that_is_not_there(seed: int, size: int) -> None:
    """Many calls in a second: more than can be tried in every way; what they leave over is lent, not residual."""
    rng = random.Random(seed)
    crowd = [Counts(rng.randint(1, 99), rng.randint(1, 999), rng.randint(0, 9_999)) for _ in range(size)]
    ends = [60 + rng.uniform(-0.5, 0.5) for _ in crowd]
    sides: list[Counts] = [Counts(), Counts()]
    for counts, end in zip(crowd, ends, strict=True):
        added = end - rng.uniform(-0.1, 0.4)
        sides[added > 60] = sides[added > 60].plus(counts)
    spans = [interval(0, 60, {line(): sides[0]}), interval(60, 120, {line(): sides[1]})]
    calls = [call(str(n), end, counts) for n, (counts, end) in enumerate(zip(crowd, ends, strict=True))]
    for placed in place(spans, calls, Names()):
        (total,) = placed.interval.lines.values()
        held = total.counts
        for one in placed.calls:
            held = held.minus(one.counts)
        over = held.positive.minus(placed.lent.get(MAIN, Counts())).positive
        assert over == Counts()
