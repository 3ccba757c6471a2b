"""What a ledger makes of a simulated fleet, held against what was served."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from spanledger.config.sections import Settings
from spanledger.core.cost_range import cost_range
from spanledger.core.usage import Source
from spanledger.service.assembly import Parts, policy_of
from spanledger.service.pipeline import prepare
from support.fleet.clients import Sent
from support.fleet.fleet import Fleet
from support.replaying import list_prices, open_parts

GROUP_NANO = 10**9
"""Requests that come within this time are accepted in one transaction."""


@dataclass(frozen=True, slots=True)
class Balance:
    """A session in pico-USD: what was served, what of it some export that arrived told of, what the ledger says.

    `least` is what the ledger says that it cost at least: less than `charged` by the bounds stated on its postings.
    """

    served: int
    arrived: int
    charged: int
    least: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Balances by session, or by user where no session is sent. `unpriced` counts standing charges without a price."""

    balances: dict[str, Balance]
    calls: int
    unpriced: int

    @property
    def served(self) -> int:
        return sum(one.served for one in self.balances.values())

    @property
    def arrived(self) -> int:
        return sum(one.arrived for one in self.balances.values())

    @property
    def charged(self) -> int:
        return sum(one.charged for one in self.balances.values())

    @property
    def overcharged(self) -> dict[str, int]:
        """By how much sessions are charged more than was served."""
        return _positive({key: one.charged - one.served for key, one in self.balances.items()})

    @property
    def beyond_bounds(self) -> dict[str, int]:
        """By how much sessions are charged more than was served and the bounds on their postings."""
        return _positive({key: one.least - one.served for key, one in self.balances.items()})


def _positive(amounts: Mapping[str, int]) -> dict[str, int]:
    return {key: amount for key, amount in amounts.items() if amount > 0}


def book(
    fleet: Fleet, ledger_path: Path, *, restarts: int = 0, on_sent: Callable[[Sent], None] | None = None
) -> Outcome:
    """Book all that a fleet sends, with so many restarts of the service on the way, and let it come to rest."""
    parts = open_parts(ledger_path, forward=False)
    now = 0
    for number, group in enumerate(_groups(fleet.sent())):
        if restarts and number % 200 == 199:
            parts.ledger.close()
            parts = open_parts(ledger_path, forward=False)
            restarts -= 1
        now = max(now, group[-1].at_unix_nano)
        _advance(parts, now)
        parts.pipeline.accept([prepare(one.delivery, parts.meter) for one in group], now)
        if on_sent is not None:
            for one in group:
                on_sent(one)
    _settle(parts, now)
    outcome = _outcome(parts, fleet)
    parts.ledger.close()
    return outcome


def _groups(sent: Iterable[Sent]) -> Iterator[list[Sent]]:
    group: list[Sent] = []
    for one in sent:
        if group and one.at_unix_nano - group[0].at_unix_nano > GROUP_NANO:
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _advance(parts: Parts, now: int) -> None:
    while (due := parts.pipeline.next_advance_unix_nano()) is not None and due <= now:
        parts.pipeline.advance(due)


def _settle(parts: Parts, now: int) -> None:
    while (due := parts.pipeline.next_advance_unix_nano()) is not None:
        now = max(now, due)
        parts.pipeline.advance(now)


def _outcome(parts: Parts, fleet: Fleet) -> Outcome:
    charged, least = Counter[str](), Counter[str]()
    unpriced = 0
    prices = list_prices()
    policy = policy_of(Settings(), prices)
    for posting in parts.ledger.postings.all():
        key, cost = _key(posting.charge.source), posting.charge.cost_picousd
        charged[key] += posting.sign * (cost or 0)
        least[key] += posting.sign * cost_range(posting.charge, prices, policy).least_picousd
        unpriced += posting.sign if cost is None else 0
    truth = fleet.truth
    balances = {
        key: Balance(served, truth.arrived.get(key, 0), charged[key], least[key])
        for key, served in truth.served.items()
    }
    assert charged.keys() <= balances.keys()
    return Outcome(balances, truth.calls, unpriced)


def _key(source: Source) -> str:
    return source.session_id or source.user_id
