"""Verdicts: why the client's cost figure of a call is what it is, and the facts that it gives away (design §4).

The client knows what its telemetry does not say: the served speed, US residency, web searches, the time to live of
cache writes. Where exactly one such fact reproduces its figure, we take the fact, never the figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

from spanledger.core.book import PriceBook
from spanledger.core.client_prices import ClientPrices, ClientPricing, Origin
from spanledger.core.pricing import Modifier
from spanledger.core.rating import rate
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Tariff, Unpriced, UnpricedReason
from spanledger.core.usage import Speed, Tokens

SEARCHES_MAX = 20
"""More web searches than this in one call are not looked for."""

_DOUBLE_NOISE_PICOUSD = 1_000
"""What a figure can be off by that was summed in doubles."""

_MICRO_PICOUSD = 10**6
"""A figure of whole micro-USD may have been rounded to them."""

_MULTIPLIER_STEPS = 1_000
"""An administrator's multiplier is taken to have at most three decimals."""

_MULTIPLIER_MAX = 10


class Verdict(StrEnum):
    """Why the client's figure equals ours or differs from it."""

    EQUAL = "equal"
    CLIENT_TABLE = "client_table"
    """The client's version prices this model differently: its own table, or a known error."""
    UNKNOWN_MODEL = "unknown_model"
    """The client, or we, know no such model; the client then takes the price of another one."""
    MANAGED_RATES = "managed_rates"
    """The client's figure is the list price times a round factor: an administrator's `modelPricing`."""
    REGIONAL_PREMIUM = "regional_premium"
    """The client leaves out the premium of a regional endpoint."""
    INFERRED_FACTS = "inferred_facts"
    """A fact that only the client's figure tells was taken over: speed, residency, web searches, time to live."""
    ABORTED_ATTEMPTS = "aborted_attempts"
    """The client's figure holds attempts that were cut; their tokens are posted as residual."""
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and the call with the facts that it stands on. `citation` is the source of a client's error."""

    verdict: Verdict
    call: RatingInput
    inferred: bool = False
    citation: str = ""


@dataclass(frozen=True, slots=True)
class _Match:
    call: RatingInput
    way: ClientPricing


def judge(
    book: PriceBook, clients: ClientPrices, client_version: str, call: RatingInput, client_cost_picousd: int
) -> Judgement:
    """Explain a client's figure. `call` holds what its record states.

    The facts as stated come first, then one deviation from them, then two; of each kind exactly one must reproduce the
    figure to its own precision. None or several: our figure stands, and the verdict says so.
    """
    ways = clients.ways(book, client_version, call.model)
    stated = _matches(ways, [call], client_cost_picousd)
    if stated:
        return _judge_stated(book, call, stated)
    for number in (1, 2):
        found = _matches(ways, _deviations(call, number), client_cost_picousd)
        if len({match.call for match in found}) == 1:
            return Judgement(Verdict.INFERRED_FACTS, found[0].call, inferred=True, citation=found[0].way.citation)
        if found:
            return Judgement(Verdict.UNEXPLAINED, call)
    return Judgement(_last_resort(book, ways, call, client_cost_picousd), call)


def precision_picousd(client_cost_picousd: int) -> int:
    """How far a client's figure may be from what it stands for."""
    is_rounded = client_cost_picousd % _MICRO_PICOUSD == 0
    return _MICRO_PICOUSD // 2 if is_rounded else _DOUBLE_NOISE_PICOUSD


def _judge_stated(book: PriceBook, call: RatingInput, found: Sequence[_Match]) -> Judgement:
    told = {match.call for match in found}
    if len(told) > 1:  # the ways in which a client may price tell different times to live
        return Judgement(Verdict.UNEXPLAINED, call)
    match, inferred = found[0], found[0].call != call
    if match.way.origin is not Origin.LIST:
        return Judgement(Verdict.CLIENT_TABLE, match.call, inferred, match.way.citation)
    if inferred:
        return Judgement(Verdict.INFERRED_FACTS, match.call, inferred=True)
    outcome = rate(book, call)
    regional = {Modifier.REGIONAL, Modifier.GOVCLOUD}
    if isinstance(outcome, Tariff) and any(one.modifier in regional for one in outcome.multipliers):
        return Judgement(Verdict.REGIONAL_PREMIUM, call)
    return Judgement(Verdict.EQUAL, call)


