"""Destinations: where telemetry and metrics go, and how. One is `exporter`; more are under `destinations`, by name."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from spanledger.config.fields import HeaderValues, PositiveSeconds, Section, Url
from spanledger.core.usage import Signal

DEFAULT_DESTINATION = "default"
"""Name of the destination that `exporter` describes."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value) or value == DEFAULT_DESTINATION:
        raise ValueError(f"{value!r}: a name has small letters, digits, - and _, and is not `{DEFAULT_DESTINATION}`")
    return value


Name = Annotated[str, AfterValidator(_name)]


class Protocol(StrEnum):
    """How to speak OTLP to the destination."""

    GRPC = "grpc"
    HTTP_PROTOBUF = "http/protobuf"


class Compression(StrEnum):
    """Compression of what is sent to the destination."""

    NONE = "none"
    GZIP = "gzip"


class Tls(Section):
    """Certificates for https endpoints."""

    ca_file: Path | None = Field(default=None, description="CA certificates for https, instead of the system's.")
    cert_file: Path | None = Field(default=None, description="Client certificate that is shown to the destination.")
    key_file: Path | None = Field(default=None, description="Key of the client certificate.")

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together: set both or neither")
        return self


class SignalExporter(Section):
    """What is different for one signal; what is not set is as for the others."""

    endpoint: Url | None = Field(default=None, description="Another URL for this signal, used as it is (HTTP).")
    protocol: Protocol | None = Field(default=None, description="Another protocol for this signal.")
    headers: HeaderValues | None = Field(
        default=None, repr=False, description="Headers of this signal, instead of the common."
    )
    headers_file: Path | None = Field(default=None, description="Another file of headers for this signal.")
    timeout_seconds: PositiveSeconds | None = Field(default=None, description="Another time for a request.")
    compression: Compression | None = Field(default=None, description="Another compression for this signal.")
    tls: Tls = Tls()


class Exporter(Section):
    """A destination of telemetry and metrics."""

    endpoint: Url | None = Field(
        default=None, description="Where to send telemetry and metrics; without it only the ledger is kept."
    )
    protocol: Protocol = Field(default=Protocol.GRPC, description="`grpc` or `http/protobuf`.")
    headers: HeaderValues = Field(default={}, repr=False, description="Headers or gRPC metadata of every request.")
    headers_file: Path | None = Field(
        default=None, description="A file of further headers, `name: value` a line; read again when it changes."
    )
    timeout_seconds: PositiveSeconds = Field(
        default=10.0, description="How long a request may take, its whole answer included."
    )
    compression: Compression = Field(default=Compression.NONE, description="`none` or `gzip`.")
    tls: Tls = Tls()
    traces: SignalExporter = SignalExporter()
    logs: SignalExporter = SignalExporter()
    metrics: SignalExporter = SignalExporter()

    def of_signal(self, signal: Signal) -> SignalExporter:
        """What is different for a signal."""
        match signal:
            case Signal.TRACES:
                return self.traces
            case Signal.LOGS:
                return self.logs
            case Signal.METRICS:
                return self.metrics

    def endpoint_of(self, signal: Signal) -> Url | None:
        """URL that a signal goes to; None when it goes nowhere."""
        return self.of_signal(signal).endpoint or self.endpoint

    @property
    def forwarded(self) -> frozenset[Signal]:
        """Telemetry that is forwarded: of each signal that has an endpoint."""
        return frozenset(signal for signal in Signal if self.endpoint_of(signal) is not None)

    @property
    def tells_cost(self) -> bool:
        """Whether our own metrics are sent: they go where metrics go."""
        return self.endpoint_of(Signal.METRICS) is not None


class MoreExporter(Exporter):
    """A further destination: the keys of `exporter`, and what goes there."""

    signals: frozenset[Signal] = Field(
        default=frozenset(Signal),
        description="Telemetry that is forwarded there: `traces`, `logs`, `metrics`; unless told, all that has an "
        "endpoint.",
    )
    cost_metrics: bool = Field(
        default=True, description="Whether our own metrics go there; unless told, when metrics have an endpoint."
    )

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        have = super().forwarded
        if not have:
            raise ValueError("endpoint: a destination needs one, or one for a signal")
        without = sorted(self.signals - have) if "signals" in self.model_fields_set else []
        if without:
            raise ValueError(f"signals: {', '.join(without)} have no endpoint: set one, or leave them out")
        if self.cost_metrics and "cost_metrics" in self.model_fields_set and not super().tells_cost:
            raise ValueError("cost_metrics: metrics have no endpoint: set `endpoint` or `metrics.endpoint`")
        return self

    @property
    def forwarded(self) -> frozenset[Signal]:
        """Telemetry that is forwarded: what is meant for it, of each signal that has an endpoint."""
        return super().forwarded & self.signals

    @property
    def tells_cost(self) -> bool:
        """Whether our own metrics are sent."""
        return super().tells_cost and self.cost_metrics
