"""What a decoder hands over: the candidate records of one export request, as attribute mappings.

A candidate is chosen by structure (span name, event name, metric name), never by text. Everything else in the request
stays opaque bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spanledger.core.usage import Problem, Signal, Temporality

Scalar = str | int | float | bool
Attributes = Mapping[str, Scalar]
"""Attributes with a scalar value, by key; arrays, maps, bytes and unset values are left out."""


@dataclass(frozen=True, slots=True)
class SpanData:
    """A `claude_code.llm_request` or `claude_code.interaction` span.

    Ids are lower-case hex, empty when unset; times are Unix nanoseconds.
    """

    resource: Attributes
    attributes: Attributes
    trace_id: str
    span_id: str
    parent_span_id: str
    start_unix_nano: int
    end_unix_nano: int


@dataclass(frozen=True, slots=True)
class LogData:
    """A `claude_code.api_request` log record. `span_id` names the span that was active: the request's parent."""

    resource: Attributes
    attributes: Attributes
    trace_id: str
    span_id: str
    time_unix_nano: int


@dataclass(frozen=True, slots=True)
class PointData:
    """A data point of one of the client's sums: cost, tokens, activity."""

    metric: str
    resource: Attributes
    attributes: Attributes
    start_unix_nano: int
    time_unix_nano: int
    temporality: Temporality
    value: float | int


@dataclass(frozen=True, slots=True)
class Batch:
    """The candidates of one request, and what the decoder could not read.

    `items` counts every span, log record or data point of the request, candidates or not; `places` holds the place of
    each span or log candidate among them, `turn_places` those of the `interaction` spans. `waits_for_join` is true when
    the payload holds `llm_request` or `interaction` spans, whose cost may still be on its way (design §4).
    """

    signal: Signal
    items: int
    places: tuple[int, ...] = ()
    spans: tuple[SpanData, ...] = ()
    logs: tuple[LogData, ...] = ()
    points: tuple[PointData, ...] = ()
    turns: tuple[SpanData, ...] = ()
    turn_places: tuple[int, ...] = ()
    problems: tuple[Problem, ...] = ()
    waits_for_join: bool = False
