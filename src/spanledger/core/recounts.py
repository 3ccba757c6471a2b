"""Extra frames: versions of the client that count a streamed reply again for each further frame of its usage.

Such a frame adds the call's input and cache tokens once more, and its output as far as it had come. What may be that is
no evidence of another call: it is not charged, and what only such sums hold is marked as not final.
"""

from __future__ import annotations

from collections.abc import Sequence

from spanledger.core.control import Counts

_SUMS_MAX = 1_000
"""Sums of frames that are looked through; an excess that takes more counts as explained."""


def may_be_recounts(excess: Counts, calls: Sequence[Counts]) -> bool:
    """Whether an excess is what extra frames of some calls add up to."""
    wanted = (excess.input, excess.cache_read, excess.cache_write)
    # For each sum of frames (input, reads, writes), the most output that they can hold.
    reached: dict[tuple[int, int, int], int] = {(0, 0, 0): 0}
    frontier = [(0, 0, 0)]
    frames = [call for call in calls if any((call.input, call.cache_read, call.cache_write))]
    while frontier and len(reached) <= _SUMS_MAX:
        came = frontier.pop()
        for frame in frames:
            step = (came[0] + frame.input, came[1] + frame.cache_read, came[2] + frame.cache_write)
            output = reached[came] + frame.output
            if all(have <= most for have, most in zip(step, wanted, strict=True)) and output > reached.get(step, -1):
                reached[step] = output
                frontier.append(step)
    return len(reached) > _SUMS_MAX or (wanted in reached and any(wanted) and excess.output <= reached[wanted])
