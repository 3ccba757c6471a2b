"""Verdicts: why the client's cost figure of a call is what it is, and the facts that it gives away (design §4).

The client knows what its telemetry does not say. Where exactly one hypothesis reproduces its figure, we take the fact,
never the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from spanledger.core.book import PriceBook
from spanledger.core.client_prices import ClientPrices, ClientPricing, Origin
from spanledger.core.hypotheses import (
    FACTS,
    Match,
    as_stated,
    is_plain_mixture,
    precision_picousd,
    several,
    with_changes,
)
from spanledger.core.pricing import Modifier
from spanledger.core.rating import rate
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Tariff, Unpriced, UnpricedReason
from spanledger.core.usage import Speed

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


VERDICT_TEXT: dict[Verdict, str] = {
    Verdict.EQUAL: "the price at list",
    Verdict.CLIENT_TABLE: "this version of the client prices the model by its own table, or makes a known error",
    Verdict.UNKNOWN_MODEL: "the client, or we, know no such model; the client then takes the price of another one",
    Verdict.MANAGED_RATES: "the price at list times a round factor, as an administrator's modelPricing makes it",
    Verdict.REGIONAL_PREMIUM: "the client leaves out the premium of a regional endpoint",
    Verdict.INFERRED_FACTS: "it gives away what no record states: served speed, residency, searches or cache writes",
    Verdict.ABORTED_ATTEMPTS: "it holds attempts that were cut; their tokens are charged as residual",
    Verdict.UNEXPLAINED: "nothing that we know of reproduces it; nothing is taken from it",
}
"""What each verdict says of the client's figure, for people."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What other signals tell of a call. `asked` is the model asked for, "" when nothing tells it.

    `speed` is the speed that the client's sums hold the call at, None when they don't tell. `holds_aborted` when
    residuals explain the figure: attempts of the call that were cut.
    """

    asked: str = ""
    speed: Speed | None = None
    holds_aborted: bool = False


NO_HINTS = Hints()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and the call with the facts that it stands on. `citation` is the source of a client's error.

    `is_open` when several explanations fit the figure: the call may cost more than by the facts that are certain.
    """

    verdict: Verdict
    call: RatingInput
    inferred: bool = False
    citation: str = ""
    is_open: bool = False

    @property
    def explains(self) -> bool:
        """Whether the call's facts are all there is in the figure."""
        return self.inferred or self.verdict in _EXPLAINED


_EXPLAINED = (Verdict.EQUAL, Verdict.CLIENT_TABLE, Verdict.REGIONAL_PREMIUM)


def judge(
    book: PriceBook,
    clients: ClientPrices,
    client_version: str,
    call: RatingInput,
    client_cost_picousd: int,
    hints: Hints = NO_HINTS,
) -> Judgement:
    """Explain a client's figure. `call` holds what its record states.

    The facts as stated come first, then attempts that were cut, then one other fact, two, three; of each kind exactly
    one must reproduce the figure to its own precision. A client prices by the model asked for: where that is another
    than the one served, or may be, the price of another model is an explanation too. None or several: our figure
    stands, at the speed that the sums tell, and the verdict says so. The served speed is told by the figure of a client
    whose table we know, where it can be explained; of another one by its sums alone, for it may know no fast price.
    """
    if hints.speed is None or clients.has_table(client_version):
        return _judge(book, clients, client_version, call, client_cost_picousd, hints)
    served = replace(call, speed=hints.speed)
    judgement = _judge(book, clients, client_version, served, client_cost_picousd, hints)
    if not judgement.explains or judgement.call.speed is not hints.speed:
        ways = clients.ways(book, client_version, call.model)
        found = as_stated(ways, _at_other_speed(served), client_cost_picousd)
        told = replace(found[0].call, speed=hints.speed) if found and not several(found) else None
        judgement = (
            Judgement(Verdict.UNEXPLAINED, served, is_open=True)
            if told is None
            else Judgement(Verdict.CLIENT_TABLE, told, told != served, f"knows no {hints.speed} price")
        )
    if hints.speed is call.speed:
        return judgement
    verdict = Verdict.INFERRED_FACTS if judgement.verdict is Verdict.EQUAL else judgement.verdict
    return replace(judgement, verdict=verdict, inferred=True)


