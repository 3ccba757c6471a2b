"""The price of a residual: of tokens that are known by sum alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spanledger.core.attribution import account_of
from spanledger.core.posting import Charge, Status
from spanledger.core.pricing import PriceBook, PriceRow
from spanledger.core.rating import Rated, RatingInput, Unpriced, rate
from spanledger.core.residual import Leftover
from spanledger.core.settling import price_of
from spanledger.core.usage import Evidence, Speed, Tokens

_NOISE_PICOUSD = 1_000
"""The client sums its costs in doubles: what its figures can be off by."""


Aliases = Mapping[str, str]
"""The model that each name stands for which is no model's, where that is known and one."""


@dataclass(frozen=True, slots=True)
class LongWrites:
    """Cache writes of one hour: of the residual, and of calls whose record does not tell, by identity.

    `is_certain` when the client's cost leaves one way to share them out; `known` when it tells their sum at least.
    """

    of_residual: int = 0
    of_calls: Mapping[str, int] = field(default_factory=dict)
    known: bool = False
    is_certain: bool = False


def long_writes(leftover: Leftover, book: PriceBook) -> LongWrites:
    """Tell the time to live of a line's cache writes by the client's cost of the line, where it comes out even.

    The cost says how many tokens of all were written for an hour; they are taken from the calls first, in order of
    time, so that the sum is right whichever call it was.
    """
    row = _row(leftover, book)
    short = _all_short(leftover, book)
    if row is None or short is None or leftover.cost_picousd is None:
        return LongWrites()
    open_calls = sorted(
        (call for call in leftover.calls if call.tokens.cache_write_unspecified),
        key=lambda call: (call.end_unix_nano, call.identity),
    )
    writes = leftover.counts.cache_write + sum(call.tokens.cache_write_unspecified for call in open_calls)
    step = row.cache_write_1h - row.cache_write_5m
    if not step:
        return LongWrites(known=True, is_certain=True)
    long, noise = divmod(leftover.cost_picousd - short + _NOISE_PICOUSD, step)
    if noise > 2 * _NOISE_PICOUSD or not 0 <= long <= writes:
        return LongWrites()
    shares: dict[str, int] = {}
    rest = long
    for call in open_calls:
        shares[call.identity] = min(rest, call.tokens.cache_write_unspecified)
        rest -= shares[call.identity]
    one = len(open_calls) + bool(leftover.counts.cache_write) == 1
    return LongWrites(rest, shares, known=True, is_certain=one or long in (0, writes))


def residual_charge(
    leftover: Leftover, long: LongWrites, book: PriceBook, aliases: Aliases, occurred_unix_nano: int
) -> Charge:
    """Charge what is left of a line.

    The figure is a lower bound when the time to live of its cache writes is not known, and when the prompt of a single
    call may have exceeded the limit of its price.
    """
    line, counts = leftover.line, leftover.counts
    model = line.model if book.resolve(line.model).prices is not None else aliases.get(line.model, line.model)
    tokens = Tokens(counts.input, counts.output, counts.cache_read, cache_write_unspecified=counts.cache_write)
    if long.known:
        tokens = with_long_writes(tokens, long.of_residual)
    outcome = rate(
        book,
        RatingInput(
            provider=leftover.source.provider,
            model=model,
            at_unix_nano=occurred_unix_nano,
            tokens=tokens,
            speed=line.speed,
            prompt_tokens=0,
        ),
    )
    return Charge(
        identity=f"residual:{_digest(leftover)}",
        record_digest=_digest(leftover, *map(str, tokens), model),
        evidence=Evidence.METRIC,
        status=_status(outcome, tokens, long),
        source=leftover.source,
        account=account_of(
            leftover.source,
            model=outcome.model,
            served_model=model,
            query_class=line.query_class,
            speed=line.speed,
        ),
        price=price_of(book, outcome),
        tokens=tokens,
        client_cost_picousd=None,
        occurred_unix_nano=occurred_unix_nano,
    )


def with_long_writes(tokens: Tokens, long: int) -> Tokens:
    """Tokens whose cache writes are told apart: so many for an hour, the others for five minutes."""
    open_writes = tokens.cache_write_unspecified
    return tokens._replace(
        cache_write_5m=tokens.cache_write_5m + open_writes - long,
        cache_write_1h=tokens.cache_write_1h + long,
        cache_write_unspecified=0,
    )


def _status(outcome: Rated | Unpriced, tokens: Tokens, long: LongWrites) -> Status:
    if isinstance(outcome, Unpriced):
        return Status.UNPRICED
    limit = outcome.row.long_prompt_above_tokens
    may_be_long = limit is not None and tokens.prompt > limit
    is_open = tokens.cache_write > 0 and not long.is_certain
    return Status.LOWER_BOUND if may_be_long or is_open else Status.EXACT


def _row(leftover: Leftover, book: PriceBook) -> PriceRow | None:
    """Price row of a line's model; None for an alias, for the client prices that as another model."""
    prices = book.resolve(leftover.line.model).prices
    return None if prices is None else prices.row_at(leftover.end_unix_nano)


def _all_short(leftover: Leftover, book: PriceBook) -> int | None:
    """List price of a line, its calls included, had all open cache writes been for five minutes."""
    counts = leftover.counts
    tokens = Tokens(counts.input, counts.output, counts.cache_read, cache_write_5m=counts.cache_write)
    prices = [_list_price(leftover, leftover.line.model, leftover.end_unix_nano, tokens, leftover.line.speed, book)]
    for call in leftover.calls:
        model = call.served or call.asked
        short = with_long_writes(call.tokens, 0)
        prices.append(_list_price(leftover, model, call.end_unix_nano, short, call.speed, book))
    known = [price for price in prices if price is not None]
    return sum(known) if len(known) == len(prices) else None


def _list_price(
    leftover: Leftover, model: str, at_unix_nano: int, tokens: Tokens, speed: Speed, book: PriceBook
) -> int | None:
    if not any(tokens):
        return 0
    match rate(book, RatingInput(leftover.source.provider, model, at_unix_nano, tokens, speed)):
        case Rated(cost_picousd=cost):
            return cost
        case Unpriced():
            return None


def _digest(leftover: Leftover, *more: str) -> str:
    line = leftover.line
    when: Sequence[str] = (str(leftover.start_unix_nano), str(leftover.end_unix_nano))
    parts = (leftover.source.group, line.model, line.query_class, line.speed, *when, *more)
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()
