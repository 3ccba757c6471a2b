"""The price of a residual: of tokens that are known by sum alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from spanledger.core.attribution import account_of, cost_center_of
from spanledger.core.basis import BasisRule, basis_of
from spanledger.core.client_prices import ClientPricing
from spanledger.core.defaults import Assumption, tells_writes
from spanledger.core.digest import digest_of
from spanledger.core.hypotheses import with_long_writes
from spanledger.core.posting import Charge, Status
from spanledger.core.rating import quote
from spanledger.core.rating_input import RatingInput
from spanledger.core.residual import Leftover
from spanledger.core.settling import Prices, is_certain, price_of
from spanledger.core.tariff import Tariff, Unpriced
from spanledger.core.usage import Evidence, Speed, Tokens
from spanledger.core.verdict import Hints

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


def long_writes(leftover: Leftover, prices: Prices) -> LongWrites:
    """Tell the time to live of a line's cache writes by the client's cost of the line, where it comes out even.

    The cost says how many tokens of all were written for an hour; they are taken from the calls first, in order of
    time, so that the sum is right whichever call it was. Of the ways in which the client's version may price just one
    must come out even, or all alike.
    """
    ways = prices.clients.ways_of_name(prices.book, leftover.source.client_version, leftover.line.model)
    found = [told for way in ways if (told := _long_writes(leftover, way)) is not None]
    return found[0] if found and all(told == found[0] for told in found) else LongWrites()


def _long_writes(leftover: Leftover, way: ClientPricing) -> LongWrites | None:
    tariff = way.tariff(_asked(leftover, leftover.line.model, leftover.end_unix_nano, Tokens(), leftover.line.speed))
    short = _all_short(leftover, way)
    if tariff is None or short is None or leftover.cost_picousd is None:
        return None
    open_calls = sorted(
        (call for call in leftover.calls if call.tokens.cache_write_unspecified),
        key=lambda call: (call.end_unix_nano, call.identity),
    )
    writes = leftover.counts.cache_write + sum(call.tokens.cache_write_unspecified for call in open_calls)
    step = tariff.long_write_picousd
    if not step:
        return LongWrites(known=True, is_certain=True)
    long, noise = divmod(leftover.cost_picousd - short + _NOISE_PICOUSD, step)
    if noise > 2 * _NOISE_PICOUSD or not 0 <= long <= writes:
        return None
    shares: dict[str, int] = {}
    rest = long
    for call in open_calls:
        shares[call.identity] = min(rest, call.tokens.cache_write_unspecified)
        rest -= shares[call.identity]
    one = len(open_calls) + bool(leftover.counts.cache_write) == 1
    return LongWrites(rest, shares, known=True, is_certain=one or long in (0, writes))


def residual_charge(
    leftover: Leftover,
    long: LongWrites,
    prices: Prices,
    aliases: Aliases,
    basis_rules: Sequence[BasisRule],
    occurred_unix_nano: int,
) -> Charge:
    """Charge what is left of a line.

    The figure is a lower bound when the client's cost of the line does not tell what it may hold more: cache writes for
    an hour, prompts of single calls beyond the limit of their price.
    """
    line, counts, book = leftover.line, leftover.counts, prices.book
    model = line.model if book.resolve(line.model).prices is not None else aliases.get(line.model, line.model)
    tokens = Tokens(counts.input, counts.output, counts.cache_read, cache_write_unspecified=counts.cache_write)
    known = prices.defaults.of(leftover.source, line.query_class)
    call = known.placed(
        RatingInput(
            provider=leftover.source.provider,
            model=model,
            at_unix_nano=occurred_unix_nano,
            tokens=tokens if not long.known else with_long_writes(tokens, long.of_residual),
            speed=line.speed,
            prompt_tokens=0,
        )
    )
    explained = None if leftover.calls else _explained(leftover, replace(call, tokens=tokens), prices)
    told = explained or call
    if told.tokens.cache_write_unspecified and replace(told, tokens=call.tokens) == call:
        told = call  # the sum is finer than a figure that judging takes to be rounded
    is_explained = explained is not None and not told.tokens.cache_write_unspecified
    call, assumptions = known.filled_in(told)
    quoted = quote(book, call, cost_center_of(leftover.source))
    outcome = quoted.charged
    served = replace(leftover.source, provider=call.provider)
    return Charge(
        identity=f"residual:{_digest(leftover)}",
        record_digest=_digest(leftover, *map(str, told.tokens), model),
        evidence=Evidence.METRIC,
        status=_status(outcome, call.tokens, assumptions, is_told=is_explained or long.is_certain),
        source=leftover.source,
        account=account_of(
            served,
            basis=basis_of(served, basis_rules),
            model=outcome.model,
            served_model=model,
            query_class=line.query_class,
            speed=line.speed,
        ),
        price=price_of(book, quoted, assumptions),
        tokens=call.tokens,
        client_cost_picousd=None,
        occurred_unix_nano=occurred_unix_nano,
    )


def _explained(leftover: Leftover, call: RatingInput, prices: Prices) -> RatingInput | None:
    """The facts by which the client's cost of a line without calls comes out even; None when there are none or several.

    All its calls had prompts within the limit of their price, or all beyond it; one line may be both.
    """
    if leftover.cost_picousd is None:
        return None
    hints = Hints(asked=leftover.line.model, speed=leftover.line.speed)
    for prompt_tokens in (0, None):
        asked = replace(call, prompt_tokens=prompt_tokens)
        version = leftover.source.client_version
        judgement = prices.judge(version, asked, leftover.cost_picousd, hints)
        if judgement.explains and judgement.call.speed is leftover.line.speed:
            return judgement.call
    return None


def _status(outcome: Tariff | Unpriced, tokens: Tokens, assumptions: Sequence[Assumption], *, is_told: bool) -> Status:
    if isinstance(outcome, Unpriced):
        return Status.UNPRICED
    limit = outcome.row.limit
    may_be_long = outcome.block is None and limit is not None and tokens.prompt > limit
    may_be_for_an_hour = tokens.cache_write > 0 and not tells_writes(assumptions)
    if ((may_be_long or may_be_for_an_hour) and not is_told) or outcome.bounds:
        return Status.LOWER_BOUND
    return Status.EXACT if is_certain(outcome, assumptions) else Status.PROVISIONAL


def _all_short(leftover: Leftover, way: ClientPricing) -> int | None:
    """What a client says of a line, its calls included, had all open cache writes been for five minutes."""
    line, counts = leftover.line, leftover.counts
    tokens = Tokens(counts.input, counts.output, counts.cache_read, cache_write_5m=counts.cache_write)
    asked = [_asked(leftover, line.model, leftover.end_unix_nano, tokens, line.speed)] if any(tokens) else []
    for call in leftover.calls:
        model = call.served or call.asked
        tokens = with_long_writes(call.tokens, 0)
        asked.append(_asked(leftover, model, call.end_unix_nano, tokens, line.speed))
    costs = [way.cost_picousd(call) for call in asked]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def _asked(leftover: Leftover, model: str, at_unix_nano: int, tokens: Tokens, speed: Speed) -> RatingInput:
    return RatingInput(leftover.source.provider, model, at_unix_nano, tokens, speed)


def _digest(leftover: Leftover, *more: str) -> str:
    line = leftover.line
    when: Sequence[str] = (str(leftover.start_unix_nano), str(leftover.end_unix_nano))
    parts = (leftover.source.group, line.model, line.query_class, line.speed, *when, *more)
    return digest_of(*parts)
