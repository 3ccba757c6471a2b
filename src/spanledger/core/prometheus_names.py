"""Names of metrics and labels in Prometheus: those that it makes of OTLP itself (otlptranslator, units.go)."""

from __future__ import annotations

import re

_UNITS = {"s": "seconds", "ms": "milliseconds", "By": "bytes"}
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_:]")
_NOT_IN_LABELS = re.compile(r"[^a-zA-Z0-9_]")


def prometheus_name(name: str, unit: str, *, is_counter: bool) -> str:
    """Name of a metric in Prometheus: `spanledger.cost` in USD, a counter, is `spanledger_cost_USD_total`."""
    return with_suffixes(_NOT_IN_NAMES.sub("_", name), unit, is_counter=is_counter)


def with_suffixes(name: str, unit: str, *, is_counter: bool) -> str:
    """A name with its unit and kind behind it; a unit in braces adds nothing."""
    suffix = _suffix(unit, is_counter=is_counter)
    if suffix and not name.endswith(f"_{suffix}"):
        name = f"{name}_{suffix}"
    return f"{name.removesuffix('_total')}_total" if is_counter else name


def prometheus_label(name: str) -> str:
    """Name of a label in Prometheus."""
    return _NOT_IN_LABELS.sub("_", name)


def _suffix(unit: str, *, is_counter: bool) -> str:
    if unit == "1":
        return "" if is_counter else "ratio"
    return "" if unit.startswith("{") else _UNITS.get(unit, _NOT_IN_NAMES.sub("_", unit))
