"""Outbox: payloads that are acknowledged and not yet delivered to every destination."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from spanledger.core.delivery import Payload
from spanledger.core.usage import Signal
from spanledger.ledger.database import Database

_DEPARTURES = """
SELECT outbox.id, outbox.body FROM departure JOIN outbox ON outbox.id = departure.outbox_id
WHERE departure.destination = ? AND departure.signal = ? AND outbox.sealed = 1 ORDER BY departure.outbox_id
"""
_FORGET_DELIVERED = """
DELETE FROM outbox WHERE id = ?1
    AND NOT EXISTS (SELECT 1 FROM departure WHERE outbox_id = ?1)
    AND NOT EXISTS (SELECT 1 FROM refusal WHERE outbox_id = ?1)
"""


@dataclass(frozen=True, slots=True)
class OutboxState:
    """What an outbox holds for one destination. `oldest_unix_nano` is when the oldest pending payload came."""

    pending: int
    pending_bytes: int
    refused: int
    oldest_unix_nano: int | None


class OutboxStore:
    """Payloads in order of arrival, each kept until every destination has it. Writing belongs inside a transaction."""

    def __init__(self, database: Database) -> None:
        self._connection = database.connection
        self._pending_bytes: dict[str, int] = {}
        self._refused_bytes: dict[str, int] = {}
        database.on_rollback(self._forget)

    def add(
        self,
        signal: Signal,
        body: bytes,
        destinations: Iterable[str],
        *,
        received_unix_nano: int,
        ready_unix_nano: int,
        sealed: bool,
    ) -> None:
        """Put a payload in for some destinations. One that is not sealed waits until `ready_unix_nano`."""
        row_id = self._connection.execute(
            "INSERT INTO outbox (signal, body, received_unix_nano, ready_unix_nano, sealed) VALUES (?, ?, ?, ?, ?)",
            (signal.value, body, received_unix_nano, ready_unix_nano, sealed),
        ).lastrowid
        for destination in destinations:
            self._count(destination, len(body))
            self._connection.execute(
                "INSERT INTO departure VALUES (?, ?, ?, ?)", (destination, signal.value, row_id, len(body))
            )

    def pending_bytes(self, destination: str) -> int:
        """Bytes that wait for a destination, as they came."""
        known = self._pending_bytes.get(destination)
        if known is None:
            query = "SELECT coalesce(sum(size), 0) FROM departure WHERE destination = ?"
            known = self._pending_bytes[destination] = int(
                self._connection.execute(query, (destination,)).fetchone()[0]
            )
        return known

    def refused_bytes(self, destination: str) -> int:
        """Bytes that are kept although a destination will never take them."""
        known = self._refused_bytes.get(destination)
        if known is None:
            query = (
                "SELECT coalesce(sum(length(body)), 0) FROM refusal JOIN outbox ON outbox.id = outbox_id "
                "WHERE destination = ?"
            )
            known = self._refused_bytes[destination] = int(
                self._connection.execute(query, (destination,)).fetchone()[0]
            )
        return known

    def ripe(self, now_unix_nano: int, limit: int) -> list[Payload]:
        """Payloads that have waited long enough and are to be enriched and sealed, at most `limit`."""
        rows = self._connection.execute(
            "SELECT id, signal, body FROM outbox WHERE sealed = 0 AND ready_unix_nano <= ? "
            "ORDER BY ready_unix_nano LIMIT ?",
            (now_unix_nano, limit),
        )
        return [Payload(row_id, Signal(signal), body) for row_id, signal, body in rows]

    def next_ripe_unix_nano(self) -> int | None:
        """When the next payload has waited long enough; None when none waits."""
        at = self._connection.execute("SELECT min(ready_unix_nano) FROM outbox WHERE sealed = 0").fetchone()[0]
        return None if at is None else int(at)

    def waits_beyond(self, unix_nano: int) -> bool:
        """Whether a payload came, or will be ripe, after a time."""
        query = (
            "SELECT EXISTS (SELECT 1 FROM outbox WHERE sealed = 0 AND ready_unix_nano > ?1) "
            "OR EXISTS (SELECT 1 FROM outbox WHERE received_unix_nano > ?1)"
        )
        return bool(self._connection.execute(query, (unix_nano,)).fetchone()[0])

    def hasten(self, beyond_unix_nano: int, at_unix_nano: int) -> None:
        """Take payloads that came, or would be ripe, after a time for ones that came, and are ripe, at another one."""
        times = (beyond_unix_nano, at_unix_nano)
        self._connection.execute(
            "UPDATE outbox SET ready_unix_nano = ?2 WHERE sealed = 0 AND ready_unix_nano > ?1", times
        )
        self._connection.execute("UPDATE outbox SET received_unix_nano = ?2 WHERE received_unix_nano > ?1", times)

    def seal(self, payload: Payload, body: bytes) -> None:
        """Fix the bytes that leave; every attempt, to every destination, sends these."""
        self._connection.execute("UPDATE outbox SET body = ?, sealed = 1 WHERE id = ?", (body, payload.id))

    def departures(self, destination: str, signal: Signal, max_bytes: int) -> list[Payload]:
        """Sealed payloads of one signal to send next, up to `max_bytes` together, but at least one if there is one."""
        rows = self._connection.execute(_DEPARTURES, (destination, signal.value))
        chosen: list[Payload] = []
        size = 0
        for row_id, body in rows:
            size += len(body)
            if chosen and size > max_bytes:
                break
            chosen.append(Payload(row_id, signal, body))
        rows.close()
        return chosen

    def remove(self, destination: str, payloads: Iterable[Payload]) -> None:
        """Take payloads out that a destination has."""
        for payload in payloads:
            self._leave(destination, payload)
            self._connection.execute(_FORGET_DELIVERED, (payload.id,))

    def set_aside(self, destination: str, payloads: Sequence[Payload], why: str, *, max_bytes: int) -> None:
        """Keep payloads that a destination will never take, with its reason, and send them there no more.

        Of one for which there is no room in `max_bytes` nothing is kept. As with `remove`, doing it again does no harm.
        """
        for payload in payloads:
            self._leave(destination, payload)
            refused_bytes = self.refused_bytes(destination) + len(payload.body)
            if refused_bytes > max_bytes:
                self._connection.execute(_FORGET_DELIVERED, (payload.id,))
                continue
            self._refused_bytes[destination] = refused_bytes
            self._connection.execute("INSERT OR REPLACE INTO refusal VALUES (?, ?, ?)", (destination, payload.id, why))

    def expire(self, before_unix_nano: int, limit: int) -> Mapping[str, int]:
        """Drop payloads that came before a time, at most `limit`; give how many each destination will not get."""
        rows = self._connection.execute(
            "SELECT id FROM outbox WHERE received_unix_nano < ? ORDER BY received_unix_nano LIMIT ?",
            (before_unix_nano, limit),
        ).fetchall()
        leave = "DELETE FROM departure WHERE outbox_id = ? RETURNING destination"
        lost = Tally(str(to) for row in rows for (to,) in self._connection.execute(leave, row).fetchall())
        self._connection.executemany("DELETE FROM refusal WHERE outbox_id = ?", rows)
        self._connection.executemany("DELETE FROM outbox WHERE id = ?", rows)
        self._forget()
        return lost

    def oldest_unix_nano(self) -> int | None:
        """When the oldest payload came; None when there is none."""
        at = self._connection.execute("SELECT min(received_unix_nano) FROM outbox").fetchone()[0]
        return None if at is None else int(at)

    def destinations(self) -> list[str]:
        """Destinations that something waits for, or was refused by."""
        query = "SELECT DISTINCT destination FROM departure UNION SELECT DISTINCT destination FROM refusal ORDER BY 1"
        return [str(row[0]) for row in self._connection.execute(query)]

    def signals(self, destination: str) -> frozenset[Signal]:
        """Signals of which payloads wait for a destination."""
        query = "SELECT DISTINCT signal FROM departure WHERE destination = ?"
        return frozenset(Signal(row[0]) for row in self._connection.execute(query, (destination,)))

    def state(self, destination: str) -> OutboxState:
        """What the outbox holds for a destination."""
        pending, oldest = self._connection.execute(
            "SELECT count(*), min(received_unix_nano) FROM departure JOIN outbox ON outbox.id = outbox_id "
            "WHERE destination = ?",
            (destination,),
        ).fetchone()
        query = "SELECT count(*) FROM refusal WHERE destination = ?"
        (refused,) = self._connection.execute(query, (destination,)).fetchone()
        return OutboxState(pending, self.pending_bytes(destination), refused, oldest)

    def _forget(self) -> None:
        self._pending_bytes.clear()
        self._refused_bytes.clear()

    def _leave(self, destination: str, payload: Payload) -> None:
        gone = self._connection.execute(
            "DELETE FROM departure WHERE destination = ? AND signal = ? AND outbox_id = ? RETURNING size",
            (destination, payload.signal.value, payload.id),
        ).fetchall()
        self._count(destination, -sum(size for (size,) in gone))

    def _count(self, destination: str, size: int) -> None:
        self._pending_bytes[destination] = self.pending_bytes(destination) + size
