"""The price of a residual: of tokens that are known by sum alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from spanledger.core.attribution import account_of
from spanledger.core.posting import Charge, Status
from spanledger.core.pricing import PriceBook, PriceRow
from spanledger.core.rating import Rated, RatingInput, Unpriced, rate
from spanledger.core.residual import Leftover, ReceivedCall
from spanledger.core.settling import price_of
from spanledger.core.usage import Evidence, Tokens

_NOISE_PICOUSD = 1_000
"""The client sums its costs in doubles: what its figures can be off by."""


def residual_charge(leftover: Leftover, book: PriceBook, served: Mapping[str, str], occurred_unix_nano: int) -> Charge:
    """Charge what is left of a line.

    `served` tells which model a gateway serves under an alias, as calls of the same session show it. The time to live
    of cache writes is taken from the client's cost when that comes out even at list rates, else the figure is a lower
    bound; so it is when the prompt of a single call may have exceeded the limit of its price.
    """
    line = leftover.line
    model = line.model if book.resolve(line.model).prices is not None else served.get(line.model, line.model)
    counts = leftover.counts
    tokens = Tokens(counts.input, counts.output, counts.cache_read, cache_write_unspecified=counts.cache_write)
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
    status = Status.UNPRICED
    if isinstance(outcome, Rated):
        tokens, is_exact = _split(leftover, tokens, outcome.row, book)
        limit = outcome.row.long_prompt_above_tokens
        may_be_long = limit is not None and tokens.prompt > limit
        status = Status.EXACT if is_exact and not may_be_long else Status.LOWER_BOUND
    return Charge(
        identity=f"residual:{_digest(leftover)}",
        record_digest=_digest(leftover, *map(str, tokens), model),
        evidence=Evidence.METRIC,
        status=status,
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


def _split(leftover: Leftover, tokens: Tokens, row: PriceRow, book: PriceBook) -> tuple[Tokens, bool]:
    """Tell cache writes by their time to live; True when nothing is left open."""
    writes = tokens.cache_write_unspecified
    step = row.cache_write_1h - row.cache_write_5m
    if not writes or not step:
        return tokens, True
    cost = _cost_left(leftover, book)
    if cost is None:
        return tokens, False
    all_short = tokens._replace(cache_write_5m=writes, cache_write_unspecified=0)
    extra = cost - sum(count * price for count, price in zip(all_short, row.rates, strict=True))
    long, noise = divmod(extra + _NOISE_PICOUSD, step)
    if noise > 2 * _NOISE_PICOUSD or not 0 <= long <= writes:
        return tokens, False
    return all_short._replace(cache_write_5m=writes - long, cache_write_1h=long), True


def _cost_left(leftover: Leftover, book: PriceBook) -> int | None:
    """The client's cost of the line less the list price of its calls; None when either is not certain."""
    prices = [_list_price(call, leftover, book) for call in leftover.calls]
    if leftover.cost_picousd is None or None in prices:
        return None
    return leftover.cost_picousd - sum(price for price in prices if price is not None)


def _list_price(call: ReceivedCall, leftover: Leftover, book: PriceBook) -> int | None:
    model, provider = call.served or call.asked, leftover.source.provider
    match rate(book, RatingInput(provider, model, call.end_unix_nano, call.tokens, call.speed)):
        case Rated(lower_bound=False, cost_picousd=cost):
            return cost
        case Rated() | Unpriced():
            return None


def _digest(leftover: Leftover, *more: str) -> str:
    line = leftover.line
    when: Sequence[str] = (str(leftover.start_unix_nano), str(leftover.end_unix_nano))
    parts = (leftover.source.group, line.model, line.query_class, line.speed, *when, *more)
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()
