"""Quality of the figures: how sure are they, and what is missing?"""

from __future__ import annotations

from spanledger.core.gauges import Gauge
from spanledger.core.posting import Status
from spanledger.core.semconv import UNALLOCATED, Metric
from spanledger.core.usage import Evidence
from spanledger.dashboards import panels
from spanledger.dashboards.board import COST_CENTER, TEAM, Board, Placed, Row, scope_of
from spanledger.dashboards.panels import USD, About, Ask
from spanledger.dashboards.queries import AS_OF, RANGE, STEP, WHOLE_COST, Queries, Recorded, either, is_, shares, tagged
from spanledger.dashboards.settings import BoardSettings
from spanledger.dashboards.wording import BY_POSTING

_CHOICES = (COST_CENTER, TEAM)
_SECONDS_A_DAY = 86_400
_HOUR = "1h"
_PRICED = "has a price"
_NO_CALLS = "no calls in this range"
_ALL = "Of all bases together: a share, nobody's bill."


def quality(settings: BoardSettings) -> Board:
    """The board."""
    queries = scope_of(settings, _CHOICES)
    everybody = queries.without_scope()
    return Board(
        "quality",
        "Claude Code cost: quality of the figures",
        "What has no price or owner, what is not exact, what the clients say otherwise, and what does not arrive.",
        "now-7d",
        _CHOICES,
        (
            Row("Sure and complete", _shares(queries)),
            Row("Without a price, not exact", _unsure(queries)),
            Row("The clients' own figures (of everybody)", _client(everybody)),
            Row("Signals and repetitions", _signals(queries)),
        ),
    )


def _shares(queries: Queries) -> list[Placed]:
    settings = queries.settings
    requests, tokens = queries.total(Metric.REQUESTS), queries.total(Metric.TOKENS)
    cost = queries.total(WHOLE_COST)
    worse = panels.rising(settings.unsure_warn_share, settings.unsure_bad_share)
    nobodys = queries.without_scope("cost_center", "team")
    unallocated = nobodys.total(WHOLE_COST, is_("cost_center", UNALLOCATED), is_("team", UNALLOCATED))
    provisional = queries.total(Metric.REQUESTS, is_("status", Status.PROVISIONAL))
    inferred = queries.total(Metric.REQUESTS, is_("evidence", Evidence.INFERRED))
    parts = either(
        shares({"tokens without a price": queries.total(Metric.UNPRICED_TOKENS)}, tokens),
        shares({"calls from a span alone": provisional, "calls with inferred facts": inferred}, requests),
        shares({"cost that only sums tell": queries.total(Metric.RESIDUAL_COST)}, cost),
        shares({"cost without owner": unallocated}, nobodys.total(WHOLE_COST)),
    )
    book = queries.as_of(Gauge.PRICE_BOOK_TIMESTAMP, by=("price_book",), how="max")
    return [
        Placed(
            panels.ranking(
                About(
                    "Shares",
                    "Without a price: of all tokens. From a span alone (provisional): of all calls. Inferred: of all "
                    "calls, those with a fact that only the client's figure gives away. Only in sums (residual): of "
                    "the cost. Without owner: of everybody's cost, that of senders who state neither a cost center "
                    f"nor a team. {_ALL} {BY_POSTING}",
                    _NO_CALLS,
                ),
                Ask(parts, "{{kind}}"),
                panels.SHARE,
                worse,
            ),
            16,
            7,
        ),
        Placed(
            panels.stats(
                About(
                    "Price list checked",
                    "Days since the price list in use was last compared with its source, by price book.",
                    "the component does not say",
                ),
                [Ask(f"(${AS_OF} - {book}) / {_SECONDS_A_DAY}", "{{price_book}}")],
                panels.DAYS,
                panels.rising(settings.price_list_warn_days, settings.price_list_old_days),
                is_named=True,
            ),
            8,
            7,
        ),
    ]


