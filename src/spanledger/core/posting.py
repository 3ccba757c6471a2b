"""Postings: the append-only entries that every figure is a fold of.

A call has at most one live charge. Its postings are numbered by revision: even ones charge, odd ones take the charge
before them back. So "charged once" is a unique index on (identity, revision), and a correction names what it corrects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from operator import mul

from spanledger.core.attribution import Account
from spanledger.core.usage import Evidence, Source, Tokens
from spanledger.core.verdict import Verdict


class Status(StrEnum):
    """How sure the figure of a posting is."""

    EXACT = "exact"
    PROVISIONAL = "provisional"
    """Not final: from a span alone, with its cache writes at the 5-minute rate and its speed as asked for; or from sums
    of a client version that is known to count some tokens twice. `core.cost_range` says what it may have cost."""
    LOWER_BOUND = "lower_bound"
    """The lowest possible: cache writes without their time to live are at the 5-minute rate, an unknown region is the
    global one."""
    UNPRICED = "unpriced"


class Reason(StrEnum):
    """Why a posting corrects an earlier one."""

    LATE_LOG = "late_log"
    """The log event came after the join window had closed."""
    RESIDUAL = "residual"
    """What the client's sums hold beyond the calls has changed: a call or a point came."""
    REFINED = "refined"
    """The client's sums, or a gateway's alias seen elsewhere, tell what the record of a call does not."""
    REPRICE = "reprice"
    """The usage was priced again, by a command, and its figures changed."""
    BETTER_RECORD = "better_record"
    """A fuller record of the same signal came; which of two wins does not depend on their order."""


@dataclass(frozen=True, slots=True)
class Price:
    """What rated a charge: rates in pico-USD per token in the order of `Tokens`, or the reason that there are none.

    `rates` are what is charged, by contract where there is one; `list_rates` those of the list, None when it has none.
    `modifiers` tell what the rates of the row were changed by (`fast`, `us_residency x1.1`), `bounds` why they may be
    higher, whatever the tokens, `assumed` what was configured that bears on them, with its evidence.
    """

    price_book: str
    price_row: str = ""
    rates: tuple[int, ...] | None = None
    list_rates: tuple[int, ...] | None = None
    unpriced_reason: str = ""
    unpriced_detail: str = ""
    modifiers: tuple[str, ...] = ()
    bounds: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()

    @property
    def modifier_names(self) -> tuple[str, ...]:
        """Modifiers without their factors: a bounded set."""
        return tuple(text.partition(" ")[0] for text in self.modifiers)

    def amounts(self, tokens: Tokens) -> tuple[int, ...] | None:
        """Cost by token class in pico-USD; None when unpriced. Linear: sums of tokens give sums of cost."""
        if self.rates is None:
            return None
        return tuple(count * rate for count, rate in zip(tokens, self.rates, strict=True))

    def cost_picousd(self, tokens: Tokens) -> int | None:
        """Cost of all classes together; None when unpriced."""
        return None if self.rates is None else sum(map(mul, tokens, self.rates))

    def list_cost_picousd(self, tokens: Tokens) -> int | None:
        """Cost of all classes together at list; None when the list has no price."""
        return None if self.list_rates is None else sum(map(mul, tokens, self.list_rates))


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What a call costs and why. `record_digest` names the record of evidence that the figures are taken from.

    `verdict` says why the client's figure is what it is; None without one.
    """

    identity: str
    record_digest: str
    evidence: Evidence
    status: Status
    source: Source
    account: Account
    price: Price
    tokens: Tokens
    client_cost_picousd: int | None
    occurred_unix_nano: int
    verdict: Verdict | None = None

    @property
    def cost_picousd(self) -> int | None:
        """Our price, by contract where there is one; None when unpriced."""
        return self.price.cost_picousd(self.tokens)

    @property
    def list_cost_picousd(self) -> int | None:
        """The price at list; None when the list has none."""
        return self.price.list_cost_picousd(self.tokens)

    @property
    def client_excess_picousd(self) -> int | None:
        """What the client's figure exceeds the price at list by, for it knows no contract; None without both."""
        cost, client = self.list_cost_picousd, self.client_cost_picousd
        return None if cost is None or client is None else client - cost


