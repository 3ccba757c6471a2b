"""Our price of a call beside that of genai-prices, a public library: every disagreement is listed with its reason.

A case that the list does not explain fails, and so does an entry of the list that explains nothing any more. Each entry
says what the library makes of our rates, so that the library's figure is predicted to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product

import pytest
from genai_prices import Usage, calc_price

from spanledger.core.pricing import Modifier
from spanledger.core.rating import rate
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Tariff, Unpriced
from spanledger.core.usage import Provider, Speed, Tokens
from support.contracts import nano
from support.replaying import list_prices

BOOK = list_prices().book
NOW = nano("2026-11-24")
SHORT = Tokens(input=1_000, output=500, cache_read=3_000, cache_write_5m=700, cache_write_1h=200)
LONG = SHORT._replace(cache_read=250_000)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model is asked for: our provider and theirs, and how its id is written there."""

    name: str
    ours: Provider
    theirs: str
    form: str
    region: str = ""


FIRST_PARTY = Place("first party", Provider.ANTHROPIC, "anthropic", "{}")
GLOBAL, US, JP = (Place(p, Provider.BEDROCK, "aws", f"{p}.anthropic.{{}}") for p in ("global", "us", "jp"))
BARE = Place("bare", Provider.BEDROCK, "aws", "anthropic.{}")
GOVCLOUD = Place("us-gov", Provider.BEDROCK, "aws", "us-gov.anthropic.{}")
VERTEX = Place("vertex", Provider.VERTEX, "google-vertex", "{}", region="global")
IN_EUROPE = Place("vertex in Europe", Provider.VERTEX, "google-vertex", "{}", region="europe-west1")
BEDROCK = (GLOBAL, US, JP, BARE, GOVCLOUD)
PLACES = (FIRST_PARTY, *BEDROCK, VERTEX, IN_EUROPE)


