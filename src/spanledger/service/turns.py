"""The sum of a turn, at the time when its span leaves."""

from __future__ import annotations

from spanledger.core.batch import Scalar
from spanledger.core.posting import Charge
from spanledger.core.settling import Policy, Prices, Sighting, charge_for, settle
from spanledger.core.turn import Turn, turn_attributes
from spanledger.ledger.ledger import Ledger


def turn_sum(ledger: Ledger, prices: Prices, policy: Policy, turn: Turn, now_unix_nano: int) -> dict[str, Scalar]:
    """Attributes of a turn's span: the sum of its calls that have arrived, a span that waits for its log included."""
    calls = _calls(ledger, policy, turn, now_unix_nano)
    latest = ledger.postings.latest(calls) if calls else {}
    charges: list[Charge] = []
    for identity, sighting in calls.items():
        posted = latest.get(identity)
        is_live = posted is not None and posted.live
        charges.append(posted.charge if posted is not None and is_live else charge_for(sighting, prices, policy))
    return turn_attributes(charges)


def _calls(ledger: Ledger, policy: Policy, turn: Turn, now_unix_nano: int) -> dict[str, Sighting]:
    """Calls of a turn and the records that they are charged from, by identity."""
    senders = ledger.residuals.senders_of(turn.source)
    buckets = ledger.evidence.of_trace(senders, turn.trace_id, turn.start_unix_nano)
    found: dict[str, Sighting] = {}
    for sightings in buckets.values():
        if any(turn.holds(sighting.record) for sighting in sightings):
            settlement = settle(sightings, policy, now_unix_nano)
            found.update((s.record.identity, s) for s in (*settlement.charged, *settlement.waiting))
    return found
