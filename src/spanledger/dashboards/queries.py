"""PromQL over our own metrics. Names and labels are looked up in the tables of the code: others raise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from spanledger.core.gauges import GAUGES, Gauge
from spanledger.core.prometheus_names import prometheus_name, with_suffixes
from spanledger.core.semconv import ADJUSTED_BY, ADJUSTMENT_OF, DEFAULT_RESOURCE_LABELS, METRICS, Metric
from spanledger.dashboards.settings import BoardSettings, Naming
from spanledger.telemetry import COMMIT_DURATION, COMMIT_DURATION_UNIT, COUNTERS, Counter


class Recorded(StrEnum):
    """Series of ours that a recording rule adds up, for charts that would read too many samples (`recording.py`)."""

    COST_BY_TOKEN_CLASS = "token_class:spanledger_cost_USD:total"  # noqa: S105 - no secret
    COST_BY_QUERY_CLASS = "query_class:spanledger_cost_USD:total"
    TOKENS = "owner:spanledger_tokens:total"
    SIGNAL_TOKENS = "signal:spanledger_signal_tokens:total"
    """Totals are of the ledger's life, as the series are."""
    USER_DAY = "user:spanledger_user_cost_USD:change1d"
    """What each user cost in the day before."""


RECORDED_LABELS: dict[Recorded, tuple[str, ...]] = {
    Recorded.COST_BY_TOKEN_CLASS: ("basis", "token_class"),
    Recorded.COST_BY_QUERY_CLASS: ("basis", "query_class"),
    Recorded.TOKENS: ("basis",),
    Recorded.SIGNAL_TOKENS: ("signal",),
    Recorded.USER_DAY: ("basis", "user"),
}
"""Own labels of what is recorded; those of its owners and source follow."""

Name = Metric | Gauge | Counter | Recorded

RANGE = "$__range"
BEFORE = "before"
"""The time of the same length before the range."""
STEP = "$__interval"
DAY = "1d"
AS_OF = "as_of"
"""Hidden variable of the boards: when figures were last told in the range, in Unix seconds. Ranges such as "this month"
end in the future, where there is no sample."""
_FROM = "${__from:date:seconds}"


@dataclass(frozen=True, slots=True)
class Ends:
    """Ends of a window: what a selector has behind it to be read there, and when it starts in Unix seconds."""

    end: str
    start: str
    start_seconds: str


ENDS = {
    RANGE: Ends(f" @ ${AS_OF}", f" @ {_FROM}", _FROM),
    BEFORE: Ends(f" @ {_FROM}", f" @ {_FROM} offset {RANGE}", f"{_FROM} - $__range_s"),
    STEP: Ends("", f" offset {STEP}", "time() - $__interval_ms / 1000"),
    DAY: Ends("", f" offset {DAY}", "time() - 86400"),
}
OWNERS = frozenset(DEFAULT_RESOURCE_LABELS.values())

WHOLE_COST = Metric.MODIFIER_COST
"""Where only basis, model, provider and owner matter: the total of `spanledger.cost` in a tenth of its series."""

SOURCE = ("job", "instance")
_ON_SOURCE, _BY_SOURCE = (f"{how} ({', '.join(SOURCE)})" for how in ("on", "group by"))
_EVERYWHERE = frozenset(SOURCE)
_LOOKBACK, _SHORT_LOOKBACK = "1d", "2h"
"""How long before its time a value may have been exported last: while nothing is exported, nothing is posted. The
shorter one is for metrics of many series, and for charts."""
_MISSED = "15m"
"""The same of what a rule records every five minutes."""
_MANY = frozenset({Metric.COST, Metric.TOKENS, Metric.REQUESTS, Metric.USER_COST})
_TWIN = "twin"
"""Label that keeps the corrections of a series apart from it, in case that they have the same labels (overflow)."""


@dataclass(frozen=True, slots=True)
class Match:
    """One condition on a label."""

    label: str
    operator: str
    value: str

    def __str__(self) -> str:
        """As PromQL has it."""
        return f'{self.label}{self.operator}"{self.value}"'


def is_(label: str, value: str) -> Match:
    """The label has this value."""
    return Match(label, "=", value)


def isnt(label: str, value: str) -> Match:
    """The label has another value."""
    return Match(label, "!=", value)


def chosen(variable: str) -> Match:
    """The label has a value that is chosen in the variable of its name."""
    return Match(variable, "=~", f"${variable}")


def labels_of(name: Name) -> frozenset[str]:
    """Every label that series of a metric, gauge or counter of ours can have."""
    match name:
        case Recorded():
            return _EVERYWHERE | OWNERS | {*RECORDED_LABELS[name]}
        case Counter():
            label = COUNTERS[name].label
            return _EVERYWHERE | ({label} if label else frozenset())
        case Gauge():
            gauge = GAUGES[name]
            return _EVERYWHERE | {*gauge.labels} | (OWNERS if gauge.resource_labels else frozenset())
        case Metric():
            spec = METRICS[name]
            return _EVERYWHERE | {*spec.labels} | (OWNERS if spec.resource_labels else frozenset())


