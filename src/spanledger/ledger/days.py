"""Days: what the calls of each day add up to, folded from postings, so that a report need not read them all."""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import date, tzinfo
from typing import Any

from spanledger.core.money import PICO_PER_USD
from spanledger.core.periods import Period, calendar_of, date_of
from spanledger.core.posting import Status
from spanledger.core.usage import Evidence, Source, Tokens
from spanledger.core.usage_report import SENDER_FACTS, UsageTotal
from spanledger.ledger.database import Database
from spanledger.ledger.dimensions import Dimensions

SLICE_POSTINGS = 4_000
"""Postings that one transaction rolls up; fewer than that are left for readers to add."""

_WATERMARK = "day_posting_id"
_CALENDAR = "day_calendar"

_COUNTS = (
    *("requests", "input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write_unspecified"),
    "web_search",
)
_COSTS = ("cost", "list_cost", "client_cost")


def _summed(cost: str) -> str:
    """An amount of many postings in two parts, each within 64 bits: whole USD, and a rest below one USD."""
    whole, rest = (f"coalesce(sum({cost}_picousd {sign} {PICO_PER_USD}), 0)" for sign in "/%")
    return f"{whole} + {rest} / {PICO_PER_USD} AS {cost}_usd, {rest} % {PICO_PER_USD} AS {cost}_picousd"


def _increased(cost: str) -> str:
    """The same of what a row has and what comes to it."""
    rest = f"({cost}_picousd + excluded.{cost}_picousd)"
    return (
        f"{cost}_usd = {cost}_usd + excluded.{cost}_usd + {rest} / {PICO_PER_USD}, "
        f"{cost}_picousd = {rest} % {PICO_PER_USD}"
    )


_POSTED = f"""
SELECT
    :day AS day, account_id, {{sender}} AS sender_id, evidence, status,
    sum(CASE WHEN evidence = 'metric' THEN 0 WHEN revision % 2 = 0 THEN 1 ELSE -1 END) AS requests,
    {", ".join(f"sum({name}) AS {name}" for name in _COUNTS[1:])}, {", ".join(map(_summed, _COSTS))}
FROM posting WHERE {{where}} GROUP BY account_id, 3, evidence, status
"""  # noqa: S608
_WHERE_TIME = "occurred_unix_nano >= :start AND occurred_unix_nano < :end AND +id > :after"
_WHERE_ID = "id > :after AND id <= :to AND +occurred_unix_nano >= :start AND +occurred_unix_nano < :end"

_FIGURES = (*_COUNTS, *(f"{cost}_{part}" for cost in _COSTS for part in ("usd", "picousd")))
_SUMS = ", ".join(f"sum({name}) AS {name}" for name in _FIGURES)
_KEPT = f"""
SELECT account_id, 0 AS sender_id, evidence, status, {_SUMS}
FROM day_total WHERE day BETWEEN :first AND :last GROUP BY account_id, evidence, status
"""  # noqa: S608
_KEPT_DAY = f"""
SELECT account_id, 0 AS sender_id, evidence, status, {", ".join(_FIGURES)} FROM day_total WHERE day = :first
"""  # noqa: S608
_TOTALS = f"""
SELECT max(account_id), max(sender_id), total.evidence, total.status, {_SUMS}
FROM ({{source}}) AS total JOIN account ON account.id = account_id LEFT JOIN sender ON sender.id = sender_id
GROUP BY {{facts}}
"""  # noqa: S608

_COLUMNS = ("day", "account_id", "evidence", "status", *_FIGURES)
_ADD = f"""
INSERT INTO day_total ({", ".join(_COLUMNS)})
SELECT {", ".join(_COLUMNS)} FROM ({_POSTED.format(sender="0", where=_WHERE_ID)}) WHERE true
ON CONFLICT (day, account_id, evidence, status) DO UPDATE SET
    {", ".join(f"{name} = {name} + excluded.{name}" for name in _COUNTS)},
    {", ".join(map(_increased, _COSTS))}
"""  # noqa: S608
# No zone's midnight is inside a quarter of an hour, but for some before 1972: both of its ends are looked at.
_QUARTER_NANO = 900 * 10**9
_QUARTERS = f"SELECT DISTINCT occurred_unix_nano / {_QUARTER_NANO} FROM posting WHERE id > ? AND id <= ?"  # noqa: S608
_END_OF_SLICE = "SELECT max(id) FROM (SELECT id FROM posting WHERE id > ? ORDER BY id LIMIT ?) HAVING count(*) = ?"

_ANY_ID = 2**63 - 1
_NO_SENDER = Source()
_EVIDENCE = {evidence.value: evidence for evidence in Evidence}
_STATUS = {status.value: status for status in Status}


