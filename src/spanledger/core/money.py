"""Money as integers of pico-USD (1e-12 USD), and the only places where it is parsed, rounded and printed.

Every list rate and its usual modifiers are whole pico-USD per token, so a product of tokens and rate is exact and
sums never round (design §3.4). Floats enter here from the wire and leave only in the OTLP encoder.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from fractions import Fraction

PICO_PER_USD = 10**12
"""Pico-USD in one USD."""

PICO_PER_TOKEN_OF_USD_PER_MTOK = 10**6
"""1 USD per million tokens is this many pico-USD per token."""

_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_USD_DIGITS_MAX = 24


def rate_picousd_per_token(usd_per_mtok: str) -> int:
    """Compile a price in USD per million tokens, a decimal string, to whole pico-USD per token.

    Raises:
        ValueError: not a finite, non-negative decimal, or finer than one pico-USD per token.
    """
    price = _finite_decimal(usd_per_mtok)
    scaled = price * PICO_PER_TOKEN_OF_USD_PER_MTOK
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{usd_per_mtok!r} USD per million tokens is finer than one pico-USD per token")
    return int(scaled)


def rate_usd_per_mtok(picousd_per_token: int) -> str:
    """Print a compiled rate as USD per million tokens, exact, without trailing zeros."""
    return _plain(Decimal(picousd_per_token).scaleb(-6, _CONTEXT))


def factor(text: str) -> Fraction:
    """Read a factor, a decimal string such as "1.1".

    Raises:
        ValueError: not a finite, non-negative decimal.
    """
    return Fraction(_finite_decimal(text))


def factor_text(value: Fraction) -> str:
    """Print a factor that has a finite decimal form: `1.1`."""
    return _plain(_CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator)))


def format_usd(picousd: int) -> str:
    """Print pico-USD as an exact decimal string of USD, without exponent or trailing zeros; zero is `0`."""
    return _plain(Decimal(picousd).scaleb(-12, _CONTEXT))


def rounded_usd(picousd: int) -> str:
    """Print pico-USD as USD for people who compare: cents from one dollar on, else four decimals."""
    decimals = 2 if abs(picousd) >= PICO_PER_USD else 4
    rounded = Decimal(picousd).scaleb(-12, _CONTEXT).quantize(Decimal(1).scaleb(-decimals), context=_CONTEXT)
    return f"{rounded:,f}"


def parse_usd(usd: str) -> int:
    """Read an exact decimal string of USD as pico-USD.

    Raises:
        ValueError: not a finite, non-negative decimal, or finer than one pico-USD.
    """
    scaled = _finite_decimal(usd).scaleb(12, _CONTEXT)
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{usd!r} is finer than one pico-USD")
    return int(scaled)


def picousd_from_reported(value: float | int | str) -> int:
    """Round a figure that a client reported, a double or its decimal text, to the nearest pico-USD.

    The client computes in doubles: 0.0064551999999999995 stands for 0.0064552 (capture s01). Twelve decimals keep all
    that it can mean and drop the noise.

    Raises:
        ValueError: not a finite number, negative, or too large to be a cost of one record.
    """
    reported = _finite_decimal(str(value) if isinstance(value, str) else repr(value))
    return int(reported.scaleb(12, _CONTEXT).to_integral_value(rounding=ROUND_HALF_EVEN))


def usd_double(picousd: int) -> float:
    """Give the double nearest to an amount; for the OTLP encoder alone."""
    return picousd / PICO_PER_USD


def picousd_of_double(usd: float) -> int:
    """Give the amount that a double of the encoder stands for; its inverse up to 2**52 pico-USD (4,503 USD).

    Beyond that a double's own step is more than a pico-USD.
    """
    return int(Decimal(usd).scaleb(12, _CONTEXT).to_integral_value(rounding=ROUND_HALF_EVEN))


def _finite_decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a decimal number") from None
    if not value.is_finite() or value < 0:
        raise ValueError(f"{text!r} is not a finite, non-negative number")
    if value.adjusted() > _USD_DIGITS_MAX:
        raise ValueError(f"{text!r} is larger than any amount of money here")
    return value


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    if "." not in text:
        return text
    return text.rstrip("0").rstrip(".") or "0"
