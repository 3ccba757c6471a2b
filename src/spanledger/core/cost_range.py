"""Cost range: the least and the most that usage may have cost, by the facts that nobody told of it.

An exact charge has none. Of another one each open fact is tried both ways: how long cache writes live, the speed that
was served, US residency, the region of an endpoint, the length of single prompts of a sum, searches of a search tool.
What is not tried: that another model served than the one asked for, which the log event alone tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from spanledger.core.attribution import cost_center_of
from spanledger.core.defaults import Fact
from spanledger.core.hypotheses import SEARCHES_MAX
from spanledger.core.posting import Charge, Status
from spanledger.core.rating import quote
from spanledger.core.rating_input import RatingInput
from spanledger.core.settling import Policy, Prices
from spanledger.core.tariff import Bound, Tariff
from spanledger.core.usage import Evidence, Speed, Tokens

_MAY_SEARCH = ("web_search_tool", "")
"""Query sources of spans that may have searched the web: the client's search tool, and what old clients say."""

_SOME_REGION = "a region"
_US = "us"


@dataclass(frozen=True, slots=True)
class CostRange:
    """The least and the most, in pico-USD; `most_picousd` is None where no price is known, and so no most."""

    least_picousd: int = 0
    most_picousd: int | None = 0

    @property
    def is_open(self) -> bool:
        """Whether the cost may be another than the one charged."""
        return self.least_picousd != self.most_picousd

    def plus(self, other: CostRange) -> CostRange:
        """The range of two costs together."""
        most = None
        if self.most_picousd is not None and other.most_picousd is not None:
            most = self.most_picousd + other.most_picousd
        return CostRange(self.least_picousd + other.least_picousd, most)


def cost_range(charge: Charge, prices: Prices, policy: Policy) -> CostRange:
    """The range of a charge, by the prices in force; its own cost is always in it."""
    cost = charge.cost_picousd
    if cost is None:
        return CostRange(0, None)
    if charge.status is Status.EXACT:
        return CostRange(cost, cost)
    costs = [cost, *_costs(charge, prices)]
    if charge.client_cost_picousd is not None:  # the client knows what was searched, as far as its table is right
        costs.append(cost + max(0, charge.client_excess_picousd or 0))
    is_recount = charge.evidence is Evidence.METRIC and policy.recounts(charge.source.client_version)
    most = None if Bound.FAST in charge.price.bounds else max(costs)
    return CostRange(0 if is_recount else min(costs), most)


def range_of_all(charges: Iterable[Charge], prices: Prices, policy: Policy) -> CostRange:
    """The range of some charges together."""
    whole = CostRange()
    for charge in charges:
        whole = whole.plus(cost_range(charge, prices, policy))
    return whole


def _costs(charge: Charge, prices: Prices) -> Iterator[int]:
    """What the charge would be by each way in which its open facts may have been."""
    account, is_sum = charge.account, charge.evidence is Evidence.METRIC
    known = prices.defaults.of(charge.source, account.query_class)
    call = known.placed(
        RatingInput(account.provider, account.served_model, charge.occurred_unix_nano, charge.tokens, account.speed)
    )
    speeds = [account.speed] if is_sum else list(Speed)  # sums tell the speed that was served
    regions = [call.region, _SOME_REGION] if Bound.REGION in charge.price.bounds else [call.region]
    prompts = [0, None] if is_sum else [None]
    for tokens, speed, geo, region, prompt in product(
        _tokens(charge), speeds, (call.inference_geo, _US), regions, prompts
    ):
        way = replace(call, tokens=tokens, speed=speed, inference_geo=geo, region=region, prompt_tokens=prompt)
        outcome = quote(prices.book, way, cost_center_of(charge.source)).charged
        if isinstance(outcome, Tariff):
            yield outcome.cost_picousd(tokens)


def _tokens(charge: Charge) -> list[Tokens]:
    """The tokens with all open cache writes for five minutes and no search, and for an hour and with the most."""
    tokens = charge.tokens
    settled = Tokens() if _writes_are_open(charge) else tokens
    short = tokens._replace(
        cache_write_5m=tokens.cache_write - settled.cache_write_1h,
        cache_write_1h=settled.cache_write_1h,
        cache_write_unspecified=0,
    )
    long = tokens._replace(
        cache_write_5m=settled.cache_write_5m,
        cache_write_1h=tokens.cache_write - settled.cache_write_5m,
        cache_write_unspecified=0,
    )
    if not _may_have_searched(charge):
        return [short, long]
    return [short._replace(web_search=0), long._replace(web_search=max(tokens.web_search, SEARCHES_MAX))]


def _writes_are_open(charge: Charge) -> bool:
    """Whether all cache writes may be of either kind, not only those that the charge leaves unspecified.

    Spans and sums never tell them apart; what they are taken for stands on the client's cost or a setting.
    """
    is_assumed = any(text.startswith(f"{Fact.CACHE_WRITE_TTL} ") for text in charge.price.assumed)
    return is_assumed or charge.evidence in (Evidence.SPAN, Evidence.METRIC)


def _may_have_searched(charge: Charge) -> bool:
    """Whether web searches may be in it that only a client's figure would tell."""
    if charge.evidence is Evidence.SPAN:
        return charge.account.purpose.query_source in _MAY_SEARCH
    return charge.evidence is Evidence.METRIC
