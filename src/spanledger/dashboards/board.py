"""A board: rows of panels, variables, links and annotations, put together the same way for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from spanledger.core.gauges import Gauge
from spanledger.core.semconv import Metric
from spanledger.dashboards.panels import DATASOURCE, Panel
from spanledger.dashboards.queries import AS_OF, Name, Queries, chosen
from spanledger.dashboards.settings import BoardSettings
from spanledger.telemetry import Counter

COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Placed:
    """A panel and its size in grid units; 24 are as wide as the board."""

    panel: Panel
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and what is below it: from left to right, in as many lines as it takes."""

    title: str
    panels: Sequence[Placed]


@dataclass(frozen=True, slots=True)
class Choice:
    """A variable whose values are those of a label of a metric; `default` is chosen alone, else all of them are."""

    label: str
    heading: str
    metric: Name
    description: str
    default: str = ""
    variable: str = ""

    @property
    def name(self) -> str:
        """Name of the variable: the label's, unless it has another."""
        return self.variable or self.label


@dataclass(frozen=True, slots=True)
class Board:
    """A whole board. `key` is the end of its identity and the name of its file.

    `shows_events`: new price books and restarts are marked in its charts; they are looked for minute by minute, so not
    in ranges of a month. `has_totals`: its figures are as of the last export in the range.
    """

    key: str
    title: str
    description: str
    start: str
    choices: Sequence[Choice]
    rows: Sequence[Row]
    shows_events: bool = True
    has_totals: bool = True


BASIS = Choice(
    "basis",
    "Basis",
    Metric.COST,
    "billed: API keys, Bedrock, Vertex, usage-based seats. notional: covered by a plan. unknown: the account does not "
    "say. They are never summed.",
    default="billed",
)
COST_CENTER = Choice("cost_center", "Cost center", Metric.COST, "Cost centers, `unallocated` where senders say none.")
TEAM = Choice("team", "Team", Metric.COST, "Teams of the chosen cost centers.")


def scope_of(settings: BoardSettings, choices: Sequence[Choice]) -> Queries:
    """Queries that are narrowed by the variables of a board."""
    return Queries(settings, tuple(chosen(choice.label) for choice in choices if not choice.variable))


def write(board: Board, settings: BoardSettings) -> str:
    """The board as Grafana's classic JSON, the same bytes for the same board."""
    made = (
        builders.Dashboard(board.title)
        .uid(settings.uid(board.key))
        .description(board.description)
        .tags(list(settings.tags))
        .readonly()
        .timezone("browser")
        .refresh(settings.refresh)
        .time(board.start, "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(_link(settings))
        .with_variable(_datasource())
    )
    for choice, before in zip(board.choices, _befores(board.choices), strict=True):
        made.with_variable(_variable(choice, scope_of(settings, before)))
    if board.has_totals:
        made.with_variable(_as_of(Queries(settings)))
    for annotation in _annotations(Queries(settings)) if board.shows_events else ():
        made.annotation(annotation)
    _place(made, board.rows)
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def _place(made: builders.Dashboard, rows: Sequence[Row]) -> None:
    """Number and place everything; the SDK numbers nothing, and links to panels go by their number."""
    number, top = 0, 0
    for row in rows:
        number += 1
        made.with_row(builders.Row(row.title).id(number).grid_pos(models.GridPos(1, COLUMNS, 0, top)))
        left, top, height = 0, top + 1, 0
        for placed in row.panels:
            if left + placed.width > COLUMNS:
                left, top, height = 0, top + height, 0
            number += 1
            placed.panel.id(number).grid_pos(models.GridPos(placed.height, placed.width, left, top))
            made.with_panel(placed.panel)
            left, height = left + placed.width, max(height, placed.height)
        top += height


def _befores(choices: Sequence[Choice]) -> list[Sequence[Choice]]:
    """The choices that narrow each choice: those before it that can have several values."""
    return [[one for one in choices[:place] if not one.default] for place in range(len(choices))]


def _datasource() -> builders.DatasourceVariable:
    return (
        builders.DatasourceVariable("datasource")
        .label("Data source")
        .type("prometheus")
        .description("Where spanledger's metrics are.")
        .multi(False)
        .include_all(False)
    )


def _variable(choice: Choice, queries: Queries) -> builders.QueryVariable:
    variable = (
        builders.QueryVariable(choice.name)
        .label(choice.heading)
        .description(choice.description)
        .datasource(DATASOURCE)
        .query(queries.values_of(choice.label, choice.metric))
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    if choice.default:
        return (
            variable.multi(False)
            .include_all(False)
            .current(models.VariableOption(True, choice.default, choice.default))
        )
    everything = models.VariableOption(True, ["All"], ["$__all"])
    return variable.multi(True).include_all(True).all_value(".*").current(everything)


class _Made(Builder[models.VariableModel]):
    """A variable that is built already: for what its builder has no word for."""

    def __init__(self, variable: models.VariableModel) -> None:
        self._variable = variable

    def build(self) -> models.VariableModel:
        """Give it."""
        return self._variable


def _as_of(queries: Queries) -> _Made:
    made = (
        builders.QueryVariable(AS_OF)
        .label("As of")
        .description("When the figures were last told in the range (Unix time).")
        .datasource(DATASOURCE)
        .query(queries.last_told())
        .regex(r"/ (\d+) /")
        .hide(models.VariableHide.HIDE_VARIABLE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(False)
        .include_all(False)
        .allow_custom_value(False)
        .build()
    )
    made.skip_url_sync = True  # a time of another range, in a link, would be taken for this one's
    return _Made(made)


def _link(settings: BoardSettings) -> builders.DashboardLink:
    return (
        builders.DashboardLink("Cost boards")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags(list(settings.tags))
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
        .target_blank(False)
    )


def _annotations(queries: Queries) -> list[builders.AnnotationQuery]:
    book = queries.now(Gauge.PRICE_BOOK_TIMESTAMP, by=("price_book",), how="max")
    series = queries.series(Gauge.PRICE_BOOK_TIMESTAMP)
    new_book = f"{book} unless on (price_book) ({series} offset 10m) and on () (max({series} offset 10m))"
    restart = f"max(resets({queries.series(Counter.REQUESTS_RECEIVED)}[5m])) > 0"
    return [
        _annotation("New price book", "purple", new_book, "price book {{price_book}} in use"),
        _annotation("Restart", "orange", restart, "spanledger was restarted"),
    ]


def _annotation(name: str, color: str, expression: str, text: str) -> builders.AnnotationQuery:
    return (
        builders.AnnotationQuery()
        .name(name)
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color(color)
        .expr(expression)
        .step("60s")
        .title_format(name)
        .text_format(text)
    )
