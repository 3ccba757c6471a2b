"""Panels: a few kinds, each with everything set that Grafana's readers and the SDK's defaults would miss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models
from grafana_foundation_sdk.models import units

from spanledger.dashboards.settings import Colors

DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
"""The one that the reader chooses."""

_LAST = "lastNotNull"
_LEGEND_HEADINGS = {"sum": "Total", _LAST: "Last *"}
_MAX_SERIES_HEIGHT = 24
_MIN_COLUMN_WIDTH = 60
_NAME_SIZE, _VALUE_SIZE = 12, 14  # pixels; by themselves, names grow with their bars until they are cut
_FIGURE_NAME_SIZE, _FIGURE_SIZE = 12, 24  # pixels; by themselves, the shorter of two figures is the larger


@dataclass(frozen=True, slots=True)
class Unit:
    """How numbers are written; without decimals Grafana chooses. Axes and bars begin at 0 unless values are signed."""

    name: str
    decimals: int | None = None
    is_signed: bool = False


USD = Unit(units.Dollars, 2)
USD_TO_THE_CENT = Unit("prefix:$", 2)
"""Where `$12.35K` will not do: what goes into a statement. Every Grafana knows it."""
USD_CHANGE = Unit(units.Dollars, 2, is_signed=True)
SHARE = Unit(units.PercentUnit, 1)
CHANGE = Unit(units.PercentUnit, 1, is_signed=True)
COUNT = Unit(units.Short)
WHOLE = Unit(units.LocaleFormat, 0)
SECONDS = Unit(units.Seconds)
DAYS = Unit("suffix: days", 0)
BYTES = Unit(units.BytesIEC)
PER_SECOND = Unit(units.CountsPerSecond)


@dataclass(frozen=True, slots=True)
class About:
    """What a panel is called, what it counts and what not, and what stands there when it has no value."""

    title: str
    description: str
    no_value: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A query and the name of what it gives, with `{{label}}` in it."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Level:
    """From a value on, a colour, of the value that is written there too."""

    at: float | None
    color: str


_WIDTHS = {"Cost center": 100, "Basis": 125, "Period": 80}
"""Pixels of columns whose texts are short, so that the others have room."""

_TEXT = [models.DynamicConfigValue("unit", "string"), models.DynamicConfigValue("noValue", "-")]
"""A label in a column: one of digits alone is no amount of money."""

PLAIN: tuple[Level, ...] = (Level(None, "text"),)
"""No judgement."""


def rising(warn: float, bad: float) -> tuple[Level, ...]:
    """More is worse."""
    return (Level(None, "green"), Level(warn, "orange"), Level(bad, "red"))


def falling(bad: float, low: float) -> tuple[Level, ...]:
    """Less is worse."""
    return (Level(None, "red"), Level(bad, "orange"), Level(low, "green"))


Panel = stat.Panel | bargauge.Panel | timeseries.Panel | table.Panel
"""Any kind of panel, not numbered and placed yet."""

_P = TypeVar("_P", stat.Panel, bargauge.Panel, timeseries.Panel, table.Panel)


def stats(
    about: About,
    asks: Sequence[Ask],
    unit: Unit,
    levels: Sequence[Level] = PLAIN,
    words: Mapping[str, str] | None = None,
    *,
    is_named: bool = False,
) -> stat.Panel:
    """Large figures, of one instant; `words` stand for values. Several have their names, one where it `is_named`."""
    panel = (
        stat.Panel()
        .graph_mode(options.BigValueGraphMode.NONE)
        .color_mode(options.BigValueColorMode.VALUE)
        .text_mode(options.BigValueTextMode.VALUE_AND_NAME if is_named else options.BigValueTextMode.AUTO)
        .orientation(options.VizOrientation.AUTO)
        .wide_layout(False)
        .text(common.VizTextDisplayOptions().title_size(_FIGURE_NAME_SIZE).value_size(_FIGURE_SIZE))
        .reduce_options(_last_value())
    )
    if words:
        panel.mappings(
            [models.ValueMap(options={key: models.ValueMappingResult(text=text) for key, text in words.items()})]
        )
    return _common(panel, about, asks, unit, levels, is_instant=True)


def ranking(
    about: About, ask: Ask, unit: Unit, levels: Sequence[Level] | None = None, colors: Colors = ()
) -> bargauge.Panel:
    """Bars beside one another, the longest first: of one instant."""
    panel = (
        bargauge.Panel()
        .display_mode(options.BarGaugeDisplayMode.BASIC)
        .orientation(options.VizOrientation.HORIZONTAL)
        .value_mode(options.BarGaugeValueMode.COLOR)
        .show_unfilled(True)
        .max_viz_height(_MAX_SERIES_HEIGHT)
        .text(common.VizTextDisplayOptions().title_size(_NAME_SIZE).value_size(_VALUE_SIZE))
        .reduce_options(_last_value())
    )
    return _colored(_common(panel, about, [ask], unit, levels or (), is_instant=True), colors)


def bars(about: About, asks: Sequence[Ask], unit: Unit, min_interval: str, colors: Colors) -> timeseries.Panel:
    """Amounts over time, stacked; no two bars count the same, so the legend's totals add up."""
    panel = (
        _over_time(["sum"], is_wide=True)
        .draw_style(options.GraphDrawStyle.BARS)
        .fill_opacity(80)
        .line_width(0)
        .stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
        .max_data_points(170)
        .interval(min_interval)
    )
    return _colored(_common(panel, about, asks, unit, (), is_instant=False), colors)