def name_in(naming: Naming, name: Name) -> str:
    """Name in the backend."""
    match name:
        case Recorded():
            return name.value
        case Counter():
            return _written(naming, COUNTERS[name].name, COUNTERS[name].unit, is_counter=True)
        case Gauge():
            return _written(naming, name.value, GAUGES[name].unit, is_counter=False)
        case Metric():
            return _written(naming, name.value, METRICS[name].unit, is_counter=METRICS[name].monotonic)


def _written(naming: Naming, name: str, unit: str, *, is_counter: bool) -> str:
    match naming:
        case Naming.UNDERSCORES:
            return prometheus_name(name, unit, is_counter=is_counter)
        case Naming.SUFFIXES:
            return with_suffixes(name, unit, is_counter=is_counter)
        case Naming.VERBATIM:
            return name


@dataclass(frozen=True, slots=True)
class Queries:
    """Queries of one board. `scope` are the conditions of its variables: each for the series that have its label."""

    settings: BoardSettings
    scope: tuple[Match, ...] = ()

    def without_scope(self, *labels: str) -> Queries:
        """The same, not narrowed by some of the variables; by none of them when no label is given."""
        kept = (match for match in self.scope if labels and match.label not in labels)
        return Queries(self.settings, tuple(kept))

    def series(self, name: Name, *where: Match) -> str:
        """A selector.

        Raises:
            KeyError: the metric has no such label.
        """
        known = labels_of(name)
        _require(known, (match.label for match in where), name)
        return self._selector(name_in(self.settings.naming, name), known, where)

    def _selector(self, written: str, known: frozenset[str], where: tuple[Match, ...]) -> str:
        scope = (match for match in self.scope if match.label in known)
        conditions = [*self.settings.matchers, *map(str, (*scope, *where))]
        if self.settings.naming is Naming.UNDERSCORES:
            return written + (f"{{{','.join(conditions)}}}" if conditions else "")
        return "{" + ",".join([f'__name__="{written}"', *conditions]) + "}"

    def change(self, name: Name, *where: Match, window: str = RANGE) -> str:
        """What each series rose by, with its corrections.

        A total is its series and their corrections (docs/reference/metrics.md). `or` puts both into one vector; `twin`
        keeps it from taking one for the other.
        """
        ask = (
            self._rise
            if isinstance(name, Counter) or (isinstance(name, Metric) and window == STEP)
            else self._difference
        )
        twin = ADJUSTMENT_OF.get(name) if isinstance(name, Metric) else None
        return ask(name, where, window) if twin is None else _both(ask(name, where, window), ask(twin, where, window))

    def lifetime(self, name: Metric) -> str:
        """What each series is since its ledger began, with its corrections."""
        return _both(self.series(name), self.series(ADJUSTMENT_OF[name]))

    def _difference(self, name: Name, where: Iterable[Match], window: str) -> str:
        """The value at the end less that at the start, 0 for a series that is younger: reads the ends alone.

        Series of a ledger never begin again. What they were at the start is known where their source was heard of then,
        or told this backend of them only later; else the source is left out (`left_out`), instead of counted with all
        that its series ever were.
        """
        is_short = isinstance(name, Recorded) or (isinstance(name, Metric) and ADJUSTED_BY.get(name, name) in _MANY)
        lookback = _SHORT_LOOKBACK if is_short else _LOOKBACK
        at, series = ENDS[window], self.series(name, *where)
        end = f"last_over_time({series}[{lookback}]{at.end})"
        start = f"last_over_time({series}[{lookback}]{at.start})"
        heard = self.without_scope().series(name if isinstance(name, Recorded) else Gauge.EXPORT_START)
        return f"(({end} - ({start} or 0 * {end})) and {_ON_SOURCE} {self._known(heard, lookback, at)})"

    def _known(self, heard: str, lookback: str, at: Ends) -> str:
        """Sources whose values at the start of a window are known, by a series that each of them has."""
        told = f"{self.series(Gauge.EXPORT_START)}[{lookback}]{at.end}"
        known = f"last_over_time({heard}[{lookback}]{at.start}) or last_over_time({told}) >= {at.start_seconds}"
        return f"{_BY_SOURCE} ({known})"

    def left_out(self) -> str:
        """How many sources were heard of in the range whose totals over it are not known."""
        at, told = ENDS[RANGE], self.series(Gauge.EXPORT_START)
        heard = f"{_BY_SOURCE} (last_over_time({told}[{RANGE}:15m]{at.end}))"
        ends = f"last_over_time({told}[{_SHORT_LOOKBACK}]{at.end})"
        known = f"{ends} and {_ON_SOURCE} {self._known(told, _SHORT_LOOKBACK, at)}"
        return f"count({heard} unless {_ON_SOURCE} ({known})) or vector(0)"

    def _rise(self, name: Name, where: Iterable[Match], window: str) -> str:
        """What is posted in each step of a chart, or what a counter of the process rose by: reads every sample.

        Corrections go either way, so they are a gauge to Prometheus: what they changed by is `delta`, also where the
        first of them came within the window, for they too say 0 first.
        """
        rises = isinstance(name, Counter) or (isinstance(name, Metric) and METRICS[name].monotonic)
        ending = f"[{window}]{' anchored' if self.settings.is_anchored else ''}"
        return f"{'increase' if rises else 'delta'}({self.series(name, *where)}{ending})"

    def total(self, name: Name, *where: Match, by: Iterable[str] = (), window: str = RANGE) -> str:
        """What all series together rose by, apart by labels.

        Raises:
            KeyError: the metric has no such label.
        """
        by = tuple(by)
        _require(labels_of(name), by, name)
        return f"sum{_by(by)} ({self.change(name, *where, window=window)})"

    def rate(self, name: Counter, *where: Match) -> str:
        """How fast each series of a counter rises, a second."""
        return f"rate({self.series(name, *where)}[$__rate_interval])"

    def commit_seconds(self, quantile: float) -> str:
        """How long commits take: so many of them at most."""
        written = _written(self.settings.naming, COMMIT_DURATION, COMMIT_DURATION_UNIT, is_counter=False)
        buckets = self._selector(f"{written}_bucket", _EVERYWHERE, ())
        return f"histogram_quantile({quantile}, sum by (le) (rate({buckets}[$__rate_interval])))"

    def last(self, name: Recorded, *where: Match, by: Iterable[str] = ()) -> str:
        """What was recorded last, in all."""
        return f"sum{_by(tuple(by))} (last_over_time({self.series(name, *where)}[{_MISSED}]))"

    def now(self, name: Gauge, *where: Match, by: Iterable[str] = (), how: str = "sum") -> str:
        """A gauge as it is.

        Raises:
            KeyError: the gauge has no such label.
        """
        by = tuple(by)
        _require(labels_of(name), by, name)
        return f"{how}{_by(by)} ({self.series(name, *where)})"

    def as_of(self, name: Gauge, *where: Match, by: Iterable[str] = (), how: str = "sum") -> str:
        """A gauge as it was last told in the range.

        Raises:
            KeyError: the gauge has no such label.
        """
        return f"{self.now(name, *where, by=by, how=how)[:-1]} @ ${AS_OF})"

    def last_told(self) -> str:
        """Query of the variable `AS_OF`: the end of the range, where nothing was told in it."""
        told = f"timestamp({self.series(Gauge.EXPORT_START)})"
        newest = f"max({told}) or max(max_over_time({told}[{RANGE}:1m])) or vector(time())"
        return f"query_result(ceil({newest}))"

    def values_of(self, label: str, name: Name) -> str:
        """Query of a variable: values of a label, narrowed by the variables before it."""
        _require(labels_of(name), (label,), name)
        return f"label_values({self.series(name)}, {label})"


