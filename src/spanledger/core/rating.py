"""Rating: the rates of a call, by list and by contract, or the reason why there is no price.

Rates of a kind of calls are worked out once, for all times. Then a rating is a dictionary look-up and a search among a
few instants; its cost is a multiplication for each token class.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

from spanledger.core.book import PriceBook
from spanledger.core.contract_price import contract_tariff
from spanledger.core.list_price import list_tariff
from spanledger.core.pricing import ALWAYS
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Quote, Step, Tariff, Timeline, Unpriced


def rate(book: PriceBook, call: RatingInput) -> Tariff | Unpriced:
    """Rates of a call at list, or why there are none."""
    return quote(book, call).listed


def quote(book: PriceBook, call: RatingInput, cost_center: str = "") -> Quote:
    """Rates of a call at list and by contract. `cost_center` is empty when it is not known."""
    if cost_center:
        cost_center = book.contract.cost_center(cost_center)
    kind = (call.model, call.provider, call.speed, call.region, call.inference_geo, call.batch, cost_center)
    timeline = book.timeline(kind)
    if timeline is None:
        timeline = _timeline(book, call, cost_center)
        book.remember(kind, timeline)
    step = timeline.steps[bisect_right(timeline.starts, call.at_unix_nano)]
    return step.short if step.limit is None or call.prompt <= step.limit else step.long


def _timeline(book: PriceBook, call: RatingInput, cost_center: str) -> Timeline:
    starts = book.changes(call.model)
    steps = tuple(_step(book, replace(call, at_unix_nano=at), cost_center) for at in (ALWAYS, *starts))
    return Timeline(starts, steps)


def _step(book: PriceBook, call: RatingInput, cost_center: str) -> Step:
    short = _agreed(book, replace(call, prompt_tokens=0), cost_center)
    limit = short.listed.row.limit if isinstance(short.listed, Tariff) else None
    long = short if limit is None else _agreed(book, replace(call, prompt_tokens=limit + 1), cost_center)
    return Step(limit, short, long)


def _agreed(book: PriceBook, call: RatingInput, cost_center: str) -> Quote:
    listed = list_tariff(book, call)
    return Quote(listed, contract_tariff(book, call, cost_center, listed))
