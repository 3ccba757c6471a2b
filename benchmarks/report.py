"""How long `report` and the first look of the budgets take on a month of 500 developers.

The ledger is made of postings alone, straight into its store. Run: .venv/bin/python benchmarks/report.py [--keep FILE]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from spanledger.config.sections import Settings
from spanledger.core.attribution import Purpose, account_of
from spanledger.core.periods import Period
from spanledger.core.posting import Charge, Posting, Price, Status
from spanledger.core.usage import Basis, Evidence, QueryClass, Source, Speed, Tokens
from spanledger.ledger.ledger import Ledger
from spanledger.service.budget_watch import BudgetWatch
from spanledger.service.usage_report import report_usage

DEVELOPERS, CALLS_A_DAY, BATCH = 500, 110, 20_000
NOVEMBER = Period(date(2026, 11, 1), date(2026, 11, 30), ZoneInfo("Europe/Berlin"))
MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5")
BUDGETS = {
    "calendar": {"timezone": "Europe/Berlin"},
    "budgets": {
        "limits": {
            "all": {"period": "month", "limit_usd": 100_000},
            "team": {"scope": "team", "owner": "team-1", "period": "week", "limit_usd": 900},
            "developer": {"scope": "user", "owner": "*", "period": "day", "limit_usd": 60},
        }
    },
}
KINDS = (
    (QueryClass.MAIN, Purpose("repl_main_thread", "high")),
    (QueryClass.SUBAGENT, Purpose("agent:custom", agent_name="custom")),
    (QueryClass.AUXILIARY, Purpose("compact")),
    (QueryClass.AUXILIARY, Purpose("generate_session_title")),
)
RATES = (4_000_000, 20_000_000, 200_000, 5_000_000, 8_000_000, 5_000_000, 10**10)
PRICE = Price("book", "row", rates=RATES, list_rates=RATES)


def postings() -> Iterator[Posting]:
    """A month of calls, in order of time."""
    draw = random.Random(7)
    number = 0
    for day in NOVEMBER.days():
        length = day.end_unix_nano - day.start_unix_nano
        times = sorted(draw.randrange(length) for _ in range(DEVELOPERS * CALLS_A_DAY))
        for at in times:
            number += 1
            yield _posting(draw, number, day.start_unix_nano + at, day.first)


def _posting(draw: random.Random, number: int, at: int, day: date) -> Posting:
    user = draw.randrange(DEVELOPERS)
    query_class, purpose = draw.choices(KINDS, (70, 20, 5, 5))[0]
    model = draw.choice(MODELS)
    source = Source(
        session_id=f"{user}-{day}-{draw.randrange(3)}",
        user_id=f"user-{user}",
        client_version="2.1.330",
        labels=(("team", f"team-{user % 40}"), ("department", ""), ("cost_center", f"cc-{user % 12}")),
    )
    charge = Charge(
        identity=f"req_{number:09d}",
        record_digest=f"{number:032x}",
        evidence=Evidence.LOG,
        status=Status.EXACT,
        source=source,
        account=account_of(
            source,
            basis=Basis.BILLED,
            model=model,
            served_model=model,
            query_class=query_class,
            speed=Speed.STANDARD,
            purpose=purpose,
        ),
        price=PRICE,
        tokens=Tokens(draw.randrange(3000), draw.randrange(4000), draw.randrange(150_000), draw.randrange(10_000)),
        client_cost_picousd=10**10,
        occurred_unix_nano=at,
    )
    return Posting(charge, 0, None, None, at)


def fill(path: Path) -> None:
    ledger = Ledger.open(path, max_series=10_000)
    batch: list[Posting] = []
    for posting in postings():
        batch.append(posting)
        if len(batch) == BATCH:
            with ledger.transaction():
                ledger.postings.add(batch)
            batch.clear()
    with ledger.transaction():
        ledger.postings.add(batch)
    ledger.close()


def keep_days(path: Path) -> None:
    """What the running service does beside, a slice at a time."""
    ledger = Ledger.open(path, max_series=10_000)
    while True:
        with ledger.transaction():
            if not ledger.days.roll_up(NOVEMBER.zone):
                break
    ledger.close()


def timed(name: str, work: Callable[[], object]) -> None:
    start, spent = time.perf_counter(), time.process_time()
    work()
    print(f"{name:<48} {time.perf_counter() - start:7.2f} s, {time.process_time() - spent:6.2f} s of CPU")


def measure(path: Path) -> None:
    """Reports, each by a process that has read nothing before, and budgets."""
    for by in ("model", "cost_center,team,user,model", "day", "purpose", "session"):
        ledger = Ledger.read(path)
        timed(f"report --by {by}", lambda by=by, ledger=ledger: report_usage(ledger, NOVEMBER, by.split(","), {}))
        ledger.close()
    today = Period(NOVEMBER.last, NOVEMBER.last, NOVEMBER.zone)
    ledger = Ledger.read(path)
    timed("report --by user, one day", lambda: report_usage(ledger, today, ["user"], {}))
    ledger.close()
    watch = BudgetWatch(Settings.model_validate(BUDGETS), path)
    timed("budgets, first look back", lambda: watch.refresh(NOVEMBER.end_unix_nano - 1, tell=False))
    timed("budgets, next look", lambda: watch.refresh(NOVEMBER.end_unix_nano - 1, tell=False))
    timed("budgets, gauges of 502 budgets", lambda: list(watch.readings(NOVEMBER.end_unix_nano - 1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="make the ledger here, or use it if it is there")
    kept = parser.parse_args().keep
    with tempfile.TemporaryDirectory() as scratch:
        path = kept or Path(scratch) / "ledger.db"
        if not path.exists():
            timed("making the ledger", lambda: fill(path))
        ledger = Ledger.open(path, max_series=10_000)
        print(f"{ledger.postings.last_id():,} postings, {DEVELOPERS} developers, 30 days")
        has_days = bool(ledger.days.kept_to(NOVEMBER.zone, frozenset()))
        ledger.close()
        if not has_days:
            print(f"without days, {path.stat().st_size / 2**20:,.0f} MiB")
            measure(path)
            timed("keeping days of all", lambda: keep_days(path))
        print(f"with days, {path.stat().st_size / 2**20:,.0f} MiB")
        measure(path)


if __name__ == "__main__":
    main()
