"""Component: does it work, and does everything arrive?"""

from __future__ import annotations

from spanledger.core.gauges import Gauge
from spanledger.dashboards import panels
from spanledger.dashboards.board import Board, Choice, Placed, Row, scope_of
from spanledger.dashboards.panels import About, Ask, Panel
from spanledger.dashboards.queries import Queries, either, is_, tagged
from spanledger.dashboards.settings import BoardSettings
from spanledger.telemetry import COUNTERS, Counter

_INSTANCE = Choice("instance", "Instance", Gauge.LEDGER_WRITABLE, "Ledgers; each has one component.")
_CHOICES = (_INSTANCE,)
_OWN = "Counted from the start of the component's process."
_SILENT = "nothing from the component"

_LOSSES = (
    Counter.REFUSED,
    Counter.DROPPED,
    Counter.CONNECTIONS_CLOSED,
    Counter.COMMITS_FAILED,
    Counter.SERIES_OVERFLOWED,
    Counter.SERIES_CUT,
    Counter.EXPORTS_RETRIED,
    Counter.PAYLOADS_SET_ASIDE,
    Counter.PAYLOADS_NOT_FORWARDED,
    Counter.PAYLOADS_EXPIRED,
    Counter.RECORDS_REJECTED_BY_DESTINATION,
    Counter.METRIC_EXPORTS_FAILED,
    Counter.PRICE_LOADS_REFUSED,
)


def component(settings: BoardSettings) -> Board:
    """The board."""
    queries = scope_of(settings, _CHOICES)
    return Board(
        "component",
        "Claude Code cost: component",
        "What spanledger receives, commits, keeps and forwards, what it refuses or drops, and how far behind it is.",
        "now-6h",
        _CHOICES,
        (
            Row("Does everything arrive?", (*_states(queries), *_flow(queries))),
            Row("Is it in time, and does it fit?", _time_and_room(queries)),
        ),
        has_totals=False,
    )


def _states(queries: Queries) -> list[Placed]:
    done = {
        "requests received": Counter.REQUESTS_RECEIVED,
        "records in them": Counter.RECORDS_RECEIVED,
        "payloads forwarded": Counter.PAYLOADS_FORWARDED,
    }
    asks = [Ask(queries.total(counter), name) for name, counter in done.items()]
    return [
        Placed(
            panels.stats(
                About("Ledger", "Whether it can be written. If not, senders are told to try again.", _SILENT),
                [Ask(queries.now(Gauge.LEDGER_WRITABLE, how="min"), "ledger")],
                panels.WHOLE,
                (panels.Level(None, "red"), panels.Level(1, "green")),
                words={"0": "cannot be written", "1": "can be written"},
            ),
            6,
            4,
        ),
        Placed(
            panels.stats(
                About(
                    "Received and forwarded",
                    "In the chosen range: requests that were read and booked, records of model calls and control "
                    f"points in them, and payloads that destinations took. {_OWN}",
                    _SILENT,
                ),
                asks,
                panels.WHOLE,
            ),
            18,
            4,
        ),
    ]


def _flow(queries: Queries) -> list[Placed]:
    received = tagged(f"({queries.total(Counter.REQUESTS_RECEIVED)})", "kind", "received, for comparison")
    losses = (tagged(f"({_by_label(queries, one)} > 0)", "kind", one.value) for one in _LOSSES)
    meanings = " ".join(f"{one.value}: {COUNTERS[one].description}" for one in _LOSSES)
    rates = [
        Ask(f"sum({queries.rate(Counter.REQUESTS_RECEIVED)})", "requests received"),
        Ask(f"sum({queries.rate(Counter.RECORDS_RECEIVED)})", "records received"),
        Ask(f"sum({queries.rate(Counter.PAYLOADS_FORWARDED)})", "payloads forwarded"),
    ]
    return [
        Placed(
            panels.lines(
                About("Rates", f"A second: requests and records received, payloads forwarded. {_OWN}", _SILENT),
                rates,
                panels.PER_SECOND,
                queries.settings.export_interval,
            ),
            12,
            10,
        ),
        Placed(
            panels.ranking(
                About(
                    "Refused, dropped, tried again",
                    f"In the chosen range, what there was of it, beside the requests received. {meanings} {_OWN}",
                    _SILENT,
                ),
                Ask(f"sort_desc({either(received, *losses)})", "{{kind}} {{reason}}{{destination}}"),
                panels.WHOLE,
            ),
            12,
            10,
        ),
    ]


def _by_label(queries: Queries, counter: Counter) -> str:
    label = COUNTERS[counter].label
    return queries.total(counter, by=(label,) if label else ())


def _time_and_room(queries: Queries) -> list[Placed]:
    settings = queries.settings
    pending = queries.now(Gauge.OUTBOX_PAYLOADS, is_("state", "pending"), by=("destination",))
    refused = queries.now(Gauge.OUTBOX_PAYLOADS, is_("state", "refused"), by=("destination",))
    return [
        Placed(
            panels.lines(
                About(
                    "How long things take and wait",
                    "Commits: half of them and 99 in 100 take up to so long, fsync included. Settling: what is due "
                    "waits, spans for their posting (join), sums for their look (residual). Outbox: the oldest "
                    "payload waits.",
                    _SILENT,
                ),
                [
                    Ask(queries.commit_seconds(0.5), "commit, half up to"),
                    Ask(queries.commit_seconds(0.99), "commit, 99 % up to"),
                    Ask(queries.now(Gauge.SETTLE_LAG, by=("stage",), how="max"), "settling, {{stage}}"),
                    Ask(queries.now(Gauge.OUTBOX_AGE, by=("destination",), how="max"), "outbox, {{destination}}"),
                ],
                panels.SECONDS,
                settings.export_interval,
            ),
            12,
            12,
        ),
        Placed(
            panels.lines(
                About(
                    "Memory and disk",
                    "Resident memory of the process, the ledger's file and its log, and in it what waits for each "
                    "destination.",
                    _SILENT,
                ),
                [
                    Ask(queries.now(Gauge.PROCESS_MEMORY), "memory"),
                    Ask(queries.now(Gauge.LEDGER_BYTES), "ledger"),
                    Ask(queries.now(Gauge.OUTBOX_BYTES, by=("destination",)), "outbox, {{destination}}"),
                ],
                panels.BYTES,
                settings.export_interval,
            ),
            12,
            12,
        ),
        Placed(
            panels.ranking(
                About(
                    "Series in use",
                    "By metric. metrics.max_series limits each; beyond it labels go to a series of "
                    "otel.metric.overflow, and totals stay exact.",
                    _SILENT,
                ),
                Ask(f"sort_desc(topk(12, {queries.now(Gauge.SERIES, by=('metric',))}))", "{{metric}}"),
                panels.WHOLE,
            ),
            12,
            10,
        ),
        Placed(_waiting(queries, pending, refused), 12, 10),
    ]


def _waiting(queries: Queries, pending: str, refused: str) -> Panel:
    return panels.lines(
        About(
            "Series, and payloads in the outbox",
            "Series in use in all; payloads that wait for a destination, and those that it refused for good.",
            _SILENT,
        ),
        [
            Ask(queries.now(Gauge.SERIES), "series"),
            Ask(pending, "{{destination}}, pending"),
            Ask(refused, "{{destination}}, refused"),
        ],
        panels.WHOLE,
        queries.settings.export_interval,
    )
