"""Postings: append-only rows, and the sums that every view is folded from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from spanledger.core.attribution import Account
from spanledger.core.money import PICO_PER_USD
from spanledger.core.posting import Charge, Latest, Posting, Reason, Status
from spanledger.core.usage import Evidence, Tokens
from spanledger.core.verdict import Verdict
from spanledger.core.views import PostingTotal
from spanledger.ledger.database import Database
from spanledger.ledger.dimensions import Dimensions

_INSERT = """
INSERT INTO posting (
    identity, revision, corrects, reason, status, evidence, record_digest, sender_id, account_id, price_id,
    input, output, cache_read, cache_write_5m, cache_write_1h, cache_write_unspecified, web_search,
    cost_picousd, list_cost_picousd, client_cost_picousd, occurred_unix_nano, posted_unix_nano, verdict
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_COLUMNS = """
    identity, revision, corrects, reason, status, evidence, record_digest, sender_id, account_id, price_id,
    input, output, cache_read, cache_write_5m, cache_write_1h, cache_write_unspecified, web_search,
    client_cost_picousd, occurred_unix_nano, posted_unix_nano, verdict
"""
_LATEST = f"""
SELECT {_COLUMNS} FROM posting
WHERE identity IN (SELECT value FROM json_each(?)) ORDER BY identity, revision
"""  # noqa: S608
_ALL = f"SELECT {_COLUMNS} FROM posting ORDER BY occurred_unix_nano, identity, revision"  # noqa: S608

# A sum of pico-USD may exceed 64 bits: it is taken in whole USD and in the rest.
_TOTALS = f"""
SELECT
    posting.account_id, posting.price_id, posting.status, posting.evidence, posting.reason,
    corrected.id IS NOT NULL AND corrected.cost_picousd IS NULL AS first_price,
    sum(CASE WHEN posting.evidence = 'metric' THEN 0 WHEN posting.revision % 2 = 0 THEN 1 ELSE -1 END),
    sum(posting.input), sum(posting.output), sum(posting.cache_read), sum(posting.cache_write_5m),
    sum(posting.cache_write_1h), sum(posting.cache_write_unspecified), sum(posting.web_search),
    coalesce(sum(posting.client_cost_picousd / {PICO_PER_USD}), 0),
    coalesce(sum(posting.client_cost_picousd % {PICO_PER_USD}), 0),
    posting.verdict
FROM posting LEFT JOIN posting AS corrected
    ON posting.reason = '{Reason.REPRICE.value}' AND posting.revision % 2 = 0
    AND corrected.identity = posting.identity AND corrected.revision = posting.corrects
WHERE posting.id > ? AND posting.id <= ?
GROUP BY
    posting.account_id, posting.price_id, posting.status, posting.evidence, posting.reason, posting.verdict,
    first_price
"""  # noqa: S608
_UNPRICED = "CASE WHEN cost_picousd IS NULL AND evidence <> 'metric' THEN 1 - 2 * (revision % 2) ELSE 0 END"
_SPENT = f"SELECT occurred_unix_nano, account_id, coalesce(cost_picousd, 0), {_UNPRICED} FROM posting"  # noqa: S608
_SPENT_SINCE = f"{_SPENT} WHERE id > ? AND id <= ?"
_SPENT_FROM = f"{_SPENT} WHERE occurred_unix_nano >= ? AND id <= ?"


class PostingStore:
    """Postings. `add` belongs inside a transaction."""

    def __init__(self, database: Database, dimensions: Dimensions) -> None:
        self._connection = database.connection
        self._senders = dimensions.senders
        self._accounts = dimensions.accounts
        self._prices = dimensions.prices

    def add(self, postings: Sequence[Posting]) -> None:
        """Append postings.

        Raises:
            sqlite3.IntegrityError: a revision of an identity is posted already.
        """
        self._connection.executemany(_INSERT, [self._row(posting) for posting in postings])

    def latest(self, identities: Iterable[str]) -> dict[str, Latest]:
        """Last posting of each identity that has one."""
        found: dict[str, Latest] = {}
        for row in self._connection.execute(_LATEST, (json.dumps(list(identities)),)):
            posting = self._posting(row)
            found[posting.charge.identity] = Latest(posting.revision, posting.charge)
        return found

    def of(self, identity: str) -> list[Posting]:
        """Every posting of an identity, in order."""
        return [self._posting(row) for row in self._connection.execute(_LATEST, (json.dumps([identity]),))]

    def all(self) -> Iterator[Posting]:
        """Every posting, by the time of the call."""
        for row in self._connection.execute(_ALL):
            yield self._posting(row)

    def last_id(self) -> int:
        """Id of the last posting; 0 when there is none."""
        return int(self._connection.execute("SELECT coalesce(max(id), 0) FROM posting").fetchone()[0])

    def totals(self, *, after_id: int, to_id: int) -> list[PostingTotal]:
        """Sums of the postings with `after_id` < id <= `to_id`, by everything that is not the call's own."""
        return [self._total(row) for row in self._connection.execute(_TOTALS, (after_id, to_id))]

    def spent_since(self, *, after_id: int, to_id: int) -> Iterator[tuple[int, Account, int, int]]:
        """Time of the call, account, cost and unpriced requests of each posting with `after_id` < id <= `to_id`."""
        return self._spent(_SPENT_SINCE, after_id, to_id)

    def spent_from(self, unix_nano: int, *, to_id: int) -> Iterator[tuple[int, Account, int, int]]:
        """The same of each posting with id <= `to_id` of a call at that time or later."""
        return self._spent(_SPENT_FROM, unix_nano, to_id)

    def cost_picousd(self) -> int:
        """Sum of the priced amounts themselves: what every total must equal."""
        whole, rest = self._connection.execute(
            f"SELECT coalesce(sum(cost_picousd / {PICO_PER_USD}), 0), coalesce(sum(cost_picousd % {PICO_PER_USD}), 0) "  # noqa: S608
            "FROM posting"
        ).fetchone()
        return int(whole) * PICO_PER_USD + int(rest)

    def _row(self, posting: Posting) -> tuple[str | int | None, ...]:
        charge, sign = posting.charge, posting.sign
        cost, list_cost, client_cost = charge.cost_picousd, charge.list_cost_picousd, charge.client_cost_picousd
        return (
            charge.identity,
            posting.revision,
            posting.corrects,
            "" if posting.reason is None else posting.reason.value,
            charge.status.value,
            charge.evidence.value,
            charge.record_digest,
            self._senders.id_of(charge.source),
            self._accounts.id_of(charge.account),
            self._prices.id_of(charge.price),
            *(charge.tokens if sign > 0 else (-count for count in charge.tokens)),
            None if cost is None else sign * cost,
            None if list_cost is None else sign * list_cost,
            None if client_cost is None else sign * client_cost,
            charge.occurred_unix_nano,
            posting.posted_unix_nano,
            "" if charge.verdict is None else charge.verdict.value,
        )

    def _posting(self, row: Sequence[Any]) -> Posting:
        identity, revision, corrects, reason, status, evidence, digest, sender_id, account_id, price_id, *figures = row
        sign = -1 if revision % 2 else 1
        *tokens, client_cost, occurred, posted, verdict = figures
        charge = Charge(
            identity=identity,
            record_digest=digest,
            evidence=Evidence(evidence),
            status=Status(status),
            source=self._senders.value_of(sender_id),
            account=self._accounts.value_of(account_id),
            price=self._prices.value_of(price_id),
            tokens=Tokens(*(sign * count for count in tokens)),
            client_cost_picousd=None if client_cost is None else sign * client_cost,
            occurred_unix_nano=occurred,
            verdict=Verdict(verdict) if verdict else None,
        )
        return Posting(charge, revision, corrects, Reason(reason) if reason else None, posted)

    def _total(self, row: Sequence[Any]) -> PostingTotal:
        account_id, price_id, status, evidence, reason, first_price, requests, *figures = row
        *tokens, client_whole, client_rest, verdict = figures
        return PostingTotal(
            account=self._accounts.value_of(account_id),
            price=self._prices.value_of(price_id),
            status=Status(status),
            evidence=Evidence(evidence),
            reason=reason,
            requests=requests,
            tokens=Tokens(*tokens),
            client_cost_picousd=client_whole * PICO_PER_USD + client_rest,
            verdict=Verdict(verdict) if verdict else None,
            first_price=bool(first_price),
        )

    def _spent(self, query: str, *arguments: int) -> Iterator[tuple[int, Account, int, int]]:
        for occurred, account_id, cost, unpriced in self._connection.execute(query, arguments):
            yield occurred, self._accounts.value_of(account_id), cost, unpriced
