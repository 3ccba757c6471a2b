"""The doctor: looks and tries, and says for each finding what to do."""

from __future__ import annotations

import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from spanledger.config.sections import Settings
from spanledger.core.errors import ConfigError
from spanledger.core.semconv import UNALLOCATED
from spanledger.core.times import NANO_PER_DAY, NANO_PER_SECOND
from spanledger.core.usage import Signal, Temporality
from spanledger.exporter.client import Accepted
from spanledger.ledger.damage import damage_mark
from spanledger.ledger.dimensions import pairs_from_text
from spanledger.ledger.faults import UnreadableError
from spanledger.ledger.inspection import ClientsSeen, Inspection
from spanledger.ledger.ledger import Ledger
from spanledger.service.assembly import load_prices
from spanledger.service.destinations import NamedClient, clients_for
from spanledger.service.files_examined import examine_files
from spanledger.service.findings import Finding, Level

_HOUR_NANO = 3_600 * NANO_PER_SECOND
_SET_ASIDE = "restart the service: it sets a damaged file aside"
_FREE_BYTES_MIN = 2**30
_SKEW_MAX_SECONDS = 60
_UNALLOCATED_SHARE_MAX = 0.05
_OUTBOX_AGE_MAX_SECONDS = 600
_OUTBOX_SHARE_MAX = 0.5


_NO_LOGS = "set OTEL_LOGS_EXPORTER=otlp: without log events prices are provisional"
_NO_METRICS = "set OTEL_METRICS_EXPORTER=otlp: without metrics lost calls stay unseen"
_NO_SPANS = (
    "traces are off by default: for cost on spans set CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1 and "
    "OTEL_TRACES_EXPORTER=otlp"
)


async def examine(settings: Settings, now_unix_nano: int) -> AsyncIterator[Finding]:
    """Look at everything that settings name, in the order in which a person would."""
    files = examine_files(settings, now_unix_nano)
    for finding in (*_ports(settings), *files, *_prices(settings, now_unix_nano)):
        yield finding
    async for finding in _destinations(settings):
        yield finding
    for finding in _ledger(settings, now_unix_nano):
        yield finding


def _ports(settings: Settings) -> Iterator[Finding]:
    receiver = settings.receiver
    for key, endpoint in (("grpc", receiver.grpc.endpoint), ("http", receiver.http.endpoint)):
        subject, name = f"receiver.{key}.endpoint", f"{endpoint}"
        host, _, port = endpoint.rpartition(":")
        try:
            socket.create_server((host.strip("[]"), int(port)), reuse_port=False).close()
        except OSError as error:
            advice = "fine when that is the running service; else end what listens there, or choose another port"
            yield Finding(subject, Level.NOTE, f"{name} cannot be listened on: {error.strerror}", advice)
        else:
            yield Finding(
                subject, Level.NOTE, f"{name} is free: no service runs here", "start it with `spanledger serve`"
            )


def _prices(settings: Settings, now_unix_nano: int) -> Iterator[Finding]:
    try:
        book = load_prices(settings).book
    except ConfigError as error:
        for problem in error.problems:
            yield Finding("prices", Level.PROBLEM, problem, "mend the file; a running service keeps the prices it has")
        return
    age_days = 0 if book.checked_unix_nano is None else (now_unix_nano - book.checked_unix_nano) / NANO_PER_DAY
    if age_days > settings.prices.stale_after_days:
        advice = "upgrade spanledger, or give a newer list under prices.updates"
        yield Finding("prices", Level.PROBLEM, f"the list was last checked {age_days:.0f} days ago", advice)
    else:
        yield Finding("prices", Level.OK, f"{book.id}, last checked {age_days:.0f} days ago")