@dataclass(frozen=True, slots=True)
class Case:
    """One call in one place."""

    place: Place
    model: str
    at: int
    speed: Speed
    batch: bool
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What the library says differently: for which cases, and what it makes of our rates (None: no price)."""

    reason: str
    concerns: Callable[[Case, Tariff], bool]
    theirs: Callable[[Tokens, Tariff], Tokens | None]


def since(day: str) -> Callable[[Case], bool]:
    return lambda case: case.at >= nano(day)


_MYTHOS = ("claude-mythos-5", "claude-mythos-5-1")
_FABLE = ("claude-fable-5", "claude-fable-5-1", "claude-fable-5-2")
_THREE = ("claude-3-haiku-20240307", "claude-3-opus-20240229")
_OLDER = (
    *("claude-opus-4-20250514", "claude-opus-4-1-20250805", "claude-sonnet-4-20250514", "claude-3-7-sonnet-20250219"),
    *("claude-3-5-sonnet-20240620", "claude-3-5-sonnet-20241022", "claude-3-5-haiku-20241022"),
)
_BATCHED = tuple(
    model.id
    for model in BOOK.models
    if model.id not in (*_THREE, *_OLDER, *_MYTHOS)  # retired, or without a row of any kind
)


def _plain(rates: Tokens, tariff: Tariff) -> Tokens:
    """The same factors on the plain rates of the row."""
    return _times(tariff.row.rates, tariff.rates, tariff.base)


def _premium(rates: Tokens, tariff: Tariff) -> Tokens:
    """The same factors on twice the input kinds and one and a half times the output."""
    doubled = Tokens(*(2 * one for one in tariff.row.rates))._replace(output=tariff.row.rates.output * 3 // 2)
    return _times(doubled, tariff.rates, tariff.base)


def _times(rates: Tokens, after: Tokens, before: Tokens) -> Tokens:
    return Tokens(*(one * new // old for one, new, old in zip(rates, after, before, strict=True)))


def _is_early_fast(case: Case, tariff: Tariff) -> bool:
    return case.model in ("claude-opus-4-6", "claude-opus-4-7") and tariff.block is Modifier.FAST


def _is_long(case: Case, tariff: Tariff) -> bool:
    return case.tokens is LONG and tariff.row.long_prompt is not None


def _lacks_1h_on_vertex(case: Case) -> bool:
    early = case.model == "claude-opus-4-6" and not since("2026-03-13")(case)
    older = case.model in (*_THREE, *_OLDER) and case.model != "claude-opus-4-20250514"
    return case.place.ours is Provider.VERTEX and (older or early)


KNOWN = (
    Disagreement(
        "no row for Mythos 5 and 5.1",
        lambda case, _: case.model in _MYTHOS,
        lambda _, __: None,
    ),
    Disagreement(
        "no row on Bedrock for these models under a profile of Japan or GovCloud",
        lambda case, _: (
            (case.place in (JP, GOVCLOUD) and case.model in (*_FABLE, "claude-mythos-5-2"))
            or (case.place is GOVCLOUD and case.model in ("claude-opus-4-8", "claude-opus-5", "claude-opus-5-5"))
        ),
        lambda _, __: None,
    ),
    Disagreement(
        "no row on Bedrock for Opus 4 and 4.1 under the global profile",
        lambda case, _: case.place is GLOBAL and case.model in ("claude-opus-4-20250514", "claude-opus-4-1-20250805"),
        lambda _, __: None,
    ),
    Disagreement(
        "cache reads of Sonnet 5.5 at 0.10 from its first day; they were halved on 2026-10-07",
        lambda case, _: case.model == "claude-sonnet-5-5" and not since("2026-10-07")(case),
        lambda rates, _: rates._replace(cache_read=rates.cache_read // 2),
    ),
    Disagreement(
        "fast inference of Opus 4.6 and 4.7 has no history: the standard rates",
        lambda case, tariff: _is_early_fast(case, tariff) and not _is_long(case, tariff),
        lambda _, tariff: tariff.row.rates,
    ),
    Disagreement(
        "fast inference of Opus 4.6 and 4.7 has no history: the rates of a long prompt",
        lambda case, tariff: _is_early_fast(case, tariff) and _is_long(case, tariff),
        lambda _, tariff: tariff.row.long_prompt.rates,
    ),
    Disagreement(
        "the premium of Sonnet 4.5 for long prompts never ends; it did on 2026-04-30",
        lambda case, tariff: (
            case.model == "claude-sonnet-4-5-20250929"
            and case.place in (FIRST_PARTY, VERTEX, IN_EUROPE)
            and case.tokens is LONG
            and since("2026-04-30")(case)
        ),
        _premium,
    ),
    Disagreement(
        "no premium of Sonnet 4 for long prompts",
        lambda case, tariff: case.model == "claude-sonnet-4-20250514" and tariff.block is Modifier.LONG_PROMPT,
        _plain,
    ),
    Disagreement(
        "no premium for long prompts on Bedrock, and on Vertex none for Sonnet 4.6",
        lambda case, tariff: (
            tariff.block is Modifier.LONG_PROMPT
            and case.model in ("claude-opus-4-6", "claude-sonnet-4-6", "claude-sonnet-4-5-20250929")
            and (case.place in BEDROCK or (case.model == "claude-sonnet-4-6" and case.place.ours is Provider.VERTEX))
        ),
        _plain,
    ),
    Disagreement(
        "no rate for 1-hour writes on Bedrock before 4.5: the 5-minute one",
        lambda case, _: case.place in BEDROCK and case.model in _OLDER,
        lambda rates, _: rates._replace(cache_write_1h=rates.cache_write_5m),
    ),
    Disagreement(
        "no rate for 1-hour writes on Vertex for these models: the 5-minute one",
        lambda case, _: _lacks_1h_on_vertex(case),
        lambda rates, _: rates._replace(cache_write_1h=rates.cache_write_5m),
    ),
    Disagreement(
        "no cache rates for Haiku 3 and Opus 3 on Bedrock: the input rate",
        lambda case, _: case.place in BEDROCK and case.model in _THREE,
        lambda rates, _: rates._replace(cache_read=rates.input, cache_write_5m=rates.input, cache_write_1h=rates.input),
    ),
    Disagreement(
        "GovCloud at the premium of other regions, 10 % instead of 20 %",
        lambda case, tariff: any(one.modifier is Modifier.GOVCLOUD for one in tariff.multipliers),
        lambda rates, _: Tokens(*(one * 11 // 12 for one in rates)),
    ),
    Disagreement(
        "no premium for a region on Vertex",
        lambda case, tariff: case.place is IN_EUROPE and bool(tariff.multipliers),
        lambda rates, tariff: Tokens(*(one * 10 // 11 for one in rates)),
    ),
    Disagreement(
        "no batch price before 2026-10-14, nor of models that had retired by then",
        lambda case, _: case.batch and (case.model not in _BATCHED or not since("2026-10-14")(case)),
        lambda rates, _: Tokens(*(2 * one for one in rates)),
    ),
)


def cases() -> Iterator[Case]:
    """Every model in every place, whenever a price of it changes and now; batch where the library has it."""
    for model in BOOK.models:
        moments = sorted({instant for instant in model.instants() if instant > 0} | {NOW})
        for at, place, tokens in product(moments, PLACES, (SHORT, LONG)):
            yield Case(place, model.id, at, Speed.STANDARD, False, tokens)
            if place is FIRST_PARTY:
                yield Case(place, model.id, at, Speed.FAST, False, tokens)
                yield Case(place, model.id, at, Speed.STANDARD, True, tokens)


def spelt(case: Case) -> str:
    version = "-v1:0" if case.place.ours is Provider.BEDROCK and case.model[-8:].isdigit() else ""
    return case.place.form.format(case.model) + version


def ours(case: Case) -> Tariff | None:
    """Our tariff; None for what we don't compare: no price yet, fast without a price of its own."""
    asked = RatingInput(
        case.place.ours, spelt(case), case.at, case.tokens, case.speed, region=case.place.region, batch=case.batch
    )
    tariff = rate(BOOK, asked)
    if isinstance(tariff, Unpriced) or (case.speed is Speed.FAST and tariff.block is not Modifier.FAST):
        return None
    return tariff


