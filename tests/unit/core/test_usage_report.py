"""Reports: lines sum to their basis' total, nothing is summed across bases, the spread is of real days."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from spanledger.config.fields import read_zone
from spanledger.core.attribution import Account, Purpose
from spanledger.core.distribution import Distribution, Spread
from spanledger.core.periods import Period
from spanledger.core.posting import Status
from spanledger.core.usage import Basis, Evidence, Provider, QueryClass, Source, Speed, Tokens
from spanledger.core.usage_report import OTHERS, DeveloperDay, UsageFold, UsageReport, UsageTotal

NOVEMBER = Period(date(2026, 11, 1), date(2026, 11, 30), read_zone("UTC"))
ACCOUNT = Account(
    basis=Basis.BILLED,
    user="ada",
    provider=Provider.ANTHROPIC,
    model="m",
    served_model="m",
    query_class=QueryClass.MAIN,
    speed=Speed.STANDARD,
    client_version="2.1.330",
    labels=(("team", "core"), ("cost_center", "unallocated")),
)


def usage(
    cost: int | None,
    *,
    user: str = "ada",
    day: int = 2,
    basis: Basis = Basis.BILLED,
    evidence: Evidence = Evidence.LOG,
    status: Status = Status.EXACT,
    requests: int = 1,
    **more: object,
) -> UsageTotal:
    return UsageTotal(
        day=date(2026, 11, day),
        account=replace(ACCOUNT, user=user, basis=basis, **more),
        source=Source(),
        evidence=evidence,
        status=Status.UNPRICED if cost is None else status,
        requests=requests,
        tokens=Tokens(input=10 * requests),
        cost_picousd=cost,
        list_cost_picousd=cost or 0,
        client_cost_picousd=0,
    )


def report(
    *totals: UsageTotal, by: str = "user", top: int | None = None, where: dict[str, str] | None = None
) -> UsageReport:
    fold = UsageFold(NOVEMBER, by.split(","), where or {})
    fold.add(totals)
    fold.add_developers(totals)
    return fold.report(top)


def costs(found: UsageReport) -> list[tuple[str, ...]]:
    return [(*line.key, line.basis.value, str(line.figures.cost_picousd)) for line in found.lines]


def test_bases_are_lines_and_totals_of_their_own() -> None:
    found = report(usage(5), usage(7, basis=Basis.NOTIONAL), usage(1, user="bob"))
    assert costs(found) == [("ada", "notional", "7"), ("ada", "billed", "5"), ("bob", "billed", "1")]
    assert {basis: figures.cost_picousd for basis, figures in found.totals.items()} == {
        Basis.BILLED: 6,
        Basis.NOTIONAL: 7,
    }


def test_what_a_figure_rests_on_is_shown_as_part_of_it() -> None:
    found = report(
        usage(1, evidence=Evidence.METRIC, requests=0),
        usage(2, evidence=Evidence.INFERRED),
        usage(4, status=Status.PROVISIONAL),
        usage(8, status=Status.LOWER_BOUND),
        usage(None),
    )
    (line,) = found.lines
    figures = line.figures
    assert figures.cost_picousd == 1 + 2 + 4 + 8
    assert (figures.residual_picousd, figures.inferred_picousd) == (1, 2)
    assert (figures.provisional_picousd, figures.lower_bound_picousd) == (4, 8)
    assert (figures.requests, figures.unpriced_requests, figures.unpriced_tokens) == (4, 1, 10)


def test_a_charge_taken_back_leaves_no_line() -> None:
    assert report(usage(5), usage(-5, requests=-1)).lines == ()


def test_the_costliest_are_kept_and_the_others_are_one_line() -> None:
    found = report(usage(5), usage(7, user="bob"), usage(1, user="cy"), usage(2, user="di"), top=2)
    assert costs(found) == [("bob", "billed", "7"), ("ada", "billed", "5"), (OTHERS, "billed", "3")]
    assert found.totals[Basis.BILLED].cost_picousd == 15


def test_lines_of_days_are_in_order_of_time() -> None:
    found = report(usage(5, day=3), usage(9, day=9), usage(1, day=2), by="day,user")
    assert [line.key[0] for line in found.lines] == ["2026-11-02", "2026-11-03", "2026-11-09"]


def test_only_what_is_asked_for_is_in_it() -> None:
    compact = usage(3, query_class=QueryClass.AUXILIARY, purpose=Purpose(query_source="compact"))
    found = report(usage(5), compact, by="purpose", where={"purpose": "compact", "team": "core"})
    assert costs(found) == [("compact", "billed", "3")]


def test_what_is_unallocated_is_named() -> None:
    found = report(usage(5), usage(2, labels=(("team", "unallocated"), ("cost_center", "7"))))
    assert found.unallocated == {"cost_center": {Basis.BILLED: 5}, "team": {Basis.BILLED: 2}}


def test_the_spread_is_of_developers_days() -> None:
    days = [DeveloperDay("ada", date(2026, 11, n), cost, 0) for n, cost in enumerate((1, 2, 3, 4), 1)]
    days += [DeveloperDay("bob", date(2026, 11, 2), 30, 2)]
    found = Distribution.of(days)
    assert (found.developers, found.developer_days, found.unpriced_requests) == (2, 5, 2)
    # 40 over 5 days; of 1 2 3 4 30 the third is the half, the fifth nine tenths: ranks 2.5 and 4.5, rounded up.
    assert found.per_active_day == Spread(8, 3, 30)
    assert found.per_developer == Spread(20, 10, 30)
    # 20 a developer in 10 days: 100 of them in 30 days.
    assert found.month_of(100, 10) == Spread(20 * 100 * 3, 10 * 100 * 3, 30 * 100 * 3)


def test_an_unknown_user_is_no_developer() -> None:
    assert report(usage(5, user="unknown")).developer_days == {}


TOTALS = st.builds(
    usage,
    st.none() | st.integers(0, 10**20),
    user=st.sampled_from("abc"),
    day=st.integers(1, 30),
    basis=st.sampled_from(Basis),
    evidence=st.sampled_from(Evidence),
    requests=st.integers(0, 5),
)


@given(st.lists(TOTALS, max_size=30), st.sampled_from(["user", "day,user", "team", "evidence"]), st.none() | st.just(1))
def test_lines_sum_to_their_total_whatever_they_are_by(totals: list[UsageTotal], by: str, top: int | None) -> None:
    found = report(*totals, by=by, top=top)
    for basis in Basis:
        figures = [line.figures for line in found.lines if line.basis is basis]
        expected = sum(one.cost_picousd or 0 for one in totals if one.account.basis is basis)
        assert sum(one.cost_picousd for one in figures) == expected
        assert sum(day.cost_picousd for day in found.developer_days.get(basis, [])) == expected
        if figures:
            assert found.totals[basis].cost_picousd == expected
