"""Everything that an organisation may want otherwise: one value, from which all boards are built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Naming(StrEnum):
    """How a backend names what comes by OTLP."""

    UNDERSCORES = "underscores"
    """`spanledger_cost_USD_total`: Prometheus and Mimir as they are, VictoriaMetrics with
    `-opentelemetry.usePrometheusNaming`, every Collector's Prometheus exporter."""
    SUFFIXES = "suffixes"
    """`spanledger.cost_USD_total`: Prometheus with `translation_strategy: NoUTF8EscapingWithSuffixes`."""
    VERBATIM = "verbatim"
    """`spanledger.cost`: Prometheus with `NoTranslation`, VictoriaMetrics as it is."""


Colors = tuple[tuple[str, str], ...]
"""Parts of series' names, and the colour of each by Grafana's name."""


@dataclass(frozen=True, slots=True)
class BoardSettings:
    """What the boards are built with.

    `is_anchored`: bars over time are exact, by PromQL's `anchored` (Prometheus 3.16; before, a feature flag). Without
    it they are extrapolated to the ends of each bar. `matchers` go into every query, for instance
    `job="spanledger"`. Shares are from 0 to 1. `colors` are those of model families, `class_colors`
    of token classes and kinds of calls, `signal_colors` of signals.
    """

    naming: Naming = Naming.UNDERSCORES
    is_anchored: bool = True
    matchers: tuple[str, ...] = ()
    uid_prefix: str = "spanledger"
    tags: tuple[str, ...] = ("claude-code", "cost", "spanledger")
    refresh: str = "1m"
    export_interval: str = "1m"
    bar_min_interval: str = "5m"
    budget_warn_share: float = 0.8
    coverage_low_share: float = 0.95
    coverage_bad_share: float = 0.8
    unsure_warn_share: float = 0.05
    unsure_bad_share: float = 0.2
    price_list_warn_days: int = 30
    price_list_old_days: int = 60
    backlog_warn_seconds: int = 300
    backlog_bad_seconds: int = 3600
    colors: Colors = (
        ("fable", "orange"),
        ("mythos", "red"),
        ("opus", "purple"),
        ("sonnet", "blue"),
        ("haiku", "green"),
    )
    class_colors: Colors = (
        ("input", "purple"),
        ("output", "blue"),
        ("cache_read", "green"),
        ("cache_write_5m", "orange"),
        ("cache_write_1h", "red"),
        ("cache_write_unspecified", "yellow"),
        ("main", "blue"),
        ("subagent", "purple"),
        ("auxiliary", "orange"),
    )
    signal_colors: Colors = (("logs", "blue"), ("traces", "purple"), ("metrics", "orange"))

    def uid(self, board: str) -> str:
        """Identity of a board, the same for ever."""
        return f"{self.uid_prefix}-{board}"


BACKENDS: Mapping[str, BoardSettings] = MappingProxyType(
    {
        "prometheus": BoardSettings(),
        "mimir": BoardSettings(is_anchored=False),
        "victoriametrics": BoardSettings(naming=Naming.VERBATIM, is_anchored=False),
    }
)
"""Settings by backend; the committed boards are those of `prometheus`."""
