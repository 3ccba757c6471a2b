"""Audit: the figures of a ledger as JSON, and whether metrics, postings and report agree to the pico-dollar."""

from __future__ import annotations

from dataclasses import dataclass

from spanledger.core.money import format_usd
from spanledger.core.semconv import ADJUSTED_BY, METRICS, TOTALS, Metric, Quantity
from spanledger.core.times import NANO_PER_SECOND
from spanledger.core.usage import TOKEN_CLASSES, Evidence
from spanledger.core.views import Group, Report
from spanledger.ledger.ledger import Ledger

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Figures:
    """Totals of a ledger from three sides. `metrics` is series + adjustment."""

    report: Report
    client_cost_picousd: int
    metrics: dict[Metric, int]
    disagreements: tuple[str, ...]

    def as_json(self, *, duplicates: int, problems: list[str]) -> Json:
        """One object: money as exact decimal strings, counts as integers."""
        report = self.report
        parts: Json = {
            part: {key: _group(group) for key, group in groups.items()} for part, groups in report.groups.items()
        }
        return {
            "cost_usd": format_usd(report.cost_picousd),
            "list_cost_usd": format_usd(report.list_cost_picousd),
            "client_cost_usd": format_usd(self.client_cost_picousd),
            "residual_usd": format_usd(residual_picousd(report)),
            "requests": report.requests,
            "duplicates": duplicates,
            "unpriced": {"requests": report.unpriced_requests, "tokens": report.unpriced_tokens},
            **parts,
            "metrics": {metric.value: _amount(metric, value) for metric, value in self.metrics.items()},
            "problems": problems,
        }


def audit(ledger: Ledger) -> Figures:
    """Read a ledger's figures and compare them with one another."""
    report = ledger.report()
    metrics = dict.fromkeys(TOTALS, 0)
    for state in ledger.series.states():
        metrics[ADJUSTED_BY.get(state.key.metric, state.key.metric)] += state.value
    return Figures(
        report=report,
        client_cost_picousd=report.client_cost_picousd + ledger.control.cost_without_log_picousd(),
        metrics=metrics,
        disagreements=tuple(_disagreements(report, ledger, metrics)),
    )


def _disagreements(report: Report, ledger: Ledger, metrics: dict[Metric, int]) -> list[str]:
    tokens = sum(sum(group.tokens) for group in report.groups["by_model"].values())
    expected = {
        "ledger, the sum of its postings": (Metric.COST, ledger.postings.cost_picousd()),
        "report, cost": (Metric.COST, report.cost_picousd),
        "report, cost by user": (Metric.USER_COST, report.cost_picousd),
        "report, client cost": (Metric.CLIENT_COST, report.client_cost_picousd),
        "report, tokens": (Metric.TOKENS, tokens),
        "report, requests": (Metric.REQUESTS, report.requests),
        "report, cost by purpose": (Metric.PURPOSE_COST, report.cost_picousd),
        "report, cost by price modifier": (Metric.MODIFIER_COST, report.cost_picousd),
        "report, unpriced requests": (Metric.UNPRICED_REQUESTS, report.unpriced_requests),
        "report, unpriced tokens": (Metric.UNPRICED_TOKENS, report.unpriced_tokens),
        "report, residual": (Metric.RESIDUAL_COST, residual_picousd(report)),
        **{f"ledger, {metric.value}": (metric, total) for metric, total in ledger.tallies.totals().items()},
    }
    return [
        f"{side} says {_amount(metric, value)}, {metric.value} with its adjustment {_amount(metric, metrics[metric])}"
        for side, (metric, value) in expected.items()
        if metrics[metric] != value
    ]


def _amount(metric: Metric, value: int) -> str | int | float:
    match METRICS[metric].quantity:
        case Quantity.MONEY:
            return format_usd(value)
        case Quantity.COUNT:
            return value
        case Quantity.DURATION:
            return value / NANO_PER_SECOND


def residual_picousd(report: Report) -> int:
    """What a report holds that only the clients' sums know of."""
    residual = report.groups["by_evidence"].get(Evidence.METRIC.value)
    return 0 if residual is None else residual.cost_picousd or 0


def _group(group: Group) -> Json:
    return {
        "cost_usd": None if group.cost_picousd is None else format_usd(group.cost_picousd),
        "cost_by_basis_usd": {basis.value: format_usd(cost) for basis, cost in sorted(group.by_basis.items())},
        "requests": group.requests,
        "tokens": {token_class.value: count for token_class, count in zip(TOKEN_CLASSES, group.tokens, strict=True)},
    }
