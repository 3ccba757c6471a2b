"""Hypotheses: the finite list of facts that a record may leave out and a client's cost figure may hold.

Served speed, US residency, 1 to 20 web searches, and the time to live of cache writes that the record does not tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from spanledger.core.client_prices import ClientPricing, ClientTariff
from spanledger.core.rating_input import RatingInput
from spanledger.core.usage import Speed, Tokens

SEARCHES_MAX = 20
"""More web searches than this in one call are not looked for."""

FACTS = (1, 2, 3)
"""How many facts may differ from what a record states: speed, residency, searches."""

_DOUBLE_NOISE_PICOUSD = 1_000
"""What a figure can be off by that was summed in doubles."""

_MICRO_PICOUSD = 10**6
"""A figure of whole micro-USD may have been rounded to them."""


@dataclass(frozen=True, slots=True)
class Match:
    """A call with facts, and a way to price it, that together give the client's figure."""

    call: RatingInput
    way: ClientPricing


def precision_picousd(client_cost_picousd: int) -> int:
    """How far a client's figure may be from what it stands for."""
    is_rounded = client_cost_picousd % _MICRO_PICOUSD == 0
    return _MICRO_PICOUSD // 2 if is_rounded else _DOUBLE_NOISE_PICOUSD


def as_stated(ways: Sequence[ClientPricing], call: RatingInput, client_cost_picousd: int) -> list[Match]:
    """Ways that give the figure by the facts of the record; cache writes that it leaves open may be of any mixture."""
    found = []
    for way in ways:
        tariff = way.tariff(call)
        told = None if tariff is None else _told(tariff, call, client_cost_picousd)
        if told is not None:
            found.append(Match(told, way))
    return found


def with_changes(
    ways: Sequence[ClientPricing], call: RatingInput, number: int, client_cost_picousd: int
) -> list[Match]:
    """Ways that give the figure by so many other facts than the record's."""
    changed = _changed(call, number)
    found = []
    for way, (other, has_searches) in product(ways, changed):
        tariff = way.tariff(other)
        if tariff is None:
            continue
        for searched in _searched(tariff, other, client_cost_picousd) if has_searches else (other,):
            told = _told(tariff, searched, client_cost_picousd)
            if told is not None:
                found.append(Match(told, way))
    return found


def several(found: Sequence[Match]) -> bool:
    """Whether matches tell different facts."""
    return any(match.call != found[0].call for match in found[1:])


def is_plain_mixture(told: RatingInput, stated: RatingInput) -> bool:
    """Whether cache writes that a record leaves open are told to be all of one kind.

    A free mixture beside other free facts gives nearly any figure, and so is no evidence for these facts.
    """
    writes = told.tokens
    is_told = writes.cache_write_unspecified == 0
    return not stated.tokens.cache_write_unspecified or (
        is_told and (writes.cache_write_5m == 0 or writes.cache_write_1h == 0)
    )


def with_long_writes(tokens: Tokens, long: int) -> Tokens:
    """Tokens whose cache writes are told apart: so many for an hour, the others for five minutes."""
    open_writes = tokens.cache_write_unspecified
    return tokens._replace(
        cache_write_5m=tokens.cache_write_5m + open_writes - long,
        cache_write_1h=tokens.cache_write_1h + long,
        cache_write_unspecified=0,
    )


def _told(tariff: ClientTariff, call: RatingInput, client_cost_picousd: int) -> RatingInput | None:
    """The call with what the figure tells of its cache writes, None when a tariff does not reproduce the figure.

    They stay open where a rounded figure allows more than one number of writes for an hour.
    """
    precision = precision_picousd(client_cost_picousd)
    rest = client_cost_picousd - tariff.cost_picousd(call.tokens)
    writes = call.tokens.cache_write_unspecified
    step = tariff.long_write_picousd if writes else 0
    if step <= 0:
        return call if abs(rest) <= precision else None
    fewest, most = max(0, -((precision - rest) // step)), min(writes, (rest + precision) // step)
    if fewest > most:
        return None
    return call if fewest < most else replace(call, tokens=with_long_writes(call.tokens, fewest))


def _changed(call: RatingInput, number: int) -> list[tuple[RatingInput, bool]]:
    """The call with so many facts changed that its record may not say or say wrongly, in a fixed order.

    Beside each whether web searches are one of them; how many is open.
    """
    other = Speed.STANDARD if call.speed is Speed.FAST else Speed.FAST
    found = []
    for speed, geo in product((False, True), (False, True)):
        searches = number - speed - geo
        if searches in (0, 1):
            changed = replace(
                call, speed=other if speed else call.speed, inference_geo="us" if geo else call.inference_geo
            )
            found.append((changed, searches == 1))
    return found


def _searched(tariff: ClientTariff, call: RatingInput, client_cost_picousd: int) -> Iterator[RatingInput]:
    """The call with each number of web searches by which it may cost what the client says, whatever its cache writes.

    No number that does is left out, however a version's factor rounds.
    """
    tokens, step = call.tokens, tariff.web_search_picousd
    margin = precision_picousd(client_cost_picousd) + SEARCHES_MAX + 1
    rest = client_cost_picousd - tariff.cost_picousd(tokens)
    held_by_writes = tokens.cache_write_unspecified * max(0, tariff.long_write_picousd)
    fewest, most = 1, SEARCHES_MAX
    if step > 0:
        fewest, most = max(fewest, -((held_by_writes + margin - rest) // step)), min(most, (rest + margin) // step)
    for searches in range(fewest, most + 1):
        yield replace(call, tokens=tokens._replace(web_search=tokens.web_search + searches))