async def _destinations(settings: Settings) -> AsyncIterator[Finding]:
    try:
        clients = clients_for(settings)
    except (ConfigError, ssl.SSLError) as error:
        yield Finding("destinations", Level.PROBLEM, str(error), "mend or replace the file")
        return
    if not clients:
        advice = "set exporter.endpoint to your Collector or backend, if cost shall be seen there"
        yield Finding("exporter.endpoint", Level.NOTE, "no destination: only the ledger is kept", advice)
    for named in clients:
        async for finding in _destination(named):
            yield finding
        await named.client.close()
    if settings.metrics.temporality is Temporality.DELTA:
        advice = "Prometheus refuses deltas unless told to take them; set metrics.temporality to cumulative for it"
        yield Finding("metrics.temporality", Level.NOTE, "sums leave as deltas", advice)


async def _destination(named: NamedClient) -> AsyncIterator[Finding]:
    """Send an empty request of each signal, which OTLP has every receiver accept."""
    wanted = set(named.signals) | ({Signal.METRICS} if named.cost_metrics else set())
    for signal in sorted(wanted):
        subject = f"destination {named.name}, {signal.value}"
        outcome = await named.client.export(signal, b"")
        if isinstance(outcome, Accepted):
            yield Finding(subject, Level.OK, "reached, and it accepts")
        else:
            advice = "start it, or mend endpoint, protocol, headers or certificates; what is for it waits in the outbox"
            yield Finding(subject, Level.PROBLEM, outcome.reason, advice)


def _ledger(settings: Settings, now_unix_nano: int) -> Iterator[Finding]:
    path = settings.ledger.path
    yield from _beside_the_ledger(path)
    try:
        ledger = Ledger.read(path)
    except ConfigError as error:
        level = Level.PROBLEM if path.exists() else Level.NOTE
        yield Finding(
            "ledger", level, "; ".join(error.problems), "start `spanledger serve` once, or name the right file"
        )
        return
    try:
        for look in (_integrity, _outbox, _clients, _clock, _quality):
            yield from look(settings, ledger, now_unix_nano)
    except UnreadableError as error:
        yield Finding("ledger", Level.PROBLEM, f"cannot be read: {error}", _SET_ASIDE)
    finally:
        ledger.close()


def _beside_the_ledger(path: Path) -> Iterator[Finding]:
    folder = path.parent
    if not folder.is_dir():
        return
    free = shutil.disk_usage(folder).free
    if free < _FREE_BYTES_MIN:
        advice = "make room: a full disk stops acknowledgements"
        yield Finding("disk", Level.PROBLEM, f"{free / 2**20:.0f} MiB free at {folder}", advice)
    else:
        yield Finding("disk", Level.OK, f"{free / 2**30:.0f} GiB free at {folder}")
    if damage_mark(path).exists():
        yield Finding("ledger", Level.PROBLEM, "it was marked as damaged", "restart the service: it checks the file")
    for aside in sorted(folder.glob(f"{path.name}.damaged-*Z")):
        advice = f"`spanledger recover {aside} saved.db`, then move it away: docs/operate/ledger.md"
        yield Finding("ledger", Level.PROBLEM, f"a damaged ledger was set aside as {aside}", advice)


def _integrity(_: Settings, ledger: Ledger, __: int) -> Iterator[Finding]:
    faults = Inspection(ledger.database).faults()
    if not faults:
        yield Finding("ledger", Level.OK, "the file is whole")
    for fault in faults:
        yield Finding("ledger", Level.PROBLEM, fault, _SET_ASIDE)