def _judge(
    book: PriceBook,
    clients: ClientPrices,
    client_version: str,
    call: RatingInput,
    client_cost_picousd: int,
    hints: Hints,
) -> Judgement:
    """Explain a client's figure; `call` holds what is stated, its speed told by whom it may."""
    own = ways = clients.ways(book, client_version, call.model)
    stated = as_stated(own, call, client_cost_picousd)
    if stated and not (_is_alias(book, hints.asked) and any(match.call != call for match in stated)):
        return _judge_stated(book, call, stated)
    held = call if hints.speed is None else replace(call, speed=hints.speed)
    by_sums = held != call
    if hints.holds_aborted:
        return Judgement(Verdict.ABORTED_ATTEMPTS, held, by_sums)
    if hints.asked and not book.same_model(hints.asked, call.model):
        ways = clients.ways_as(book, client_version, hints.asked)
        by_asked = as_stated(ways, call, client_cost_picousd)
        if by_asked and not several(by_asked):
            return _judge_asked(book, call, by_asked[0])
        if not ways and as_stated(clients.ways_as_any(book, client_version), call, client_cost_picousd):
            return Judgement(Verdict.UNKNOWN_MODEL, call)
    found = _fewest_changes(ways, call, client_cost_picousd, hints)
    if not found:
        return Judgement(_last_resort(book, own, held, client_cost_picousd), held, by_sums)
    may_be_another = not hints.asked and as_stated(clients.ways_as_any(book, client_version), call, client_cost_picousd)
    if several(found) or may_be_another or not is_plain_mixture(found[0].call, call):
        return Judgement(Verdict.UNEXPLAINED, held, by_sums, is_open=True)
    return Judgement(Verdict.INFERRED_FACTS, found[0].call, inferred=True, citation=found[0].way.citation)


def _is_alias(book: PriceBook, asked: str) -> bool:
    """Whether a name asked for is no model's, so that the client has not priced by the model that served it."""
    return bool(asked) and book.resolve(asked).prices is None


def tells_itself(
    book: PriceBook, clients: ClientPrices, client_version: str, call: RatingInput, client_cost_picousd: int
) -> bool:
    """Whether a client's figure is explained by what its record states, so that no hint can change the charge."""
    ways = clients.ways(book, client_version, call.model)
    found = as_stated(ways, call, client_cost_picousd)
    return bool(found) and not several(found)


def _judge_stated(book: PriceBook, call: RatingInput, found: Sequence[Match]) -> Judgement:
    if several(found):  # the ways in which a client may price tell different times to live
        return Judgement(Verdict.UNEXPLAINED, call, is_open=True)
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


def _at_other_speed(call: RatingInput) -> RatingInput:
    return replace(call, speed=Speed.STANDARD if call.speed is Speed.FAST else Speed.FAST)


def _judge_asked(book: PriceBook, call: RatingInput, match: Match) -> Judgement:
    if book.resolve(call.model).prices is None:
        return Judgement(Verdict.UNKNOWN_MODEL, call)
    return Judgement(Verdict.CLIENT_TABLE, match.call, match.call != call, match.way.citation)


def _fewest_changes(
    ways: Sequence[ClientPricing], call: RatingInput, client_cost_picousd: int, hints: Hints
) -> list[Match]:
    """What reproduces the figure by the fewest other facts. Of several, those at the speed that the sums tell."""
    for number in FACTS:
        found = with_changes(ways, call, number, client_cost_picousd)
        if several(found) and hints.speed is not None:
            found = [match for match in found if match.call.speed is hints.speed] or found
        if found:
            return found
    return []


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
