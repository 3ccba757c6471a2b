"""Every rule's expression on a fleet's month, as Prometheus evaluates it."""

from __future__ import annotations

import re

import pytest

from support.backfilled import Past
from support.recorded import rules

pytestmark = pytest.mark.prometheus

RECORDED = {rule["record"]: rule["expr"] for name in ("recording.yaml", "boards.yaml") for rule in rules(name)}
ALERTS = {rule["alert"]: rule["expr"] for rule in rules("alerts.yaml")}
_RECORDED = re.compile(r"(\w+:\w+:\w+)(?: offset (\w+))?")


def spelt_out(expression: str) -> str:
    """An expression without recorded series: what is recorded, worked out at its time."""

    def one(found: re.Match[str]) -> str:
        what = RECORDED[found[1]]
        return f"last_over_time(({what})[1m:1m] offset {found[2]})" if found[2] else f"({what})"

    return _RECORDED.sub(one, expression)


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_recorded_is_there(name: str, past: Past) -> None:
    assert past.query(RECORDED[name])


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_can_be_worked_out(name: str, past: Past) -> None:
    past.query(spelt_out(ALERTS[name]))  # fails for an error and for a warning


def test_no_alert_of_the_component_fires_on_one_that_is_well(past: Past) -> None:
    quiet = ("Absent", "LedgerNotWritable", "OutboxFilling", "Forwarding", "SeriesOverflow", "PriceFiles", "Refused")
    firing = [name for name, expression in ALERTS.items() if past.query(spelt_out(expression))]
    assert [name for name in firing if any(part in name for part in quiet)] == []
