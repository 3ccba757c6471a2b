"""Reconciliation: a group's calls against its client's own sums, and postings for what the calls don't explain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from spanledger.core.attempts import ATTEMPTS_NANO
from spanledger.core.placing import STRADDLE_NANO
from spanledger.core.posting import Charge, Reason, correct, reconcile
from spanledger.core.received import Alias, ModelNames
from spanledger.core.settling import Policy, Prices, Sighting
from spanledger.core.usage import ControlPoint, Evidence, Source, Temporality, UsageRecord
from spanledger.core.verdict import Verdict
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.residuals import Unreconciled
from spanledger.service.assessment import Assessment, assess, tells_more
from spanledger.service.stretches import BookNames

_GROUPS_MAX = 100
"""Groups that one transaction takes."""

_CALLS_MAX = 2_000
"""Calls after which one transaction takes no further group."""

_EXPLAINED = (Verdict.EQUAL, Verdict.REGIONAL_PREMIUM)
"""Verdicts that stand on what the record of a call states, whatever else is known."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A record that came, or a span that is posted alone, and the charge of its call; None while that waits for a log.

    `asked` is the model that the call's span names, "" without one.
    """

    record: UsageRecord
    charge: Charge | None
    asked: str


class Reconciler:
    """Posts residuals. One thread at a time, inside the pipeline's transactions."""

    def __init__(self, ledger: Ledger, policy: Policy) -> None:
        self._ledger = ledger
        self._policy = policy

    def note(
        self, arrivals: Iterable[Arrival], points: Iterable[ControlPoint], prices: Prices, now_unix_nano: int
    ) -> None:
        """Note of which groups and times something came that is to be held against the client's sums.

        A span that waits for its log is noted when it is posted alone. A call is mostly nothing to look at before the
        sums are there that may hold it, and these are noted when they come.
        """
        touched: dict[str, Unreconciled] = {}
        told: dict[str, Unreconciled] = {}
        names = BookNames(prices.book, {})
        for arrival in arrivals:
            if arrival.charge is None:
                continue
            back = _looks_back(arrival, arrival.charge, names)
            at, source = arrival.record.time_unix_nano, arrival.record.source
            _touch(touched if back is None else told, Unreconciled(source, at - (back or 0), at))
            if source.session_id:  # a Collector may take the session from the sums alone
                _touch(told, Unreconciled(source.without_session, at - (back or STRADDLE_NANO), at))
        for what in told.values():
            if self._ledger.control.reach(what.source, what.start_unix_nano):
                _touch(touched, what)
        for point in points:
            start, end = point.start_unix_nano, point.time_unix_nano
            start = min(start, end - 1)  # a client's clock may step back between the two
            if point.temporality is Temporality.CUMULATIVE:
                # What it adds begins at the point before it, and what the next one adds begins here.
                start, end = end - 1, end + 1
            _touch(touched, Unreconciled(point.source, start, end))
        if touched:
            self._ledger.residuals.note(touched, _in_slot(now_unix_nano + self.wait_nano, self.wait_nano))

    def next_due_unix_nano(self) -> int | None:
        """When there will be something to do; None when nothing came."""
        return self._ledger.residuals.next_due_unix_nano()

    @property
    def wait_nano(self) -> int:
        """How long what came waits for its look: no less than a lone span, which the sums may tell more of, waits."""
        return max(self._policy.residual_wait_nano, self._policy.join_window_nano)

    def advance(self, prices: Prices, now_unix_nano: int) -> bool:
        """Reconcile groups that are due, so many that a transaction is not long; True when there may be more."""
        due = self._ledger.residuals.due(now_unix_nano, _GROUPS_MAX)
        calls = 0
        for number, what in enumerate(due, start=1):
            self._ledger.residuals.done(what.source.group, now_unix_nano)
            calls += self._reconcile(what, prices, now_unix_nano)
            if calls > _CALLS_MAX and number < len(due):
                return True
        return len(due) == _GROUPS_MAX

    def take_back(self, posted: Iterable[Sighting], prices: Prices, now_unix_nano: int) -> None:
        """Take back what residuals hold of calls that are posted now, so that none is charged twice, even for a while.

        Belongs into the transaction that posts them. What is new in the sums waits for its own look.
        """
        touched: dict[str, Unreconciled] = {}
        for sighting in posted:
            source, at = sighting.record.source, sighting.record.time_unix_nano
            for group_of in {source, source.without_session}:
                _touch(touched, Unreconciled(group_of, at - STRADDLE_NANO, at + STRADDLE_NANO))
        for group, what in touched.items():
            if self._ledger.residuals.identities(group, what.start_unix_nano, what.end_unix_nano):
                assessment = assess(self._ledger, prices, self._policy, what, now_unix_nano)
                self._post_residuals(what, assessment, now_unix_nano, only_known=True)

    def _reconcile(self, what: Unreconciled, prices: Prices, now_unix_nano: int) -> int:
        """Reconcile a group; give how many calls were looked at."""
        assessment = assess(self._ledger, prices, self._policy, what, now_unix_nano)
        keep_learnt(self._ledger, what.source, assessment.learnt, now_unix_nano)
        self._post_residuals(what, assessment, now_unix_nano)
        self._refine_calls(assessment, now_unix_nano)
        return len(assessment.stretch.calls)

    def _post_residuals(
        self, what: Unreconciled, assessment: Assessment, now_unix_nano: int, *, only_known: bool = False
    ) -> None:
        group, spans = what.source.group, assessment.stretch.settled
        if not spans:
            return
        known = self._ledger.residuals.identities(group, spans[0].start_unix_nano, spans[-1].end_unix_nano)
        residuals = assessment.residuals
        if only_known:
            residuals = {identity: residual for identity, residual in residuals.items() if identity in known}
        desired = {identity: residual.charge for identity, residual in residuals.items()}
        if not known and not desired:
            return
        latest = self._ledger.postings.latest({*known, *desired})
        changes = reconcile(desired, latest, now_unix_nano)
        self._ledger.postings.add(changes)
        self._ledger.residuals.keep({key: residual.leftover for key, residual in residuals.items()})
        if changes:  # calls nearby may hold the attempts that a residual is of
            again = replace(what, start_unix_nano=spans[0].start_unix_nano, end_unix_nano=spans[-1].end_unix_nano)
            self._ledger.residuals.note({group: again}, now_unix_nano + 1)

    def _refine_calls(self, assessment: Assessment, now_unix_nano: int) -> None:
        """Correct calls by what the sums and other signals tell beside their records."""
        calls, charges = assessment.stretch.calls, assessment.charges
        standing = {call.received.identity: call.standing.record.digest for call in calls}
        latest = self._ledger.postings.latest(charges) if charges else {}
        for identity, last in latest.items():
            if not last.live or last.charge.record_digest != standing[identity]:
                continue
            if tells_more(last.charge, charges[identity]):
                self._ledger.postings.add(correct(last, charges[identity], Reason.REFINED, now_unix_nano))


