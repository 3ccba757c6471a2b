"""Carried totals: a process that resumes a session may begin its sums where the process before it ended.

Some clients do, some don't, and nothing in the sums says which. The calls do: where a process's first interval holds
all its calls without what the process before had reached, that was carried over and is counted already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spanledger.core.control import Counts, Interval
from spanledger.core.placing import STRADDLE_NANO
from spanledger.core.received import ReceivedCall
from spanledger.core.usage import QueryClass


def leave_out_carried(intervals: Iterable[Interval], calls: Sequence[ReceivedCall]) -> None:
    """Take what was carried over off the intervals, where their calls show that it was."""
    for interval in intervals:
        carried = {line.query_class for line, total in interval.lines.items() if any(total.carried)}
        for query_class in carried:
            if _is_carried(interval, query_class, calls):
                _leave_out(interval, query_class)


def _is_carried(interval: Interval, query_class: QueryClass, calls: Iterable[ReceivedCall]) -> bool:
    """Whether the sums of a class hold all its calls even without what may have been carried over.

    A series begins with its first call, so calls near the beginning lie inside; those near the end may not.
    """
    held = Counts()
    for line, total in interval.lines.items():
        if line.query_class is query_class:
            held = held.plus(total.counts).minus(total.carried)
    first, last = interval.start_unix_nano - STRADDLE_NANO, interval.end_unix_nano - STRADDLE_NANO
    inside = [call for call in calls if call.query_class is query_class and first <= call.end_unix_nano <= last]
    of_calls = Counts()
    for call in inside:
        of_calls = of_calls.plus(call.counts)
    return bool(inside) and held.holds(of_calls)


def _leave_out(interval: Interval, query_class: QueryClass) -> None:
    for line, total in interval.lines.items():
        if line.query_class is query_class:
            total.counts, total.carried = total.counts.minus(total.carried), Counts()
