"""What a period cost, by any facts of its usage: a fold of postings by the time of the call.

Billed, notional and unknown are never summed: every line is of one basis, and so is every total.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from spanledger.core.attribution import Account, purpose_name
from spanledger.core.periods import Period
from spanledger.core.posting import Status
from spanledger.core.semconv import NONE, UNKNOWN
from spanledger.core.usage import TOKEN_CLASSES, Basis, Evidence, Source, Tokens

OTHERS = "(others)"
"""Key of the line that takes what is beyond the costliest ones asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTotal:
    """Sum of postings of calls that share evidence, status and the facts asked for; taken back counts negative.

    `account` and `source` are of one of the calls. `cost_picousd` is None when unpriced.
    """

    day: date
    account: Account
    source: Source
    evidence: Evidence
    status: Status
    requests: int
    tokens: Tokens
    cost_picousd: int | None
    list_cost_picousd: int
    client_cost_picousd: int


@dataclass(frozen=True, slots=True)
class Grouping:
    """What a line can be by: the key that a total falls under, and the facts of its account or source that tell it."""

    key_of: Callable[[UsageTotal], str]
    facts: tuple[str, ...] = ()


LABELS = "labels"
"""The fact that tells every label."""

SENDER_FACTS = frozenset({"session_id", "organization_id", "plan"})
"""Facts of the source; all others are of the account."""

GROUPINGS: Mapping[str, Grouping] = {
    "user": Grouping(lambda total: total.account.user, ("user",)),
    "model": Grouping(lambda total: total.account.model, ("model",)),
    "served_model": Grouping(lambda total: total.account.served_model, ("served_model",)),
    "provider": Grouping(lambda total: total.account.provider.value, ("provider",)),
    "query_class": Grouping(lambda total: total.account.query_class.value, ("query_class",)),
    "purpose": Grouping(lambda total: purpose_name(total.account, total.evidence), ("query_class", "query_source")),
    "query_source": Grouping(lambda total: total.account.purpose.query_source or NONE, ("query_source",)),
    "agent": Grouping(lambda total: total.account.purpose.agent_name or NONE, ("agent_name",)),
    "skill": Grouping(lambda total: total.account.purpose.skill_name or NONE, ("skill_name",)),
    "mcp_server": Grouping(lambda total: total.account.purpose.mcp_server_name or NONE, ("mcp_server_name",)),
    "effort": Grouping(lambda total: total.account.purpose.effort or NONE, ("effort",)),
    "speed": Grouping(lambda total: total.account.speed.value, ("speed",)),
    "client_version": Grouping(lambda total: total.account.client_version, ("client_version",)),
    "basis": Grouping(lambda total: total.account.basis.value, ("basis",)),
    "status": Grouping(lambda total: total.status.value),
    "evidence": Grouping(lambda total: total.evidence.value),
    "session": Grouping(lambda total: total.source.session_id or UNKNOWN, ("session_id",)),
    "organization": Grouping(lambda total: total.source.organization_id or UNKNOWN, ("organization_id",)),
    "plan": Grouping(lambda total: total.source.plan or NONE, ("plan",)),
    "day": Grouping(lambda total: total.day.isoformat()),
    "week": Grouping(lambda total: f"{total.day.isocalendar().year}-W{total.day.isocalendar().week:02d}"),
    "month": Grouping(lambda total: f"{total.day:%Y-%m}"),
}
"""What a report can be by, besides the labels of `metrics.resource_labels`."""

OF_TIME = frozenset({"day", "week", "month"})
"""Groupings whose lines are in order of time."""


def grouping(name: str) -> Grouping:
    """What usage falls under: a fact of the call, else the label of that name."""
    return GROUPINGS.get(name) or Grouping(lambda total: total.account.label(name), (LABELS,))


