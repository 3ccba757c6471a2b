"""What each signal told of: tokens of calls by logs, traces and metrics, so that one that is cut or off shows up.

`spanledger.tokens` is what is known of calls from all signals together; a signal that is complete told of as many.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from spanledger.core.semconv import Metric
from spanledger.core.settling import Policy, Sighting, standing_by_identity
from spanledger.core.tally import SIGNAL_OF, TallyKey
from spanledger.core.usage import Signal, Source


def signal_key(source: Source, signal: Signal) -> TallyKey:
    """The tally of what a sender told by a signal."""
    return TallyKey(source, Metric.SIGNAL_TOKENS, (("signal", signal.value),))


def told_by(
    evidence: Mapping[str, Sequence[Sighting]], fresh: Iterable[Sighting], policy: Policy
) -> dict[TallyKey, int]:
    """Tokens that fresh records, which `evidence` holds already, add to what their signal told of the calls.

    The sum over all records depends on their set alone: of several records of one call and signal one stands.
    """
    amounts: defaultdict[TallyKey, int] = defaultdict(int)
    is_fresh = {id(sighting) for sighting in fresh}
    for several in evidence.values():
        for kind, signal in SIGNAL_OF.items():
            told = [sighting for sighting in several if sighting.record.evidence is kind]
            known = [sighting for sighting in told if id(sighting) not in is_fresh]
            if len(known) == len(told):
                continue
            for sighting in standing_by_identity(told, policy).values():
                amounts[signal_key(sighting.record.source, signal)] += sighting.record.tokens.total
            for sighting in standing_by_identity(known, policy).values():
                amounts[signal_key(sighting.record.source, signal)] -= sighting.record.tokens.total
    return dict(amounts)