@dataclass(frozen=True, slots=True)
class Posting:
    """One entry. `sign` is 1 for a charge and -1 for taking one back; `corrects` is the revision corrected, if any."""

    charge: Charge
    revision: int
    corrects: int | None
    reason: Reason | None
    posted_unix_nano: int

    @property
    def sign(self) -> int:
        """1 for a charge (even revision), -1 for taking it back."""
        return -1 if self.revision % 2 else 1


@dataclass(frozen=True, slots=True)
class Latest:
    """Last posting of an identity: what a further one builds on."""

    revision: int
    charge: Charge

    @property
    def live(self) -> bool:
        """Whether the charge stands."""
        return self.revision % 2 == 0


def standing_charges(postings: Iterable[Posting]) -> list[Charge]:
    """Give the charges that are left when all postings are taken together, in the order of their first ones."""
    last: dict[str, Posting] = {}
    for posting in postings:
        known = last.get(posting.charge.identity)
        if known is None or posting.revision > known.revision:
            last[posting.charge.identity] = posting
    return [posting.charge for posting in last.values() if posting.sign > 0]


def reconcile(desired: Mapping[str, Charge], latest: Mapping[str, Latest], now_unix_nano: int) -> list[Posting]:
    """Give the postings that lead from what is posted to what is desired.

    `desired` and `latest` are by identity; an identity that is posted and not desired is taken back. A charge from the
    record that it already stands on is left alone, whatever the price book says today: repricing is a command.
    """
    postings: list[Posting] = []
    for identity, last in latest.items():
        charge = desired.get(identity)
        if not last.live or (charge is not None and charge.record_digest == last.charge.record_digest):
            continue
        postings.extend(correct(last, charge, _reason(last.charge, charge), now_unix_nano))
    for identity, charge in desired.items():
        past = latest.get(identity)
        if past is None:
            postings.append(Posting(charge, 0, None, None, now_unix_nano))
        elif not past.live:
            reason = _reason(past.charge, charge)
            postings.append(Posting(charge, past.revision + 1, past.revision, reason, now_unix_nano))
    return postings


def reprice(desired: Mapping[str, Charge], latest: Mapping[str, Latest], now_unix_nano: int) -> list[Posting]:
    """Give the postings that lead from what is posted to the same usage at the prices of another book.

    As `reconcile`, but a standing charge is corrected where its figures differ. One whose figures stay is left alone
    even if another version of the book now says the same, so a second run posts nothing.
    """
    postings: list[Posting] = []
    for identity, last in latest.items():
        charge = desired.get(identity)
        if last.live and (charge is None or _figures(charge) != _figures(last.charge)):
            postings.extend(correct(last, charge, Reason.REPRICE, now_unix_nano))
    for identity, charge in desired.items():
        past = latest.get(identity)
        if past is None:
            postings.append(Posting(charge, 0, None, Reason.REPRICE, now_unix_nano))
        elif not past.live:
            postings.append(Posting(charge, past.revision + 1, past.revision, Reason.REPRICE, now_unix_nano))
    return postings


def correct(last: Latest, charge: Charge | None, reason: Reason, now_unix_nano: int) -> list[Posting]:
    """Give the postings that take a live charge back and put another, if any, in its place."""
    taken_back = Posting(last.charge, last.revision + 1, last.revision, reason, now_unix_nano)
    if charge is None:
        return [taken_back]
    return [taken_back, Posting(charge, last.revision + 2, last.revision, reason, now_unix_nano)]


def _figures(charge: Charge) -> Charge:
    """A charge without what tells where its rates stand and when it was, which no figure depends on."""
    price = replace(charge.price, price_book="", price_row="", modifiers=(), unpriced_detail="")
    return replace(charge, price=price, occurred_unix_nano=0)


def _reason(old: Charge, new: Charge | None) -> Reason:
    if old.evidence is Evidence.METRIC:
        return Reason.RESIDUAL
    if old.evidence is Evidence.SPAN and (new is None or new.evidence is not Evidence.SPAN):
        return Reason.LATE_LOG
    return Reason.BETTER_RECORD
