"""A fleet for the soak: captured sessions played again and again, each with ids of its own, over gRPC and HTTP."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import grpc

from soak.connection import Connection
from spanledger.core.usage import Signal
from spanledger.otlp.decode import decode
from spanledger.receiver.grpc_server import SERVICES
from support.replaying import read_folder
from support.serving import REQUESTS
from support.splitting import protobuf_body

CALLS_PER_SECOND = 42
"""Calls of a fleet of 1,000 developers at 150 an hour each."""

DEVELOPERS = 1_000
SPACING_SECONDS = 1.0
"""Between two requests of a session."""

_IDS = rb"req_[0-9A-Za-z]{23}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{64}"
_USER_ID_BYTES = 64
_GRPC_CHANNELS = 4
GRPC_TIMEOUT_SECONDS = 10
_HTTP_CONNECTIONS = 64
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Template:
    """One request of a capture, cut at its ids: every other part is an id."""

    signal: Signal
    parts: list[bytes]
    records: int
    calls: list[bytes]
    """Request ids of the calls that its log events tell of."""

    def filled(self, ids: Callable[[bytes], bytes]) -> bytes:
        return b"".join(ids(part) if place % 2 else part for place, part in enumerate(self.parts))


@dataclass(frozen=True, slots=True)
class Session:
    """One playing of a capture by a developer. Each id in it becomes another of the same length."""

    number: int
    developer: int
    templates: list[Template]
    over_grpc: bool

    def ids(self, old: bytes) -> bytes:
        # A developer is one user, whichever capture is played.
        whose = b"%d" % self.developer if len(old) == _USER_ID_BYTES else b"%d/%s" % (self.number, old)
        new = blake2b(whose).hexdigest()
        match len(old):
            case 64:
                return new[:64].encode()
            case 36:
                return f"{new[:8]}-{new[8:12]}-{new[12:16]}-{new[16:20]}-{new[20:32]}".encode()
            case 27:
                return f"req_{new[:23]}".encode()
            case size:
                return bytes.fromhex(new)[:size]

    @property
    def user(self) -> str:
        old = next(part for one in self.templates for part in one.parts[1::2] if len(part) == _USER_ID_BYTES)
        return self.ids(old).decode()


def templates_of(folder: Path) -> list[Template]:
    """The requests of a capture, in order."""
    bodies = [(one.delivery.signal, protobuf_body(one.delivery)) for one in read_folder(folder)]
    binary = {one for signal, body in bodies for one in _binary_ids(signal, body)}
    pattern = re.compile(b"(%s)" % b"|".join([*map(re.escape, sorted(binary, key=len, reverse=True)), _IDS]), re.DOTALL)
    return [
        Template(signal, pattern.split(body), len(names_of(signal, body)), _calls(signal, body))
        for signal, body in bodies
    ]


def _calls(signal: Signal, body: bytes) -> list[bytes]:
    return [str(log.attributes["request_id"]).encode() for log in decode(signal, body).logs]


def _binary_ids(signal: Signal, body: bytes) -> Iterable[bytes]:
    if signal is Signal.METRICS:
        return
    for record in _records(signal, body):
        parent = record.parent_span_id if signal is Signal.TRACES else b""
        yield from (one for one in (record.trace_id, record.span_id, parent) if one)


def _records(signal: Signal, body: bytes) -> list:
    request = REQUESTS[signal].FromString(body)
    match signal:
        case Signal.TRACES:
            return [s for group in request.resource_spans for scope in group.scope_spans for s in scope.spans]
        case Signal.LOGS:
            return [r for group in request.resource_logs for scope in group.scope_logs for r in scope.log_records]
        case Signal.METRICS:
            metrics = [m for group in request.resource_metrics for scope in group.scope_metrics for m in scope.metrics]
            return [(metric.name, point) for metric in metrics for point in metric.sum.data_points]


def names_of(signal: Signal, body: bytes) -> set[int]:
    """A short name for each record, by ids that no other session has, whatever the service wrote on it."""
    match signal:
        case Signal.TRACES:
            return {hash(span.span_id) for span in _records(signal, body)}
        case Signal.LOGS:
            return {hash(_log_name(record.attributes)) for record in _records(signal, body)}
        case Signal.METRICS:
            return {
                hash((name, point.time_unix_nano, *(pair.SerializeToString() for pair in point.attributes)))
                for name, point in _records(signal, body)
            }


def _log_name(attributes: Iterable) -> tuple[object, ...]:
    found = {pair.key: pair.value for pair in attributes if pair.key in ("session.id", "event.sequence")}
    return found["session.id"].string_value, found["event.sequence"].int_value


@dataclass(slots=True)
class Tally:
    """What became of what was sent. Only senders over HTTP send again."""

    requests: Counter[str] = field(default_factory=Counter)
    sent_records: Counter[Signal] = field(default_factory=Counter)
    acknowledged_records: Counter[Signal] = field(default_factory=Counter)
    refusals: list[tuple[float, str]] = field(default_factory=list)
    """When gRPC was refused, and with what words."""

    whole: list[Session] = field(default_factory=list)
    broken: list[Session] = field(default_factory=list)
    acknowledged_calls: set[str] = field(default_factory=set)


class Fleet:
    """Senders of both transports. `play` sends one session; what is not acknowledged over gRPC stays so."""

    def __init__(self, grpc_address: str, http_address: str) -> None:
        options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]
        self._channels = [
            grpc.aio.insecure_channel(grpc_address, options=[*options, ("grpc.use_local_subchannel_pool", 1)])
            for _ in range(_GRPC_CHANNELS)
        ]
        self._calls = {
            (place, signal): channel.unary_unary(f"/{SERVICES[signal]}/Export")
            for place, channel in enumerate(self._channels)
            for signal in Signal
        }
        self._idle: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        for _ in range(_HTTP_CONNECTIONS):
            self._idle.put_nowait(Connection(http_address))
        self.tally = Tally()

    async def play(self, session: Session) -> None:
        """Send the requests of a session, a while apart."""
        is_whole = True
        for place, template in enumerate(session.templates):
            if place:
                await asyncio.sleep(SPACING_SECONDS)
            is_whole &= await self._send(session, template)
        (self.tally.whole if is_whole else self.tally.broken).append(session)

    async def close(self) -> None:
        """Close connections."""
        for channel in self._channels:
            await channel.close()
        while not self._idle.empty():
            self._idle.get_nowait().close()

    async def _send(self, session: Session, template: Template) -> bool:
        body = template.filled(session.ids)
        self.tally.sent_records[template.signal] += template.records
        send = self._over_grpc if session.over_grpc else self._over_http
        if not await send(session, template.signal, body):
            return False
        self.tally.acknowledged_records[template.signal] += template.records
        self.tally.acknowledged_calls |= {session.ids(call).decode() for call in template.calls}
        return True

    async def _over_grpc(self, session: Session, signal: Signal, body: bytes) -> bool:
        """Once, as Claude Code does."""
        try:
            await self._calls[session.number % _GRPC_CHANNELS, signal](body, timeout=GRPC_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            self.tally.requests[f"gRPC {error.code().name}, not sent again"] += 1
            self.tally.refusals.append((asyncio.get_running_loop().time(), error.details() or ""))
            return False
        self.tally.requests["gRPC acknowledged"] += 1
        return True

    async def _over_http(self, _: Session, signal: Signal, body: bytes) -> bool:
        """The same bytes, until they are acknowledged."""
        connection = await self._idle.get()
        try:
            while (status := await connection.post(f"/v1/{signal}", body)) != 200:
                assert status in (0, 503), status
                self.tally.requests[f"HTTP {status or 'no answer'}, sent again"] += 1
                await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            self._idle.put_nowait(connection)
        self.tally.requests["HTTP acknowledged"] += 1
        return True


@dataclass(frozen=True)
class Mix:
    """Which captures are played, in turn."""

    folders: list[Path]

    @cached_property
    def templates(self) -> list[list[Template]]:
        return [templates_of(folder) for folder in self.folders]

    def session(self, number: int, developers: int) -> Session:
        templates = self.templates[number % len(self.folders)]
        return Session(number, number % developers, templates, over_grpc=number // len(self.folders) % 2 == 0)
