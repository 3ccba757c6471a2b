"""Recording rules of the boards: charts over weeks of what hundreds of series hold read a few sums of them."""

from __future__ import annotations

from spanledger.core.semconv import DEFAULT_RESOURCE_LABELS, Metric
from spanledger.dashboards.queries import DAY, RECORDED_LABELS, SOURCE, Queries, Recorded
from spanledger.dashboards.settings import BoardSettings

FILE_NAME = "rules/boards.yaml"
"""Where the rules lie in the folder of the boards."""

_HEADER = """\
# Rules that the boards read, written by `spanledger dashboards build`: do not edit.
#
# Sums of many series, for charts that would else read each of them over weeks. Prometheus has them from when the rules
# are loaded on: such charts are empty before.
groups:
  - name: spanledger.boards
    interval: 5m
    rules:
"""


def recording_rules(settings: BoardSettings) -> str:
    """The rules as YAML, in the order of `Recorded`."""
    queries = Queries(settings)
    return _HEADER + "".join(
        f"      - record: {one.value}\n        expr: |\n          {_expression(queries, one)}\n" for one in Recorded
    )


def _expression(queries: Queries, what: Recorded) -> str:
    match what:
        case Recorded.COST_BY_TOKEN_CLASS | Recorded.COST_BY_QUERY_CLASS:
            summed = queries.lifetime(Metric.COST)
        case Recorded.TOKENS:
            summed = queries.lifetime(Metric.TOKENS)
        case Recorded.SIGNAL_TOKENS:
            summed = queries.lifetime(Metric.SIGNAL_TOKENS)
        case Recorded.USER_DAY:
            summed = queries.change(Metric.USER_COST, window=DAY)
    labels = (*SOURCE, *RECORDED_LABELS[what], *DEFAULT_RESOURCE_LABELS.values())
    return f"sum by ({', '.join(labels)}) ({summed})"
