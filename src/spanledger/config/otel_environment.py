"""Settings from the standard environment variables of OpenTelemetry's OTLP exporter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_PREFIX = "OTEL_EXPORTER_OTLP_"
_TEMPORALITY = f"{_PREFIX}METRICS_TEMPORALITY_PREFERENCE"
_PLAIN = {
    "ENDPOINT": "endpoint",
    "PROTOCOL": "protocol",
    "TIMEOUT": "timeout_seconds",
    "COMPRESSION": "compression",
    "CERTIFICATE": "tls.ca_file",
    "CLIENT_CERTIFICATE": "tls.cert_file",
    "CLIENT_KEY": "tls.key_file",
}
_SIGNALS = {"": "exporter", "TRACES_": "exporter.traces", "LOGS_": "exporter.logs", "METRICS_": "exporter.metrics"}


def exporter_variables(environ: Mapping[str, str], problems: list[str]) -> dict[str, tuple[Any, str]]:
    """Values by key of the settings, each with its variable. An empty variable is unset (specification).

    What cannot be read is added to `problems`.
    """
    given: dict[str, tuple[Any, str]] = {}
    for of_signal, section in _SIGNALS.items():
        for suffix, key in _PLAIN.items():
            name = f"{_PREFIX}{of_signal}{suffix}"
            if environ.get(name):
                given[f"{section}.{key}"] = (environ[name], name)
        name = f"{_PREFIX}{of_signal}HEADERS"
        if environ.get(name):
            given[f"{section}.headers"] = (_headers(name, environ[name], problems), name)
        _add_scheme(environ, of_signal, given, f"{section}.endpoint")
    if environ.get(_TEMPORALITY):
        given["metrics.temporality"] = (environ[_TEMPORALITY].lower(), _TEMPORALITY)
    return given


def _add_scheme(
    environ: Mapping[str, str], of_signal: str, given: dict[str, tuple[Any, str]], endpoint_key: str
) -> None:
    """`INSECURE` says whether an endpoint without a scheme is spoken to in the clear, as it is when nothing is said."""
    insecure = environ.get(f"{_PREFIX}{of_signal}INSECURE") or environ.get(f"{_PREFIX}INSECURE") or "true"
    endpoint, name = given.get(endpoint_key, ("", ""))
    if insecure.strip().lower() == "false" and endpoint and "://" not in endpoint:
        given[endpoint_key] = (f"https://{endpoint}", name)


def _headers(name: str, text: str, problems: list[str]) -> dict[str, str]:
    """Read `key=value,key=value` with percent-encoded values (W3C baggage form). Problems never show a value."""
    headers: dict[str, str] = {}
    for number, part in enumerate(filter(None, (part.strip() for part in text.split(","))), start=1):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            problems.append(f"{name}: part {number} is not KEY=VALUE")
            continue
        headers[unquote(key.strip()).lower()] = unquote(value.strip())
    return headers
