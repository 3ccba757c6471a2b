"""The price list typed by hand, and a calculator of its own: what the product's list and rating are held against.

Nothing here comes from the product's files or code. Figures: the published price list, USD per million tokens, in the
order input, output, 5-minute write, 1-hour write, cache read.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache

Rates = tuple[Decimal, ...]

_ROWS = """
claude-3-haiku-20240307     2024-03-07   0.25   1.25   0.30   0.50   0.03
claude-3-opus-20240229      2024-02-29  15     75     18.75  30      1.50
claude-3-5-haiku-20241022   2024-12-01   0.80   4      1      1.60   0.08
claude-3-5-sonnet-20240620  2024-06-20   3     15      3.75   6      0.30
claude-3-5-sonnet-20241022  2024-10-22   3     15      3.75   6      0.30
claude-3-7-sonnet-20250219  2025-02-24   3     15      3.75   6      0.30
claude-opus-4-20250514      2025-05-22  15     75     18.75  30      1.50
claude-opus-4-1-20250805    2025-08-05  15     75     18.75  30      1.50
claude-sonnet-4-20250514    2025-05-22   3     15      3.75   6      0.30
claude-sonnet-4-5-20250929  2025-09-29   3     15      3.75   6      0.30
claude-sonnet-4-6           2026-02-17   3     15      3.75   6      0.30
claude-haiku-4-5-20251001   2025-10-15   1      5      1.25   2      0.10
claude-opus-4-5-20251101    2025-11-24   5     25      6.25  10      0.50
claude-opus-4-6             2026-02-05   5     25      6.25  10      0.50
claude-opus-4-7             2026-04-16   5     25      6.25  10      0.50
claude-opus-4-8             2026-05-28   5     25      6.25  10      0.50
claude-opus-5               2026-07-24   5     25      6.25  10      0.50
claude-opus-5-5             2026-09-22   4     20      5      8      0.20
claude-sonnet-5             2026-06-30   2     10      2.50   4      0.20
claude-sonnet-5-5           2026-09-28   2     10      2.50   4      0.20
claude-sonnet-5-5           2026-10-07   2     10      2.50   4      0.10
claude-haiku-5-5            2026-10-07   0.10   0.50   0.125  0.20   0.01
claude-fable-5              2026-06-09  10     50     12.50  20      1.00
claude-fable-5-1            2026-09-01  10     50     12.50  20      0.25
claude-fable-5-2            2026-11-09   8     40     10     16      0.20
claude-mythos-5             2026-06-09  10     50     12.50  20      1.00
claude-mythos-5-1           2026-09-01  10     50     12.50  20      0.25
claude-mythos-5-2           2026-11-09   8     40     10     16      0.20
"""

# Above so many tokens, from a day until another one (- is open).
_LONG = """
claude-sonnet-4-20250514    200000  2025-08-12  2026-04-30   6    22.50  7.50   12    0.60
claude-sonnet-4-5-20250929  200000  2025-09-29  2026-04-30   6    22.50  7.50   12    0.60
claude-sonnet-4-6           200000  2026-02-17  2026-03-13   6    22.50  7.50   12    0.60
claude-opus-4-6             200000  2026-02-05  2026-03-13  10    37.50  12.50  20    1.00
claude-haiku-5-5            100000  2026-10-07  -            0.50  2.50  0.625   1.00 0.05
"""

# After its end: what a fast call then costs (`standard`), or nobody says (`unknown`).
_FAST = """
claude-opus-4-6    2026-02-07  2026-06-29  standard  30  150  37.50  60  3.00
claude-opus-4-7    2026-05-12  2026-07-24  unknown   30  150  37.50  60  3.00
claude-opus-4-8    2026-05-28  2026-11-30  unknown   10   50  12.50  20  1.00
claude-opus-5      2026-07-24  -           unknown   10   50  12.50  20  1.00
claude-opus-5-5    2026-09-22  -           unknown    8   40  10     16  0.40
claude-fable-5-2   2026-11-09  -           unknown   16   80  20     32  0.40
claude-mythos-5-2  2026-11-09  -           unknown   16   80  20     32  0.40
"""

_FROM_4_6 = (
    *("claude-opus-4-6", "claude-opus-4-7", "claude-opus-4-8", "claude-opus-5", "claude-opus-5-5"),
    *("claude-sonnet-4-6", "claude-sonnet-5", "claude-sonnet-5-5", "claude-haiku-5-5"),
    *("claude-fable-5", "claude-fable-5-1", "claude-fable-5-2"),
    *("claude-mythos-5", "claude-mythos-5-1", "claude-mythos-5-2"),
)
_FROM_4_5 = (
    *_FROM_4_6,
    *("claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001", "claude-opus-4-5-20251101"),
)

RESIDENT = frozenset(_FROM_4_6)
"""Models with a premium of 1.1 for inference in the United States."""

REGIONAL = frozenset(_FROM_4_5)
"""Models with a premium of 1.1 outside global endpoints, 1.2 in GovCloud."""

MODELS = tuple(dict.fromkeys(line.split()[0] for line in _ROWS.strip().splitlines()))
_OPEN = "9999-12-31"


@dataclass(frozen=True, slots=True)
class Expected:
    """A price by hand. `status` is `exact`, `lower_bound` or `unpriced`, then the rest is empty."""

    status: str
    rates: Rates = ()
    modifier: Decimal = Decimal(1)
    row: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call. `at` is text that compares as a time does: `2026-10-06T23:59:59.999999999Z`."""

    model: str
    at: str
    provider: str = "anthropic"
    prompt: int = 0
    fast: bool = False
    inference_geo: str = ""
    batch: bool = False
    place: str = ""
    """`global`, `regional`, `gov`, or empty where it is not known."""


