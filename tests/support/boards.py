"""Boards as Grafana asks for them: variables, ranges and intervals put in, each query sent to a real Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spanledger.dashboards.panels import USD, USD_TO_THE_CENT
from spanledger.dashboards.queries import AS_OF
from support.backfilled import Past

FOLDER = Path(__file__).parents[2] / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))
_VARIABLE = re.compile(r"\$\{(\w+)(?::[\w:]+)?\}|\$([A-Za-z_]\w*)")
_LABEL_VALUES = re.compile(r"label_values\((.+), *(\w+)\)")
_QUERY_RESULT = re.compile(r"query_result\((.+)\)")
_AGO = re.compile(r"now-(\d+)([mhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_ALL = "$__all"
_POINTS = 200
EXPORT_SECONDS = 60
MONEY = {USD.name, USD_TO_THE_CENT.name}
"""Units of money panels."""


@dataclass(frozen=True, slots=True)
class Target:
    """One query of a panel."""

    panel: str
    unit: str
    expression: str
    is_instant: bool
    min_step_seconds: int


@dataclass(frozen=True, slots=True)
class Board:
    """One board as it is committed."""

    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its title."""
        return str(self.content["title"])

    def targets(self) -> Iterator[Target]:
        """Every Prometheus query of every panel, those in closed rows too."""
        for panel in _panels(self.content["panels"]):
            for target in panel.get("targets", []):
                if "expr" in target:
                    yield Target(
                        panel["title"],
                        panel.get("fieldConfig", {}).get("defaults", {}).get("unit", ""),
                        target["expr"],
                        bool(target.get("instant")),
                        seconds(target.get("interval") or panel.get("interval") or "60s"),
                    )


def read_boards() -> list[Board]:
    """Every committed board."""
    return [Board(json.loads(file.read_text(encoding="utf-8"))) for file in FILES]


def _panels(several: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in several:
        yield panel
        yield from _panels(panel.get("panels", []))


def seconds(text: str) -> int:
    """A duration as PromQL and Grafana write it."""
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)([smhdw])", text))