def _unsure(queries: Queries) -> list[Placed]:
    requests = queries.total(Metric.REQUESTS, by=("status", "evidence"))
    labels = ("model", "provider", "unpriced_reason")
    without = queries.total(Metric.UNPRICED_TOKENS, by=labels)
    columns = {"model": "Model", "provider": "Provider", "unpriced_reason": "Reason"}
    return [
        Placed(
            panels.red_but(
                panels.rows_table(
                    About(
                        "Tokens with and without a price",
                        "Models without a price, and why; what they cost is in no figure until they have one. Beside "
                        f"them what all others used. {BY_POSTING}",
                        "no tokens in this range",
                    ),
                    Ask(either(f"({without} != 0)", f"({_with_price(queries)})"), "Tokens"),
                    panels.WHOLE,
                    columns,
                ),
                "Reason",
                _PRICED,
            ),
            12,
            8,
        ),
        Placed(
            panels.ranking(
                About(
                    "Calls by status and evidence",
                    "exact: from a log event. provisional: from a span alone, until its log comes. lower_bound: the "
                    "least that it can be. unpriced: no price. inferred: a fact that only the client's figure gives "
                    f"away. {BY_POSTING}",
                    _NO_CALLS,
                ),
                Ask(f"sort_desc({requests})", "{{status}}, {{evidence}}"),
                panels.WHOLE,
            ),
            12,
            8,
        ),
    ]


def _with_price(queries: Queries) -> str:
    tokens = queries.total(Metric.TOKENS)
    unpriced = f"({queries.total(Metric.UNPRICED_TOKENS)}) or vector(0)"
    return tagged(tagged(f"({tokens}) - ({unpriced})", "model", "all others"), "unpriced_reason", _PRICED)


def _client(queries: Queries) -> list[Placed]:
    gap = queries.total(Metric.CLIENT_GAP, by=("client_version", "verdict"))
    ours = queries.total(Metric.CLIENT_COST, by=("client_version",))
    return [
        Placed(
            panels.rows_table(
                About(
                    "Our list price less the client's figure, by version and verdict",
                    "Of priced calls that have both, at list price, corrections included; the verdict is the reason: "
                    "client_table (an old price table), unknown_model, managed_rates, regional_premium, "
                    f"inferred_facts, aborted_attempts, unexplained. Not narrowed by team. {BY_POSTING}",
                    "no call with a figure of the client",
                ),
                Ask(f"sort_desc({gap})", "Gap"),
                panels.USD_CHANGE,
                {"client_version": "Client", "verdict": "Verdict"},
            ),
            12,
            8,
        ),
        Placed(
            panels.ranking(
                About(
                    "What clients reported, by version",
                    "The clients' own figures for the same calls: an estimate, by the price table of their version. "
                    f"Never add it to our cost. Not narrowed by team. {BY_POSTING}",
                    "no call with a figure of the client",
                ),
                Ask(f"sort_desc({ours})", "{{client_version}}"),
                USD,
            ),
            12,
            8,
        ),
    ]


def _signals(queries: Queries) -> list[Placed]:
    calls = tagged(f"({queries.total(Metric.REQUESTS)})", "signal", "calls, for comparison")
    duplicates = either(queries.total(Metric.DUPLICATES, by=("signal",)), calls)
    return [
        Placed(
            panels.ranking(
                About(
                    "Tokens that a signal did not tell of",
                    "Share of all known tokens. logs: the permission classifier, interrupted replies, or logs that "
                    "are off or lost. traces: off unless they are turned on. metrics: exports that were lost. Below "
                    f"0: sums that count twice (old clients). {_ALL} {BY_POSTING}",
                    "no tokens in this range",
                ),
                Ask(f"1 - {_told(queries, RANGE)}", "{{signal}}"),
                panels.SHARE,
                panels.rising(queries.settings.unsure_warn_share, queries.settings.unsure_bad_share),
            ),
            7,
            8,
        ),
        Placed(
            panels.ranking(
                About(
                    "Duplicates",
                    "Records of calls that had come before, by signal, beside all calls; none is charged again. "
                    f"{BY_POSTING}",
                    _NO_CALLS,
                ),
                Ask(f"sort_desc({duplicates})", "{{signal}}"),
                panels.WHOLE,
            ),
            7,
            8,
        ),
        Placed(
            panels.lines(
                About(
                    "Tokens that each signal tells of, over time",
                    "Share of all known tokens, each point of the time since the one before it. A signal that drops "
                    f"is switched off or lost somewhere. {_ALL} {BY_POSTING}",
                    "no tokens in this range",
                ),
                [Ask(_told(queries, STEP), "{{signal}}")],
                panels.SHARE,
                _HOUR,
                colors=queries.settings.signal_colors,
            ),
            10,
            8,
        ),
    ]


def _told(queries: Queries, window: str) -> str:
    """Share of the tokens by signal."""
    over_time = window == STEP
    told = queries.total(Recorded.SIGNAL_TOKENS if over_time else Metric.SIGNAL_TOKENS, by=("signal",), window=window)
    whole = queries.total(Recorded.TOKENS if over_time else Metric.TOKENS, window=window)
    return f"{told} / on () group_left () (({whole}) > 0)"
