"""Where attributes stand in a request: trees of field numbers, by the layout of opentelemetry-proto 1.x."""

from __future__ import annotations

from collections.abc import Mapping

from spanledger.core.usage import Signal

ATTRIBUTES = "attributes"
"""Marks a field that holds KeyValue messages."""

Tree = Mapping[int, "Tree | str"]
"""Fields of a message that lead to attributes, by number; a field number never changes its meaning."""

RESOURCE: Tree = {1: ATTRIBUTES}
SCOPE: Tree = {3: ATTRIBUTES}
_SPAN: Tree = {9: ATTRIBUTES, 11: {3: ATTRIBUTES}, 13: {4: ATTRIBUTES}}
_LOG: Tree = {6: ATTRIBUTES}
_EXEMPLAR: Tree = {7: ATTRIBUTES}
_NUMBER: Tree = {1: {7: ATTRIBUTES, 5: _EXEMPLAR}}
_HISTOGRAM: Tree = {1: {9: ATTRIBUTES, 8: _EXEMPLAR}}
_EXPONENTIAL: Tree = {1: {1: ATTRIBUTES, 11: _EXEMPLAR}}
_SUMMARY: Tree = {1: {7: ATTRIBUTES}}
_METRIC: Tree = {5: _NUMBER, 7: _NUMBER, 9: _HISTOGRAM, 10: _EXPONENTIAL, 11: _SUMMARY, 12: ATTRIBUTES}
RECORDS: Mapping[Signal, Tree] = {Signal.TRACES: _SPAN, Signal.LOGS: _LOG, Signal.METRICS: _METRIC}
"""Spans, log records and metrics."""
