"""Turns: what a user's turn cost, for its `claude_code.interaction` span.

A turn's spans and log events share its trace, background subagents too, whose calls may end after it. A trace that
began outside of the client (TRACEPARENT) may hold several turns: then a turn's calls are those of its own session and
time, and of subagents that began within it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spanledger.core.batch import Scalar
from spanledger.core.money import format_usd
from spanledger.core.posting import Charge, Status
from spanledger.core.semconv import Out
from spanledger.core.times import NANO_PER_MILLISECOND
from spanledger.core.usage import QueryClass, Source, UsageRecord


@dataclass(frozen=True, slots=True)
class Turn:
    """An interaction span. `parent_span_id` is empty when the trace began with it; times are Unix nanoseconds."""

    source: Source
    trace_id: str
    parent_span_id: str
    start_unix_nano: int
    end_unix_nano: int

    def holds(self, record: UsageRecord) -> bool:
        """Whether a record's call belongs to the turn."""
        if record.trace_id != self.trace_id:
            return False
        if not self.parent_span_id:
            return True
        if record.source.group != self.source.group:
            return False
        began = record.time_unix_nano - record.duration_milliseconds * NANO_PER_MILLISECOND
        is_inside = began <= self.end_unix_nano or record.query_class is QueryClass.SUBAGENT
        return is_inside and record.time_unix_nano >= self.start_unix_nano


def turn_attributes(charges: Sequence[Charge]) -> dict[str, Scalar]:
    """Attributes of a turn with these calls; none without calls, and no cost as long as none of them has a price.

    A call without a price leaves the sum a lower bound and is counted.
    """
    if not charges:
        return {}
    costs = [charge.cost_picousd for charge in charges if charge.cost_picousd is not None]
    unpriced = len(charges) - len(costs)
    attributes: dict[str, Scalar] = {Out.TURN_REQUESTS: len(charges), Out.TURN_STATUS: _status(charges).value}
    if costs:
        attributes[Out.TURN_COST_USD] = format_usd(sum(costs))
    if unpriced:
        attributes[Out.TURN_UNPRICED_REQUESTS] = unpriced
    return attributes


def _status(charges: Sequence[Charge]) -> Status:
    """How sure a sum is: as sure as the least sure of its parts."""
    found = {charge.status for charge in charges}
    if found == {Status.UNPRICED}:
        return Status.UNPRICED
    if found & {Status.UNPRICED, Status.LOWER_BOUND}:
        return Status.LOWER_BOUND
    return Status.PROVISIONAL if Status.PROVISIONAL in found else Status.EXACT
