"""The same total, or one inside the stated range, whichever signals come, however late, how often, over restarts.

Truth is what the API of a capture served, as far as the signals that came tell of it (`tests/support/truth.py`).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanledger.config.sections import Settings
from spanledger.core.cost_range import CostRange, cost_range, range_of_all
from spanledger.core.delivery import Delivery
from spanledger.core.money import parse_usd
from spanledger.core.posting import Charge, Status, standing_charges
from spanledger.core.usage import Evidence, Signal
from spanledger.service.assembly import policy_of
from support.listprice import price_usd
from support.replaying import Replayed, feed, list_prices, open_parts, read_folder, rest, take
from support.truth import CAPTURES, Request, Served, capture_folders, served

SECOND = 10**9
DELAYS_SECONDS = (0, 3, 15, 90)
SUBSETS: Mapping[str, Collection[Signal]] = {
    "logs": (Signal.LOGS,),
    "spans": (Signal.TRACES,),
    "metrics": (Signal.METRICS,),
    "logs+metrics": (Signal.LOGS, Signal.METRICS),
    "spans+metrics": (Signal.TRACES, Signal.METRICS),
    "all": tuple(Signal),
}
NAMES = [str(folder.relative_to(CAPTURES)) for folder in capture_folders()]
LONG = ("s07_models",)
"""Left out of the many examples: it holds no case that the others don't, and takes the time of five of them."""

EXAMPLES = 2_000 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 200


@cache
def bodies_of(name: str, subset: str) -> Sequence[tuple[int, Delivery]]:
    """What came of some signals of a capture: when, and what."""
    bodies = [body for body in read_folder(CAPTURES / name) if body.delivery.signal in SUBSETS[subset]]
    return [(body.received_unix_nano or 0, body.delivery) for body in bodies]


@cache
def truth_of(name: str, subset: str) -> Served:
    return served(CAPTURES / name, SUBSETS[subset])


@cache
def in_order(name: str, subset: str) -> Replayed:
    """What the ledger holds when all comes once, in order, at once."""
    bodies = bodies_of(name, subset)
    with TemporaryDirectory() as folder:
        parts = open_parts(Path(folder) / "ledger.db", forward=False)
        replayed = feed(parts, [[delivery] for _, delivery in bodies], [at for at, _ in bodies])
        parts.ledger.close()
    assert replayed.problems == []
    return replayed


def standing(replayed: Replayed) -> list[Charge]:
    return standing_charges(replayed.postings)


def range_of(charge: Charge) -> CostRange:
    return cost_range(charge, list_prices(), policy_of(Settings(), list_prices()))


def holds(costs: CostRange, cost_picousd: int) -> bool:
    most = costs.most_picousd
    return costs.least_picousd <= cost_picousd and (most is None or cost_picousd <= most)


def picousd(request: Request) -> int:
    """What a request costs at list; nothing when the list has no price, which no total holds either."""
    return 0 if request.cost_usd is None else parse_usd(str(request.cost_usd))


def carries_all_facts(name: str, subset: str) -> bool:
    """Whether some signals tell all that the price of each call depends on.

    A log event does. Sums do by the client's cost, of models that are asked for by a name of their own; those of a
    version that counts replies twice do not without a record of each call. A span tells neither the time to live of
    cache writes nor the speed that was served.
    """
    signals, truth = SUBSETS[subset], truth_of(name, subset)
    if Signal.LOGS in signals:
        return True
    requests = (*truth.recorded, *truth.summed)
    by_alias = [r for r in requests if price_usd(r.asked, r.usage, r.at, r.region) is None and r.cost_usd is not None]
    counts_twice = name.startswith("older-client/") and Signal.TRACES not in signals
    return Signal.METRICS in signals and not by_alias and not counts_twice


