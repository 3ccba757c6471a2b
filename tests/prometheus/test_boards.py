"""Boards on a real Prometheus with a fleet's month in it: every panel says something, every total is the ledger's."""

from __future__ import annotations

import csv
import io
import math
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pytest

from spanledger.core.money import parse_usd
from spanledger.core.periods import Period
from spanledger.core.prometheus_names import prometheus_name
from spanledger.core.semconv import ADJUSTED_BY, DEFAULT_RESOURCE_LABELS, METRICS, Metric
from spanledger.core.usage import Basis
from spanledger.core.usage_report import GROUPINGS
from spanledger.ledger.ledger import Ledger
from spanledger.service.usage_report import report_usage
from support.backfilled import FIRST, Past
from support.boards import Board, View, read_boards, views
from support.history import UTC
from support.processes import COMMAND, service_environment

pytestmark = pytest.mark.prometheus

BOARDS = read_boards()
MONTH = Period(FIRST, date(2026, 10, 31), UTC)
CENT = 0.005
PICO = 10**12
MONEY = (Metric.COST, Metric.USER_COST, Metric.PURPOSE_COST, Metric.MODIFIER_COST)
"""The same cost, each time by other labels."""
METRIC_OF = {prometheus_name(METRICS[one].name, METRICS[one].unit, is_counter=True): one for one in MONEY}
REPORTED = {"basis", *GROUPINGS, *DEFAULT_RESOURCE_LABELS.values()}
"""Labels that a report knows too."""

_TOTAL = re.compile(
    r"sum(?: by \((?P<by>[^)]*)\))? \(\(\(last_over_time\((?P<name>\w+)\{(?P<where>[^}]*)\}\[\w+\] @ \$as_of\) - "
    r".*?:seconds\}\)\) or label_replace\(.*?:seconds\}\)\),\"twin\",\"yes\",\"\",\"\"\)\)"
)
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_panel_says_something_for_every_value_of_every_variable(board: Board, past: Past) -> None:
    silent = []
    for view in views(past, board, each=True):
        for target in board.targets():
            found = view.ask(target)
            numbers = [number for _, several in found for number in several]
            if not any(map(math.isfinite, numbers)):
                silent.append((target.panel, target.expression, dict(view.variables)))
    assert silent == []


@dataclass(frozen=True, slots=True)
class Total:
    """A sum of money over the range of a board."""

    board: str
    panel: str
    expression: str
    metric: Metric
    by: tuple[str, ...]
    where: tuple[tuple[str, str, str], ...]


def totals() -> Iterator[Total]:
    """Every sum of money in every panel; each once a board."""
    seen = set()
    for board in BOARDS:
        for target in board.targets():
            for found in _TOTAL.finditer(target.expression):
                key = (board.name, found[0])
                if found["name"] not in METRIC_OF or key in seen:
                    continue
                seen.add(key)
                by = tuple(label.strip() for label in (found["by"] or "").split(",") if label)
                where = tuple((one[1], one[2], one[3]) for one in _MATCHER.finditer(found["where"]))
                yield Total(board.name, target.panel, found[0], METRIC_OF[found["name"]], by, where)


def is_reported(total: Total) -> bool:
    return {*total.by, *(label for label, _, _ in total.where)} <= REPORTED


def from_report(past: Past, total: Total, variables: dict[str, str]) -> Counter[tuple[str, ...]]:
    """The same by a report over the ledger's postings, in pico-USD."""
    labels = tuple(dict.fromkeys((*total.by, *(label for label, _, _ in total.where))))
    by = tuple(label for label in labels if label != "basis")
    ledger = Ledger.read(past.ledger_path)
    report = report_usage(ledger, MONTH, by or ("model",), {})
    ledger.close()
    sums: Counter[tuple[str, ...]] = Counter()
    for line in report.lines:
        facts = {**dict(zip(by, line.key, strict=False)), "basis": line.basis.value}
        if all(matches(facts[label], how, value, variables) for label, how, value in total.where):
            sums[tuple(facts[label] for label in total.by)] += line.figures.cost_picousd
    return sums


