"""Aborted attempts: streams that were cut before a call succeeded. The client's figure of the call holds them.

Their tokens are in no record of a call, but in the client's sums, and so in residuals: where these make up to the
pico-dollar what the client's figure exceeds the list price by, that is why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_RESIDUALS_MAX = 12
"""More residuals than this are not tried in every combination."""

_NOISE_PICOUSD = 1_000
"""What a figure can be off by that was summed in doubles."""


def explained_by_residuals(excesses: Mapping[str, int], residuals: Sequence[int]) -> frozenset[str]:
    """Calls whose excess is a sum of residuals: each by its own, else all that are left together. No residual twice.

    Excesses are by the identity of a call; both are in pico-USD.
    """
    left = sorted(residuals)[:_RESIDUALS_MAX]
    found: set[str] = set()
    for identity, excess in sorted(excesses.items(), key=lambda item: (item[1], item[0])):
        parts = _parts(left, excess)
        if parts:
            found.add(identity)
            left = [amount for place, amount in enumerate(left) if place not in parts]
    rest = {identity: excess for identity, excess in excesses.items() if identity not in found}
    if len(rest) > 1 and _parts(left, sum(rest.values())):
        found |= rest.keys()
    return frozenset(found)


def _parts(amounts: Sequence[int], wanted: int) -> frozenset[int]:
    """Places of amounts that add up to what is wanted; empty when none do."""
    sums: dict[int, frozenset[int]] = {0: frozenset()}
    for place, amount in enumerate(amounts):
        for known, places in list(sums.items()):
            if known + amount <= wanted + _NOISE_PICOUSD:
                sums.setdefault(known + amount, places | {place})
    fitting = [places for known, places in sums.items() if places and abs(known - wanted) <= _NOISE_PICOUSD]
    return min(fitting, key=lambda places: (len(places), sorted(places)), default=frozenset())