def lines(
    about: About, asks: Sequence[Ask], unit: Unit, interval: str, *, is_wide: bool = False, colors: Colors = ()
) -> timeseries.Panel:
    """Values over time. The legend is beside a panel as wide as the board, else below: beside, it takes half of it."""
    panel = (
        _over_time([_LAST, "max"], is_wide=is_wide)
        .draw_style(options.GraphDrawStyle.LINE)
        .line_width(2)
        .interval(interval)
    )
    panel.show_points(options.VisibilityMode.AUTO).fill_opacity(5).span_nulls(False)
    _common(panel, about, asks, unit, (), is_instant=False)
    panel.color_scheme(_color("palette-classic"))  # by their order: by their names, two of few can have one colour
    return _colored(panel, colors)


def rows_table(about: About, ask: Ask, unit: Unit, columns: Mapping[str, str]) -> table.Panel:
    """A table: a row for each result, a column for each label in `columns` (label to heading), then the value."""
    return _table(about, [ask], unit, columns, {"Value": ask.legend})


def merged_table(about: About, asks: Sequence[Ask], unit: Unit, columns: Mapping[str, str]) -> table.Panel:
    """A table with a column for each query, by its legend; a row for each set of labels."""
    values = {f"Value #{_letter(place)}": ask.legend for place, ask in enumerate(asks)}
    return _table(about, asks, unit, columns, values)


def _table(
    about: About, asks: Sequence[Ask], unit: Unit, columns: Mapping[str, str], values: Mapping[str, str]
) -> table.Panel:
    panel = table.Panel().show_header(True).filterable(True).min_width(_MIN_COLUMN_WIDTH)
    panel.sort_by([common.TableSortByFieldState().display_name(next(iter(values.values()))).desc(True)])
    if len(asks) > 1:
        panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    places = {name: place for place, name in enumerate((*columns, *values))}
    arrange = {"excludeByName": {"Time": True}, "indexByName": places, "renameByName": {**columns, **values}}
    panel.with_transformation(models.DataTransformerConfig(id_val="organize", options=arrange))
    for heading in columns.values():
        width = [models.DynamicConfigValue("custom.width", _WIDTHS[heading])] if heading in _WIDTHS else []
        panel.override_by_name(heading, _TEXT + width)
    return _common(panel, about, asks, unit, (), is_instant=True, is_table=True)


