"""Anatomy: what do we pay for, and what would we pay otherwise?"""

from __future__ import annotations

from spanledger.core.gauges import Gauge
from spanledger.core.semconv import NONE, Metric
from spanledger.core.usage import TokenClass
from spanledger.dashboards import panels
from spanledger.dashboards.board import BASIS, COST_CENTER, TEAM, Board, Choice, Placed, Row, scope_of
from spanledger.dashboards.panels import USD, About, Ask, Panel
from spanledger.dashboards.queries import (
    STEP,
    WHOLE_COST,
    Match,
    Queries,
    Recorded,
    either,
    is_,
    isnt,
    or_zero,
    share,
    tagged,
)
from spanledger.dashboards.settings import BoardSettings
from spanledger.dashboards.wording import BY_POSTING, NO_COST, PRICED

_WHAT_IF = Choice(
    "model",
    "What if it were",
    Gauge.PRICE,
    "The model whose prices all tokens are set at in the what-if panels; it narrows nothing.",
    default="claude-sonnet-5-5",
    variable="what_if",
)
_CHOICES = (BASIS, COST_CENTER, TEAM, _WHAT_IF)
_PER_MILLION = 10**6
_LIST_NOW = (
    "Prices are those charged now for standard inference at the global endpoint, without discounts of single cost "
    "centers."
)
_PROMPT = Match(
    "token_class",
    "=~",
    "|".join(one for one in TokenClass if one is TokenClass.INPUT or one.value.startswith("cache_")),
)
_WRITES = Match("token_class", "=~", "cache_write_.*")


def anatomy(settings: BoardSettings) -> Board:
    """The board."""
    queries = scope_of(settings, _CHOICES)
    return Board(
        "anatomy",
        "Claude Code cost: anatomy",
        "What tokens, caching, background work, agents and skills cost, and what another model would have cost.",
        "now-7d",
        _CHOICES,
        (
            Row("Tokens and cache", _tokens(queries)),
            Row("What calls were for", _purposes(queries)),
            Row("What made calls dearer", _dearer(queries)),
            Row("What if", _what_if(queries)),
        ),
    )


def _tokens(queries: Queries) -> list[Placed]:
    settings = queries.settings
    prompt = queries.total(Metric.TOKENS, _PROMPT)
    read = queries.total(Metric.TOKENS, is_("token_class", TokenClass.CACHE_READ))
    about_bars = "Each bar is what was posted in its time. {0} The first bar reaches back before the range."
    by_class = ("token_class",)
    return [
        Placed(
            panels.stats(
                About(
                    "Cache hit rate",
                    "Share of the prompt tokens that were read from the cache, of all calls, priced or not. "
                    f"{BY_POSTING}",
                    "no prompt tokens in this range",
                ),
                [Ask(share(read, prompt), "from the cache")],
                panels.SHARE,
            ),
            4,
            7,
        ),
        Placed(_saved(queries), 4, 7),
        Placed(
            panels.ranking(
                About(
                    "Tokens by class",
                    f"In the chosen range, of all calls, priced or not, corrections included. {BY_POSTING}",
                    "no tokens in this range",
                ),
                Ask(f"sort_desc({queries.total(Metric.TOKENS, by=by_class)})", "{{token_class}}"),
                panels.COUNT,
                colors=settings.class_colors,
            ),
            16,
            7,
        ),
        Placed(
            panels.bars(
                About("Cost by token class", f"{about_bars.format(PRICED)} {BY_POSTING}", NO_COST),
                [Ask(queries.total(Recorded.COST_BY_TOKEN_CLASS, by=by_class, window=STEP), "{{token_class}}")],
                USD,
                settings.bar_min_interval,
                settings.class_colors,
            ),
            24,
            8,
        ),
    ]


def _saved(queries: Queries) -> Panel:
    """Reads at the price of input less at their own, and writes at theirs less at that of input."""
    used = queries.total(Metric.TOKENS, Match("token_class", "=~", "cache_.*"), by=("model", "provider", "token_class"))
    fresh = _price(queries, is_("token_class", TokenClass.INPUT), by=("model", "provider"))
    own = _price(queries, Match("token_class", "=~", "cache_.*"), by=("model", "provider", "token_class"))
    cheaper = f"-({own} - on (model, provider) group_left () {fresh})"
    about = About(
        "Saved by the cache",
        "What cached tokens would have cost as fresh input, less what reading and writing them costs. Of calls whose "
        f"model has a price and whose cache writes say how long they are kept. {_LIST_NOW} {BY_POSTING}",
        "nothing cached in this range",
    )
    expression = f"sum({used} * on (model, provider, token_class) {cheaper}) / {_PER_MILLION}"
    return panels.stats(about, [Ask(expression, "saved")], panels.USD_CHANGE)


def _price(queries: Queries, *where: Match, by: tuple[str, ...]) -> str:
    """USD for a million tokens; several components may tell the same price."""
    return queries.as_of(Gauge.PRICE, is_("tier", "standard"), *where, by=by, how="max")


