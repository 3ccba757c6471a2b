"""Gauges: every one by name, unit and meaning; readings of them are taken anew at each export and kept nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from spanledger.core.semconv import Quantity


class Gauge(StrEnum):
    """Gauges: what is so at the time of an export."""

    OUTBOX_PAYLOADS = "spanledger.outbox.payloads"
    OUTBOX_BYTES = "spanledger.outbox.size"
    OUTBOX_AGE = "spanledger.outbox.age"
    UNCONFIRMED_COST = "spanledger.unconfirmed.cost"
    PRICE = "spanledger.price"
    PRICE_BOOK_TIMESTAMP = "spanledger.price_book.timestamp"
    PRICE_BOOK_RELOAD_FAILURES = "spanledger.price_book.reload_failures"
    COST_PERIOD = "spanledger.cost.period"
    BUDGET_LIMIT = "spanledger.budget.limit"
    BUDGET_SPENT = "spanledger.budget.spent"
    BUDGET_FORECAST = "spanledger.budget.forecast"
    LEDGER_WRITABLE = "spanledger.ledger.writable"
    LEDGER_BYTES = "spanledger.ledger.size"
    PROCESS_MEMORY = "spanledger.process.memory"
    SETTLE_LAG = "spanledger.settle.lag"
    SERIES = "spanledger.series"
    EXPORT_START = "spanledger.export.start"


@dataclass(frozen=True, slots=True)
class GaugeSpec:
    """One gauge: name, UCUM unit, quantity, labels, meaning.

    `resource_labels` tells whether the allow-listed resource attributes (`metrics.resource_labels`) follow `labels`.
    """

    name: Gauge
    unit: str
    quantity: Quantity
    labels: tuple[str, ...]
    description: str
    resource_labels: bool = False


_BUDGET = ("budget", "scope", "owner", "period", "basis")

GAUGES: dict[Gauge, GaugeSpec] = {
    spec.name: spec
    for spec in (
        GaugeSpec(
            Gauge.OUTBOX_PAYLOADS,
            "{payload}",
            Quantity.COUNT,
            ("destination", "state"),
            "Payloads kept for a destination: `pending`, or `refused` by it for good.",
        ),
        GaugeSpec(
            Gauge.OUTBOX_BYTES, "By", Quantity.COUNT, ("destination",), "Size of what is pending for a destination."
        ),
        GaugeSpec(
            Gauge.OUTBOX_AGE,
            "s",
            Quantity.DURATION,
            ("destination",),
            "How long the oldest pending payload has waited.",
        ),
        GaugeSpec(
            Gauge.UNCONFIRMED_COST,
            "USD",
            Quantity.MONEY,
            ("destination",),
            "Of `spanledger.cost` in delta exports, what the destination did not confirm: it may lack as much.",
        ),
        GaugeSpec(
            Gauge.PRICE,
            "USD",
            Quantity.MONEY,
            ("model", "provider", "token_class", "tier"),
            "What we charge now for a million tokens of a model that was used. Tiers: `standard` (Bedrock, Vertex: "
            "of the global endpoint); `fast`, `long_prompt`, `us_residency`, `regional` where they differ from it. "
            "Discounts of single cost centers are not in it.",
        ),
        GaugeSpec(
            Gauge.PRICE_BOOK_TIMESTAMP,
            "s",
            Quantity.DURATION,
            ("price_book",),
            "When the price list in use was last compared with its source (Unix time).",
        ),
        GaugeSpec(
            Gauge.PRICE_BOOK_RELOAD_FAILURES,
            "{failure}",
            Quantity.COUNT,
            (),
            "Changed price files that were refused since the last good load; 0 when the files' prices are in use.",
        ),
        GaugeSpec(
            Gauge.COST_PERIOD,
            "USD",
            Quantity.MONEY,
            ("period", "basis"),
            "Cost of the calendar `day` and `month` to date, by the time of the calls, in `calendar.timezone`; "
            "corrections included.",
            resource_labels=True,
        ),
        GaugeSpec(Gauge.BUDGET_LIMIT, "USD", Quantity.MONEY, _BUDGET, "Limit of a budget."),
        GaugeSpec(
            Gauge.BUDGET_SPENT,
            "USD",
            Quantity.MONEY,
            _BUDGET,
            "What is spent of a budget in its current period, by the time of the calls; corrections included.",
        ),
        GaugeSpec(
            Gauge.BUDGET_FORECAST,
            "USD",
            Quantity.MONEY,
            _BUDGET,
            "What will be spent of a budget by the end of its period: what is, and each day to come as its weekday was "
            "in the last four weeks (docs/budgets.md).",
        ),
        GaugeSpec(Gauge.LEDGER_WRITABLE, "1", Quantity.COUNT, (), "1 while the ledger can be written, else 0."),
        GaugeSpec(
            Gauge.LEDGER_BYTES, "By", Quantity.COUNT, (), "Size of the ledger's file and of its write-ahead log."
        ),
        GaugeSpec(
            Gauge.PROCESS_MEMORY,
            "By",
            Quantity.COUNT,
            (),
            "Resident memory of the process; where the system does not tell it as Linux does, there is no such gauge.",
        ),
        GaugeSpec(
            Gauge.SETTLE_LAG,
            "s",
            Quantity.DURATION,
            ("stage",),
            "How long what is due has waited: spans for their posting (`join`), sums for their look (`residual`).",
        ),
        GaugeSpec(
            Gauge.SERIES, "{series}", Quantity.COUNT, ("metric",), "Series in use; `metrics.max_series` at most."
        ),
        GaugeSpec(
            Gauge.EXPORT_START,
            "s",
            Quantity.DURATION,
            (),
            "When this backend was first told of the series (Unix time): all of them said 0 then. A total over a range "
            "that begins before it is all that they are.",
        ),
    )
}
"""Every gauge. Readings of them are collected by `service.gauges` at each export."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A gauge's value: pico-USD, a count or nanoseconds, as its specification says; labels in its order, then those of
    the sender's resource.
    """

    gauge: Gauge
    labels: tuple[tuple[str, str], ...]
    value: int


def reading(gauge: Gauge, value: int, resource: tuple[tuple[str, str], ...] = (), /, **labels: str) -> Reading:
    """Make a reading with exactly the labels of the gauge's specification, and those of a resource.

    Raises:
        KeyError: a label is missing.
    """
    return Reading(gauge, (*((name, labels[name]) for name in GAUGES[gauge].labels), *resource), value)