def written_as(panel: stat.Panel, pattern: str, unit: Unit) -> stat.Panel:
    """Results whose name fits are of another unit."""
    properties = [models.DynamicConfigValue("unit", unit.name), models.DynamicConfigValue("decimals", unit.decimals)]
    return panel.override_by_regexp(pattern, properties)


def red_above_zero(panel: stat.Panel, pattern: str) -> stat.Panel:
    """Results whose name fits are red from the first on."""
    steps = [{"color": "text", "value": None}, {"color": "red", "value": 1}]
    return panel.override_by_regexp(
        pattern, [models.DynamicConfigValue("thresholds", {"mode": "absolute", "steps": steps})]
    )


def red_but(panel: table.Panel, column: str, good: str) -> table.Panel:
    """Texts in a column are red, but one."""
    colors = [
        {"type": "value", "options": {good: {"color": "text", "index": 0}}},
        {"type": "regex", "options": {"pattern": f"^(?!{good}$).*", "result": {"color": "red", "index": 1}}},
    ]
    return panel.override_by_name(
        column,
        [
            models.DynamicConfigValue("mappings", colors),
            models.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
        ],
    )


def dashed(panel: timeseries.Panel, pattern: str, color: str) -> timeseries.Panel:
    """Series whose name fits are lines of reference: dashed, thin, of one colour."""
    return panel.override_by_regexp(
        pattern,
        [
            models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color}),
            models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 8]}),
            models.DynamicConfigValue("custom.lineWidth", 1),
            models.DynamicConfigValue("custom.fillOpacity", 0),
        ],
    )


def _common(
    panel: _P,
    about: About,
    asks: Sequence[Ask],
    unit: Unit,
    levels: Sequence[Level],
    *,
    is_instant: bool,
    is_table: bool = False,
) -> _P:
    panel.title(about.title).description(about.description).no_value(about.no_value)
    panel.datasource(DATASOURCE).unit(unit.name)
    if not unit.is_signed:
        panel.min(0)
    if unit.decimals is not None:
        panel.decimals(unit.decimals)
    panel.color_scheme(_color("thresholds" if levels else "palette-classic-by-name"))
    panel.thresholds(_thresholds(levels or PLAIN))
    for place, ask in enumerate(asks):
        panel.with_target(_query(ask, _letter(place), is_instant=is_instant, is_table=is_table))
    return panel


def _last_value() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs([_LAST]).values(False)


def _over_time(legend: list[str], *, is_wide: bool) -> timeseries.Panel:
    """A chart with a table of its series, the largest first."""
    return (
        timeseries.Panel()
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(options.LegendDisplayMode.TABLE)
            .placement(options.LegendPlacement.RIGHT if is_wide else options.LegendPlacement.BOTTOM)
            .calcs(legend)
            .sort_by(_LEGEND_HEADINGS[legend[0]])
            .sort_desc(True)
        )
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING))
    )


def _colored(panel: _P, colors: Colors) -> _P:
    """Give series whose name has a key its colour, the same on every board."""
    for name, color in colors:
        fixed = models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})
        panel.override_by_regexp(f".*{name}.*", [fixed])
    return panel


def _color(mode: str) -> builders.FieldColor:
    return builders.FieldColor().mode(models.FieldColorModeId(mode))


def _thresholds(levels: Sequence[Level]) -> builders.ThresholdsConfig:
    steps = [models.Threshold(level.at, level.color) for level in levels]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _query(ask: Ask, name: str, *, is_instant: bool, is_table: bool) -> prometheus.Dataquery:
    query = prometheus.Dataquery().ref_id(name).datasource(DATASOURCE).expr(ask.expression).legend_format(ask.legend)
    query.format(prometheus_models.PromQueryFormat("table" if is_table else "time_series"))
    return query.instant() if is_instant else query.range()


def _letter(place: int) -> str:
    """Grafana's name of the query at a place."""
    return chr(ord("A") + place)
