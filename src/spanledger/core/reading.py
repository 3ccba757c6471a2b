"""Reading figures and texts of attributes, whatever scalar an exporter writes them as.

Every function here raises `UnreadableRecordError` for a figure that cannot be.
"""

from __future__ import annotations

from decimal import Decimal

from spanledger.core.batch import Attributes, Scalar
from spanledger.core.money import PICO_PER_USD, picousd_from_reported
from spanledger.core.reasons import Reason
from spanledger.core.semconv import In
from spanledger.core.times import NANO_PER_SECOND
from spanledger.core.usage import Problem

TOKENS_MAX = 10**9
"""More tokens than this in one class of one record is a broken record; it also keeps every amount within 64 bits."""

POINT_COUNT_MAX = 10**15
"""More than this in one data point is a broken one: doubles, which clients sum in, soon cannot count by one there."""

COST_MAX_PICOUSD = 10**6 * PICO_PER_USD
"""A reported cost above a million USD for one record is a broken record."""

SECONDS_MAX = 10**9
"""More seconds than this in one data point is a broken record."""


class UnreadableRecordError(Exception):
    """A record that cannot be metered; it alone is refused."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.problem = Problem(reason, detail)
        super().__init__(detail)


def read_cost(attributes: Attributes) -> int | None:
    """Read what a client says that a call cost, in pico-USD; None when it does not."""
    cost = attributes.get(In.COST_USD)
    if cost is not None:
        return read_money(cost, In.COST_USD)
    if In.COST_USD_MICROS not in attributes:
        return None
    return read_count(attributes, In.COST_USD_MICROS) * 10**6


def read_money(value: Scalar, key: str) -> int:
    """Read an amount of USD, a number or decimal text, as pico-USD."""
    if isinstance(value, bool):
        raise UnreadableRecordError(Reason.BAD_COST, f"{key}: {value!r} is not an amount of money")
    try:
        amount = picousd_from_reported(value)
    except ValueError as error:
        raise UnreadableRecordError(Reason.BAD_COST, f"{key}: {error}") from None
    if amount > COST_MAX_PICOUSD:
        raise UnreadableRecordError(Reason.BAD_COST, f"{key}: {value!r} USD is too large for one record")
    return amount


def read_count(attributes: Attributes, key: str) -> int:
    """Read a count that may come as an integer, a whole double or decimal text; absent is 0."""
    value = attributes.get(key)
    if value is None:
        return 0
    if type(value) is not int:
        value = _whole(value, key)
    if not 0 <= value <= TOKENS_MAX:
        raise UnreadableRecordError(Reason.BAD_COUNT, f"{key}: {value} is negative or above {TOKENS_MAX}")
    return value


def read_point_count(value: Scalar, key: str) -> int:
    """Read the count that a data point holds."""
    count = value if type(value) is int else _whole(value, key)
    if not 0 <= count <= POINT_COUNT_MAX:
        raise UnreadableRecordError(Reason.BAD_COUNT, f"{key}: {count} is negative or above {POINT_COUNT_MAX}")
    return count


def read_nanoseconds(seconds: float | int, key: str) -> int:
    """Read a duration in seconds as the nearest nanoseconds; decimal, as the sender wrote it."""
    if not 0 <= seconds < SECONDS_MAX:
        raise UnreadableRecordError(Reason.BAD_COUNT, f"{key}: {seconds} s is negative or above {SECONDS_MAX}")
    return round(Decimal(repr(seconds)) * NANO_PER_SECOND)


def _whole(value: Scalar, key: str) -> int:
    match value:
        case float() if value.is_integer():
            return int(value)
        case str() if value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
            return int(value)
        case _:
            raise UnreadableRecordError(Reason.BAD_COUNT, f"{key}: {value!r} is not a whole number")


def read_text(attributes: Attributes, key: str) -> str:
    """Read a text, or the text of another scalar; absent is empty."""
    value = attributes.get(key, "")
    return value if type(value) is str else str(value)