@dataclass(frozen=True, slots=True)
class View:
    """A board that somebody looks at: its range, and what its variables are set to, as text in queries."""

    past: Past
    start_unix: int
    end_unix: int
    variables: Mapping[str, str]

    def ask(self, target: Target) -> list[tuple[dict[str, str], list[float]]]:
        """The series of a query: labels and values."""
        step = max(target.min_step_seconds, (self.end_unix - self.start_unix) // _POINTS // 60 * 60)
        expression = self.written(target.expression, step)
        if target.is_instant:
            return [(labels, [value]) for labels, value in self.past.query(expression, self.end_unix)]
        first = self.start_unix // step * step
        data = self.past.get("query_range", query=expression, start=first, end=self.end_unix, step=step)
        return [(one["metric"], [float(value) for _, value in one["values"]]) for one in data["result"]]

    def written(self, expression: str, step_seconds: int = EXPORT_SECONDS) -> str:
        """A query as it is sent."""
        known = {
            "__range": f"{self.end_unix - self.start_unix}s",
            "__range_s": str(self.end_unix - self.start_unix),
            "__from": str(self.start_unix),
            "__interval": f"{step_seconds}s",
            "__interval_ms": str(step_seconds * 1000),
            "__rate_interval": f"{max(step_seconds + EXPORT_SECONDS, 4 * EXPORT_SECONDS)}s",
            **self.variables,
        }
        return _VARIABLE.sub(lambda found: known[found[1] or found[2]], expression)


def views(past: Past, board: Board, *, each: bool = False) -> Iterator[View]:
    """The board as it opens; with `each`, also with every single value of every variable."""
    start, end = range_of(board, past.end_unix)
    opened = View(past, start, end, {})
    options: dict[str, list[str]] = {}
    written_of: dict[str, Callable[[list[str]], str]] = {}
    for variable in board.content["templating"]["list"]:
        if variable["type"] == "datasource":
            continue
        name = variable["name"]
        # Grafana escapes for a pattern only where several values can be chosen.
        written_of[name] = _any_of if variable.get("multi") or variable.get("includeAll") else "".join
        options[name] = options_of(variable, opened)
        assert options[name], f"no value for ${name} of {board.name}"
        current = variable.get("current", {}).get("value") or options[name][:1]
        chosen = current if isinstance(current, list) else [current]
        everything = variable.get("allValue") or _any_of(options[name])
        written = everything if _ALL in chosen else written_of[name](chosen)
        opened = View(past, start, end, {**opened.variables, name: written})
    yield opened
    if each:
        for name, values in options.items():
            for value in () if name == AS_OF else values:
                yield View(past, start, end, {**opened.variables, name: written_of[name]([value])})


def options_of(variable: Mapping[str, Any], view: View) -> list[str]:
    """What can be chosen."""
    query = variable["query"]
    text = view.written(query["query"] if isinstance(query, dict) else query)
    if variable["type"] != "query":
        return [part.rpartition(" : ")[2].strip() for part in text.split(",")]
    if asked := _QUERY_RESULT.fullmatch(text):
        return [f"{value:.0f}" for _, value in view.past.query(asked[1], view.end_unix)]
    found = _LABEL_VALUES.fullmatch(text.strip())
    assert found is not None, text
    return view.past.label_values(found[2], found[1], view.start_unix, view.end_unix)


def _any_of(values: list[str]) -> str:
    escaped = [re.escape(value).replace("\\", "\\\\") for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def range_of(board: Board, end_unix: int) -> tuple[int, int]:
    """The range that a board opens with, when now is a given time."""
    asked = board.content["time"]
    return _time(asked["from"], end_unix), end_unix


def _time(text: str, now_unix: int) -> int:
    if found := _AGO.fullmatch(text):
        return now_unix - int(found[1]) * _SECONDS[found[2]]
    now = datetime.fromtimestamp(now_unix, UTC)
    match text:
        case "now/d":
            return int(now.replace(hour=0, minute=0, second=0).timestamp())
        case "now/M":
            return int(now.replace(day=1, hour=0, minute=0, second=0).timestamp())
        case _:
            raise AssertionError(f"a range that this cannot read: {text}")


def money(past: Past, board: Board) -> dict[tuple[str, ...], float]:
    """What each query of each money panel says of a whole past, for every value of every variable.

    By board, panel, place of the query in the board, choices and labels. Asked at its end with the whole of it as one
    bar: borders of steps would fall between the exports of one service and not of another.
    """
    if not any(target.unit in MONEY for target in board.targets()):
        return {}
    seconds = past.end_unix - past.start_unix
    return {
        (
            board.name,
            target.panel,
            str(place),
            *_pairs(opened.variables, but=AS_OF),
            *_pairs(labels),
        ): value
        for opened in views(past, board, each=True)
        for place, target in enumerate(board.targets())
        if target.unit in MONEY
        for labels, value in past.query(
            replace(opened, start_unix=past.start_unix, end_unix=past.end_unix).written(target.expression, seconds)
        )
    }


def _pairs(several: Mapping[str, str], but: str = "") -> list[str]:
    return sorted(f"{name}={value}" for name, value in several.items() if name != but)


def shown(past: Past, board: Board, panel: str, beyond_seconds: int = 0) -> float:
    """The figure that the first query of a panel shows over the whole of a past, and so long beyond it."""
    target = next(one for one in board.targets() if one.panel == panel)
    opened = next(views(past, board))
    whole = replace(opened, start_unix=past.start_unix, end_unix=past.end_unix + beyond_seconds)
    (last_told,) = (one for one in board.content["templating"]["list"] if one["name"] == AS_OF)
    variables = {**opened.variables, AS_OF: options_of(last_told, whole)[0]}
    ((_, (value,)),) = replace(whole, variables=variables).ask(target)
    return value
