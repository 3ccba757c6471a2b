"""Control totals: what each point adds, and in which interval."""

from __future__ import annotations

import random

import pytest

from spanledger.core.control import CUT_NANO, Counts, Increment, increments, intervals
from spanledger.core.usage import Temporality
from support.sums import SECOND, SOURCE, line, point, seconds

CUMULATIVE = Temporality.CUMULATIVE
LATE = 1_000_000 * SECOND
"""Long after the points of these tests: to a ledger that began then they are old."""


def outputs(points: list, began: int = 0) -> list[tuple[float, float, int]]:
    found = sorted(increments(points, began), key=lambda one: one.end_unix_nano)
    return [(*seconds([one])[0], one.counts.output) for one in found]


def grown(start: float, end: float, output: int = 1) -> Increment:
    return Increment(line(), SOURCE, round(start * SECOND), round(end * SECOND), Counts(output=output), 0)


def test_a_delta_adds_itself() -> None:
    assert outputs([point(0, 60, 5), point(60, 120, 7)]) == [(0, 60, 5), (60, 120, 7)]


def test_a_cumulative_point_adds_what_it_exceeds_the_one_before_by() -> None:
    points = [point(0, 60, 5, temporality=CUMULATIVE), point(0, 120, 12, temporality=CUMULATIVE)]
    assert outputs(points) == [(0, 60, 5), (60, 120, 7)]


def test_a_cumulative_point_that_repeats_a_value_adds_nothing() -> None:
    points = [point(0, at, 5, temporality=CUMULATIVE) for at in (60, 120, 180)]
    assert outputs(points) == [(0, 60, 5)]


def test_a_lost_cumulative_point_is_made_up_for_by_the_next() -> None:
    points = [point(0, 60, 5, temporality=CUMULATIVE), point(0, 180, 12, temporality=CUMULATIVE)]
    assert outputs(points) == [(0, 60, 5), (60, 180, 7)]


def test_a_restarted_process_counts_from_nothing() -> None:
    """A restart has another start time: it is a reset, and its first point adds all of itself."""
    points = [point(0, 60, 50, temporality=CUMULATIVE), point(70, 130, 7, temporality=CUMULATIVE)]
    assert outputs(points) == [(0, 60, 50), (70, 130, 7)]


def test_a_lower_point_of_one_start_adds_nothing_and_takes_nothing_back() -> None:
    points = [point(0, at, amount, temporality=CUMULATIVE) for at, amount in ((60, 50), (120, 8), (180, 52))]
    assert outputs(points) == [(0, 60, 50), (120, 180, 2)]


def test_the_first_point_of_a_series_older_than_the_ledger_is_a_baseline() -> None:
    points = [point(0, 60, 50, temporality=CUMULATIVE), point(0, 120, 57, temporality=CUMULATIVE)]
    assert outputs(points, LATE) == [(60, 120, 7)]


def test_a_series_that_began_ten_minutes_before_the_ledger_is_charged_in_full() -> None:
    points = [point(0, 660, 50, temporality=CUMULATIVE)]
    assert outputs(points, 600 * SECOND) == [(0, 660, 50)]
    assert outputs(points, 600 * SECOND + 1) == []


def test_the_order_of_points_does_not_matter() -> None:
    points = [point(0, at, at, temporality=CUMULATIVE) for at in range(60, 600, 60)]
    points += [point(at, at + 60, at, series="b") for at in range(0, 600, 60)]
    shuffled = random.Random(1).sample(points, k=len(points))
    assert sorted(outputs(shuffled)) == sorted(outputs(points))


def test_a_cost_point_adds_money_and_a_token_point_of_each_type_its_class() -> None:
    points = [point(0, 60, 1, series=kind, token_type=kind) for kind in ("input", "output", "cacheRead")]
    points += [
        point(0, 60, 4, series="w", token_type="cacheCreation"),
        point(0, 60, 9, metric="claude_code.cost.usage"),
    ]
    (found,) = intervals(increments(points, 0))
    (total,) = found.lines.values()
    assert total.counts == Counts(1, 1, 1, 4)
    assert total.cost_picousd == 9


def test_a_point_without_a_start_has_an_interval_that_ends_with_it() -> None:
    assert seconds(increments([point(60, 60, 5)], 0)) == [((60 * SECOND - 1) / SECOND, 60)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # Intervals that touch stay apart.
        ([(0, 60), (60, 120)], [(0, 60), (60, 120)]),
        # A series that begins within the interval of another is of it.
        ([(0, 60), (42, 60)], [(0, 60)]),
        # Two processes of one session.
        ([(0, 60), (30, 90), (60, 110)], [(0, 110)]),
        # What spans others joins them.
        ([(0, 20), (30, 50), (10, 60)], [(0, 60)]),
        ([], []),
    ],
)
def test_overlapping_increments_are_one_interval(given: list, expected: list) -> None:
    assert seconds(intervals(grown(start, end) for start, end in given)) == expected


def test_nothing_is_lost_or_added_where_increments_are_joined() -> None:
    found = intervals([grown(0, 60, 1), grown(30, 90, 10), grown(200, 260, 100)])
    assert [sum(total.counts.output for total in one.lines.values()) for one in found] == [11, 100]


def test_an_endless_chain_of_overlapping_processes_is_cut_at_fixed_times() -> None:
    """Two processes export every 60 s, half a minute apart, for an hour; wherever one begins to read."""
    chain = [grown(start, start + 60) for start in range(0, 3600, 30)]
    found = seconds(intervals(chain))
    assert max(end - start for start, end in found) <= 180
    assert len(found) == 3600 * SECOND // CUT_NANO + 1
    later = seconds(intervals(one for one in chain if one.start_unix_nano >= 1000 * SECOND))
    assert set(later[2:]) <= set(found)


def test_no_more_than_two_intervals_overlap_anywhere() -> None:
    rng = random.Random(3)
    for _ in range(50):
        chain = [grown(start, start + rng.uniform(1, 119)) for start in (rng.uniform(0, 900) for _ in range(60))]
        found = seconds(intervals(chain))
        ends = [end for _, end in found]
        assert ends == sorted(ends)
        assert all(found[n + 2][0] >= found[n][1] for n in range(len(found) - 2))


def test_one_export_is_never_cut_in_two() -> None:
    """All series of an export end at one time, whenever each began, and the chain is cut by ends."""
    at = 10 * CUT_NANO / SECOND
    found = intervals([grown(at - 50, at + 10), grown(at + 1, at + 10), grown(at - 110, at - 50)])
    assert seconds(found) == [(at - 110, at - 50), (at - 50, at + 10)]