class DayStore:
    """Totals of days. Those of one calendar are kept; postings since, and days of others, are added up when asked."""

    def __init__(self, database: Database, dimensions: Dimensions) -> None:
        self._database = database
        self._connection = database.connection
        self._senders = dimensions.senders
        self._accounts = dimensions.accounts

    def roll_up(self, zone: tzinfo, *, at_most: int = SLICE_POSTINGS) -> bool:
        """Fold the next `at_most` postings into the days of a zone; False when there are not that many.

        Inside a transaction. Days of another zone, or of older rules of this one, are dropped first.
        """
        calendar = calendar_of(zone)
        if self._database.meta(_CALENDAR) != calendar:
            self.forget()
            self._database.set_meta(_CALENDAR, calendar)
        after = int(self._database.meta(_WATERMARK) or "0")
        found = self._connection.execute(_END_OF_SLICE, (after, at_most, at_most)).fetchone()
        if found is None:
            return False
        for date_ in self._days(zone, after, found[0]):
            day = Period(date_, date_, zone)
            bounds = {"start": day.start_unix_nano, "end": day.end_unix_nano, "after": after, "to": found[0]}
            self._connection.execute(_ADD, {"day": day.first.isoformat(), **bounds})
        self._database.set_meta(_WATERMARK, str(found[0]))
        return True

    def forget(self) -> None:
        """Drop all kept days; inside a transaction. They are made of the postings again."""
        self._connection.execute("DELETE FROM day_total")
        self._database.set_meta(_CALENDAR, "")
        self._database.set_meta(_WATERMARK, "0")

    def kept_to(self, zone: tzinfo, facts: Set[str]) -> int:
        """Id of the last posting that the kept days hold; 0 when they are not of this zone or don't tell the facts."""
        if self._database.meta(_CALENDAR) != calendar_of(zone) or not SENDER_FACTS.isdisjoint(facts):
            return 0
        return int(self._database.meta(_WATERMARK) or "0")

    def kept(self, period: Period, facts: Set[str]) -> list[UsageTotal]:
        """Sums of the kept days of a period, apart for each value of some facts, evidence and status.

        Account and source of a total are of one of its calls: they tell the facts asked for and nothing else. Its day
        is the first one of the period.
        """
        days = {"first": period.first.isoformat(), "last": period.last.isoformat()}
        return self._read(_KEPT_DAY if period.first == period.last else _KEPT, period, facts, days)

    def days_since(self, zone: tzinfo, after_id: int) -> frozenset[date]:
        """Days with calls of postings with a higher id; of a zone."""
        return frozenset(self._days(zone, after_id, _ANY_ID))

    def posted(self, day: Period, facts: Set[str], *, after_id: int) -> list[UsageTotal]:
        """The same sums of postings with a higher id, of calls of one day."""
        sender = "0" if SENDER_FACTS.isdisjoint(facts) else "sender_id"
        bounds: dict[str, str | int] = {"start": day.start_unix_nano, "end": day.end_unix_nano, "after": after_id}
        return self._read(_POSTED.format(sender=sender, where=_WHERE_TIME), day, facts, {**bounds, "day": ""})

    def _days(self, zone: tzinfo, after_id: int, to_id: int) -> set[date]:
        quarters = [row[0] * _QUARTER_NANO for row in self._connection.execute(_QUARTERS, (after_id, to_id))]
        return {date_of(at, zone) for start in quarters for at in (start, start + _QUARTER_NANO - 1)}

    def _read(
        self, source: str, period: Period, facts: Set[str], arguments: Mapping[str, str | int]
    ) -> list[UsageTotal]:
        columns = [f"sender.{fact}" if fact in SENDER_FACTS else f"account.{fact}" for fact in sorted(facts)]
        query = _TOTALS.format(source=source, facts=", ".join([*columns, "total.evidence", "total.status"]))
        return [self._total(period.first, row) for row in self._connection.execute(query, arguments)]

    def _total(self, day: date, row: tuple[Any, ...]) -> UsageTotal:
        account_id, sender_id, evidence, status, requests, *figures = row
        tokens, (cost, cost_rest, at_list, list_rest, client, client_rest) = figures[:-6], figures[-6:]
        return UsageTotal(
            day=day,
            account=self._accounts.value_of(account_id),
            source=self._senders.value_of(sender_id) if sender_id else _NO_SENDER,
            evidence=_EVIDENCE[evidence],
            status=_STATUS[status],
            requests=requests,
            tokens=Tokens(*tokens),
            cost_picousd=None if status == Status.UNPRICED else cost * PICO_PER_USD + cost_rest,
            list_cost_picousd=at_list * PICO_PER_USD + list_rest,
            client_cost_picousd=client * PICO_PER_USD + client_rest,
        )
