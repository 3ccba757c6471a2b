"""The committed boards: what the code builds, of metrics and labels that there are, with all that readers need."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from spanledger.core.gauges import GAUGES
from spanledger.core.prometheus_names import prometheus_name
from spanledger.core.semconv import DEFAULT_RESOURCE_LABELS, METRICS
from spanledger.dashboards.boards import build
from spanledger.dashboards.panels import USD, USD_TO_THE_CENT
from spanledger.dashboards.queries import ENDS, RECORDED_LABELS, Ends, Recorded
from spanledger.dashboards.recording import FILE_NAME
from spanledger.dashboards.settings import BACKENDS
from spanledger.telemetry import COMMIT_DURATION, COMMIT_DURATION_UNIT, COUNTERS

FOLDER = Path(__file__).parents[3] / "dashboards"
BOARDS = {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
RULES = yaml.safe_load((FOLDER / FILE_NAME).read_text())

_OWNERS = set(DEFAULT_RESOURCE_LABELS.values())
LABELS: dict[str, set[str]] = {
    **{
        prometheus_name(spec.name, spec.unit, is_counter=spec.monotonic): {*spec.labels}
        | (_OWNERS if spec.resource_labels else set())
        for spec in METRICS.values()
    },
    **{
        prometheus_name(spec.name, spec.unit, is_counter=False): {*spec.labels}
        | (_OWNERS if spec.resource_labels else set())
        for spec in GAUGES.values()
    },
    **{
        prometheus_name(spec.name, spec.unit, is_counter=True): {spec.label} if spec.label else set()
        for spec in COUNTERS.values()
        if spec.is_exported
    },
    f"{prometheus_name(COMMIT_DURATION, COMMIT_DURATION_UNIT, is_counter=False)}_bucket": {"le"},
    **{one.value: {*RECORDED_LABELS[one]} | _OWNERS for one in Recorded},
}
"""Every name in Prometheus and its labels, from the tables of the code."""

_SELECTOR = re.compile(r"((?:\w+:)?spanledger_[\w:]+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)(?:=~|!~|!=|=)"')
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right) \(([^)]*)\)")
_MADE = {"twin", "per", "kind", "name"}
"""Labels that queries make themselves."""


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (panel for panel in board["panels"] if panel["type"] != "row")


def expressions(board: dict[str, Any]) -> Iterator[str]:
    yield from (target["expr"] for panel in panels(board) for target in panel["targets"])
    yield from (variable["query"] for variable in board["templating"]["list"] if variable["type"] == "query")
    yield from (one["expr"] for one in board["annotations"].get("list", ()))


def test_the_committed_boards_are_what_the_code_builds() -> None:
    files = [*FOLDER.glob("*.json"), FOLDER / FILE_NAME]
    assert {str(path.relative_to(FOLDER)): path.read_text() for path in files} == build(BACKENDS["prometheus"])


def test_rules_record_what_the_boards_read_with_its_labels() -> None:
    (group,) = RULES["groups"]
    assert [rule["record"] for rule in group["rules"]] == [one.value for one in Recorded]
    for rule in group["rules"]:
        grouped, *_ = _GROUPING.findall(rule["expr"])
        assert {label.strip() for label in grouped.split(",")} == LABELS[rule["record"]] | {"job", "instance"}
        assert "_adjustment" in rule["expr"], "corrections are in every total"
    read = " ".join(expression for board in BOARDS.values() for expression in expressions(board))
    assert [one for one in Recorded if one.value not in read] == [], "recorded for nobody"


@pytest.mark.parametrize("name", BOARDS)
def test_every_metric_and_label_is_in_the_tables(name: str) -> None:
    for expression in expressions(BOARDS[name]):
        used = set()
        for metric, matchers in _SELECTOR.findall(expression):
            assert metric in LABELS, expression
            assert set(_MATCHER.findall(matchers)) <= LABELS[metric] | {"job", "instance"}, expression
            used |= LABELS[metric]
        for grouping in _GROUPING.findall(expression):
            assert {label.strip() for label in grouping.split(",")} - {""} <= used | _MADE | {"job", "instance"}, (
                expression
            )


@pytest.mark.parametrize("name", BOARDS)
def test_every_legend_and_column_is_a_label_of_its_query(name: str) -> None:
    for panel in panels(BOARDS[name]):
        for target in panel["targets"]:
            wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = {part.strip() for one in _GROUPING.findall(target["expr"]) for part in one.split(",")}
            assert wanted <= grouped | _MADE, (panel["title"], target["expr"])


@pytest.mark.parametrize("name", BOARDS)
def test_the_schema_knows_every_key(name: str) -> None:
    board = BOARDS[name]
    again = JSONEncoder(sort_keys=True, indent=2).encode(Dashboard.from_json(board))
    assert json.loads(again) == board


@pytest.mark.parametrize("name", BOARDS)
def test_counters_are_read_by_what_they_rose_by_and_corrections_with_them(name: str) -> None:
    """By `increase`, or by the value at the end less that at the start, where that is known."""
    twins = {name for name in LABELS if "_adjustment" in name}
    for expression in expressions(BOARDS[name]):
        if expression.startswith("label_values"):
            continue
        read = re.findall(r"(\w+)\((spanledger_\w+_total)", expression)
        assert len(read) == len(re.findall(r"(?<!:)spanledger_\w+_total", expression)), expression
        for function, metric in read:
            assert function in {"increase", "resets", "rate", "last_over_time"}, expression
            stem, _, rest = metric.removesuffix("_total").rpartition("_USD")
            twin = f"{stem}_adjustment_USD" if stem else f"{rest or metric.removesuffix('_total')}_adjustment"
            by_ends = function == "last_over_time"
            assert twin not in twins or f"{function if by_ends else 'delta'}({twin}" in expression, expression
        assert "[$__rate_interval]" not in expression or "increase" not in expression, expression


@pytest.mark.parametrize("name", BOARDS)
def test_a_value_is_read_by_its_ends_only_where_its_start_is_known(name: str) -> None:
    """Else a range that begins before there are samples would show all that the series ever were."""
    text = " ".join(expressions(BOARDS[name]))
    read = text.count(" or 0 * last_over_time(")
    found = [one for at in ENDS.values() for one in known_ends(at).finditer(text)]
    assert len(found) == read
    for one in found:
        assert one["heard"] == (one["name"] if ":" in one["name"] else "spanledger_export_start_seconds")
    assert read or name == "component.json"


def known_ends(at: Ends) -> re.Pattern[str]:
    """How a difference of two ends is written, with the condition that its start is known."""
    end, start, seconds = map(re.escape, (at.end, at.start, at.start_seconds))
    return re.compile(
        r"\(\(last_over_time\((?P<series>(?P<name>[\w:]+)(?:\{[^}]*\})?)\[(?P<back>\w+)\]" + end + r"\) - "
        r"\(last_over_time\((?P=series)\[(?P=back)\]" + start + r"\) or "
        r"0 \* last_over_time\((?P=series)\[(?P=back)\]" + end + r"\)\)\) "
        r"and on \(job, instance\) group by \(job, instance\) \("
        r"last_over_time\((?P<heard>[\w:]+)\[(?P=back)\]" + start + r"\) or "
        r"last_over_time\(spanledger_export_start_seconds\[(?P=back)\]" + end + r"\) >= " + seconds + r"\)"
    )


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_says_what_it_counts(name: str) -> None:
    numbers = [panel["id"] for panel in BOARDS[name]["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))
    for panel in panels(BOARDS[name]):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["description"], panel["title"]
        assert defaults["noValue"], panel["title"]
        assert defaults["unit"], panel["title"]
        if defaults["unit"] in {USD.name, USD_TO_THE_CENT.name}:
            assert re.search(r"posting|time of the calls", panel["description"]), panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_models_have_the_colour_of_their_family_in_every_panel(name: str) -> None:
    families = {f".*{family}.*" for family, _ in BACKENDS["prometheus"].colors}
    for panel in panels(BOARDS[name]):
        if panel["type"] != "table" and any(target["legendFormat"] == "{{model}}" for target in panel["targets"]):
            overridden = {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]}
            assert families <= overridden, panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_a_legend_takes_no_narrow_chart_its_width(name: str) -> None:
    for panel in panels(BOARDS[name]):
        if panel["type"] == "timeseries" and panel["gridPos"]["w"] < 19:
            assert panel["options"]["legend"]["placement"] == "bottom", panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_a_legend_has_totals_of_bars_and_the_last_of_lines(name: str) -> None:
    wanted = {"bars": ["sum"], "line": ["lastNotNull", "max"]}
    for panel in panels(BOARDS[name]):
        if panel["type"] == "timeseries":
            style = panel["fieldConfig"]["defaults"]["custom"]["drawStyle"]
            assert panel["options"]["legend"]["calcs"] == wanted[style], panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_has_its_picture_dark_and_light(name: str) -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    for end in ("", "-light"):
        picture = f"docs/pictures/{name.removesuffix('.json')}{end}.png"
        assert (FOLDER.parent / picture).is_file()
        assert f"(../{picture})" in page


@pytest.mark.parametrize("name", BOARDS)
def test_boards_are_linked_and_keep_choices_and_time(name: str) -> None:
    (link,) = BOARDS[name]["links"]
    assert (link["type"], link["includeVars"], link["keepTime"]) == ("dashboards", True, True)
    assert set(link["tags"]) <= set(BOARDS[name]["tags"])


@pytest.mark.parametrize(("name", "title"), [("overview.json", "Model calls"), ("chargeback.json", "Model calls")])
def test_calls_without_a_price_are_red_from_the_first(name: str, title: str) -> None:
    (panel,) = (one for one in panels(BOARDS[name]) if one["title"] == title)
    (override,) = panel["fieldConfig"]["overrides"]
    assert [
        target["legendFormat"]
        for target in panel["targets"]
        if re.match(override["matcher"]["options"], target["legendFormat"])
    ]
    (property_,) = override["properties"]
    assert property_["value"]["steps"] == [{"color": "text", "value": None}, {"color": "red", "value": 1}]


def test_the_price_book_is_named_beside_its_age() -> None:
    (panel,) = (one for one in panels(BOARDS["quality.json"]) if one["title"] == "Price list checked")
    assert panel["options"]["textMode"] == "value_and_name"
    assert panel["targets"][0]["legendFormat"] == "{{price_book}}"


def test_backends_have_names_and_functions_of_their_own() -> None:
    plain, verbatim = build(BACKENDS["mimir"])["overview.json"], build(BACKENDS["victoriametrics"])["overview.json"]
    assert "anchored" not in plain + verbatim
    assert '__name__="spanledger.cost"' in build(BACKENDS["victoriametrics"])[FILE_NAME]
    assert "spanledger_cost_USD_total" in plain
    assert not re.search(r"(?<!:)spanledger_", verbatim), "but for what is recorded"
    assert r"{__name__=\"spanledger.cost\"," in verbatim
