"""What the log tells of: a bounded set, each with its level, its words, and what a person can do about it.

docs/reference/logs.md is generated from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a line of the log matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How lines of the log are written."""

    CONSOLE = "console"
    JSON = "json"


class Event(StrEnum):
    """Things that the log tells of. The part before the dot is the part of the service that it happened to."""

    ADMIN_QUESTION_FAILED = "admin.question_failed"
    BUDGET_REACHED = "budget.reached"
    BUDGETS_STAND_STILL = "budget.figures_stand_still"
    DESTINATION_AWAY = "destination.away"
    DESTINATION_CERTIFICATES_REFUSED = "destination.certificates_refused"
    DESTINATION_HEADERS_REFUSED = "destination.headers_refused"
    DESTINATION_OUTBOX_FULL = "destination.outbox_full"
    DESTINATION_REFUSED = "destination.refused"
    DESTINATION_REFUSED_PART = "destination.refused_part"
    DESTINATION_UNKNOWN = "destination.unknown"
    LEDGER_COMMIT_FAILED = "ledger.commit_failed"
    LEDGER_FAULT = "ledger.fault"
    LEDGER_GONE = "ledger.gone"
    LEDGER_RECOVERED = "ledger.recovered"
    LEDGER_SET_ASIDE = "ledger.set_aside"
    METRICS_NOT_SENT = "metrics.not_sent"
    PLUG_IN_USAGE_UNREADABLE = "sdk.usage_unreadable"
    PRICES_IN_USE = "prices.in_use"
    PRICES_REFUSED = "prices.refused"
    PRICES_STALE = "prices.stale"
    RECEIVER_CERTIFICATES_REFUSED = "receiver.certificates_refused"
    RECEIVER_OPEN = "receiver.open"
    RECEIVER_REQUEST_FAILED = "receiver.request_failed"
    RECEIVER_TOKENS_REFUSED = "receiver.tokens_refused"
    SERVICE_READY = "service.ready"
    SERVICE_STOPPED_EARLY = "service.stopped_early"
    SERVICE_WORK_FAILED = "service.work_failed"


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One event. `message` has its fields in braces; `remedy` is what to do.

    Lines of an event are repeats of one another when their `told_apart_by` fields are alike.
    """

    event: Event
    level: Level
    message: str
    remedy: str
    told_apart_by: tuple[str, ...] = ()


EVENTS: dict[Event, EventSpec] = {
    spec.event: spec
    for spec in (
        EventSpec(
            Event.SERVICE_READY,
            Level.INFO,
            "listening: OTLP gRPC on {grpc}, HTTP on {http}, health and metrics on {admin}; ledger {ledger}; {sends}",
            "Nothing. On the console this is the first line of standard output instead.",
        ),
        EventSpec(
            Event.SERVICE_STOPPED_EARLY,
            Level.WARNING,
            "not everything could be sent before the stop; it waits in the ledger for the next start",
            "Start the service again; if it happens at every stop: docs/operate/health.md#stopping.",
        ),
        EventSpec(
            Event.SERVICE_WORK_FAILED,
            Level.ERROR,
            "{work} failed, and begins again; what senders send is taken as before",
            "Report it with the traceback: docs/operate/health.md#a-fault-of-spanledger.",
            ("work",),
        ),
        EventSpec(
            Event.RECEIVER_OPEN,
            Level.WARNING,
            "anybody who reaches {endpoints} can send: set receiver.auth.tokens_file or receiver.tls.client_ca_file, "
            "or listen on localhost",
            "What the line says: docs/operate/security.md#open-to-everybody.",
        ),
        EventSpec(
            Event.RECEIVER_REQUEST_FAILED,
            Level.ERROR,
            "a request to {target} failed",
            "The sender was told to try again. Report it with the traceback: "
            "docs/operate/health.md#a-fault-of-spanledger.",
            ("target",),
        ),
        EventSpec(
            Event.RECEIVER_TOKENS_REFUSED,
            Level.WARNING,
            "{problems}; the tokens that it held before stay valid",
            "Mend the file at the line that is named: docs/operate/security.md#a-changed-file-is-refused.",
            ("problems",),
        ),
        EventSpec(
            Event.RECEIVER_CERTIFICATES_REFUSED,
            Level.WARNING,
            "{problems}; the certificates read before stay in use",
            "Mend the file before the old certificate ends: docs/operate/security.md#a-changed-file-is-refused.",
            ("problems",),
        ),
        EventSpec(
            Event.LEDGER_FAULT,
            Level.ERROR,
            "{advice} ({detail}); until then nothing is acknowledged",
            "What the line says: docs/operate/ledger.md#nothing-is-acknowledged.",
            ("fault",),
        ),
        EventSpec(
            Event.LEDGER_RECOVERED,
            Level.WARNING,
            "the ledger is written again",
            "Nothing: senders were told to try again. Over gRPC Claude Code does not: "
            "docs/operate/ledger.md#nothing-is-acknowledged.",
        ),
        EventSpec(
            Event.LEDGER_COMMIT_FAILED,
            Level.ERROR,
            "the ledger could not be written, and nothing was acknowledged",
            "Report it with the traceback: docs/operate/ledger.md#a-commit-failed-without-a-fault-of-the-disk.",
        ),
        EventSpec(
            Event.LEDGER_GONE,
            Level.ERROR,
            "ledger {path} is gone, but its log was there: kept as {aside}, a new ledger is begun. What the old one "
            "held is in no total any more",
            "Bring both together again: docs/operate/ledger.md#the-ledgers-file-is-gone.",
            ("aside",),
        ),
        EventSpec(
            Event.LEDGER_SET_ASIDE,
            Level.ERROR,
            "ledger {path} is damaged: kept as {aside}, a new one is begun. What the old one held is in no total any "
            "more until a person has saved it (`spanledger recover`)",
            "Save what the old file held: docs/operate/ledger.md#a-damaged-ledger-was-set-aside.",
            ("aside",),
        ),
        EventSpec(
            Event.DESTINATION_AWAY,
            Level.WARNING,
            "destination {destination} does not take {signal} now, and is asked again in {pause} s; what is for it "
            "waits in the ledger: {why}",
            "Mend the destination, or its address and credentials: docs/operate/destinations.md#a-destination-is-away.",
            ("destination", "signal"),
        ),
        EventSpec(
            Event.DESTINATION_OUTBOX_FULL,
            Level.ERROR,
            "more than forward.outbox_max_bytes waits for destination {destination}: it will not get what comes now",
            "Usage is posted all the same. Mend the destination, or give it more room: "
            "docs/operate/destinations.md#the-outbox-is-full-or-payloads-expired.",
            ("destination",),
        ),
        EventSpec(
            Event.DESTINATION_REFUSED,
            Level.ERROR,
            "destination {destination} refused {payloads} payload(s) for good; kept in the ledger: {why}",
            "Find out why it refuses them: docs/operate/destinations.md#payloads-are-refused-for-good.",
            ("destination",),
        ),
        EventSpec(
            Event.DESTINATION_REFUSED_PART,
            Level.WARNING,
            "destination {destination} took {signal}, but refused {rejected} records of it: {why}",
            "Find out why it refuses them: docs/operate/destinations.md#a-part-is-refused.",
            ("destination", "signal"),
        ),
        EventSpec(
            Event.DESTINATION_UNKNOWN,
            Level.WARNING,
            "payloads wait for destination {destination}, which is not configured any more",
            "Configure it again under that name, or let them expire: "
            "docs/operate/destinations.md#a-destination-is-not-configured-any-more.",
            ("destination",),
        ),
        EventSpec(
            Event.DESTINATION_CERTIFICATES_REFUSED,
            Level.WARNING,
            "{problems}; the certificates read before stay in use",
            "Mend the file before the old certificate ends: "
            "docs/operate/destinations.md#a-changed-file-of-headers-or-certificates-is-refused.",
            ("problems",),
        ),
        EventSpec(
            Event.DESTINATION_HEADERS_REFUSED,
            Level.WARNING,
            "{problems}; keeping the headers that it held before",
            "Mend the file at the line that is named: "
            "docs/operate/destinations.md#a-changed-file-of-headers-or-certificates-is-refused.",
            ("problems",),
        ),
        EventSpec(
            Event.METRICS_NOT_SENT,
            Level.WARNING,
            "destination {destination} did not take all metrics; the next export says what is missing: {why}",
            "Mend the destination, or its address and credentials: docs/operate/destinations.md#a-destination-is-away.",
            ("destination",),
        ),
        EventSpec(
            Event.PRICES_IN_USE, Level.INFO, "prices in use: {price_book}", "Nothing: changed price files were loaded."
        ),
        EventSpec(
            Event.PRICES_REFUSED,
            Level.ERROR,
            "price files refused, the old prices stay in use:\n{problems}",
            "Mend each line that is named: docs/operate/price-files.md#a-file-that-is-refused.",
            ("problems",),
        ),
        EventSpec(
            Event.PRICES_STALE,
            Level.WARNING,
            "the price list was last checked on {checked}, more than {days} days ago: prices may have changed since; "
            "upgrade spanledger or give a newer list (prices.updates)",
            "What the line says: docs/operate/price-files.md#a-list-that-is-getting-old.",
        ),
        EventSpec(
            Event.BUDGET_REACHED,
            Level.WARNING,
            "budget {budget} ({scope} {owner}, {cycle} from {first_day}) reached {level_percent} %: "
            "${spent_usd} of ${limit_usd} spent, ${forecast_usd} expected by its end{unpriced}",
            "Told once at each level in a period: docs/budgets.md#where-a-warning-shows.",
            ("budget", "owner", "first_day", "level_percent"),
        ),
        EventSpec(
            Event.BUDGETS_STAND_STILL,
            Level.WARNING,
            "budgets cannot be looked at, their figures stand still: {detail}",
            "Look at the ledger: docs/budgets.md#when-budgets-stand-still. Receiving and exporting go on.",
        ),
        EventSpec(
            Event.ADMIN_QUESTION_FAILED,
            Level.ERROR,
            "a question to {path} could not be answered",
            "Report it with the traceback, unless the disk is at fault: docs/operate/health.md#a-fault-of-spanledger.",
            ("path",),
        ),
        EventSpec(
            Event.PLUG_IN_USAGE_UNREADABLE,
            Level.WARNING,
            "a model call has no price, its usage cannot be read: {detail}",
            "Mend the program that writes these attributes: docs/plug-in.md#what-it-prices.",
            ("detail",),
        ),
    )
}
"""Every event, in the order of the documentation."""
