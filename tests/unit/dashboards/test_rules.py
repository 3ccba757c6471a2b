"""Alerts and recording rules: of names and labels that exist, with a runbook, with tests that fire and that don't."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from spanledger.core.gauges import GAUGES
from spanledger.core.prometheus_names import prometheus_name
from spanledger.core.semconv import DEFAULT_RESOURCE_LABELS, METRICS
from spanledger.telemetry import COUNTERS
from support.pages import anchors_of

ROOT = Path(__file__).parents[3]
RULES = ROOT / "dashboards" / "rules"
RESOURCE = frozenset(DEFAULT_RESOURCE_LABELS.values())
TARGET = {"job", "instance"}
LABELS: dict[str, frozenset[str]] = {
    **{
        prometheus_name(spec.name, spec.unit, is_counter=spec.monotonic): frozenset(spec.labels)
        | (RESOURCE if spec.resource_labels else frozenset())
        for spec in METRICS.values()
    },
    **{
        prometheus_name(spec.name, spec.unit, is_counter=False): frozenset(spec.labels)
        | (RESOURCE if spec.resource_labels else frozenset())
        for spec in GAUGES.values()
    },
    **{
        prometheus_name(spec.name, spec.unit, is_counter=True): frozenset([spec.label] if spec.label else [])
        for spec in COUNTERS.values()
        if spec.is_exported
    },
}
"""Labels of every metric by its name in Prometheus."""

_METRIC = re.compile(r"(?<![\w:])(spanledger_\w+)(?:\{([^}]*)\})?")
_RECORDED = re.compile(r"\b\w+:\w+:\w+")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right) \(([^)]*)\)")


def read(name: str) -> Any:
    return yaml.safe_load((RULES / name).read_text(encoding="utf-8"))


def rules(name: str) -> list[dict[str, Any]]:
    return [rule for group in read(name)["groups"] for rule in group["rules"]]


RECORDING, ALERTS = rules("recording.yaml"), rules("alerts.yaml")
BOARDS = {json.loads(text)["uid"]: text for text in (file.read_text("utf-8") for file in RULES.parent.glob("*.json"))}
EXPRESSIONS = {rule.get("record") or rule["alert"]: rule["expr"] for rule in (*RECORDING, *ALERTS)}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_metrics_and_labels_exist(name: str) -> None:
    expression = EXPRESSIONS[name]
    assert set(_RECORDED.findall(expression)) <= {rule["record"] for rule in RECORDING}
    # What is recorded has the labels that its name begins with, and those of a budget the gauge's.
    used = _METRIC.findall(" ".join([expression, *(EXPRESSIONS[one] for one in _RECORDED.findall(expression))]))
    assert used
    known = set(TARGET) | ({"week"} if "label_replace" in expression else set())
    for metric, matchers in used:
        assert metric in LABELS, metric
        assert set(_MATCHER.findall(matchers)) <= LABELS[metric], metric
        known |= LABELS[metric]
    grouped = {label.strip() for several in _GROUPING.findall(expression) for label in several.split(",")} - {""}
    assert grouped <= known


def test_a_renamed_metric_is_found() -> None:
    assert _METRIC.findall('sum by (team) (increase(spanledger_cost_usd_total{team="a"}[1h]))') == [
        ("spanledger_cost_usd_total", 'team="a"')
    ]
    assert "spanledger_cost_usd_total" not in LABELS


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_what_how_much_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    notes = rule["annotations"]
    assert notes.keys() == {"summary", "description", "runbook_url", "dashboard_uid"}
    assert notes["dashboard_uid"] in BOARDS
    page, _, anchor = notes["runbook_url"].partition("#")
    assert anchor in anchors_of(ROOT / page)
    assert anchor == rule["alert"].lower()


SHOWN_BY_AGE = {"SpanledgerPriceFilesRefused"}
"""Its board has the age of the price list, which grows while files are refused, and the log has the rest."""


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_the_board_of_an_alert_shows_what_it_is_about(rule: dict[str, Any]) -> None:
    expression = rule["expr"]
    for _ in RECORDING:  # recorded from what is recorded, too
        expression = _RECORDED.sub(lambda name: EXPRESSIONS[name[0]], expression)
    board = BOARDS[rule["annotations"]["dashboard_uid"]]
    shown = {metric for metric, _ in _METRIC.findall(expression) if metric in board}
    assert shown or rule["alert"] in SHOWN_BY_AGE


def test_the_page_tells_of_no_alert_that_is_gone() -> None:
    page = (ROOT / "docs" / "operate" / "alerts.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (\w+)$", page, re.MULTILINE) == [rule["alert"] for rule in ALERTS]


def outcomes() -> Iterator[tuple[str, bool]]:
    """Alert and whether it is to fire, of every expectation in the tests of rules."""
    for file in RULES.glob("*.test.yaml"):
        for test in read(file.name)["tests"]:
            yield from ((one["alertname"], bool(one["exp_alerts"])) for one in test["alert_rule_test"])


def test_every_alert_is_tested_both_ways() -> None:
    assert set(outcomes()) == {(rule["alert"], fires) for rule in ALERTS for fires in (True, False)}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_no_counter_is_read_without_a_window(name: str) -> None:
    """`sum(x_total)` is the lifetime of whatever is alive now; only a first sample is compared with what was before."""
    bare = re.findall(r"\w+_total(?:\{[^}]*\})?(?!\w|\{)(?!\[)(?: > 0)?", EXPRESSIONS[name])
    assert [one for one in bare if not one.endswith(" > 0")] == []


def test_promtool_groups_of_the_tests_are_those_of_the_rules() -> None:
    groups = [group["name"] for name in ("recording.yaml", "alerts.yaml") for group in read(name)["groups"]]
    for file in RULES.glob("*.test.yaml"):
        assert read(file.name)["group_eval_order"] == groups
