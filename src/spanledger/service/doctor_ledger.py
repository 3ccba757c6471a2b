"""What the doctor sees of the ledger: the disk and the files around it, and what the ledger itself tells."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from spanledger.config.sections import Settings
from spanledger.core.errors import ConfigError
from spanledger.core.semconv import UNALLOCATED
from spanledger.core.times import NANO_PER_DAY, NANO_PER_SECOND
from spanledger.core.usage import Temporality
from spanledger.core.wording import shown
from spanledger.exporter.said import MAX_SAID_CHARACTERS
from spanledger.ledger.damage import damage_mark
from spanledger.ledger.dimensions import pairs_from_text
from spanledger.ledger.failures import ExportFailure
from spanledger.ledger.faults import UnreadableError
from spanledger.ledger.foreign import require_ledger
from spanledger.ledger.inspection import ClientsSeen, Inspection
from spanledger.ledger.ledger import Ledger
from spanledger.service.findings import Finding, Level

_MINUTE_NANO = 60 * NANO_PER_SECOND
_HOUR_NANO = 60 * _MINUTE_NANO
_SET_ASIDE = "restart the service: it sets a damaged file aside"
_OTHER_USER = "choose another ledger.path, or give this one to the service's user; look as that user"
_FREE_BYTES_MIN = 2**30
_SKEW_MAX_SECONDS = 60
_UNALLOCATED_SHARE_MAX = 0.05
_ALIKE_MAX = 20
_OUTBOX_AGE_MAX_SECONDS = 600
_OUTBOX_SHARE_MAX = 0.5

_NO_LOGS = "set OTEL_LOGS_EXPORTER=otlp: without log events prices are provisional"
_NO_METRICS = "set OTEL_METRICS_EXPORTER=otlp: without metrics lost calls stay unseen"
_NO_SPANS = (
    "traces are off by default: for cost on spans set CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1 and "
    "OTEL_TRACES_EXPORTER=otlp"
)


def examine_ledger(settings: Settings, now_unix_nano: int) -> Iterator[Finding]:
    """Look at the ledger's file, and at what came of late."""
    path = settings.ledger.path
    try:
        require_ledger(path.resolve())
    except (ConfigError, OSError) as error:
        for problem in error.problems if isinstance(error, ConfigError) else (f"cannot be read: {error}",):
            what, _, advice = problem.partition("; ")
            yield Finding("ledger", Level.PROBLEM, what, advice or _OTHER_USER)
        return
    yield from _writable(path)
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
        for look in (_integrity, _exports, _outbox, _clients, _clock, _quality):
            yield from look(settings, ledger, now_unix_nano)
    except UnreadableError as error:
        yield Finding("ledger", Level.PROBLEM, f"cannot be read: {error}", _SET_ASIDE)
    finally:
        ledger.close()


def _writable(path: Path) -> Iterator[Finding]:
    """Try to write where the ledger is, or would be: only a real file shows what a disk or a mount takes."""
    folder = next(one for one in path.resolve().parents if one.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield Finding("ledger", Level.PROBLEM, f"{folder} cannot be written: {error.strerror}", _OTHER_USER)
        return
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        yield Finding("ledger", Level.PROBLEM, f"{path} cannot be written by this user", _OTHER_USER)


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
        oldest = now_unix_nano if state.oldest_unix_nano is None else state.oldest_unix_nano
        waited = max(0, now_unix_nano - oldest) // NANO_PER_SECOND  # the clock may have been set back
        full = state.pending_bytes / settings.forward.outbox_max_bytes
        what = f"{state.pending} payloads wait, {state.pending_bytes} bytes, the oldest for {waited} s"
        late = state.pending and (waited > _OUTBOX_AGE_MAX_SECONDS or full > _OUTBOX_SHARE_MAX)
        advice = (
            "see why the destination does not take them; past forward.outbox_max_* they are dropped" if late else ""
        )
        yield Finding(subject, Level.PROBLEM if late else Level.OK, what, advice)
    for refused in Inspection(ledger.database).refusals():
        advice = "mend what it complains of; refused payloads are kept until forward.outbox_max_age_seconds is over"
        if _is_of_deltas(refused.reason):
            advice = "it takes no delta sums: put a Collector's delta_to_cumulative before it, or send cumulative"
        what = f"refused {refused.payloads} payloads for good: {shown(refused.reason, MAX_SAID_CHARACTERS)}"
        yield Finding(f"outbox of {refused.destination}", Level.PROBLEM, what, advice)


def _exports(settings: Settings, ledger: Ledger, now_unix_nano: int) -> Iterator[Finding]:
    """What the service noted of exports of our metrics: only a real one shows what a destination takes."""
    for name, exporter in settings.exporters.items():
        failure = ledger.failures.of(name) if exporter.tells_cost else None
        if failure is not None:
            yield from _failed_exports(settings, f"destination {name}, cost metrics", failure, now_unix_nano)


def _failed_exports(settings: Settings, subject: str, failure: ExportFailure, now_unix_nano: int) -> Iterator[Finding]:
    seconds = (now_unix_nano - failure.last_unix_nano) // NANO_PER_SECOND
    what = f"an export was not taken whole {seconds} s ago: {failure.reason}"
    if settings.metrics.temporality is Temporality.DELTA and _is_of_deltas(failure.reason):
        # One that is taken holds no sums that rose.
        advice = "it takes no delta sums: set metrics.temporality to cumulative, or have it take them"
        yield Finding(subject, Level.PROBLEM, what, advice)
    elif not failure.is_over:
        minutes = (now_unix_nano - failure.first_unix_nano) / _MINUTE_NANO
        advice = "mend what it complains of; the next export says what is missing"
        yield Finding(subject, Level.PROBLEM, f"{what} (and none for {minutes:.0f} minutes)", advice)
    elif seconds < _HOUR_NANO // NANO_PER_SECOND:
        yield Finding(subject, Level.NOTE, what, "exports are taken again; look there if it comes back")


def _is_of_deltas(reason: str) -> bool:
    return "delta" in reason.lower() or "temporality" in reason.lower()


def _clients(_: Settings, ledger: Ledger, now_unix_nano: int) -> Iterator[Finding]:
    seen = Inspection(ledger.database).clients(now_unix_nano - _HOUR_NANO)
    if not seen:
        advice = "see `spanledger quickstart` for what a client needs, and look for a wrong endpoint or a firewall"
        yield Finding("clients", Level.NOTE, "nothing came in the last hour", advice)
    for one in seen[:_ALIKE_MAX]:
        yield from _client(one)
    if more := len(seen[_ALIKE_MAX:]):
        yield Finding("clients", Level.NOTE, f"{more} more versions", "have all clients updated to one")


def _client(one: ClientsSeen) -> Iterator[Finding]:
    subject = f"clients {shown(one.version) or 'of unknown version'}"
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
    all_unpriced = inspection.unpriced(since)
    advice = "name its model or rates in the contract (prices.contract), then run `spanledger reprice`"
    for unpriced in all_unpriced[:_ALIKE_MAX]:
        what = f"{unpriced.calls} calls of {shown(unpriced.model)} in the last day: {shown(unpriced.reason)}"
        yield Finding("unpriced", Level.PROBLEM, what, advice)
    if more := len(all_unpriced[_ALIKE_MAX:]):
        yield Finding("unpriced", Level.PROBLEM, f"calls of {more} more models", advice)
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
