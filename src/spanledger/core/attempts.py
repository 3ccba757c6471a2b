"""Aborted attempts: streams that were cut before a call succeeded. The client's figure of the call holds them.

Their tokens are in no record of a call, but in the client's sums, and so in residuals: where these make up to the
pico-dollar what the client's figure exceeds the list price by, that is why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from spanledger.core.usage import QueryClass

ATTEMPTS_NANO = 120 * 10**9
"""How long before the end of a call a residual may begin that holds attempts of it."""

_RESIDUALS_MAX = 12
"""More residuals than this are not tried in every combination."""

_NOISE_PICOUSD = 1_000
"""What a figure can be off by that was summed in doubles."""


@dataclass(frozen=True, slots=True)
class Excess:
    """By how much a client's figure of a call exceeds what the call itself costs, in pico-USD."""

    identity: str
    query_class: QueryClass
    end_unix_nano: int
    picousd: int


@dataclass(frozen=True, slots=True)
class Remainder:
    """What a residual costs as clients price, in pico-USD, and its interval."""

    query_class: QueryClass
    start_unix_nano: int
    end_unix_nano: int
    picousd: int

    def may_hold_attempts_of(self, call: Excess) -> bool:
        """Whether attempts of a call may be in it."""
        since = call.end_unix_nano - ATTEMPTS_NANO
        return self.query_class is call.query_class and since <= self.start_unix_nano < call.end_unix_nano


def holding_attempts(excesses: Sequence[Excess], residuals: Sequence[Remainder]) -> set[str]:
    """Calls whose figure holds attempts that were cut: each by residuals near it, or those of an interval together.

    A function of what is near each call and no more, so that it does not depend on how much is looked at.
    """
    found: set[str] = set()
    for excess in excesses:
        amounts = [one.picousd for one in residuals if one.may_hold_attempts_of(excess)]
        found |= explained_by_residuals({excess.identity: excess.picousd}, amounts)
    together: set[str] = set()
    for several in _by_interval(residuals):
        first = several[0]
        inside = {
            excess.identity: excess.picousd
            for excess in excesses
            if excess.identity not in found
            and excess.query_class is first.query_class
            and first.start_unix_nano < excess.end_unix_nano <= first.end_unix_nano
        }
        together |= explained_by_residuals(inside, [one.picousd for one in several])
    return found | together


def _by_interval(residuals: Iterable[Remainder]) -> Iterable[Sequence[Remainder]]:
    """Residuals of a class and an interval."""
    several: dict[tuple[QueryClass, int, int], list[Remainder]] = {}
    for one in residuals:
        several.setdefault((one.query_class, one.start_unix_nano, one.end_unix_nano), []).append(one)
    return several.values()


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
