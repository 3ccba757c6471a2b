"""Hypotheses: the finite list of facts that a record may leave out and a client's cost figure may hold.

Served speed, US residency, 1 to 20 web searches, and the time to live of cache writes that the record does not tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from spanledger.core.client_prices import ClientPricing
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
    found = ((way, _told(way, call, client_cost_picousd)) for way in ways)
    return [Match(told, way) for way, told in found if told is not None]


def with_changes(
    ways: Sequence[ClientPricing], call: RatingInput, number: int, client_cost_picousd: int
) -> list[Match]:
    """Ways that give the figure by so many other facts than the record's."""
    return [
        Match(told, way)
        for way, changed in product(ways, _changed(call, number))
        if (told := _told(way, changed, client_cost_picousd)) is not None
    ]


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


def _told(way: ClientPricing, call: RatingInput, client_cost_picousd: int) -> RatingInput | None:
    """The call with what the figure tells of its cache writes, None when a way does not reproduce the figure.

    They stay open where a rounded figure allows more than one number of writes for an hour.
    """
    short = way.cost_picousd(call)
    rates = way.rates(call)
    if short is None or rates is None:
        return None
    precision, rest = precision_picousd(client_cost_picousd), client_cost_picousd - short
    writes = call.tokens.cache_write_unspecified
    step = rates.cache_write_1h - rates.cache_write_5m
    if not writes or step <= 0:
        return call if abs(rest) <= precision else None
    fewest, most = max(0, -((precision - rest) // step)), min(writes, (rest + precision) // step)
    if fewest > most:
        return None
    return call if fewest < most else replace(call, tokens=with_long_writes(call.tokens, fewest))


def _changed(call: RatingInput, number: int) -> Iterator[RatingInput]:
    """The call with so many facts changed that its record may not say or say wrongly, in a fixed order."""
    other = Speed.STANDARD if call.speed is Speed.FAST else Speed.FAST
    for speed, geo, searches in product((False, True), (False, True), range(SEARCHES_MAX + 1)):
        if speed + geo + bool(searches) != number:
            continue
        tokens = call.tokens._replace(web_search=call.tokens.web_search + searches)
        yield replace(
            call,
            speed=other if speed else call.speed,
            inference_geo="us" if geo else call.inference_geo,
            tokens=tokens,
        )