def theirs_usd(case: Case) -> Decimal | None:
    tokens = case.tokens
    usage = Usage(
        input_tokens=tokens.prompt,  # with what is cached, in this library's convention
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
        cache_write_5m_tokens=tokens.cache_write_5m,
        cache_write_1h_tokens=tokens.cache_write_1h,
    )
    context = {"speed": "fast"} if case.speed is Speed.FAST else {"processing": "batch"} if case.batch else None
    moment = datetime.fromtimestamp(case.at / 10**9, tz=UTC)
    try:
        priced = calc_price(
            usage, spelt(case), provider_id=case.place.theirs, genai_request_timestamp=moment, price_context=context
        )
    except LookupError:
        return None
    return priced.total_price


def predicted_usd(case: Case, tariff: Tariff, used: set[str]) -> Decimal | None:
    """The library's figure, by what is known of how it differs from ours."""
    rates: Tokens | None = tariff.rates
    for known in KNOWN:
        if rates is not None and known.concerns(case, tariff):
            used.add(known.reason)
            rates = known.theirs(rates, tariff)
    if rates is None:
        return None
    return sum((Decimal(n * r) for n, r in zip(case.tokens, rates, strict=True)), Decimal(0)) / 10**12


def test_every_disagreement_is_a_known_one() -> None:
    used: set[str] = set()
    compared, unexplained = 0, []
    for case in cases():
        tariff = ours(case)
        if tariff is None:
            continue
        compared += 1
        predicted, said = predicted_usd(case, tariff, used), theirs_usd(case)
        if said != predicted:
            moment = datetime.fromtimestamp(case.at / 10**9, tz=UTC).date()
            kind = ("fast " if case.speed is Speed.FAST else "") + ("batch " if case.batch else "")
            size = "long" if case.tokens is LONG else "short"
            unexplained.append(f"{case.place.name} {case.model} {moment} {kind}{size}: {said}, expected {predicted}")
    assert unexplained == []
    assert {known.reason for known in KNOWN} - used == set()
    assert compared > 1_000


@pytest.mark.parametrize("model", ["claude-opus-5-6", "claude-sonnet-4-7", "acme-model-9"])
def test_both_know_no_price_of_an_unknown_model(model: str) -> None:
    case = Case(FIRST_PARTY, model, NOW, Speed.STANDARD, False, SHORT)
    assert (ours(case), theirs_usd(case)) == (None, None)
