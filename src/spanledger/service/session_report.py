"""What a session cost and did: what the client's `/cost` shows, and what it doesn't."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from spanledger.core.attribution import purpose_name
from spanledger.core.cost_range import CostRange, range_of_all
from spanledger.core.money import format_usd
from spanledger.core.posting import Charge
from spanledger.core.semconv import ACTIVITY, METRICS, Metric, Quantity
from spanledger.core.settling import Policy, Prices
from spanledger.core.tally import TallyKey
from spanledger.core.times import FOREVER_UNIX_NANO, NANO_PER_MILLISECOND, NANO_PER_SECOND, shown_time
from spanledger.core.usage import TOKEN_CLASSES, Basis, Evidence, Signal, Tokens, UsageRecord
from spanledger.core.verdict import Verdict
from spanledger.ledger.ledger import Ledger
from spanledger.service.explanation import range_json

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class SessionCall:
    """A live charge of a session, and how long the call took as its record says; 0 for a residual."""

    charge: Charge
    duration_milliseconds: int

    @property
    def is_residual(self) -> bool:
        """Whether only the client's sums know of it."""
        return self.charge.evidence is Evidence.METRIC

    @property
    def start_unix_nano(self) -> int:
        """When the call began."""
        return self.charge.occurred_unix_nano - self.duration_milliseconds * NANO_PER_MILLISECOND


@dataclass(frozen=True, slots=True)
class Part:
    """Calls of a session that share something.

    `by_basis` holds what has a price, by what it is charged on: billed and notional are never summed in silence.
    `unpriced` counts the calls without a price, and residuals: what they cost is not in it.
    """

    by_basis: Mapping[Basis, int]
    requests: int
    unpriced: int
    api_milliseconds: int
    tokens: Tokens

    @property
    def cost_picousd(self) -> int | None:
        """Sum over bases; None as long as nothing in it has a price."""
        return sum(self.by_basis.values()) if self.by_basis or not self.unpriced else None

    def as_json(self) -> Json:
        """Cost as an exact decimal string; counts by token class."""
        return {
            "cost_usd": _usd(self.cost_picousd),
            "cost_by_basis_usd": {basis.value: format_usd(cost) for basis, cost in self.by_basis.items()},
            "requests": self.requests,
            "unpriced": self.unpriced,
            "api_seconds": self.api_milliseconds / 1000,
            "tokens": {name.value: count for name, count in zip(TOKEN_CLASSES, self.tokens, strict=True) if count},
        }


GROUPINGS: dict[str, Callable[[Charge], str]] = {
    "by_model": lambda charge: charge.account.model,
    "by_query_class": lambda charge: charge.account.query_class.value,
    "by_purpose": lambda charge: purpose_name(charge.account, charge.evidence),
    "by_agent": lambda charge: charge.account.purpose.agent_name,
    "by_skill": lambda charge: charge.account.purpose.skill_name,
    "by_mcp_server": lambda charge: charge.account.purpose.mcp_server_name,
    "by_evidence": lambda charge: charge.evidence.value,
    "by_verdict": lambda charge: "" if charge.verdict is None else charge.verdict.value,
}
"""Parts of the report, and what a charge falls under in each; those under '' are left out of the part."""


@dataclass(frozen=True, slots=True)
class SessionReport:
    """A session. It has no `calls` when it was only started, as `--continue` starts under an id of its own.

    `activity` is what the client counted of itself, by metric and label values; `told` the tokens that each signal told
    of. `client_metric_picousd` is what `/cost` shows of the processes whose sums came. `costs` is what all of it
    may have cost.
    """

    session_id: str
    calls: tuple[SessionCall, ...]
    costs: CostRange
    client_metric_picousd: int
    activity: Mapping[Metric, Mapping[str, int]]
    told: Mapping[Signal, int]

    @property
    def charges(self) -> list[Charge]:
        """Charges of all calls and residuals."""
        return [call.charge for call in self.calls]

    @property
    def users(self) -> list[str]:
        """Who used the session."""
        return sorted({charge.account.user for charge in self.charges})

    @property
    def whole(self) -> Part:
        """All calls and residuals together."""
        return _part(self.calls)

    @property
    def residual(self) -> Part:
        """What only the client's sums know of."""
        return _part([call for call in self.calls if call.is_residual])

    @property
    def client_log_picousd(self) -> int:
        """What the client says in its log events."""
        return sum(charge.client_cost_picousd or 0 for charge in self.charges)

    @property
    def aborted_attempts(self) -> int:
        """Calls whose client's figure holds attempts that were cut."""
        return sum(charge.verdict is Verdict.ABORTED_ATTEMPTS for charge in self.charges)

    @property
    def wall(self) -> tuple[int, int] | None:
        """From the start of the first call to the end of the last one; None without calls."""
        if not self.calls:
            return None
        ends = (call.charge.occurred_unix_nano for call in self.calls)
        return min(call.start_unix_nano for call in self.calls), max(ends)

    @property
    def cache_saved_picousd(self) -> int:
        """What the same prompts would have cost more, had nothing been cached; negative where the cache cost more."""
        return sum(map(_saved_picousd, self.charges))

    def parts(self, grouping: str) -> dict[str, Part]:
        """One part of the report, by key."""
        grouped: dict[str, list[SessionCall]] = {}
        for call in self.calls:
            key = GROUPINGS[grouping](call.charge)
            if key:
                grouped.setdefault(key, []).append(call)
        return {key: _part(calls) for key, calls in sorted(grouped.items())}

    def share(self, signal: Signal) -> float | None:
        """How much of the tokens that are known a signal told of; None when none are."""
        known = self.whole.tokens.total
        return self.told.get(signal, 0) / known if known else None

    def as_json(self, zone: tzinfo = UTC) -> Json:
        """One object: money as exact decimal strings, times in RFC 3339, durations in seconds."""
        wall = self.wall
        return {
            "session_id": self.session_id,
            "users": self.users,
            "labels": dict(self.charges[0].account.labels) if self.calls else {},
            **self.whole.as_json(),
            **range_json(self.costs),
            "residual_usd": _usd(self.residual.cost_picousd) or "0",
            "client_cost_usd": {
                "log": format_usd(self.client_log_picousd),
                "metric": format_usd(self.client_metric_picousd),
            },
            "aborted_attempts": self.aborted_attempts,
            "start": None if wall is None else shown_time(wall[0], zone),
            "end": None if wall is None else shown_time(wall[1], zone),
            "wall_seconds": 0 if wall is None else round((wall[1] - wall[0]) / NANO_PER_SECOND, 3),
            "cache_saved_usd": format_usd(self.cache_saved_picousd),
            "lines": {what: self.activity.get(Metric.LINES_OF_CODE, {}).get(what, 0) for what in ("added", "removed")},
            "activity": {metric.value: _counts(metric, counts) for metric, counts in self.activity.items()},
            "signals": {
                signal.value: {"tokens": self.told.get(signal, 0), "share": _rounded(self.share(signal))}
                for signal in Signal
            },
            **{name: {key: part.as_json() for key, part in self.parts(name).items()} for name in GROUPINGS},
        }


