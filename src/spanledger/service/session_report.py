"""What a session cost: what the client's `/cost` shows, and what it doesn't."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from spanledger.core.control import increments
from spanledger.core.money import format_usd
from spanledger.core.posting import Charge
from spanledger.core.times import shown_time
from spanledger.core.usage import TOKEN_CLASSES, Basis, Evidence, QueryClass, Tokens, UsageRecord
from spanledger.core.verdict import Verdict
from spanledger.ledger.ledger import Ledger

Json = dict[str, object]

_FOREVER = 2**63 - 1
_RESIDUAL = "residual"


@dataclass(frozen=True, slots=True)
class SessionCall:
    """A live charge of a session and the record that it stands on; None for a residual."""

    charge: Charge
    record: UsageRecord | None


@dataclass(frozen=True, slots=True)
class Part:
    """Calls of a session that share something. `unpriced` counts those without a price: what they cost nobody knows.

    `cost_picousd` is a sum over bases; `by_basis` keeps the cost of each apart.
    """

    cost_picousd: int
    by_basis: dict[Basis, int]
    requests: int
    unpriced: int
    tokens: Tokens

    def as_json(self) -> Json:
        """Cost as an exact decimal string; counts by token class."""
        return {
            "cost_usd": format_usd(self.cost_picousd),
            "cost_by_basis_usd": {basis.value: format_usd(cost) for basis, cost in self.by_basis.items()},
            "requests": self.requests,
            "unpriced": self.unpriced,
            "tokens": {name.value: count for name, count in zip(TOKEN_CLASSES, self.tokens, strict=True) if count},
        }


GROUPINGS: dict[str, Callable[[SessionCall], str]] = {
    "by_model": lambda call: call.charge.account.model,
    "by_query_class": lambda call: call.charge.account.query_class.value,
    "by_purpose": lambda call: _purpose(call),
    "by_agent": lambda call: "" if call.record is None else call.record.agent_name,
    "by_skill": lambda call: "" if call.record is None else call.record.skill_name,
    "by_mcp_server": lambda call: "" if call.record is None else call.record.mcp_server_name,
    "by_evidence": lambda call: call.charge.evidence.value,
    "by_verdict": lambda call: "" if call.charge.verdict is None else call.charge.verdict.value,
}
"""Parts of the report, and what a call falls under in each; calls under '' are left out of the part."""


@dataclass(frozen=True, slots=True)
class SessionReport:
    """A session. Wall time is from the first call's start to the last one's end; `client_metric_picousd` is what
    `/cost` shows, as far as its points arrived.
    """

    session_id: str
    users: tuple[str, ...]
    whole: Part
    parts: dict[str, dict[str, Part]]
    client_log_picousd: int
    client_metric_picousd: int
    aborted_attempts: int
    start_unix_nano: int
    end_unix_nano: int
    api_milliseconds: int
    cache_saved_picousd: int

    def as_json(self) -> Json:
        """One object: money as exact decimal strings, times in RFC 3339, durations in seconds."""
        return {
            "session_id": self.session_id,
            "users": list(self.users),
            **self.whole.as_json(),
            "client_cost_usd": {
                "log": format_usd(self.client_log_picousd),
                "metric": format_usd(self.client_metric_picousd),
            },
            "aborted_attempts": self.aborted_attempts,
            "start": shown_time(self.start_unix_nano),
            "end": shown_time(self.end_unix_nano),
            "wall_seconds": round((self.end_unix_nano - self.start_unix_nano) / 10**9, 3),
            "api_seconds": self.api_milliseconds / 1000,
            "cache_saved_usd": format_usd(self.cache_saved_picousd),
            **{name: {key: part.as_json() for key, part in parts.items()} for name, parts in self.parts.items()},
        }


def report_session(ledger: Ledger, session_id: str) -> SessionReport | None:
    """Sum up a session; None when the ledger has nothing of it."""
    senders, residuals = ledger.residuals.of_session(session_id)
    sightings = [s for several in ledger.evidence.of_senders(senders, 0, _FOREVER).values() for s in several]
    records = {sighting.record.digest: sighting.record for sighting in sightings}
    latest = ledger.postings.latest({*residuals, *(record.identity for record in records.values())})
    charges = [known.charge for known in latest.values() if known.live]
    if not charges:
        return None
    calls = [SessionCall(charge, records.get(charge.record_digest)) for charge in charges]
    points = increments(ledger.control.of_senders(senders, 0, _FOREVER), ledger.began_unix_nano)
    return SessionReport(
        session_id=session_id,
        users=tuple(sorted({charge.account.user for charge in charges})),
        whole=_part(charges),
        parts={name: _parts(calls, key_of) for name, key_of in GROUPINGS.items()},
        client_log_picousd=sum(charge.client_cost_picousd or 0 for charge in charges),
        client_metric_picousd=sum(point.cost_picousd for point in points),
        aborted_attempts=sum(charge.verdict is Verdict.ABORTED_ATTEMPTS for charge in charges),
        start_unix_nano=min(map(_start, calls)),
        end_unix_nano=max(charge.occurred_unix_nano for charge in charges),
        api_milliseconds=sum(call.record.duration_milliseconds for call in calls if call.record is not None),
        cache_saved_picousd=sum(map(_saved_picousd, charges)),
    )


def _purpose(call: SessionCall) -> str:
    """What a call was for: compaction and each kind of background work under its own name."""
    if call.charge.evidence is Evidence.METRIC:
        return _RESIDUAL
    if call.record is not None and call.charge.account.query_class is QueryClass.AUXILIARY:
        return call.record.query_source
    return call.charge.account.query_class.value


def _start(call: SessionCall) -> int:
    duration = 0 if call.record is None else call.record.duration_milliseconds
    return call.charge.occurred_unix_nano - duration * 10**6


def _saved_picousd(charge: Charge) -> int:
    """What the same prompt would have cost more, had nothing been cached; negative where the cache cost more."""
    rates = charge.price.rates
    if rates is None:
        return 0
    tokens, price = charge.tokens, Tokens(*rates)
    cached = zip(tokens[2:6], price[2:6], strict=True)
    return sum(count * (price.input - rate) for count, rate in cached)


def _parts(calls: Iterable[SessionCall], key_of: Callable[[SessionCall], str]) -> dict[str, Part]:
    grouped: dict[str, list[Charge]] = {}
    for call in calls:
        key = key_of(call)
        if key:
            grouped.setdefault(key, []).append(call.charge)
    return {key: _part(charges) for key, charges in sorted(grouped.items())}


def _part(charges: Sequence[Charge]) -> Part:
    costs = [(charge.account.basis, cost) for charge in charges if (cost := charge.cost_picousd) is not None]
    by_basis = {basis: sum(cost for of, cost in costs if of is basis) for basis in sorted({of for of, _ in costs})}
    return Part(
        cost_picousd=sum(by_basis.values()),
        by_basis=by_basis,
        requests=sum(charge.evidence is not Evidence.METRIC for charge in charges),
        unpriced=len(charges) - len(costs),
        tokens=Tokens(*map(sum, zip(*(charge.tokens for charge in charges), strict=True))),
    )
