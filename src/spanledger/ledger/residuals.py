"""Residuals: which groups must be looked at, and under which identities something was posted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from spanledger.core.received import Alias
from spanledger.core.residual import Leftover
from spanledger.core.times import FOREVER_UNIX_NANO
from spanledger.core.usage import Source
from spanledger.ledger.database import Database
from spanledger.ledger.dimensions import Dimensions

_NOTE = """
INSERT INTO unreconciled (due_unix_nano, group_key, sender_id, start_unix_nano, end_unix_nano) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    start_unix_nano = min(start_unix_nano, excluded.start_unix_nano),
    end_unix_nano = max(end_unix_nano, excluded.end_unix_nano)
"""
_DUE = """
SELECT sender_id, min(start_unix_nano), max(end_unix_nano) FROM unreconciled WHERE due_unix_nano <= ?
GROUP BY group_key ORDER BY group_key LIMIT ?
"""
# Where a user's sums, and spans, name something.
_NAMED = """
SELECT sender_id, min(began), max(ended) FROM (
    SELECT sender.id AS sender_id, min(start_unix_nano, time_unix_nano - 1) AS began, time_unix_nano + 1 AS ended
    FROM sender CROSS JOIN control_point ON control_point.sender_id = sender.id
    WHERE sender.user_id = :user AND sender.tenant = :tenant
        AND control_point.model IN (SELECT value FROM json_each(:names))
    UNION ALL
    SELECT sender.id, time_unix_nano, time_unix_nano
    FROM sender CROSS JOIN evidence ON evidence.sender_id = sender.id
    CROSS JOIN call_kind ON call_kind.id = evidence.call_kind_id
    WHERE sender.user_id = :user AND sender.tenant = :tenant
        AND call_kind.model IN (SELECT value FROM json_each(:names))
) GROUP BY sender_id
"""


@dataclass(frozen=True, slots=True)
class Unreconciled:
    """A group and the time of what came in it. `source` is one of the group's senders."""

    source: Source
    start_unix_nano: int
    end_unix_nano: int


