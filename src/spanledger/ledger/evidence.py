"""Evidence: every distinct record received of a model call, and the buckets that still wait for one."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from spanledger.core.settling import Sighting
from spanledger.core.usage import Evidence, QueryClass, Speed, Tokens, UsageRecord
from spanledger.ledger.database import Database
from spanledger.ledger.dimensions import Dimensions

_INSERT = """
INSERT INTO evidence (
    bucket, signal, digest, identity, sender_id, call_kind_id,
    input, output, cache_read, cache_write_5m, cache_write_1h, cache_write_unspecified, web_search,
    time_unix_nano, client_cost_picousd, request_id, trace_id, span_id, parent_span_id, prompt_id, agent_id,
    received_unix_nano, duration_milliseconds
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_COLUMNS = """
    bucket, signal, digest, identity, sender_id, call_kind_id,
    input, output, cache_read, cache_write_5m, cache_write_1h, cache_write_unspecified, web_search,
    time_unix_nano, client_cost_picousd, request_id, trace_id, span_id, parent_span_id, prompt_id, agent_id,
    received_unix_nano, duration_milliseconds
"""
_OF_BUCKETS = f"SELECT {_COLUMNS} FROM evidence WHERE bucket IN (SELECT value FROM json_each(?))"  # noqa: S608
_OF_TRACE = f"""
SELECT {_COLUMNS} FROM evidence
WHERE bucket IN (
    SELECT bucket FROM evidence
    WHERE trace_id = :trace AND trace_id <> '' AND time_unix_nano >= :since
        AND sender_id IN (SELECT value FROM json_each(:senders))
) AND time_unix_nano >= :since AND sender_id IN (SELECT value FROM json_each(:senders))
"""  # noqa: S608
_OF_SENDERS = f"""
SELECT {_COLUMNS} FROM evidence
WHERE sender_id IN (SELECT value FROM json_each(?)) AND time_unix_nano BETWEEN ? AND ?
"""  # noqa: S608


_EVIDENCE = {one.value: one for one in Evidence}
_QUERY_CLASS = {one.value: one for one in QueryClass}
_SPEED = {one.value: one for one in Speed}


class EvidenceStore:
    """Records by bucket. Writing methods belong inside a transaction."""

    def __init__(self, database: Database, dimensions: Dimensions) -> None:
        self._connection = database.connection
        self._senders = dimensions.senders
        self._call_kinds = dimensions.call_kinds

    def of_buckets(self, buckets: Iterable[str]) -> dict[str, list[Sighting]]:
        """All sightings of the given buckets; a bucket without any is absent."""
        return self._by_bucket(_OF_BUCKETS, (json.dumps(list(buckets)),))

    def of_senders(
        self, sender_ids: Sequence[int], start_unix_nano: int, end_unix_nano: int
    ) -> dict[str, list[Sighting]]:
        """Sightings of some senders whose time, on the client's clock, lies in a time; by bucket."""
        return self._by_bucket(_OF_SENDERS, (json.dumps(list(sender_ids)), start_unix_nano, end_unix_nano))

    def of_trace(self, sender_ids: Sequence[int], trace_id: str, since_unix_nano: int) -> dict[str, list[Sighting]]:
        """Sightings of some senders from a time on, in buckets that a trace has a record in; by bucket."""
        wanted: dict[str, str | int] = {
            "senders": json.dumps(list(sender_ids)),
            "trace": trace_id,
            "since": since_unix_nano,
        }
        return self._by_bucket(_OF_TRACE, wanted)

    def named(self, name: str) -> list[Sighting]:
        """Sightings of the call with a request id; for a call without one, of the bucket that its identity is in.

        A tenant's calls are found by their request id alone too.
        """
        found = self.of_buckets([name])
        if not found:
            query = "SELECT DISTINCT bucket FROM evidence WHERE identity = :name OR request_id = :name"
            rows = self._connection.execute(query, {"name": name})
            found = self.of_buckets([row[0] for row in rows])
        return [sighting for sightings in found.values() for sighting in sightings]

    def add(self, sightings: Sequence[Sighting]) -> None:
        """Store sightings that are not there yet.

        Raises:
            sqlite3.IntegrityError: one is there already; the caller has not looked.
        """
        self._connection.executemany(_INSERT, [self._row(sighting) for sighting in sightings])

    def wait(self, due_unix_nano: dict[str, int]) -> None:
        """Note until when each bucket waits for a log."""
        self._connection.executemany(
            "INSERT INTO waiting (bucket, due_unix_nano) VALUES (?, ?) "
            "ON CONFLICT (bucket) DO UPDATE SET due_unix_nano = excluded.due_unix_nano",
            due_unix_nano.items(),
        )

    def stop_waiting(self, buckets: Iterable[str]) -> None:
        """Note that buckets wait no longer."""
        self._connection.executemany("DELETE FROM waiting WHERE bucket = ?", [(bucket,) for bucket in buckets])

    def due_buckets(self, now_unix_nano: int, limit: int) -> list[str]:
        """Buckets whose window has closed, the oldest first, at most `limit`."""
        rows = self._connection.execute(
            "SELECT bucket FROM waiting WHERE due_unix_nano <= ? ORDER BY due_unix_nano LIMIT ?", (now_unix_nano, limit)
        )
        return [row[0] for row in rows]

    def next_due_unix_nano(self) -> int | None:
        """When the next window closes; None when nothing waits."""
        due = self._connection.execute("SELECT min(due_unix_nano) FROM waiting").fetchone()[0]
        return None if due is None else int(due)

    def waits_beyond(self, unix_nano: int) -> bool:
        """Whether a window closes after a time."""
        query = "SELECT EXISTS (SELECT 1 FROM waiting WHERE due_unix_nano > ?)"
        return bool(self._connection.execute(query, (unix_nano,)).fetchone()[0])

    def hasten(self, beyond_unix_nano: int, due_unix_nano: int) -> None:
        """Close windows that would close after a time at another one."""
        self._connection.execute(
            "UPDATE waiting SET due_unix_nano = ?2 WHERE due_unix_nano > ?1", (beyond_unix_nano, due_unix_nano)
        )

    def _by_bucket(
        self, query: str, arguments: tuple[str | int, ...] | dict[str, str | int]
    ) -> dict[str, list[Sighting]]:
        found: defaultdict[str, list[Sighting]] = defaultdict(list)
        for row in self._connection.execute(query, arguments):
            found[row[0]].append(self._sighting(row))
        return dict(found)

    def _row(self, sighting: Sighting) -> tuple[str | int | None, ...]:
        record = sighting.record
        kind = (
            record.model,
            record.query_class.value,
            record.query_source,
            record.speed.value,
            record.effort,
            record.agent_name,
            record.skill_name,
            record.mcp_server_name,
            record.mcp_tool_name,
        )
        return (
            record.bucket,
            record.evidence.value,
            record.digest,
            record.identity,
            self._senders.id_of(record.source),
            self._call_kinds.id_of(kind),
            *record.tokens,
            record.time_unix_nano,
            record.client_cost_picousd,
            record.request_id,
            record.trace_id,
            record.span_id,
            record.parent_span_id,
            record.prompt_id,
            record.agent_id,
            sighting.received_unix_nano,
            record.duration_milliseconds,
        )

    def _sighting(self, row: Sequence[Any]) -> Sighting:
        bucket, signal, digest, identity, sender_id, call_kind_id, *figures = row
        (
            model,
            query_class,
            query_source,
            speed,
            effort,
            agent_name,
            skill_name,
            mcp_server_name,
            mcp_tool_name,
        ) = self._call_kinds.value_of(call_kind_id)
        tokens, facts = figures[: len(Tokens._fields)], figures[len(Tokens._fields) :]
        time, client_cost, request_id, trace_id, span_id, parent_span_id, prompt_id, agent_id, *rest = facts
        received, duration = rest
        record = UsageRecord(
            evidence=_EVIDENCE[signal],
            identity=identity,
            bucket=bucket,
            digest=digest,
            source=self._senders.value_of(sender_id),
            model=model,
            tokens=Tokens(*tokens),
            time_unix_nano=time,
            query_class=_QUERY_CLASS[query_class],
            query_source=query_source,
            speed=_SPEED[speed],
            client_cost_picousd=client_cost,
            request_id=request_id,
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=parent_span_id,
            prompt_id=prompt_id,
            effort=effort,
            agent_id=agent_id,
            agent_name=agent_name,
            skill_name=skill_name,
            mcp_server_name=mcp_server_name,
            mcp_tool_name=mcp_tool_name,
            duration_milliseconds=duration,
        )
        return Sighting(record, received)