def _looks_back(arrival: Arrival, charge: Charge, names: ModelNames) -> int | None:
    """How long before a call sums must end that can tell more of it, or be told more by it.

    None when other records may tell more: what a name stands for, or which model a figure that is open was asked of.
    """
    is_explained = charge.verdict in _EXPLAINED
    is_asked = arrival.record.evidence is Evidence.SPAN and charge.evidence is not Evidence.SPAN
    if (arrival.asked and not names.known(arrival.asked)) or (is_asked and not is_explained):
        return None
    return STRADDLE_NANO if is_explained or charge.verdict is None else ATTEMPTS_NANO


def keep_learnt(ledger: Ledger, source: Source, learnt: frozenset[Alias], now_unix_nano: int) -> None:
    """Keep aliases that an assessment found; all that names one of them is looked at again.

    It may get a price by it, or lose one, when another model is served under the same name.
    """
    if not learnt:
        return
    ledger.residuals.learn(source, learnt)
    touched: dict[str, Unreconciled] = {}
    for what in ledger.residuals.named(source, {alias.asked for alias in learnt}):
        _touch(touched, what)
    ledger.residuals.note(touched, now_unix_nano + 1)


def _in_slot(unix_nano: int, slot_nano: int) -> int:
    """Round a time up, so that what comes within a slot is looked at together."""
    return unix_nano if slot_nano == 0 else -(-unix_nano // slot_nano) * slot_nano


def _touch(touched: dict[str, Unreconciled], what: Unreconciled) -> None:
    group = what.source.group
    known = touched.get(group)
    if known is not None:
        start = min(known.start_unix_nano, what.start_unix_nano)
        what = replace(known, start_unix_nano=start, end_unix_nano=max(known.end_unix_nano, what.end_unix_nano))
    touched[group] = what