def _purposes(queries: Queries) -> list[Placed]:
    settings = queries.settings
    used = {"agent": "agent", "skill": "skill", "mcp_server": "MCP server"}
    named = either(
        *(
            tagged(
                f'sum by (name) (label_replace({_by_purpose(queries, label)},"name","$1","{label}","(.*)"))',
                "kind",
                kind,
            )
            for label, kind in used.items()
        )
    )
    purpose = queries.total(Metric.PURPOSE_COST, by=("purpose",))
    return [
        Placed(
            panels.bars(
                About(
                    "Cost of main, subagent and auxiliary calls",
                    "Auxiliary: compaction, titles, the permission classifier and other background work. Each bar is "
                    f"what was posted in its time. {PRICED} {BY_POSTING} The first bar reaches back before the range.",
                    NO_COST,
                ),
                [Ask(queries.total(Recorded.COST_BY_QUERY_CLASS, by=("query_class",), window=STEP), "{{query_class}}")],
                USD,
                settings.bar_min_interval,
                settings.class_colors,
            ),
            24,
            8,
        ),
        Placed(
            panels.ranking(
                About(
                    "Cost by purpose",
                    "main, subagent, each kind of background work by its name (compact, generate_session_title, "
                    "auto_mode: the permission classifier), and residual: what only the clients' sums tell, such as "
                    f"attempts that were cut and retried, and interrupted replies. {PRICED} {BY_POSTING}",
                    NO_COST,
                ),
                Ask(f"sort_desc(topk(12, {purpose}))", "{{purpose}}"),
                USD,
                colors=settings.class_colors,
            ),
            12,
            9,
        ),
        Placed(
            panels.ranking(
                About(
                    "Agents, skills and MCP servers",
                    "Cost of calls by the agent, skill or MCP server that they were made for, the twelve that cost "
                    f"most. A call with two of them is in both, so do not add them up. {PRICED} {BY_POSTING}",
                    "no agent, skill or MCP server in this range",
                ),
                Ask(f"sort_desc(topk(12, {named}))", "{{kind}} {{name}}"),
                USD,
            ),
            12,
            9,
        ),
    ]


def _by_purpose(queries: Queries, label: str) -> str:
    return queries.total(Metric.PURPOSE_COST, isnt(label, NONE), by=(label,))


def _dearer(queries: Queries) -> list[Placed]:
    modified = queries.total(Metric.MODIFIER_COST, by=("modifiers",))
    speed = queries.total(Metric.COST, by=("speed",))
    return [
        Placed(
            panels.ranking(
                About(
                    "Cost by price modifier",
                    "Cost of whole calls by what changed the price of their model: fast inference, a prompt longer "
                    f"than its limit (long_prompt), US residency, a region; none: the plain price. {PRICED} "
                    f"{BY_POSTING}",
                    NO_COST,
                ),
                Ask(f"sort_desc({modified})", "{{modifiers}}"),
                USD,
            ),
            8,
            7,
        ),
        Placed(
            panels.ranking(
                About("Cost by served speed", f"fast and standard inference. {PRICED} {BY_POSTING}", NO_COST),
                Ask(f"sort_desc({speed})", "{{speed}}"),
                USD,
            ),
            8,
            7,
        ),
        Placed(_untold(queries), 8, 7),
    ]


def _untold(queries: Queries) -> Panel:
    residual, whole = queries.total(Metric.RESIDUAL_COST), queries.total(WHOLE_COST)
    amounts = {
        "told by records": f"({whole}) - (({residual}) or vector(0))",
        "aborted, retried, untold": or_zero(residual, whole),
        "its share": share(residual, whole),
    }
    about = About(
        "Aborted, retried and untold",
        "Cost of calls whose records came; cost that only the clients' sums hold: attempts that were cut and tried "
        f"again, interrupted replies, calls whose records were lost or are never sent; and its share. {PRICED} "
        f"{BY_POSTING}",
        NO_COST,
    )
    shown = either(*(tagged(f"({amount})", "kind", name) for name, amount in amounts.items()))
    return panels.written_as(panels.stats(about, [Ask(shown, "{{kind}}")], USD), "its share", panels.SHARE)


def _what_if(queries: Queries) -> list[Placed]:
    """All tokens at the prices that each model has now, and the chosen one's."""
    known = _price(queries, by=("model", "token_class"))
    used = queries.total(Metric.TOKENS, by=("model", "token_class"))
    chosen = _price(queries, Match("model", "=", "$what_if"), by=("token_class",))
    others = f"({known} * 0 + on (token_class) group_left () {chosen})"
    now, other, more = (
        f"({used} * on (model, token_class) {price}) / {_PER_MILLION}"
        for price in (known, others, f"({others} - {known})")
    )
    counted = (
        "Tokens of each class of calls whose model has a price, cache writes that do not say how long they are kept "
        f"left out. {_LIST_NOW} Another model would use other numbers of tokens: it is a comparison of prices. "
        f"{BY_POSTING}"
    )
    return [
        Placed(
            panels.merged_table(
                About("What if all were of the chosen model", counted, NO_COST),
                [
                    Ask(f"sum by (model) {now}", "At own prices"),
                    Ask(f"sum by (model) {other}", "At chosen prices"),
                ],
                USD,
                {"model": "Model"},
            ),
            12,
            8,
        ),
        Placed(
            panels.stats(
                About("Difference", f"What the chosen model would cost more, in all. {counted}", NO_COST),
                [Ask(f"sum {more}", "difference")],
                panels.USD_CHANGE,
            ),
            4,
            8,
        ),
        Placed(
            panels.ranking(
                About(
                    "Price now",
                    f"USD for a million tokens of the chosen model. {_LIST_NOW} By the time of the calls: now.",
                    "no price",
                ),
                Ask(f"sort_desc({chosen})", "{{token_class}}"),
                USD,
                colors=queries.settings.class_colors,
            ),
            8,
            8,
        ),
    ]