def expected(asked: Asked) -> Expected:
    """What a call costs, by the rules of the price list in the order in which they are written there."""
    found = [(day, rates) for model, day, *rates in _lines(_ROWS) if model == asked.model and day <= asked.at]
    if not found:
        return Expected("unpriced")
    day, texts = found[-1]
    row = _long(asked)
    rates, fast_is_open = _decimals(row[4:] if row else texts), False
    if asked.fast:
        block, fast_is_open = _fast(asked)
        if block and (asked.provider != "anthropic" or asked.batch):
            return Expected("unpriced")
        rates = _decimals(block) if block else rates
    modifier, place_is_open = _modifier(asked)
    status = "lower_bound" if fast_is_open or place_is_open else "exact"
    return Expected(status, rates, modifier, f"{asked.model}@{_row_day(asked, day)}T00:00:00Z")


def instants() -> list[tuple[str, str]]:
    """Every model with each instant at which its price may change."""
    days = [(model, day) for model, day, *_ in _lines(_ROWS)]
    for model, _, since, until, *_ in _lines(_LONG):
        days += [(model, day) for day in (since, until) if day != "-"]
    for model, since, until, *_ in _lines(_FAST):
        days += [(model, day) for day in (since, until) if day != "-"]
    return sorted(set(days))


def prompts(model: str) -> tuple[int, int]:
    """A prompt that is short, and one that is long where a model has a limit: the two beside it."""
    limit = next((int(above) for name, above, *_ in _lines(_LONG) if name == model), 200_000)
    return (limit, limit + 1)


def _long(asked: Asked) -> list[str]:
    for line in _lines(_LONG):
        model, above, since, until, *_ = line
        in_time = since <= asked.at and asked.at < (_OPEN if until == "-" else until)
        if model == asked.model and in_time and asked.prompt > int(above):
            return line
    return []


def _row_day(asked: Asked, day: str) -> str:
    """Rows also begin where a premium for long prompts begins or ends."""
    turns = [turn for model, _, since, until, *_ in _lines(_LONG) if model == asked.model for turn in (since, until)]
    return max([day, *(turn for turn in turns if turn != "-" and turn <= asked.at)])


def _fast(asked: Asked) -> tuple[list[str], bool]:
    """Rates of fast inference, and whether a fast call has no price that is known."""
    for model, since, until, then, *rates in _lines(_FAST):
        if model == asked.model and since <= asked.at:
            ended = until != "-" and until <= asked.at
            return ([], then == "unknown") if ended else (rates, False)
    return [], True


def _modifier(asked: Asked) -> tuple[Decimal, bool]:
    modifier, place_is_open = Decimal(1), False
    if (
        asked.inference_geo == "us"
        and asked.model in RESIDENT
        and asked.provider in ("anthropic", "anthropic_aws", "foundry")
    ):
        modifier *= Decimal("1.1")
    if asked.provider in ("bedrock", "vertex") and asked.model in REGIONAL:
        match asked.place:
            case "gov" if asked.provider == "bedrock":
                modifier *= Decimal("1.2")
            case "regional":
                modifier *= Decimal("1.1")
            case "":
                place_is_open = True
            case _:
                pass
    return modifier * Decimal("0.5") if asked.batch else modifier, place_is_open


@cache
def _lines(table: str) -> list[list[str]]:
    return [line.split() for line in table.strip().splitlines()]


def _decimals(texts: list[str]) -> Rates:
    return _decimals_of(tuple(texts))


@cache
def _decimals_of(texts: tuple[str, ...]) -> Rates:
    return tuple(Decimal(text) for text in texts)