def _matches(ways: Sequence[ClientPricing], calls: Sequence[RatingInput], client_cost_picousd: int) -> list[_Match]:
    """Ways and facts that reproduce the figure."""
    found = []
    for way, call in product(ways, calls):
        told = _told(way, call, client_cost_picousd)
        if told is not None:
            found.append(_Match(told, way))
    return found


def _told(way: ClientPricing, call: RatingInput, client_cost_picousd: int) -> RatingInput | None:
    """The call with what the figure tells of its cache writes, None when a way does not reproduce the figure."""
    short = way.cost_picousd(call)
    rates = way.rates(call)
    if short is None or rates is None:
        return None
    precision, rest = precision_picousd(client_cost_picousd), client_cost_picousd - short
    writes = call.tokens.cache_write_unspecified
    step = rates.cache_write_1h - rates.cache_write_5m
    if not writes or step <= 2 * precision:
        return call if abs(rest) <= precision else None
    long = (rest + precision) // step
    if not 0 <= long <= writes or abs(rest - long * step) > precision:
        return None
    return replace(call, tokens=with_long_writes(call.tokens, long))


def with_long_writes(tokens: Tokens, long: int) -> Tokens:
    """Tokens whose cache writes are told apart: so many for an hour, the others for five minutes."""
    open_writes = tokens.cache_write_unspecified
    return tokens._replace(
        cache_write_5m=tokens.cache_write_5m + open_writes - long,
        cache_write_1h=tokens.cache_write_1h + long,
        cache_write_unspecified=0,
    )


def _deviations(call: RatingInput, number: int) -> list[RatingInput]:
    """The call with so many of the facts changed that its record may not say or say wrongly, in a fixed order."""
    return [changed for speed, geo, searches, changed in _changed(call) if speed + geo + bool(searches) == number]


def _changed(call: RatingInput) -> Iterator[tuple[bool, bool, int, RatingInput]]:
    other = Speed.STANDARD if call.speed is Speed.FAST else Speed.FAST
    for speed, geo, searches in product((False, True), (False, True), range(SEARCHES_MAX + 1)):
        tokens = call.tokens._replace(web_search=call.tokens.web_search + searches)
        yield (
            speed,
            geo,
            searches,
            replace(
                call,
                speed=other if speed else call.speed,
                inference_geo="us" if geo else call.inference_geo,
                tokens=tokens,
            ),
        )


def _last_resort(
    book: PriceBook, ways: Sequence[ClientPricing], call: RatingInput, client_cost_picousd: int
) -> Verdict:
    table = next((way for way in ways if way.origin is Origin.TABLE), None)
    if table is not None and table.cost_picousd(call) is None:
        return Verdict.UNKNOWN_MODEL
    match rate(book, call):
        case Unpriced(reason=UnpricedReason.UNKNOWN_MODEL | UnpricedReason.OPAQUE_PROFILE):
            return Verdict.UNKNOWN_MODEL
        case _:
            pass
    listed = ways[0].cost_picousd(call)
    if listed and _is_round(client_cost_picousd, listed):
        return Verdict.MANAGED_RATES
    return Verdict.UNEXPLAINED


def _is_round(client_cost_picousd: int, list_picousd: int) -> bool:
    """Whether one figure is the other times a number of few decimals."""
    steps = (2 * client_cost_picousd * _MULTIPLIER_STEPS + list_picousd) // (2 * list_picousd)
    off = abs(client_cost_picousd * _MULTIPLIER_STEPS - steps * list_picousd)
    in_range = 0 <= steps <= _MULTIPLIER_MAX * _MULTIPLIER_STEPS
    return in_range and off <= precision_picousd(client_cost_picousd) * _MULTIPLIER_STEPS