def _outbox(settings: Settings, ledger: Ledger, now_unix_nano: int) -> Iterator[Finding]:
    for destination in ledger.outbox.destinations():
        state, subject = ledger.outbox.state(destination), f"outbox of {destination}"
        waited = 0 if state.oldest_unix_nano is None else (now_unix_nano - state.oldest_unix_nano) // NANO_PER_SECOND
        full = state.pending_bytes / settings.forward.outbox_max_bytes
        what = f"{state.pending} payloads wait, {state.pending_bytes} bytes, the oldest for {waited} s"
        late = state.pending and (waited > _OUTBOX_AGE_MAX_SECONDS or full > _OUTBOX_SHARE_MAX)
        advice = (
            "see why the destination does not take them; past forward.outbox_max_* they are dropped" if late else ""
        )
        yield Finding(subject, Level.PROBLEM if late else Level.OK, what, advice)
    for refused in Inspection(ledger.database).refusals():
        delta = "delta" in refused.reason.lower() or "temporality" in refused.reason.lower()
        advice = "mend what it complains of; refused payloads are kept until forward.outbox_max_age_seconds is over"
        if delta:
            advice = "it takes no delta sums: put a Collector's delta_to_cumulative before it, or send cumulative"
        what = f"refused {refused.payloads} payloads for good: {refused.reason}"
        yield Finding(f"outbox of {refused.destination}", Level.PROBLEM, what, advice)


def _clients(_: Settings, ledger: Ledger, now_unix_nano: int) -> Iterator[Finding]:
    seen = Inspection(ledger.database).clients(now_unix_nano - _HOUR_NANO)
    if not seen:
        advice = "see `spanledger quickstart` for what a client needs, and look for a wrong endpoint or a firewall"
        yield Finding("clients", Level.NOTE, "nothing came in the last hour", advice)
    for one in seen:
        yield from _client(one)


def _client(one: ClientsSeen) -> Iterator[Finding]:
    subject = f"clients {one.version or 'of unknown version'}"
    yield Finding(subject, Level.OK, f"{one.sessions} sessions in the last hour")
    missing = (
        (one.with_logs, "log events", _NO_LOGS, Level.PROBLEM),
        (one.with_metrics, "metrics", _NO_METRICS, Level.PROBLEM),
        (one.with_spans, "spans", _NO_SPANS, Level.NOTE),
    )
    for having, name, advice, level in missing:
        if having < one.sessions:
            yield Finding(subject, level, f"{one.sessions - having} of {one.sessions} sessions sent no {name}", advice)


def _clock(_: Settings, ledger: Ledger, now_unix_nano: int) -> Iterator[Finding]:
    skew = Inspection(ledger.database).median_skew_nano(now_unix_nano - _HOUR_NANO)
    if skew is None:
        return
    seconds = skew / NANO_PER_SECOND
    if abs(seconds) > _SKEW_MAX_SECONDS:
        advice = "set this machine's clock by NTP; if it is right, the clients' are wrong, or they send late"
        yield Finding("clock", Level.PROBLEM, f"records come {seconds:.0f} s after the time they bear", advice)
    else:
        yield Finding("clock", Level.OK, f"records come {seconds:.1f} s after the time they bear")


def _quality(_: Settings, ledger: Ledger, now_unix_nano: int) -> Iterator[Finding]:
    inspection, since = Inspection(ledger.database), now_unix_nano - NANO_PER_DAY
    for unpriced in inspection.unpriced(since):
        advice = "name its model or rates in the contract (prices.contract), then run `spanledger reprice`"
        what = f"{unpriced.calls} calls of {unpriced.model} in the last day: {unpriced.reason}"
        yield Finding("unpriced", Level.PROBLEM, what, advice)
    by_labels = [(dict(pairs_from_text(labels)), cost) for labels, cost in inspection.cost_by_labels(since)]
    total = sum(cost for _, cost in by_labels)
    for label in sorted({name for labels, _ in by_labels for name in labels}):
        missing = sum(cost for labels, cost in by_labels if labels.get(label) == UNALLOCATED)
        if total > 0 and missing / total > _UNALLOCATED_SHARE_MAX:
            advice = (
                f"set it in OTEL_RESOURCE_ATTRIBUTES of the clients (managed settings), or take {label} out of labels"
            )
            what = f"{missing / total:.0%} of the last day's cost names no {label}"
            yield Finding("attribution", Level.PROBLEM, what, advice)
