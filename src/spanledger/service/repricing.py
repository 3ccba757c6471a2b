"""Repricing: usage of a period priced again from its evidence, and corrections posted for what comes out different."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanledger.core.errors import ConfigError
from spanledger.core.posting import Charge, Latest, Posting, reprice
from spanledger.core.pricing import Span
from spanledger.core.received import Alias
from spanledger.core.residual import Leftover
from spanledger.core.settling import Policy, Prices, charge_for, rules_digest
from spanledger.ledger.database import is_served
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.portions import Portion
from spanledger.ledger.residuals import Unreconciled
from spanledger.service.assessment import Assessment, Residual, assess
from spanledger.service.reconciliation import keep_learnt
from spanledger.service.restatement import Restatement
from spanledger.service.stretches import Call

_STEP_RECORDS = 500
"""Records whose changes are posted in one transaction, so that a service beside need not wait long."""


def open_to_reprice(path: Path, prices: Prices, policy: Policy, *, post: bool) -> Ledger:
    """Open a ledger to reprice it, beside the service if one runs.

    Raises:
        ConfigError: it cannot be used, or a service books it by other prices or settings: figures would part again.
    """
    if not post:
        return Ledger.read(path)
    ledger = Ledger.append(path)
    problem = _parting(ledger, prices, policy) if is_served(path) else ""
    if problem:
        ledger.close()
        raise ConfigError([f"ledger {path}: {problem}"])
    return ledger


def _parting(ledger: Ledger, prices: Prices, policy: Policy) -> str:
    """How the service of a ledger books otherwise; empty when it doesn't."""
    if ledger.price_book != prices.book.id:
        books = f"the service that writes it prices by {ledger.price_book}, this configuration by {prices.book.id}"
        return f"{books}; let it load the files (SIGHUP), or give its own --config"
    if ledger.booking_rules != rules_digest(prices, policy):
        return "the service that writes it has other settings (basis, settle, prices.defaults); give its own --config"
    return ""


class Repricer:
    """Prices a period of a ledger again; with `post` the differences are posted, else only told.

    What still waits for its first look by the service is left to that look, which has the new prices.
    """

    def __init__(self, ledger: Ledger, prices: Prices, policy: Policy, period: Span, *, post: bool) -> None:
        self._ledger = ledger
        self._prices = prices
        self._policy = policy
        self._period = period
        self._post = post

    def portions(self) -> list[Portion]:
        """The pieces that the period is priced in."""
        return self._ledger.portions.of_period(self._period, self._policy.clock_skew_max_nano)

    def run(
        self, portions: Sequence[Portion], clock: Callable[[], int], on_portion: Callable[[Portion], None]
    ) -> Restatement:
        """Price portions again and give what changed; what is posted is committed every few hundred records."""
        restatement = Restatement()
        for step in _steps(portions):
            for change in self._priced_again(step, clock):
                restatement.add(change.latest, change.postings)
                on_portion(change.portion)
        return restatement

    def _priced_again(self, portions: Sequence[Portion], clock: Callable[[], int]) -> Iterator[_Change]:
        """Work changes out while others may write, and post them at once; what was overtaken is worked out anew."""
        open_portions = list(portions)
        while open_portions:
            changes = [self._change(portion, clock()) for portion in open_portions]
            done = self._posted(changes, clock()) if self._post else changes
            yield from done
            settled = {change.portion for change in done}
            open_portions = [portion for portion in open_portions if portion not in settled]

    def _posted(self, changes: Sequence[_Change], now_unix_nano: int) -> list[_Change]:
        """Post the changes whose charges stand as they were when they were worked out."""
        posted: list[_Change] = []
        with self._ledger.transaction():
            for change in changes:
                if self._is_overtaken(change):
                    continue
                self._ledger.postings.add(change.postings)
                self._ledger.residuals.keep(change.leftovers)
                keep_learnt(self._ledger, change.portion.source, change.learnt, now_unix_nano)
                posted.append(change)
        return posted

    def _is_overtaken(self, change: _Change) -> bool:
        """Whether somebody has posted meanwhile what a change builds on."""
        latest = self._ledger.postings.latest({posting.charge.identity for posting in change.postings})
        known = {identity: change.latest[identity] for identity in latest if identity in change.latest}
        return latest != known

    def _change(self, portion: Portion, now_unix_nano: int) -> _Change:
        with self._ledger.snapshot():
            what = Unreconciled(portion.source, portion.start_unix_nano, portion.end_unix_nano - 1)
            assessment = assess(self._ledger, self._prices, self._policy, what, now_unix_nano)
            calls = self._latest_of_calls(portion, assessment)
            residuals = self._residuals(portion, assessment)
        latest = {identity: last for identity, (_, last) in calls.items()} | dict(residuals.latest)
        desired = {identity: self._charge(call, assessment) for identity, (call, _) in calls.items()}
        desired |= {identity: residual.charge for identity, residual in residuals.desired.items()}
        return _Change(
            portion,
            latest,
            reprice(desired, latest, now_unix_nano),
            {identity: residual.leftover for identity, residual in residuals.desired.items()},
            assessment.learnt,
        )

    def _latest_of_calls(self, portion: Portion, assessment: Assessment) -> dict[str, tuple[Call, Latest]]:
        """Calls of a portion that are charged from the record that stands for them, and their charge."""
        calls = {
            call.received.identity: call
            for call in assessment.stretch.calls
            if call.group == portion.source.group and portion.holds(call.received.end_unix_nano)
        }
        return {
            identity: (calls[identity], last)
            for identity, last in self._ledger.postings.latest(calls).items()
            if last.live
            and last.charge.record_digest == calls[identity].standing.record.digest
            and self._period.holds(last.charge.occurred_unix_nano)
        }

    def _charge(self, call: Call, assessment: Assessment) -> Charge:
        charge = assessment.charges.get(call.received.identity)
        return charge or charge_for(call.standing, self._prices, self._policy)

    def _residuals(self, portion: Portion, assessment: Assessment) -> _Residuals:
        """Residuals of a portion as they should be, and what is posted of them."""
        desired = {
            identity: residual
            for identity, residual in assessment.residuals.items()
            if portion.holds(residual.leftover.end_unix_nano) and self._period.holds(residual.charge.occurred_unix_nano)
        }
        group = portion.source.group
        known = self._ledger.residuals.ended_in(group, portion.start_unix_nano, portion.end_unix_nano)
        posted = self._ledger.postings.latest({*known, *desired})
        latest = {key: last for key, last in posted.items() if self._period.holds(last.charge.occurred_unix_nano)}
        if self._ledger.residuals.is_noted(group):
            latest = {identity: last for identity, last in latest.items() if last.live and identity in desired}
            desired = {identity: desired[identity] for identity in latest}
        return _Residuals(desired, latest)


@dataclass(frozen=True, slots=True)
class _Residuals:
    desired: Mapping[str, Residual]
    latest: Mapping[str, Latest]


@dataclass(frozen=True, slots=True)
class _Change:
    """What stood in a portion, the postings that change it, and what goes with them."""

    portion: Portion
    latest: Mapping[str, Latest]
    postings: Sequence[Posting]
    leftovers: Mapping[str, Leftover]
    learnt: frozenset[Alias]


def _steps(portions: Sequence[Portion]) -> Iterator[list[Portion]]:
    """Cut portions into steps of some records; a portion is never cut."""
    step: list[Portion] = []
    records = 0
    for portion in portions:
        step.append(portion)
        records += portion.records
        if records >= _STEP_RECORDS:
            yield step
            step, records = [], 0
    if step:
        yield step