def report_session(ledger: Ledger, prices: Prices, policy: Policy, session_id: str) -> SessionReport | None:
    """Sum up a session; None when the ledger has nothing of it."""
    senders, residuals = ledger.residuals.of_session(session_id)
    sightings = [s for several in ledger.evidence.of_senders(senders, 0, FOREVER_UNIX_NANO).values() for s in several]
    durations = _durations(sighting.record for sighting in sightings)
    latest = ledger.postings.latest({*residuals, *durations})
    tallies = ledger.tallies.of_senders(senders)
    calls = tuple(
        SessionCall(known.charge, durations.get(identity, 0)) for identity, known in latest.items() if known.live
    )
    if not calls and not tallies:
        return None
    points = ledger.control.grown(senders, 0, FOREVER_UNIX_NANO, ledger.began_unix_nano)
    return SessionReport(
        session_id=session_id,
        calls=calls,
        costs=range_of_all((call.charge for call in calls), prices, policy),
        client_metric_picousd=sum(point.cost_picousd for point in points),
        activity=_activity(tallies),
        told=_told(tallies),
    )


def _durations(records: Iterable[UsageRecord]) -> dict[str, int]:
    """How long each call took, in milliseconds, by identity: as the record says that it is charged from."""
    spans: dict[str, int] = {}
    logs: dict[str, int] = {}
    for record in records:
        by_signal = logs if record.evidence is Evidence.LOG else spans
        longest = max(record.duration_milliseconds, by_signal.get(record.identity, 0))
        by_signal[record.identity] = longest
    return spans | logs


def _activity(tallies: Mapping[TallyKey, int]) -> dict[Metric, dict[str, int]]:
    found: dict[Metric, dict[str, int]] = {}
    for metric in ACTIVITY.values():
        for key, amount in tallies.items():
            if key.metric is metric and amount:
                counts = found.setdefault(metric, {})
                name = " ".join(value for _, value in key.labels)
                counts[name] = counts.get(name, 0) + amount
    return found


def _told(tallies: Mapping[TallyKey, int]) -> dict[Signal, int]:
    found: dict[Signal, int] = {}
    for key, amount in tallies.items():
        if key.metric is Metric.SIGNAL_TOKENS:
            signal = Signal(dict(key.labels)["signal"])
            found[signal] = found.get(signal, 0) + amount
    return found


def _saved_picousd(charge: Charge) -> int:
    rates = charge.price.rates
    if rates is None:
        return 0
    tokens, price = charge.tokens, Tokens(*rates)
    cached = zip(tokens[2:6], price[2:6], strict=True)
    return sum(count * (price.input - rate) for count, rate in cached)


def _part(calls: Sequence[SessionCall]) -> Part:
    costs = [(call.charge.account.basis, cost) for call in calls if (cost := call.charge.cost_picousd) is not None]
    return Part(
        by_basis={basis: sum(cost for of, cost in costs if of is basis) for basis in sorted({of for of, _ in costs})},
        requests=sum(not call.is_residual for call in calls),
        unpriced=len(calls) - len(costs),
        api_milliseconds=sum(call.duration_milliseconds for call in calls),
        tokens=Tokens(*map(sum, zip(*(call.charge.tokens for call in calls), strict=True))) if calls else Tokens(),
    )


def _counts(metric: Metric, counts: Mapping[str, int]) -> int | float | dict[str, int | float]:
    """Counts by label values, or the count itself of a metric without labels; durations in seconds."""
    is_time = METRICS[metric].quantity is Quantity.DURATION
    shown = {name: amount / NANO_PER_SECOND if is_time else amount for name, amount in counts.items()}
    return shown if METRICS[metric].labels else sum(shown.values())


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def _usd(picousd: int | None) -> str | None:
    return None if picousd is None else format_usd(picousd)
