"""Gauges of the price book: what a million tokens cost now, and how old the list behind it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from spanledger.core.book import PriceBook
from spanledger.core.gauges import Gauge, Reading, reading
from spanledger.core.rating import quote
from spanledger.core.rating_input import RatingInput
from spanledger.core.semconv import Metric
from spanledger.core.tariff import Tariff
from spanledger.core.usage import Provider, Speed, TokenClass, Tokens
from spanledger.core.views import SeriesState

_PER_MILLION = 10**6
_CLASSES = (
    TokenClass.INPUT,
    TokenClass.OUTPUT,
    TokenClass.CACHE_READ,
    TokenClass.CACHE_WRITE_5M,
    TokenClass.CACHE_WRITE_1H,
)
_LONG = 2**40
"""Tokens of a prompt that is longer than any limit."""

_STANDARD = "standard"


def book_readings(book: PriceBook, refused_loads: int) -> Iterator[Reading]:
    """Age of the list, and whether the files of the book could be loaded."""
    if book.checked_unix_nano is not None:
        yield reading(Gauge.PRICE_BOOK_TIMESTAMP, book.checked_unix_nano, price_book=book.id)
    yield reading(Gauge.PRICE_BOOK_RELOAD_FAILURES, refused_loads)


def price_readings(book: PriceBook, states: Iterable[SeriesState], now_unix_nano: int) -> Iterator[Reading]:
    """Prices now, of the models and providers that series hold tokens of: no other is of interest, or bounded.

    A tier is told where it differs from the standard one. Discounts of single cost centers are left out.
    """
    used = sorted({_model_and_provider(state) for state in states if state.key.metric is Metric.TOKENS})
    for model, provider in used:
        for tier, tariff in _tiers(book, model, provider, now_unix_nano).items():
            rates = dict(zip(TokenClass, tariff.rates, strict=True))
            for token_class in _CLASSES:
                yield reading(
                    Gauge.PRICE,
                    rates[token_class] * _PER_MILLION,
                    model=model,
                    provider=provider,
                    token_class=token_class,
                    tier=tier,
                )


def _model_and_provider(state: SeriesState) -> tuple[str, str]:
    labels = dict(state.key.labels)
    return labels.get("model", ""), labels.get("provider", "")


def _tiers(book: PriceBook, model: str, provider: str, now_unix_nano: int) -> Mapping[str, Tariff]:
    if provider not in set(Provider):
        return {}  # the overflow series
    plain = RatingInput(
        Provider(provider), _at_place(model, provider, "global"), now_unix_nano, Tokens(), region="global"
    )
    standard = _tariff(book, plain)
    if standard is None:
        return {}
    others = {
        "fast": replace(plain, speed=Speed.FAST),
        "long_prompt": replace(plain, prompt_tokens=_LONG),
        "us_residency": replace(plain, inference_geo="us"),
        "regional": replace(plain, model=_at_place(model, provider, "us"), region="us-east-1"),
    }
    found = {tier: _tariff(book, call) for tier, call in others.items()}
    differing = {tier: one for tier, one in found.items() if one is not None and one.rates != standard.rates}
    return {_STANDARD: standard, **differing}


def _at_place(model: str, provider: str, profile: str) -> str:
    """A model's name at a place: on Bedrock the inference profile tells it."""
    return f"{profile}.anthropic.{model}" if provider == Provider.BEDROCK else model


def _tariff(book: PriceBook, call: RatingInput) -> Tariff | None:
    charged = quote(book, call).charged
    return charged if isinstance(charged, Tariff) else None
