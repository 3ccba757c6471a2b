"""Control points: the clients' own sums, kept beside the postings that they check."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spanledger.core.control import TOKEN_PLACES, Counts, Increment, Line, increments
from spanledger.core.money import PICO_PER_USD
from spanledger.core.semconv import METRIC_CLIENT_COST, METRIC_CLIENT_TOKENS
from spanledger.core.usage import ControlPoint, Evidence, QueryClass, Source, Speed, Temporality
from spanledger.ledger.database import Database
from spanledger.ledger.dimensions import Dimensions
from spanledger.ledger.known_sums import KnownSums

_INSERT = """
INSERT INTO control_point (
    metric, series, start_unix_nano, time_unix_nano, temporality, amount, sender_id, model, query_class, speed,
    token_type, received_unix_nano
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET amount = max(amount, excluded.amount)
"""
_AMOUNT = """
SELECT amount FROM control_point WHERE metric = ? AND series = ? AND start_unix_nano = ? AND time_unix_nano = ?
"""
_COLUMNS = """
    metric, series, start_unix_nano, time_unix_nano, temporality, amount, sender_id, model, query_class, speed,
    token_type
"""
_DELTAS = """
SELECT metric, start_unix_nano, time_unix_nano, amount, sender_id, model, query_class, speed, token_type
FROM control_point
WHERE sender_id IN (SELECT value FROM json_each(:senders)) AND temporality = 'delta'
    AND time_unix_nano > :start AND start_unix_nano < :end
"""
# Of a cumulative series: the highest point up to the start and all after it, up to the first at or after the end; and
# where the process before ended in it, if it had ended when this one's began.
_CUMULATIVE = f"""
WITH touched AS (
    SELECT DISTINCT metric AS m, series AS s, start_unix_nano AS began FROM control_point
    WHERE sender_id IN (SELECT value FROM json_each(:senders)) AND temporality = 'cumulative'
        AND time_unix_nano > :start
)
SELECT {_COLUMNS}, coalesce((
    SELECT amount FROM (
        SELECT amount, time_unix_nano AS ended FROM control_point
        WHERE metric = m AND series = s AND start_unix_nano < began AND temporality = 'cumulative'
        ORDER BY start_unix_nano DESC, time_unix_nano DESC LIMIT 1
    ) WHERE ended <= began), 0)
FROM touched CROSS JOIN control_point
WHERE metric = m AND series = s AND start_unix_nano = began
    AND time_unix_nano >= coalesce(
        (SELECT time_unix_nano FROM control_point WHERE metric = m AND series = s AND start_unix_nano = began
            AND temporality = 'cumulative' AND time_unix_nano <= :start
            ORDER BY amount DESC, time_unix_nano DESC LIMIT 1), 0)
    AND time_unix_nano <= coalesce(
        (SELECT min(time_unix_nano) FROM control_point WHERE metric = m AND series = s AND start_unix_nano = began
            AND time_unix_nano >= :end), {2**63 - 1})
"""  # noqa: S608
# A cumulative series only rises until it restarts, so its last value from each start is its largest.
_METRIC_COST = f"""
SELECT sender_id, query_class, sum(amount / {PICO_PER_USD}), sum(amount % {PICO_PER_USD}) FROM (
    SELECT sender_id, query_class, amount FROM control_point WHERE metric = :metric AND temporality = :delta
    UNION ALL
    SELECT sender_id, query_class, max(amount) FROM control_point WHERE metric = :metric AND temporality = :cumulative
    GROUP BY series, start_unix_nano
) GROUP BY sender_id, query_class
"""  # noqa: S608
_LOG_COST = f"""
SELECT
    posting.sender_id, account.query_class,
    coalesce(sum(client_cost_picousd / {PICO_PER_USD}), 0), coalesce(sum(client_cost_picousd % {PICO_PER_USD}), 0)
FROM posting JOIN account ON account.id = posting.account_id
WHERE posting.evidence IN (:log, :inferred) GROUP BY posting.sender_id, account.query_class
"""  # noqa: S608

_RECEIVED = """
SELECT min(received_unix_nano) FROM control_point
WHERE sender_id IN (SELECT value FROM json_each(?)) AND time_unix_nano > ? AND time_unix_nano <= ?
"""

_REACH_OF_SESSION = """
SELECT EXISTS (SELECT 1 FROM sender CROSS JOIN control_point ON control_point.sender_id = sender.id
    WHERE sender.session_id = ? AND sender.tenant = ? AND control_point.time_unix_nano >= ?)
"""
_REACH = """
SELECT EXISTS (SELECT 1 FROM sender CROSS JOIN control_point ON control_point.sender_id = sender.id
    WHERE sender.session_id = '' AND sender.user_id = ? AND sender.resource_digest = ?
        AND control_point.time_unix_nano >= ?)
"""

_COST_PLACE = len(Counts._fields)
"""In a row of sums the cost comes after the counts."""

Group = tuple[str, QueryClass]
"""Group of a sender and query class: within it calls and points are comparable."""


class ControlStore:
    """Control points. `add` belongs inside a transaction."""

    def __init__(self, database: Database, dimensions: Dimensions) -> None:
        self._connection = database.connection
        self._senders = dimensions.senders
        self._known = KnownSums(database)

    def add(
        self, points: Iterable[ControlPoint], received_unix_nano: int, ledger_began_unix_nano: int
    ) -> Mapping[Source, int]:
        """Store points; a repeated one changes nothing. Gives the tokens by which each sender's sums grew."""
        grown: defaultdict[Source, int] = defaultdict(int)
        for point in points:
            if point.metric == METRIC_CLIENT_TOKENS:
                grown[point.source] += self._grown(point, ledger_began_unix_nano)
            self._connection.execute(_INSERT, self._row(point, received_unix_nano))
        return grown

    def grown(
        self, sender_ids: Sequence[int], start_unix_nano: int, end_unix_nano: int, ledger_began_unix_nano: int
    ) -> list[Increment]:
        """What the sums of some senders grew by in a time, and around it what the points inside are compared with.

        Deltas of a line and a time come together, whatever else told their series apart.
        """
        when: dict[str, str | int] = {
            "senders": json.dumps(list(sender_ids)),
            "start": start_unix_nano,
            "end": end_unix_nano,
        }
        cumulative = map(self._point, self._connection.execute(_CUMULATIVE, when))
        return [*self._deltas(when), *increments(cumulative, ledger_began_unix_nano)]

    def _deltas(self, when: Mapping[str, str | int]) -> Iterable[Increment]:
        sums: dict[tuple[int, int, int, str, str, str], list[int]] = {}
        for metric, start, end, amount, sender, model, query_class, speed, kind in self._connection.execute(
            _DELTAS, when
        ):
            place = _COST_PLACE if metric == METRIC_CLIENT_COST else TOKEN_PLACES.get(kind)
            if place is not None and amount:
                line = (min(start, end - 1), end, sender, model, query_class, speed)
                sums.setdefault(line, [0] * (_COST_PLACE + 1))[place] += amount
        for (start, end, sender, model, query_class, speed), (*counts, cost) in sums.items():
            line_of = Line(model, QueryClass(query_class), Speed(speed))
            yield Increment(line_of, self._senders.value_of(sender), start, end, Counts(*counts), cost)

    def reach(self, source: Source, unix_nano: int) -> bool:
        """Whether some point of a source's group is of a time or later."""
        if source.session_id:
            query, whose = _REACH_OF_SESSION, (source.session_id, source.tenant)
        else:
            query, whose = _REACH, (source.user_id, source.resource_digest)
        return bool(self._connection.execute(query, (*whose, unix_nano)).fetchone()[0])

    def received_unix_nano(self, sender_ids: Sequence[int], start_unix_nano: int, end_unix_nano: int) -> int:
        """When the first of some senders' points of an interval (start, end] was received; it has one at least."""
        arguments = (json.dumps(list(sender_ids)), start_unix_nano, end_unix_nano)
        return int(self._connection.execute(_RECEIVED, arguments).fetchone()[0])

    def cost_without_log_picousd(self) -> int:
        """What the clients' cost metric holds beyond their log events, summed over groups where it holds more."""
        held: defaultdict[Group, int] = defaultdict(int)
        arguments = {
            "metric": METRIC_CLIENT_COST,
            "delta": Temporality.DELTA.value,
            "cumulative": Temporality.CUMULATIVE.value,
        }
        for sender_id, query_class, whole, rest in self._connection.execute(_METRIC_COST, arguments):
            held[self._group(sender_id, query_class)] += whole * PICO_PER_USD + rest
        logs = {"log": Evidence.LOG.value, "inferred": Evidence.INFERRED.value}
        for sender_id, query_class, whole, rest in self._connection.execute(_LOG_COST, logs):
            held[self._group(sender_id, query_class)] -= whole * PICO_PER_USD + rest
        return sum(amount for amount in held.values() if amount > 0)

    def _grown(self, point: ControlPoint, ledger_began_unix_nano: int) -> int:
        """What a point adds to its sum; of a delta its own row says whether it is known."""
        if point.temporality is Temporality.CUMULATIVE:
            series = f"{point.metric} {point.series}"
            return self._known.grown_cumulative(series, point.start_unix_nano, point.amount, ledger_began_unix_nano)
        place = (point.metric, point.series, point.start_unix_nano, point.time_unix_nano)
        known = self._connection.execute(_AMOUNT, place).fetchone()
        return point.amount if known is None else max(0, point.amount - known[0])

    def _group(self, sender_id: int, query_class: str) -> Group:
        return (self._senders.value_of(sender_id).group, QueryClass(query_class))

    def _point(self, row: Sequence[Any]) -> ControlPoint:
        metric, series, start, time, temporality, amount, sender_id, model, query_class, speed, *rest = row
        return ControlPoint(
            metric=metric,
            series=series,
            start_unix_nano=start,
            time_unix_nano=time,
            temporality=Temporality(temporality),
            amount=amount,
            source=self._senders.value_of(sender_id),
            model=model,
            query_class=QueryClass(query_class),
            speed=Speed(speed),
            token_type=rest[0],
            carried=rest[1] if len(rest) > 1 else 0,
        )

    def _row(self, point: ControlPoint, received_unix_nano: int) -> tuple[str | int, ...]:
        return (
            point.metric,
            point.series,
            point.start_unix_nano,
            point.time_unix_nano,
            point.temporality.value,
            point.amount,
            self._senders.id_of(point.source),
            point.model,
            point.query_class.value,
            point.speed.value,
            point.token_type,
            received_unix_nano,
        )
