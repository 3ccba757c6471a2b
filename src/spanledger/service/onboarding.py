"""Getting clients to send: what to set, and what is seen of them and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from spanledger.core.client_prices import CountingErratum
from spanledger.core.usage import Signal
from spanledger.core.wording import shown
from spanledger.ledger.heard import Heard
from spanledger.service.findings import Finding, Level

_SHOWN_MAX = 20

MANAGED_SETTINGS_PATHS = {
    "Linux, WSL": "/etc/claude-code/managed-settings.json",
    "macOS": "/Library/Application Support/ClaudeCode/managed-settings.json",
    "Windows": r"C:\Program Files\ClaudeCode\managed-settings.json",
}
"""Where Claude Code reads settings that its users cannot change (code.claude.com/docs/en/settings)."""

_ADVICE = {
    Signal.LOGS: "OTEL_LOGS_EXPORTER=otlp: only log events tell the time to live of cache writes and the served model",
    Signal.TRACES: "OTEL_TRACES_EXPORTER=otlp, CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1: no trace has cost without spans",
    Signal.METRICS: "OTEL_METRICS_EXPORTER=otlp: only sums hold calls without a record (cut replies, the classifier)",
}


def client_environment(
    endpoint: str, protocol: str, attributes: Mapping[str, str], *, with_token: bool
) -> dict[str, str]:
    """Environment variables that make Claude Code send all three signals to an endpoint.

    `attributes` become resource attributes, percent-encoded as the client wants them.
    """
    environment = {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
    }
    if with_token:
        environment["OTEL_EXPORTER_OTLP_HEADERS"] = "Authorization=Bearer TOKEN"
    if attributes:
        pairs = (f"{key}={quote(value, safe='')}" for key, value in attributes.items())
        environment["OTEL_RESOURCE_ATTRIBUTES"] = ",".join(pairs)
    return environment


def findings(heard: Sequence[Heard], labels: Mapping[str, str], counting: Iterable[CountingErratum]) -> list[Finding]:
    """Say what was seen of senders and what is missing; nothing heard gives one finding for each signal.

    `labels` are the resource attributes that become labels; `counting` what is known of versions that count wrong.
    """
    found = [_signal(signal, heard) for signal in Signal]
    if not heard:
        return found
    found.extend((_versions(heard, tuple(counting)), _sessions(heard), _users(heard)))
    calls = [one for one in heard if one.signal is not Signal.METRICS]
    if calls:
        found.append(_request_ids(calls))
    found.extend(_label(attribute, label, heard) for attribute, label in labels.items())
    return found


def _signal(signal: Signal, heard: Sequence[Heard]) -> Finding:
    count = sum(one.records for one in heard if one.signal is signal)
    of_what = "data points of cost and tokens" if signal is Signal.METRICS else "records of model calls"
    if count:
        return Finding(signal.value, Level.OK, f"{count:,} {of_what}")
    return Finding(signal.value, Level.PROBLEM, "none", _ADVICE[signal])


def _versions(heard: Sequence[Heard], counting: Sequence[CountingErratum]) -> Finding:
    versions = sorted({one.source.client_version or "unknown" for one in heard})
    told = _several(versions)
    wrong = {erratum.citation for erratum in counting for version in versions if erratum.versions.holds(version)}
    if wrong:
        return Finding("client version", Level.NOTE, told, f"update the older: {'; '.join(sorted(wrong))}")
    return Finding("client version", Level.OK, told)


def _several(texts: Sequence[str]) -> str:
    """Some of what senders wrote: as much as somebody reads."""
    more = f" and {len(texts) - _SHOWN_MAX} more" if len(texts) > _SHOWN_MAX else ""
    return ", ".join(map(shown, texts[:_SHOWN_MAX])) + more


def _sessions(heard: Sequence[Heard]) -> Finding:
    sessions = {one.source.session_id for one in heard}
    named = len(sessions - {""})
    if "" not in sessions:
        return Finding("session ids", Level.OK, f"{named} session(s)")
    advice = "leave OTEL_METRICS_INCLUDE_SESSION_ID on: without it sums and calls are compared by user and resource"
    return Finding("session ids", Level.NOTE, f"{named} session(s), and records without one", advice)


def _users(heard: Sequence[Heard]) -> Finding:
    users = {one.source.user for one in heard}
    if any(one.source.user_email or one.source.user_account_uuid for one in heard):
        return Finding("users", Level.OK, f"{len(users)}, by e-mail or account")
    advice = "API keys and clouds name no person: tell people apart by a resource attribute (metrics.resource_labels)"
    return Finding("users", Level.NOTE, f"{len(users)}, by installation alone", advice)


def _request_ids(calls: Sequence[Heard]) -> Finding:
    bare = sum(one.without_request_id for one in calls)
    if not bare:
        return Finding("request ids", Level.OK, "on every record")
    advice = "a proxy may drop the header `request-id`; such records are joined by trace, tokens and time"
    return Finding("request ids", Level.NOTE, f"missing on {bare:,} of {sum(one.records for one in calls):,}", advice)


def _label(attribute: str, label: str, heard: Sequence[Heard]) -> Finding:
    sources = {one.source for one in heard}
    values = sorted({source.label(label) for source in sources} - {""})
    lacking = sum(not source.label(label) for source in sources)
    if not lacking:
        return Finding(attribute, Level.OK, _several(values))
    seen = f"{_several(values) or 'none'}; {lacking} of {len(sources)} sender(s) without"
    advice = f"OTEL_RESOURCE_ATTRIBUTES={attribute}=..., in managed settings; without it cost is `unallocated`"
    return Finding(attribute, Level.NOTE, seen, advice)
