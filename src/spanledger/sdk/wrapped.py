"""The exporter that a plug-in exporter hands its records to, by the name of its entry point."""

from __future__ import annotations

import os
from importlib.metadata import entry_points

from spanledger.core.errors import ConfigError
from spanledger.core.usage import Signal

OTLP = "otlp"
OWN_NAME = "spanledger"
_BY_PROTOCOL = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}


def make_exporter(signal: Signal, name: str) -> object:
    """Make the exporter that an entry point names; `otlp` is the one for the protocol of the standard variables.

    Raises:
        ConfigError: there is no such exporter or protocol.
    """
    key = f"sdk.{signal}_exporter"
    if name == OWN_NAME:
        raise ConfigError([f"{key}: {OWN_NAME!r} cannot hand its records to itself; name another exporter"])
    if name == OTLP:
        name = _BY_PROTOCOL[_protocol(signal)]
    group = f"opentelemetry_{signal}_exporter"
    found = list(entry_points(group=group, name=name))
    if not found:
        known = ", ".join(sorted({OTLP, *(entry.name for entry in entry_points(group=group))} - {OWN_NAME}))
        raise ConfigError([f"{key}: no exporter {name!r} is installed; there are {known}"])
    exporter: object = found[0].load()()
    return exporter


def _protocol(signal: Signal) -> str:
    """Protocol for a signal, as the SDK reads it: the signal's own variable, the common one, gRPC."""
    for variable in (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = os.environ.get(variable, "").strip()
        if protocol in _BY_PROTOCOL:
            return protocol
        if protocol:
            raise ConfigError([f"{variable}: {protocol!r} is not one of {', '.join(_BY_PROTOCOL)}"])
    return "grpc"
