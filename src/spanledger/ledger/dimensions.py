"""Facts that repeat, stored once: a value and the id of its row."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Generic, TypeVar

from spanledger.core.attribution import Account, Purpose
from spanledger.core.posting import Price
from spanledger.core.usage import Basis, Provider, QueryClass, Source, Speed
from spanledger.ledger.database import Database

MEMORY_ROWS_MAX = 20_000
"""Rows that a dimension remembers; beyond that it starts afresh and asks the database again."""

_MODIFIER_MARK = ", "

Columns = tuple[str, ...]
T = TypeVar("T")


class Dimension(Generic[T]):
    """A table of distinct values. Inside a transaction `id_of` stores what is new; `value_of` reads it back."""

    def __init__(
        self,
        database: Database,
        table: str,
        columns: Columns,
        to_row: Callable[[T], Columns],
        from_row: Callable[[Columns], T],
    ) -> None:
        self._connection = database.connection
        self._to_row = to_row
        self._from_row = from_row
        self._ids: dict[T, int] = {}
        self._values: dict[int, T] = {}
        names = ", ".join(columns)
        marks = ", ".join("?" for _ in columns)
        same = " AND ".join(f"{column} = ?" for column in columns)
        self._insert = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608
        self._find = f"SELECT id FROM {table} WHERE {same}"  # noqa: S608
        self._read = f"SELECT {names} FROM {table} WHERE id = ?"  # noqa: S608
        database.on_rollback(self._forget)

    def id_of(self, value: T) -> int:
        """Id of a value's row; the row is made when it is missing."""
        known = self._ids.get(value)
        if known is not None:
            return known
        row = self._to_row(value)
        found = self._connection.execute(self._find, row).fetchone()
        if found is None:
            self._connection.execute(self._insert, row)
            found = self._connection.execute(self._find, row).fetchone()
        if len(self._ids) >= MEMORY_ROWS_MAX:
            self._ids.clear()
        self._ids[value] = int(found[0])
        return int(found[0])

    def value_of(self, row_id: int) -> T:
        """The value of a row that exists."""
        known = self._values.get(row_id)
        if known is not None:
            return known
        value = self._from_row(self._connection.execute(self._read, (row_id,)).fetchone())
        if len(self._values) >= MEMORY_ROWS_MAX:
            self._values.clear()
        self._values[row_id] = value
        return value

    def _forget(self) -> None:
        self._ids.clear()
        self._values.clear()


_SENDER_COLUMNS = (
    *("session_id", "user_id", "user_email", "user_account_uuid", "organization_id", "plan", "seat_type"),
    *("provider", "client_version", "labels", "resource_digest", "service", "facts", "tenant", "tenant_email"),
)
_CALL_KIND_COLUMNS = (
    *("model", "query_class", "query_source", "speed", "effort"),
    *("agent_name", "skill_name", "mcp_server_name", "mcp_tool_name"),
)
_ACCOUNT_COLUMNS = (
    *("basis", "user", "provider", "model", "served_model"),
    *("query_class", "speed", "client_version", "labels"),
    *("query_source", "effort", "agent_name", "skill_name", "mcp_server_name"),
)
_PRICE_COLUMNS = (
    *("price_book", "price_row", "rates", "list_rates", "unpriced_reason", "unpriced_detail", "modifiers", "bounds"),
    "assumed",
)


class Dimensions:
    """All dimensions of a ledger.

    `call_kinds` are what a record says of its call besides figures, as texts: model, query class and source, speed,
    effort, agent, skill and MCP names.
    """

    def __init__(self, database: Database) -> None:
        self.senders = Dimension(database, "sender", _SENDER_COLUMNS, _source_row, _source)
        self.call_kinds: Dimension[Columns] = Dimension(database, "call_kind", _CALL_KIND_COLUMNS, tuple, tuple)
        self.accounts = Dimension(database, "account", _ACCOUNT_COLUMNS, _account_row, _account)
        self.prices = Dimension(database, "price", _PRICE_COLUMNS, _price_row, _price)


def pairs_to_text(pairs: tuple[tuple[str, str], ...]) -> str:
    """Write (label, value) pairs as one text, the same for equal pairs."""
    return json.dumps(pairs, separators=(",", ":"), ensure_ascii=False)


def pairs_from_text(text: str) -> tuple[tuple[str, str], ...]:
    """Read what `pairs_to_text` wrote."""
    return tuple((str(label), str(value)) for label, value in json.loads(text))


def _source_row(source: Source) -> Columns:
    return (
        source.session_id,
        source.user_id,
        source.user_email,
        source.user_account_uuid,
        source.organization_id,
        source.plan,
        source.seat_type,
        source.provider.value,
        source.client_version,
        pairs_to_text(source.labels),
        source.resource_digest,
        source.service,
        pairs_to_text(source.facts),
        source.tenant,
        source.tenant_email,
    )


def _source(row: Columns) -> Source:
    session_id, user_id, email, account, organization, plan, seat_type, provider, version, labels, *rest = row
    resource, service, facts, tenant, tenant_email = rest
    return Source(
        session_id=session_id,
        user_id=user_id,
        user_email=email,
        user_account_uuid=account,
        organization_id=organization,
        plan=plan,
        seat_type=seat_type,
        provider=Provider(provider),
        client_version=version,
        labels=pairs_from_text(labels),
        resource_digest=resource,
        service=service,
        facts=pairs_from_text(facts),
        tenant=tenant,
        tenant_email=tenant_email,
    )


def _account_row(account: Account) -> Columns:
    return (
        account.basis.value,
        account.user,
        account.provider.value,
        account.model,
        account.served_model,
        account.query_class.value,
        account.speed.value,
        account.client_version,
        pairs_to_text(account.labels),
        account.purpose.query_source,
        account.purpose.effort,
        account.purpose.agent_name,
        account.purpose.skill_name,
        account.purpose.mcp_server_name,
    )


def _account(row: Columns) -> Account:
    basis, user, provider, model, served_model, query_class, speed, client_version, labels, *purpose = row
    return Account(
        basis=Basis(basis),
        user=user,
        provider=Provider(provider),
        model=model,
        served_model=served_model,
        query_class=QueryClass(query_class),
        speed=Speed(speed),
        client_version=client_version,
        labels=pairs_from_text(labels),
        purpose=Purpose(*purpose),
    )


def _price_row(price: Price) -> Columns:
    return (
        price.price_book,
        price.price_row,
        _rates_to_text(price.rates),
        _rates_to_text(price.list_rates),
        price.unpriced_reason,
        price.unpriced_detail,
        _MODIFIER_MARK.join(price.modifiers),
        json.dumps(price.bounds),
        json.dumps(price.assumed, ensure_ascii=False),
    )


def _price(row: Columns) -> Price:
    price_book, price_row, rates, list_rates, reason, detail, modifiers, bounds, assumed = row
    return Price(
        price_book=price_book,
        price_row=price_row,
        rates=_rates_from_text(rates),
        list_rates=_rates_from_text(list_rates),
        unpriced_reason=reason,
        unpriced_detail=detail,
        modifiers=tuple(modifiers.split(_MODIFIER_MARK)) if modifiers else (),
        bounds=tuple(json.loads(bounds)),
        assumed=tuple(json.loads(assumed)),
    )


def _rates_to_text(rates: tuple[int, ...] | None) -> str:
    return "" if rates is None else json.dumps(rates, separators=(",", ":"))


def _rates_from_text(text: str) -> tuple[int, ...] | None:
    return tuple(json.loads(text)) if text else None