class ResidualStore:
    """Groups to reconcile. Writing methods belong inside a transaction."""

    def __init__(self, database: Database, dimensions: Dimensions) -> None:
        self._connection = database.connection
        self._senders = dimensions.senders

    def note(self, touched: Mapping[str, Unreconciled], due_unix_nano: int) -> None:
        """Note what came, by group."""
        rows = [
            (due_unix_nano, group, self._senders.id_of(what.source), what.start_unix_nano, what.end_unix_nano)
            for group, what in touched.items()
        ]
        self._connection.executemany(_NOTE, rows)

    def due(self, now_unix_nano: int, limit: int) -> list[Unreconciled]:
        """Groups that it is time for, at most `limit`, and all the time that is due of each."""
        rows = self._connection.execute(_DUE, (now_unix_nano, limit))
        return [Unreconciled(self._senders.value_of(sender_id), start, end) for sender_id, start, end in rows]

    def next_due_unix_nano(self) -> int | None:
        """When a group will next be due; None when none is noted."""
        due = self._connection.execute("SELECT min(due_unix_nano) FROM unreconciled").fetchone()[0]
        return None if due is None else int(due)

    def waits_beyond(self, unix_nano: int) -> bool:
        """Whether a group will be due after a time."""
        query = "SELECT EXISTS (SELECT 1 FROM unreconciled WHERE due_unix_nano > ?)"
        return bool(self._connection.execute(query, (unix_nano,)).fetchone()[0])

    def hasten(self, beyond_unix_nano: int, due_unix_nano: int) -> None:
        """Make groups that would be due after a time due at another one."""
        rows = self._connection.execute(
            "DELETE FROM unreconciled WHERE due_unix_nano > ? "
            "RETURNING group_key, sender_id, start_unix_nano, end_unix_nano",
            (beyond_unix_nano,),
        ).fetchall()
        self._connection.executemany(_NOTE, [(due_unix_nano, *row) for row in rows])

    def done(self, group: str, now_unix_nano: int) -> None:
        """Forget that a group is to be looked at now; what is due later stays."""
        self._connection.execute(
            "DELETE FROM unreconciled WHERE group_key = ? AND due_unix_nano <= ?", (group, now_unix_nano)
        )

    def senders_of(self, source: Source) -> list[int]:
        """Ids of all senders of a source's group."""
        if source.session_id:
            rows = self._connection.execute(
                "SELECT id FROM sender WHERE session_id = ? AND tenant = ?", (source.session_id, source.tenant)
            )
        else:
            rows = self._connection.execute(
                "SELECT id FROM sender WHERE session_id = '' AND user_id = ? AND resource_digest = ?",
                (source.user_id, source.resource_digest),
            )
        return [int(row[0]) for row in rows]

    def callers_of(self, source: Source) -> list[int]:
        """Ids of all senders whose calls the sums of a source's group may hold.

        Sums without a session are of all sessions of their resource and user: it may be taken from the sums alone.
        """
        if source.session_id:
            return self.senders_of(source)
        rows = self._connection.execute(
            "SELECT id FROM sender WHERE user_id = ? AND resource_digest = ?", (source.user_id, source.resource_digest)
        )
        return [int(row[0]) for row in rows]

    def identities(self, group: str, start_unix_nano: int, end_unix_nano: int) -> list[str]:
        """Identities of residuals whose interval overlaps a time."""
        rows = self._connection.execute(
            "SELECT identity FROM residual WHERE group_key = ? AND end_unix_nano > ? AND start_unix_nano < ?",
            (group, start_unix_nano, end_unix_nano),
        )
        return [str(row[0]) for row in rows]

    def interval_of(self, identity: str) -> tuple[int, int] | None:
        """Start and end of the sums' interval that a residual is of; None when it is no residual's identity."""
        query = "SELECT start_unix_nano, end_unix_nano FROM residual WHERE identity = ?"
        row = self._connection.execute(query, (identity,)).fetchone()
        return None if row is None else (int(row[0]), int(row[1]))

    def ended_in(self, group: str, start_unix_nano: int, end_unix_nano: int) -> list[str]:
        """Identities of residuals whose interval ends in [start, end)."""
        rows = self._connection.execute(
            "SELECT identity FROM residual WHERE group_key = ? AND end_unix_nano >= ? AND end_unix_nano < ?",
            (group, start_unix_nano, end_unix_nano),
        )
        return [str(row[0]) for row in rows]

    def is_noted(self, group: str) -> bool:
        """Whether a group will be looked at, for something came."""
        found = self._connection.execute("SELECT 1 FROM unreconciled WHERE group_key = ? LIMIT 1", (group,)).fetchone()
        return found is not None

    def of_session(self, session_id: str) -> tuple[list[int], list[str]]:
        """Senders of a session, whichever tenants' they are, and identities of every residual ever posted for it."""
        rows = self._connection.execute("SELECT DISTINCT tenant FROM sender WHERE session_id = ?", (session_id,))
        sources = [Source(session_id=session_id, tenant=str(row[0])) for row in rows]
        senders = [sender for source in sources for sender in self.senders_of(source)]
        return senders, [one for source in sources for one in self.identities(source.group, 0, FOREVER_UNIX_NANO)]

    def keep(self, leftovers: Mapping[str, Leftover]) -> None:
        """Remember under which identity each leftover is posted."""
        rows: Sequence[tuple[str, str, int, int]] = [
            (identity, what.source.group, what.start_unix_nano, what.end_unix_nano)
            for identity, what in leftovers.items()
        ]
        self._connection.executemany("INSERT INTO residual VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)

    def aliases(self, source: Source) -> frozenset[Alias]:
        """Every alias that was learnt of a user's names."""
        rows = self._connection.execute("SELECT asked, served FROM alias WHERE user_id = ?", (source.home,))
        return frozenset(Alias(str(asked), str(served)) for asked, served in rows)

    def learn(self, source: Source, aliases: Iterable[Alias]) -> None:
        """Keep aliases."""
        self._connection.executemany(
            "INSERT INTO alias VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            sorted((source.home, alias.asked, alias.served) for alias in aliases),
        )

    def named(self, source: Source, names: Iterable[str]) -> list[Unreconciled]:
        """Where a user's sums or records name one of some models, by sender."""
        of_user = {"user": source.user_id, "tenant": source.tenant, "names": json.dumps(list(names))}
        rows = self._connection.execute(_NAMED, of_user)
        return [Unreconciled(self._senders.value_of(sender_id), start, end) for sender_id, start, end in rows]