def tagged(expression: str, label: str, value: str) -> str:
    """An expression whose result has one more label."""
    return f'label_replace({expression},"{label}","{value}","","")'


def either(*expressions: str) -> str:
    """Several results in one, as long as their labels differ."""
    return " or ".join(expressions)


def or_zero(expression: str, while_there_is: str) -> str:
    """0 where there is nothing of a kind, as long as there is something that it would be of."""
    return f"({expression}) or 0 * ({while_there_is})"


def share(part: str, whole: str) -> str:
    """A part of a whole, neither apart by labels: 0 where the part has nothing, nothing where the whole is 0."""
    return f"(({part}) or vector(0)) / (({whole}) > 0)"


def shares(parts: Mapping[str, str], whole: str) -> str:
    """The same of several parts, told apart by the label `kind`; the whole is worked out once."""
    kinds = either(*(tagged(f"({part}) or vector(0)", "kind", kind) for kind, part in parts.items()))
    return f"({kinds}) / on () group_left () (({whole}) > 0)"


def _both(main: str, twin: str) -> str:
    return f'{main} or label_replace({twin},"{_TWIN}","yes","","")'


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""


def _require(known: frozenset[str], labels: Iterable[str], name: Name) -> None:
    unknown = sorted(set(labels) - known)
    if unknown:
        raise KeyError(f"{name} has no label {', '.join(unknown)}; it has {', '.join(sorted(known))}")
