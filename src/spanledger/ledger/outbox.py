"""Outbox: payloads that are acknowledged and not yet delivered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spanledger.core.delivery import Payload
from spanledger.core.usage import Signal
from spanledger.ledger.database import Database


class OutboxStore:
    """Payloads in order of arrival. Writing methods belong inside a transaction."""

    def __init__(self, database: Database) -> None:
        self._connection = database.connection

    def add(self, signal: Signal, body: bytes, *, ready_unix_nano: int, sealed: bool) -> None:
        """Put a payload in. One that is not sealed waits until `ready_unix_nano` to be enriched."""
        self._connection.execute(
            "INSERT INTO outbox (signal, body, ready_unix_nano, sealed) VALUES (?, ?, ?, ?)",
            (signal.value, body, ready_unix_nano, sealed),
        )

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

    def seal(self, payload: Payload, body: bytes) -> None:
        """Fix the bytes that leave; every attempt sends these."""
        self._connection.execute("UPDATE outbox SET body = ?, sealed = 1 WHERE id = ?", (body, payload.id))

    def departures(self, signal: Signal, max_bytes: int) -> list[Payload]:
        """Sealed payloads of one signal to send next, up to `max_bytes` together, but at least one if there is one."""
        rows = self._connection.execute(
            "SELECT id, body FROM outbox WHERE sealed = 1 AND refused IS NULL AND signal = ? ORDER BY id",
            (signal.value,),
        )
        chosen: list[Payload] = []
        size = 0
        for row_id, body in rows:
            size += len(body)
            if chosen and size > max_bytes:
                break
            chosen.append(Payload(row_id, signal, body))
        rows.close()
        return chosen

    def remove(self, payloads: Iterable[Payload]) -> None:
        """Take delivered payloads out."""
        self._connection.executemany("DELETE FROM outbox WHERE id = ?", [(payload.id,) for payload in payloads])

    def set_aside(self, payloads: Sequence[Payload], why: str) -> None:
        """Keep payloads that the destination will never take, with its reason, and send them no more."""
        self._connection.executemany(
            "UPDATE outbox SET refused = ? WHERE id = ?", [(why, payload.id) for payload in payloads]
        )

    def size(self) -> int:
        """Payloads that are still to be delivered."""
        return int(self._connection.execute("SELECT count(*) FROM outbox WHERE refused IS NULL").fetchone()[0])

    def set_aside_size(self) -> int:
        """Payloads that were refused for good."""
        return int(self._connection.execute("SELECT count(*) FROM outbox WHERE refused IS NOT NULL").fetchone()[0])