@pytest.mark.parametrize("subset", SUBSETS)
@pytest.mark.parametrize("name", NAMES)
def test_the_total_is_the_truth_or_the_truth_is_in_its_range(name: str, subset: str) -> None:
    truth, charges = truth_of(name, subset), standing(in_order(name, subset))
    total = parse_usd(str(truth.cost_usd))
    charged = in_order(name, subset).figures.report.cost_picousd
    whole = range_of_all(charges, list_prices(), policy_of(Settings(), list_prices()))
    assert holds(whole, total)
    assert holds(whole, charged)
    if carries_all_facts(name, subset):
        assert charged == total
        assert {charge.status for charge in charges} <= {Status.EXACT, Status.UNPRICED}


@pytest.mark.parametrize("subset", SUBSETS)
@pytest.mark.parametrize("name", NAMES)
def test_each_call_costs_what_was_served_or_that_is_in_its_range(name: str, subset: str) -> None:
    requests = {request.identity: request for request in truth_of(name, subset).recorded}
    charges = {charge.identity: charge for charge in standing(in_order(name, subset))}
    calls = {key: charge for key, charge in charges.items() if charge.evidence is not Evidence.METRIC}
    assert len(calls) == len(requests)
    for identity, charge in calls.items():
        if identity not in requests:  # a record without a request id
            continue
        assert holds(range_of(charge), picousd(requests[identity]))
        if charge.status is Status.EXACT:
            assert charge.cost_picousd == picousd(requests[identity])


@dataclass(frozen=True, slots=True)
class Arrival:
    """Which body comes and when; before those of `restarts`, in order, the service is stopped and started again."""

    name: str
    subset: str
    bodies: Sequence[tuple[int, int]]
    restarts: frozenset[int]


@st.composite
def arrivals(draw: st.DrawFn) -> Arrival:
    """Some signals of a capture: each later by its delay, each body up to three times, the last ones later still."""
    name = draw(st.sampled_from([name for name in NAMES if name not in LONG]))
    subset = draw(st.sampled_from(list(SUBSETS)))
    delays = {signal: draw(st.sampled_from(DELAYS_SECONDS)) * SECOND for signal in Signal}
    found = []
    for number, (at, delivery) in enumerate(bodies_of(name, subset)):
        again = draw(st.lists(st.sampled_from(DELAYS_SECONDS), max_size=2))
        times = itertools.accumulate((seconds * SECOND for seconds in again), initial=at + delays[delivery.signal])
        found.extend((time, number) for time in times)
    restarts = draw(st.frozensets(st.integers(0, len(found)), max_size=3))
    return Arrival(name, subset, sorted(found), restarts)


@settings(max_examples=EXAMPLES)
@given(arrivals())
def test_delays_repetition_and_restarts_change_no_total(arrival: Arrival) -> None:
    expected, bodies = in_order(arrival.name, arrival.subset), bodies_of(arrival.name, arrival.subset)
    most = max(expected.figures.report.cost_picousd, parse_usd(str(truth_of(arrival.name, arrival.subset).cost_usd)))
    with TemporaryDirectory() as folder:
        path, now = Path(folder) / "ledger.db", 0
        parts = open_parts(path, forward=False)
        for place, (at, number) in enumerate(arrival.bodies):
            if place in arrival.restarts:
                parts.ledger.close()
                parts = open_parts(path, forward=False)
            now = max(now, at)
            take(parts, [bodies[number][1]], now)
            charges = standing_charges(parts.ledger.postings.all())
            # A span that waits for its log may be charged as asked, which its range tells.
            assert range_of_all(charges, list_prices(), policy_of(Settings(), list_prices())).least_picousd <= most
        replayed = rest(parts, now)
        parts.ledger.close()
    assert replayed.problems == []
    assert replayed.balances == expected.balances
    assert sorted(map(_figures, standing(replayed))) == sorted(map(_figures, standing(expected)))


def _figures(charge: Charge) -> tuple[str, str, int, tuple[int, ...]]:
    return charge.identity, charge.status, charge.cost_picousd or 0, tuple(charge.tokens)
