"""Kept days: a report by them is the report by postings, to the pico-dollar, wherever days begin.

Expected figures are summed here from the postings themselves, one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanledger.config.sections import Settings
from spanledger.core.attribution import Account, Purpose
from spanledger.core.periods import Period, date_of
from spanledger.core.posting import Charge, Latest, Posting, Price, Reason, Status, correct
from spanledger.core.usage import Basis, Evidence, Provider, QueryClass, Source, Speed, Tokens
from spanledger.core.usage_report import GROUPINGS, SENDER_FACTS, UsageFold, UsageReport, UsageTotal
from spanledger.ledger.ledger import Ledger
from spanledger.service.budget_watch import BudgetWatch
from spanledger.service.usage_report import report_usage

# Beside whole hours from UTC: a quarter and a half of one, and a midnight that is skipped.
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/Santiago", "Pacific/Kiritimati")
UTC = ZoneInfo("UTC")
FIRST, LAST = date(2026, 9, 4), date(2026, 9, 8)
SEPTEMBER = Period(FIRST, LAST, UTC)
DAY_NANO = 86_400 * 10**9
RATES = (10**9 + 7, 3, 0, 10**6, 1, 999_999_999_999, 10**12 - 1)
PRICED = Price("book", "row", rates=RATES, list_rates=RATES)
UNPRICED = Price("book", unpriced_reason="unknown_model")

SENDERS = st.builds(
    Source,
    session_id=st.sampled_from(["", "s1", "s2"]),
    organization_id=st.sampled_from(["", "o1"]),
    plan=st.sampled_from(["", "max"]),
)
ACCOUNTS = st.builds(
    Account,
    basis=st.sampled_from(Basis),
    user=st.sampled_from(["ada", "bob", "unknown"]),
    provider=st.sampled_from([Provider.ANTHROPIC, Provider.BEDROCK]),
    model=st.sampled_from(["m", "n"]),
    served_model=st.just("m"),
    query_class=st.sampled_from(QueryClass),
    speed=st.sampled_from(Speed),
    client_version=st.sampled_from(["1", "2"]),
    labels=st.sampled_from([(("team", "core"),), (("team", "unallocated"),)]),
    purpose=st.builds(Purpose, query_source=st.sampled_from(["", "compact"]), skill_name=st.sampled_from(["", "x"])),
)
# Enough of the dearest class that a few postings go beyond 64 bits.
TOKENS = st.builds(Tokens, *[st.integers(0, 10**6)] * 7)
TIMES = st.integers(SEPTEMBER.start_unix_nano - DAY_NANO, SEPTEMBER.end_unix_nano + DAY_NANO)


@st.composite
def entries(draw: st.DrawFn) -> list[Posting]:
    """Postings of a few calls, some of them taken back or corrected."""
    posted: list[Posting] = []
    for number in range(draw(st.integers(1, 12))):
        charge = draw(charges(f"req_{number}"))
        posted.append(Posting(charge, 0, None, None, charge.occurred_unix_nano))
        if draw(st.booleans()):
            then = draw(st.none() | charges(f"req_{number}"))
            posted.extend(correct(Latest(0, charge), then, Reason.REPRICE, charge.occurred_unix_nano))
    return posted


@st.composite
def charges(draw: st.DrawFn, identity: str) -> Charge:
    price = draw(st.sampled_from([PRICED, UNPRICED]))
    status = st.sampled_from([Status.EXACT, Status.PROVISIONAL, Status.LOWER_BOUND])
    return Charge(
        identity=identity,
        record_digest=identity,
        evidence=draw(st.sampled_from(Evidence)),
        status=draw(status) if price is PRICED else Status.UNPRICED,
        source=draw(SENDERS),
        account=draw(ACCOUNTS),
        price=price,
        tokens=draw(TOKENS),
        client_cost_picousd=draw(st.none() | st.integers(0, 5 * 10**18)),
        occurred_unix_nano=draw(TIMES),
    )


@contextmanager
def ledger_of(posted: list[Posting]) -> Iterator[tuple[Ledger, Path]]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        ledger = Ledger.open(path, max_series=10)
        try:
            add(ledger, posted)
            yield ledger, path
        finally:
            ledger.close()


def add(ledger: Ledger, posted: list[Posting]) -> None:
    with ledger.transaction():
        ledger.postings.add(posted)


def roll_up(ledger: Ledger, zone: ZoneInfo, at_most: int) -> bool:
    with ledger.transaction():
        return ledger.days.roll_up(zone, at_most=at_most)


def expected(posted: list[Posting], period: Period, by: list[str], where: dict[str, str]) -> UsageReport:
    fold = UsageFold(period, by, where)
    for posting in posted:
        day = date_of(posting.charge.occurred_unix_nano, period.zone)
        if period.first <= day <= period.last:
            total = total_of(posting, day)
            fold.add([total])
            fold.add_developers([total])
    return fold.report()


def total_of(posting: Posting, day: date) -> UsageTotal:
    charge, sign = posting.charge, posting.sign
    cost = charge.cost_picousd
    return UsageTotal(
        day=day,
        account=charge.account,
        source=charge.source,
        evidence=charge.evidence,
        status=charge.status,
        requests=0 if charge.evidence is Evidence.METRIC else sign,
        tokens=Tokens(*(sign * count for count in charge.tokens)),
        cost_picousd=None if cost is None else sign * cost,
        list_cost_picousd=sign * (charge.list_cost_picousd or 0),
        client_cost_picousd=sign * (charge.client_cost_picousd or 0),
    )


NAMES = (*GROUPINGS, "team")
CONDITIONS = (
    {},
    {"team": "core"},
    {"purpose": "compact"},
    {"day": "2026-09-06"},
    {"session": "s1"},
    {"evidence": "log"},
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    posted=entries(),
    kept_zone=st.sampled_from(ZONES),
    asked_zone=st.sampled_from(ZONES),
    by=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
    where=st.sampled_from(CONDITIONS),
    slices=st.lists(st.integers(1, 6), max_size=6),
)
def test_a_report_is_the_same_however_much_of_it_is_kept(
    posted: list[Posting],
    kept_zone: str,
    asked_zone: str,
    by: list[str],
    where: dict[str, str],
    slices: list[int],
) -> None:
    with ledger_of(posted) as (ledger, _):
        for at_most in slices:
            roll_up(ledger, ZoneInfo(kept_zone), at_most)
        for zone in (kept_zone, asked_zone):
            period = Period(FIRST, LAST, ZoneInfo(zone))
            assert report_usage(ledger, period, by, where) == expected(posted, period, by, where)


def example() -> list[Posting]:
    """A call, and one more that differs from it, for each fact that there is."""
    source = Source(session_id="s0", organization_id="o0", plan="p0")
    account = Account(
        basis=Basis.BILLED,
        user="ada",
        provider=Provider.ANTHROPIC,
        model="m",
        served_model="m",
        query_class=QueryClass.AUXILIARY,
        speed=Speed.STANDARD,
        client_version="1",
        labels=(("team", "core"),),
        purpose=Purpose("q", "e", "a", "s", "m"),
    )
    charge = Charge(
        identity="",
        record_digest="",
        evidence=Evidence.LOG,
        status=Status.EXACT,
        source=source,
        account=account,
        price=PRICED,
        tokens=Tokens(1, 2, 3, 4, 5, 6, 7),
        client_cost_picousd=11,
        occurred_unix_nano=SEPTEMBER.start_unix_nano,
    )
    accounts = (
        *(replace(account, **{name: other}) for name, other in OTHER_ACCOUNT.items()),
        *(replace(account, purpose=replace(account.purpose, **{f.name: "x"})) for f in fields(Purpose)),
    )
    several = (
        charge,
        *(replace(charge, source=replace(source, **{name: "x"})) for name in SENDER_FACTS),
        *(replace(charge, account=other) for other in accounts),
        *(replace(charge, evidence=other) for other in Evidence if other is not Evidence.LOG),
        *(replace(charge, status=other) for other in (Status.PROVISIONAL, Status.LOWER_BOUND)),
        replace(charge, price=UNPRICED, status=Status.UNPRICED),
        replace(charge, occurred_unix_nano=charge.occurred_unix_nano + 3 * DAY_NANO),
    )
    return [
        Posting(replace(one, identity=f"req_{number}", tokens=Tokens(number)), 0, None, None, 1)
        for number, one in enumerate(several, 1)
    ]


OTHER_ACCOUNT = {
    "basis": Basis.NOTIONAL,
    "user": "bob",
    "provider": Provider.BEDROCK,
    "model": "n",
    "served_model": "n",
    "query_class": QueryClass.MAIN,
    "speed": Speed.FAST,
    "client_version": "2",
    "labels": (("team", "unallocated"),),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_grouping_says_which_facts_tell_it(name: str) -> None:
    """Lines would be mixed by one that leaves out a fact that its key needs."""
    posted = example()
    with ledger_of(posted) as (ledger, _):
        roll_up(ledger, UTC, len(posted) - 1)
        found = report_usage(ledger, SEPTEMBER, [name], {})
        assert found == expected(posted, SEPTEMBER, [name], {})
        assert sum(figures.requests for figures in found.totals.values()) == len(posted) - 1  # a residual is no request


def test_kept_days_are_made_again_when_they_are_lost_or_begin_elsewhere() -> None:
    posted = example()
    with ledger_of(posted) as (ledger, _):
        asked = [
            (Period(FIRST, LAST, ZoneInfo(zone)), expected(posted, Period(FIRST, LAST, ZoneInfo(zone)), ["user"], {}))
            for zone in ZONES
        ]
        for kept in ZONES:
            while roll_up(ledger, ZoneInfo(kept), 5):
                pass
            for period, report in asked:
                assert report_usage(ledger, period, ["user"], {}) == report
        with ledger.transaction():
            ledger.database.connection.execute("DELETE FROM day_total")
            ledger.database.connection.execute("DELETE FROM meta WHERE key LIKE 'day_%'")
        for period, report in asked:
            assert report_usage(ledger, period, ["user"], {}) == report


def test_budgets_stand_the_same_by_kept_days() -> None:
    posted = example()
    limits = {
        "all": {"period": "week", "limit_usd": 1},
        "core": {"scope": "team", "owner": "*", "period": "month", "limit_usd": 2},
    }
    configured = Settings.model_validate({"calendar": {"timezone": "Asia/Kathmandu"}, "budgets": {"limits": limits}})
    now = posted[-1].charge.occurred_unix_nano
    with ledger_of(posted) as (ledger, path):
        found = []
        for at_most in (100, len(posted) - 2, 1, 1):  # nothing of it kept, all but two, all but one, all
            roll_up(ledger, ZoneInfo("Asia/Kathmandu"), at_most)
            watch = BudgetWatch(configured, path)
            watch.refresh(now, tell=False)
            found.append((watch.states(date_of(now, watch.zone)), list(watch.readings(now))))
        assert found[0][0][0].spent_picousd > 0
        assert found == [found[0]] * 4