def from_series(past: Past, total: Total, variables: dict[str, str]) -> Counter[tuple[str, ...]]:
    """The same by the ledger's own fold, where a report does not know a label."""
    ledger = Ledger.read(past.ledger_path)
    sums: Counter[tuple[str, ...]] = Counter()
    for state in ledger.series.states():
        facts = dict(state.key.labels)
        if ADJUSTED_BY.get(state.key.metric, state.key.metric) is total.metric and all(
            matches(facts[label], how, value, variables) for label, how, value in total.where
        ):
            sums[tuple(facts[label] for label in total.by)] += state.value
    ledger.close()
    return sums


def matches(fact: str, how: str, value: str, variables: dict[str, str]) -> bool:
    wanted = variables.get(value.removeprefix("$"), value)
    holds = re.fullmatch(wanted, fact) is not None if "~" in how else fact == wanted
    return holds != how.startswith("!")


@pytest.mark.parametrize("total", list(totals()), ids=lambda total: f"{total.board}: {total.panel}")
def test_totals_of_the_month_are_the_ledgers_to_the_cent(total: Total, past: Past) -> None:
    (board,) = (one for one in BOARDS if one.name == total.board)
    (opened,) = views(past, board)
    held = 0
    for basis in Basis:
        variables = {**opened.variables, "basis": basis.value}
        view = View(past, past.start_unix, past.end_unix, variables)
        shown = {
            tuple(labels.get(label, "") for label in total.by): value
            for labels, value in past.query(view.written(total.expression))
        }
        booked = (from_report if is_reported(total) else from_series)(past, total, variables)
        held += len(booked)
        assert {key for key, value in shown.items() if value} == {key for key, value in booked.items() if value}
        for key, value in shown.items():
            assert abs(value - booked[key] / PICO) < CENT, (basis, key)
    assert held


@pytest.mark.parametrize(
    ("panel", "by"),
    [
        ("Cost by team", ("cost_center", "team")),
        ("Cost by user", ("cost_center", "team", "user")),
        ("Cost by model", ("cost_center", "team", "model")),
    ],
)
def test_the_month_of_chargeback_is_the_exported_statement(panel: str, by: tuple[str, ...], past: Past) -> None:
    """Board, `report --format csv` and ledger agree to the cent, line by line and in all."""
    (board,) = (one for one in BOARDS if one.content["uid"] == "spanledger-chargeback")
    opened = next(views(past, board))
    assert (opened.start_unix, opened.end_unix) == (past.start_unix, past.end_unix)
    (target,) = (one for one in board.targets() if one.panel == panel)
    shown: Counter[tuple[str, ...]] = Counter()
    for labels, (value,) in opened.ask(target):
        shown[(*(labels[label] for label in by), labels["basis"])] += round(value * PICO)
    exported = {
        (*(line[label] for label in by), line["basis"]): parse_usd(line["cost_usd"]) for line in statement(past, by)
    }
    assert {key for key, cost in exported.items() if cost} == shown.keys()
    for key, cost in shown.items():
        assert abs(cost - exported[key]) < CENT * PICO, key
    ledger = Ledger.read(past.ledger_path)
    assert sum(exported.values()) == ledger.report().cost_picousd
    ledger.close()


def statement(past: Past, by: tuple[str, ...]) -> list[dict[str, str]]:
    """What finance gets: the verb's own CSV of the month."""
    command = [COMMAND, "report", "--ledger", past.ledger_path, "--period", f"{FIRST:%Y-%m}", "--format", "csv"]
    done = subprocess.run(
        [*map(str, command), "--by", ",".join(by)],
        capture_output=True,
        text=True,
        check=True,
        env=service_environment(),
    )
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_some_totals_are_held() -> None:
    """The pattern that finds them goes with the boards."""
    assert len({total.panel for total in totals()}) >= 4
