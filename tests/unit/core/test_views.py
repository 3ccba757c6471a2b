"""Views: what each posting adds to which series, and what corrections do to their sums."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from spanledger.core.attribution import Account, Purpose
from spanledger.core.posting import Price, Reason, Status
from spanledger.core.semconv import Metric
from spanledger.core.usage import Basis, Evidence, Provider, QueryClass, Speed, Tokens
from spanledger.core.verdict import Verdict
from spanledger.core.views import PostingTotal, series_increments
from support.booking import open_books
from support.telling import NOW, SECOND, Client, Usage

ACCOUNT = Account(
    basis=Basis.BILLED,
    user="u",
    provider=Provider.ANTHROPIC,
    model="m",
    served_model="m",
    query_class=QueryClass.AUXILIARY,
    speed=Speed.STANDARD,
    client_version="2.1.330",
    labels=(("team", "core"), ("cost_center", "unallocated")),
    purpose=Purpose(query_source="compact", skill_name="demo"),
)
RATES = (3, 15, 1, 4, 6, 4, 0)
PRICED = Price("book", "row", rates=RATES, list_rates=RATES)
UNPRICED = Price("book", unpriced_reason="unknown_model")


def total(price: Price, tokens: Tokens, *, reason: str = "", client: int = 0, requests: int = 1) -> PostingTotal:
    return PostingTotal(
        account=ACCOUNT,
        price=price,
        status=Status.EXACT if price.rates else Status.UNPRICED,
        evidence=Evidence.LOG,
        reason=reason,
        requests=requests,
        tokens=tokens,
        client_cost_picousd=client,
        verdict=Verdict.UNEXPLAINED if client else None,
    )


def increments(*totals: PostingTotal) -> dict[tuple[str, ...], int]:
    """Increments by metric and label values, without what is the same everywhere."""
    return {
        (key.metric.value.removeprefix("spanledger."), *dict(key.labels).values()): amount
        for key, amount in series_increments(totals).items()
    }


def test_a_priced_call_is_in_every_view_of_cost() -> None:
    found = increments(total(PRICED, Tokens(input=2, output=4), client=50))
    cost = 2 * 3 + 4 * 15
    assert found["purpose.cost", "billed", "compact", "none", "demo", "none", "core", "unallocated"] == cost
    assert found["modifier.cost", "billed", "m", "anthropic", "none", "core", "unallocated"] == cost
    assert found["unallocated.cost", "billed", "cost_center"] == cost
    assert found["client_gap", "2.1.330", "unexplained"] == cost - 50
    assert not any(name.startswith("unpriced") for name, *_ in found)


def test_cost_is_apart_by_what_changed_its_price() -> None:
    changed = replace(PRICED, modifiers=("fast", "us_residency x1.1"))
    found = increments(total(changed, Tokens(input=2)), total(PRICED, Tokens(input=5)))
    assert found["modifier.cost", "billed", "m", "anthropic", "fast,us_residency", "core", "unallocated"] == 2 * 3
    assert found["modifier.cost", "billed", "m", "anthropic", "none", "core", "unallocated"] == 5 * 3


def test_an_unpriced_call_is_counted_with_its_reason_and_costs_nothing() -> None:
    found = increments(total(UNPRICED, Tokens(input=2, output=4), client=50))
    why = ("m", "anthropic", "unknown_model", "core", "unallocated")
    assert found["unpriced_requests", *why] == 1
    assert found["unpriced_tokens", *why] == 6
    assert not any("cost" in name or "gap" in name for name, *_ in found if name != "cost.client")


def test_a_late_price_takes_the_unpriced_call_back_and_is_part_of_the_gap() -> None:
    tokens, taken_back = Tokens(input=2, output=4), Tokens(input=-2, output=-4)
    found = increments(
        total(UNPRICED, tokens, client=50),
        total(UNPRICED, taken_back, client=-50, reason=Reason.REFINED, requests=-1),
        total(PRICED, tokens, client=50, reason=Reason.REFINED),
    )
    why = ("m", "anthropic", "unknown_model")
    own = ("core", "unallocated")
    assert found["unpriced_requests", *why, *own] + found["unpriced_requests.adjustment", *why, "refined", *own] == 0
    assert found["unallocated.cost.adjustment", "billed", "cost_center", "refined"] == 66
    assert found["client_gap", "2.1.330", "unexplained"] == 66 - 50


def test_background_work_is_told_by_name_and_residual_apart(tmp_path: Path) -> None:
    client = Client(resource={"team.id": "core"})
    usage = Usage(input=1_000)
    with open_books(tmp_path / "ledger.db") as books:
        books.take(client.log("req_1", "claude-opus-5-5", usage, query_source="compact", cost_usd=0.004))
        books.take(client.log("req_2", "claude-opus-5-5", usage, cost_usd=0.004))
        # The sums hold a third call, of the main conversation, that no record tells of.
        books.take(client.sums("claude-opus-5-5", Usage(input=2_000), 0.008, start=NOW - SECOND, end=NOW + 1))
        books.rest()
        states = books.ledger.series.states()
        by_purpose = {
            dict(state.key.labels)["purpose"]: state.value
            for state in states
            if state.key.metric is Metric.PURPOSE_COST
        }
        # 1,000 tokens at 4 USD per million.
        assert by_purpose == {"compact": 4 * 10**9, "main": 4 * 10**9, "residual": 4 * 10**9}
        assert books.total(Metric.CLIENT_GAP) == 0  # the client says the same of both calls


def test_duplicates_are_counted_by_signal_and_survive_a_restart(tmp_path: Path) -> None:
    client = Client(resource={"team.id": "core"})
    log = client.log("req_1", "claude-opus-5-5", Usage(input=1_000))
    span = client.span("req_1", "claude-opus-5-5", Usage(input=1_000))
    with open_books(tmp_path / "ledger.db") as books:
        books.take(log, span, log, log, span).rest()
        assert books.total(Metric.DUPLICATES) == 3
    with open_books(tmp_path / "ledger.db") as books:
        books.take(log).rest()
        by_signal = {
            dict(state.key.labels)["signal"]: state.value
            for state in books.ledger.series.states()
            if state.key.metric is Metric.DUPLICATES
        }
    assert by_signal == {"logs": 3, "traces": 1}