@dataclass(slots=True)
class Figures:
    """Sums of one basis. Of the cost, `residual` is what only the clients' sums tell, `inferred` what rests on a fact
    that only the client's figure gives away, `provisional` what is from a span alone, `lower_bound` the least possible.
    `list` is what the same would cost without a contract, `client` what clients said of calls with a log event.
    """

    cost_picousd: int = 0
    residual_picousd: int = 0
    inferred_picousd: int = 0
    provisional_picousd: int = 0
    lower_bound_picousd: int = 0
    list_picousd: int = 0
    client_picousd: int = 0
    requests: int = 0
    unpriced_requests: int = 0
    unpriced_tokens: int = 0
    tokens: list[int] = field(default_factory=lambda: [0] * len(TOKEN_CLASSES))

    def add(self, total: UsageTotal) -> None:
        """Add a total."""
        self.requests += total.requests
        self.list_picousd += total.list_cost_picousd
        self.client_picousd += total.client_cost_picousd
        self.tokens = [a + b for a, b in zip(self.tokens, total.tokens, strict=True)]
        if total.cost_picousd is None:
            self.unpriced_requests += total.requests
            self.unpriced_tokens += sum(total.tokens)
            return
        cost = total.cost_picousd
        self.cost_picousd += cost
        self.residual_picousd += cost if total.evidence is Evidence.METRIC else 0
        self.inferred_picousd += cost if total.evidence is Evidence.INFERRED else 0
        self.provisional_picousd += cost if total.status is Status.PROVISIONAL else 0
        self.lower_bound_picousd += cost if total.status is Status.LOWER_BOUND else 0

    def merge(self, other: Figures) -> None:
        """Add other figures of the same basis."""
        self.cost_picousd += other.cost_picousd
        self.residual_picousd += other.residual_picousd
        self.inferred_picousd += other.inferred_picousd
        self.provisional_picousd += other.provisional_picousd
        self.lower_bound_picousd += other.lower_bound_picousd
        self.list_picousd += other.list_picousd
        self.client_picousd += other.client_picousd
        self.requests += other.requests
        self.unpriced_requests += other.unpriced_requests
        self.unpriced_tokens += other.unpriced_tokens
        self.tokens = [a + b for a, b in zip(self.tokens, other.tokens, strict=True)]

    @property
    def is_nothing(self) -> bool:
        """Whether all that was posted was taken back."""
        return not (self.requests or self.cost_picousd or any(self.tokens))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a report: the values of what it is by, a basis, and figures."""

    key: tuple[str, ...]
    basis: Basis
    figures: Figures


@dataclass(frozen=True, slots=True)
class DeveloperDay:
    """What a developer cost on a day on which a call of theirs was recorded; `unpriced_requests` are not in it."""

    user: str
    day: date
    cost_picousd: int
    unpriced_requests: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    """A period by some facts. Lines of a basis sum to its total; a basis without usage has no total.

    `unallocated` holds, by label that senders left out, the cost of each basis. `developer_days` leaves out usage whose
    user is unknown.
    """

    by: tuple[str, ...]
    period: Period
    lines: tuple[Line, ...]
    totals: Mapping[Basis, Figures]
    unallocated: Mapping[str, Mapping[Basis, int]]
    developer_days: Mapping[Basis, Sequence[DeveloperDay]]


@dataclass(slots=True)
class _Activity:
    """What a developer did on a day, of one basis."""

    cost_picousd: int = 0
    requests: int = 0
    unpriced_requests: int = 0

    def add(self, total: UsageTotal) -> None:
        self.requests += total.requests
        if total.cost_picousd is None:
            self.unpriced_requests += total.requests
        else:
            self.cost_picousd += total.cost_picousd


class UsageFold:
    """Folds totals of a period into a report. `where` holds values that the facts of usage must have.

    Totals must tell `facts`, and the day if `is_by_day`. Those of developers' days must tell `developer_facts` and the
    day, and are added beside: there are fewer when neither has to tell what the other does.
    """

    def __init__(self, period: Period, by: Sequence[str], where: Mapping[str, str]) -> None:
        self._period = period
        self._by = tuple(by)
        self._keys = [grouping(name).key_of for name in by]
        self._wanted = [(grouping(name).key_of, value) for name, value in where.items()]
        self._lines: dict[tuple[tuple[str, ...], Basis], Figures] = {}
        self._days: dict[tuple[Basis, str, date], _Activity] = {}
        self._unallocated: dict[tuple[str, Basis], int] = {}
        conditions = {fact for name in where for fact in grouping(name).facts}
        self.facts = frozenset({"basis", LABELS, *conditions, *(fact for name in by for fact in grouping(name).facts)})
        self.developer_facts = frozenset({"basis", "user", *conditions})
        self.is_by_day = not OF_TIME.isdisjoint((*by, *where))

    def add(self, totals: Iterable[UsageTotal]) -> None:
        """Add totals."""
        for total in filter(self._is_wanted, totals):
            basis = total.account.basis
            key = tuple(key_of(total) for key_of in self._keys)
            self._lines.setdefault((key, basis), Figures()).add(total)
            for label in total.account.missing:
                known = self._unallocated.get((label, basis), 0)
                self._unallocated[label, basis] = known + (total.cost_picousd or 0)

    def add_developers(self, totals: Iterable[UsageTotal]) -> None:
        """Add the same usage by developer and day."""
        for total in filter(self._is_wanted, totals):
            self._days.setdefault((total.account.basis, total.account.user, total.day), _Activity()).add(total)

    def report(self, top: int | None = None) -> UsageReport:
        """Give the report; with `top` only that many of the costliest keys, the others in one line of each basis."""
        lines = [Line(key, basis, figures) for (key, basis), figures in self._lines.items() if not figures.is_nothing]
        totals: dict[Basis, Figures] = {}
        for line in lines:
            totals.setdefault(line.basis, Figures()).merge(line.figures)
        kept, rest = _costliest(lines, top)
        return UsageReport(
            by=self._by,
            period=self._period,
            lines=(*_in_order(kept, self._by), *_others(rest, len(self._by))),
            totals={basis: totals[basis] for basis in Basis if basis in totals},
            unallocated=self._by_label(),
            developer_days={basis: days for basis in Basis if (days := self._developer_days(basis))},
        )

    def _is_wanted(self, total: UsageTotal) -> bool:
        return all(key_of(total) == value for key_of, value in self._wanted)

    def _by_label(self) -> dict[str, dict[Basis, int]]:
        found: dict[str, dict[Basis, int]] = {}
        for (label, basis), cost in sorted(self._unallocated.items()):
            if cost:
                found.setdefault(label, {})[basis] = cost
        return found

    def _developer_days(self, wanted: Basis) -> list[DeveloperDay]:
        return [
            DeveloperDay(user, day, activity.cost_picousd, activity.unpriced_requests)
            for (basis, user, day), activity in sorted(self._days.items(), key=lambda item: item[0])
            if basis is wanted and user != UNKNOWN and (activity.requests or activity.cost_picousd)
        ]


def _costliest(lines: Sequence[Line], top: int | None) -> tuple[list[Line], list[Line]]:
    """Part the lines of the costliest keys from those of the others."""
    if top is None:
        return list(lines), []
    costs: dict[tuple[str, ...], int] = {}
    for line in lines:
        costs[line.key] = costs.get(line.key, 0) + line.figures.cost_picousd
    chosen = set(sorted(costs, key=lambda key: (-costs[key], key))[:top])
    return [line for line in lines if line.key in chosen], [line for line in lines if line.key not in chosen]


def _in_order(lines: Sequence[Line], by: Sequence[str]) -> list[Line]:
    """By time where lines are of times, else the costliest first."""
    order = list(Basis)
    times = [n for n, name in enumerate(by) if name in OF_TIME]

    def place(line: Line) -> tuple[tuple[str, ...], int, tuple[str, ...], int]:
        return (tuple(line.key[n] for n in times), -line.figures.cost_picousd, line.key, order.index(line.basis))

    return sorted(lines, key=place)


def _others(rest: Sequence[Line], width: int) -> list[Line]:
    sums: dict[Basis, Figures] = {}
    for line in rest:
        sums.setdefault(line.basis, Figures()).merge(line.figures)
    return [Line((OTHERS,) * width, basis, sums[basis]) for basis in Basis if basis in sums]
