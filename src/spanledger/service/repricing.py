"""Repricing: usage of a period priced again from its evidence, and corrections posted for what comes out different."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from spanledger.core.errors import ConfigError
from spanledger.core.posting import Charge, Latest, Posting, reprice
from spanledger.core.pricing import Span
from spanledger.core.settling import Policy, Prices, charge_for
from spanledger.ledger.database import is_served
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.portions import Portion
from spanledger.ledger.residuals import Unreconciled
from spanledger.service.assessment import Assessment, Residual, assess
from spanledger.service.reconciliation import keep_learnt
from spanledger.service.restatement import Restatement
from spanledger.service.stretches import Call

_STEP_RECORDS = 500
"""Records that one transaction takes, so that a service beside need not wait long."""


def open_to_reprice(path: Path, prices: Prices, *, post: bool) -> Ledger:
    """Open a ledger to reprice it, beside the service if one runs.

    Raises:
        ConfigError: it cannot be used, or a service goes on pricing it by another book, so that figures would part.
    """
    if not post:
        return Ledger.read(path)
    ledger = Ledger.append(path)
    if is_served(path) and ledger.price_book != prices.book.id:
        served_by = ledger.price_book
        ledger.close()
        problem = f"the service that writes it prices by {served_by}, this configuration by {prices.book.id}"
        raise ConfigError([f"ledger {path}: {problem}; let it load the files (SIGHUP), or give its own --config"])
    return ledger


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
            with self._ledger.transaction() if self._post else nullcontext():
                changes = [self._reprice(portion, clock()) for portion in step]
            for portion, change in zip(step, changes, strict=True):
                restatement.add(change.latest, change.postings)
                on_portion(portion)
        return restatement

    def _reprice(self, portion: Portion, now_unix_nano: int) -> _Change:
        what = Unreconciled(portion.source, portion.start_unix_nano, portion.end_unix_nano - 1)
        assessment = assess(self._ledger, self._prices, self._policy, what, now_unix_nano)
        calls = self._latest_of_calls(portion, assessment)
        latest = {identity: last for identity, (_, last) in calls.items()}
        desired = {identity: self._charge(call, assessment) for identity, (call, _) in calls.items()}
        residuals = self._residuals(portion, assessment)
        latest |= residuals.latest
        desired |= {identity: residual.charge for identity, residual in residuals.desired.items()}
        postings = reprice(desired, latest, now_unix_nano)
        if self._post:
            self._ledger.postings.add(postings)
            self._ledger.residuals.keep({key: one.leftover for key, one in residuals.desired.items()})
            keep_learnt(self._ledger, portion.source, assessment, now_unix_nano)
        return _Change(latest, postings)

    def _latest_of_calls(self, portion: Portion, assessment: Assessment) -> dict[str, tuple[Call, Latest]]:
        """Calls of a portion that are charged from the record that stands for them, and their charge."""
        calls = {
            call.received.identity: call
            for call in assessment.stretch.calls
            if portion.holds(call.received.end_unix_nano)
        }
        return {
            identity: (calls[identity], last)
            for identity, last in self._ledger.postings.latest(calls).items()
            if last.live
            and last.charge.record_digest == calls[identity].standing.record.digest
            and self._period.holds(last.charge.occurred_unix_nano)
        }

    def _charge(self, call: Call, assessment: Assessment) -> Charge:
        beside = assessment.beside.get(call.received.identity)
        return charge_for(call.standing, self._prices, self._policy, beside)

    def _residuals(self, portion: Portion, assessment: Assessment) -> _Residuals:
        """Residuals of a portion as they should be, and what is posted of them."""
        desired = {
            identity: residual
            for identity, residual in assessment.residuals.items()
            if portion.holds(residual.leftover.end_unix_nano) and self._period.holds(residual.charge.occurred_unix_nano)
        }
        group = portion.source.group
        known = self._ledger.residuals.ended_in(group, portion.start_unix_nano, portion.end_unix_nano)
        latest = self._ledger.postings.latest({*known, *desired})
        latest = {
            identity: last for identity, last in latest.items() if self._period.holds(last.charge.occurred_unix_nano)
        }
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
    """What stood in a portion, and the postings that change it."""

    latest: Mapping[str, Latest]
    postings: Sequence[Posting]


def _steps(portions: Sequence[Portion]) -> Iterator[list[Portion]]:
    """Cut portions into steps of some records; a portion is never cut."""
    step: list[Portion] = []
    for portion in portions:
        step.append(portion)
        if sum(one.records for one in step) >= _STEP_RECORDS:
            yield step
            step = []
    if step:
        yield step
