"""Views: folds of postings into series and reports. They hold nothing of their own and can be rebuilt at any time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from spanledger.core.attribution import Account, purpose_name
from spanledger.core.posting import Price, Status
from spanledger.core.semconv import ADJUSTMENT_OF, METRICS, NONE, OVERFLOW_LABEL, Metric, Quantity
from spanledger.core.usage import TOKEN_CLASSES, Basis, Evidence, Tokens
from spanledger.core.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingTotal:
    """Sum of postings that share everything but the call. Charges taken back count negative.

    `reason` is empty for first charges. `first_price` marks the price of usage that had none until it was repriced.
    `client_cost_picousd` sums what clients reported for these calls; `verdict` says why that figure is what it is, None
    without one.
    """

    account: Account
    price: Price
    status: Status
    evidence: Evidence
    reason: str
    requests: int
    tokens: Tokens
    client_cost_picousd: int
    verdict: Verdict | None = None
    first_price: bool = False


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """A series: metric and label values in the order of its specification, then resource labels."""

    metric: Metric
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SeriesState:
    """A series as it stands. To a destination that has not heard of it, it says 0 first (design §7)."""

    key: SeriesKey
    start_unix_nano: int
    value: int
    primed_at: frozenset[str] = frozenset()

    def exported_value(self, destination: str) -> int:
        """What the next export says to a destination."""
        return self.value if destination in self.primed_at else 0


_COSTS = frozenset(name for name in ADJUSTMENT_OF if METRICS[name].quantity is Quantity.MONEY) - {Metric.CLIENT_COST}
"""Metrics that hold what we say that usage costs."""


def series_increments(totals: Iterable[PostingTotal]) -> dict[SeriesKey, int]:
    """Fold posting totals into increments of the cumulative series; corrections go to the adjustment twins.

    A first price takes none back, so it is no correction of a cost: the cost series themselves rise by it.
    """
    increments: defaultdict[SeriesKey, int] = defaultdict(int)
    for total in totals:
        for metric, labels, amount in _measures(total):
            if amount == 0:
                continue
            if total.reason and metric in ADJUSTMENT_OF and not (total.first_price and metric in _COSTS):
                metric, labels = ADJUSTMENT_OF[metric], labels | {"reason": total.reason}
            increments[_series_key(metric, labels, total.account)] += amount
    return {key: amount for key, amount in increments.items() if amount}


def overflow_key(metric: Metric) -> SeriesKey:
    """The series that takes what the label budget has no room for."""
    return SeriesKey(metric, ((OVERFLOW_LABEL, "true"),))


def _measures(total: PostingTotal) -> Iterable[tuple[Metric, dict[str, str], int]]:
    account = total.account
    call = {
        "basis": account.basis,
        "model": account.model,
        "provider": account.provider,
        "query_class": account.query_class,
        "speed": account.speed,
    }
    yield Metric.REQUESTS, call | {"status": total.status, "evidence": total.evidence}, total.requests
    for token_class, count in zip(TOKEN_CLASSES, total.tokens, strict=True):
        yield Metric.TOKENS, call | {"token_class": token_class}, count
    client = {"client_version": account.client_version, "model": account.model, "provider": account.provider}
    yield Metric.CLIENT_COST, client, total.client_cost_picousd
    amounts = total.price.amounts(total.tokens)
    if amounts is None:
        why = {"model": account.model, "provider": account.provider, "unpriced_reason": total.price.unpriced_reason}
        yield Metric.UNPRICED_REQUESTS, why, total.requests
        yield Metric.UNPRICED_TOKENS, why, sum(total.tokens)
        return
    yield Metric.USER_COST, {"basis": account.basis, "user": account.user}, sum(amounts)
    if total.evidence is Evidence.METRIC:
        yield Metric.RESIDUAL_COST, call, sum(amounts)
    for token_class, amount in zip(TOKEN_CLASSES, amounts, strict=True):
        yield Metric.COST, call | {"token_class": token_class}, amount
    yield Metric.PURPOSE_COST, _purpose_labels(total), sum(amounts)
    yield Metric.MODIFIER_COST, call | {"modifiers": ",".join(total.price.modifier_names) or NONE}, sum(amounts)
    if account.missing:
        yield Metric.UNALLOCATED_COST, {"basis": account.basis, "missing": ",".join(account.missing)}, sum(amounts)
    at_list = total.price.list_cost_picousd(total.tokens)
    if total.verdict is not None and at_list is not None:
        gap = {"client_version": account.client_version, "verdict": total.verdict}
        yield Metric.CLIENT_GAP, gap, at_list - total.client_cost_picousd


def _purpose_labels(total: PostingTotal) -> dict[str, str]:
    account = total.account
    return {
        "basis": account.basis,
        "purpose": purpose_name(account, total.evidence),
        "agent": account.purpose.agent_name or NONE,
        "skill": account.purpose.skill_name or NONE,
        "mcp_server": account.purpose.mcp_server_name or NONE,
    }


def _series_key(metric: Metric, labels: dict[str, str], account: Account) -> SeriesKey:
    spec = METRICS[metric]
    pairs = [(name, str(labels[name])) for name in spec.labels]
    if spec.resource_labels:
        pairs.extend(account.labels)
    return SeriesKey(metric, tuple(pairs))


@dataclass(slots=True)
class Group:
    """Totals of a part of the ledger. `cost_picousd` is None as long as nothing in it is priced.

    It is a sum over bases, which is nobody's bill: `by_basis` keeps them apart, the bases of priced usage alone.
    """

    cost_picousd: int | None = None
    requests: int = 0
    tokens: list[int] = field(default_factory=lambda: [0] * len(TOKEN_CLASSES))
    by_basis: dict[Basis, int] = field(default_factory=dict)

    def add(self, total: PostingTotal, cost_picousd: int | None) -> None:
        """Add a posting total and its cost."""
        self.requests += total.requests
        self.tokens = [a + b for a, b in zip(self.tokens, total.tokens, strict=True)]
        if cost_picousd is not None:
            self.cost_picousd = (self.cost_picousd or 0) + cost_picousd
            basis = total.account.basis
            self.by_basis[basis] = self.by_basis.get(basis, 0) + cost_picousd


GROUPINGS: dict[str, Callable[[PostingTotal], str]] = {
    "by_model": lambda total: total.account.model,
    "by_user": lambda total: total.account.user,
    "by_team": lambda total: total.account.label("team"),
    "by_query_class": lambda total: total.account.query_class,
    "by_basis": lambda total: total.account.basis,
    "by_evidence": lambda total: total.evidence,
}
"""Parts of a report, and the key that a posting total falls under in each."""


@dataclass(frozen=True, slots=True)
class Report:
    """Totals of a ledger; `groups` holds each part of `GROUPINGS` by key, keys sorted.

    `list_cost_picousd` is what the calls cost at list, of those that the list has a price for. It is a sum over bases,
    as is `cost_picousd`; `by_basis` keeps the cost of each apart.
    """

    cost_picousd: int
    by_basis: dict[Basis, int]
    list_cost_picousd: int
    client_cost_picousd: int
    requests: int
    unpriced_requests: int
    unpriced_tokens: int
    groups: dict[str, dict[str, Group]]


def report(totals: Sequence[PostingTotal]) -> Report:
    """Fold posting totals into a report. A group whose postings all cancel out is left out."""
    groups: dict[str, dict[str, Group]] = {part: {} for part in GROUPINGS}
    whole = Group()
    unpriced = Group()
    for total in totals:
        cost = total.price.cost_picousd(total.tokens)
        whole.add(total, cost)
        if cost is None:
            unpriced.add(total, None)
        for part, key_of in GROUPINGS.items():
            groups[part].setdefault(str(key_of(total)), Group()).add(total, cost)
    return Report(
        cost_picousd=whole.cost_picousd or 0,
        by_basis=dict(sorted(whole.by_basis.items())),
        list_cost_picousd=sum(total.price.list_cost_picousd(total.tokens) or 0 for total in totals),
        client_cost_picousd=sum(total.client_cost_picousd for total in totals),
        requests=whole.requests,
        unpriced_requests=unpriced.requests,
        unpriced_tokens=sum(unpriced.tokens),
        groups={part: _standing(by_key) for part, by_key in groups.items()},
    )


def _standing(groups: dict[str, Group]) -> dict[str, Group]:
    return {key: group for key, group in sorted(groups.items()) if group.requests or any(group.tokens)}
