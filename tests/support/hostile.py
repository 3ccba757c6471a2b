"""Requests that no exporter sends, and answers that no receiver gives: built by hand on the wire."""

from __future__ import annotations

import asyncio
import gzip
import socket
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from functools import cache
from random import Random

MIB = 2**20


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def request(*records: bytes) -> bytes:
    """A request of one resource and scope; traces, logs and metrics have the same frame."""
    return field(1, field(2, b"".join(field(2, record) for record in records)))


def attribute(key: str, value: bytes) -> bytes:
    """A KeyValue; the value is an AnyValue."""
    return field(1, key.encode()) + field(2, value)


def text(value: str | bytes) -> bytes:
    """An AnyValue."""
    return field(1, value.encode() if isinstance(value, str) else value)


def span(*attributes: bytes, name: str = "GET /", trace_id: bytes = bytes(16), more: bytes = b"") -> bytes:
    """A span of some other service."""
    ids = field(1, trace_id) + field(2, b"\x01" * 8)
    return ids + field(5, name.encode()) + b"".join(field(9, one) for one in attributes) + more


def log_record(*attributes: bytes, more: bytes = b"") -> bytes:
    return b"".join(field(6, one) for one in attributes) + more


def metric(*points: bytes, name: str = "requests", kind: int = 7, more: bytes = b"") -> bytes:
    """A metric with data points; a sum unless another field is named."""
    return field(1, name.encode()) + field(kind, b"".join(field(1, point) for point in points)) + more


@cache
def nested_array(depth: int) -> bytes:
    """An AnyValue with so many arrays inside one another; each takes two messages."""
    return _wrapped(depth, (1, 5))


def nested_map(depth: int) -> bytes:
    """An AnyValue with so many maps inside one another; each takes three messages."""
    return _wrapped(depth, (2, 1, 6))


def _wrapped(depth: int, numbers: tuple[int, ...]) -> bytes:
    """Heads of the messages from the inside out, then turned round: so a great depth takes no quadratic time."""
    heads: list[bytes] = [b"\x18\x01"]
    size = 2
    tags = [number << 3 | 2 for number in numbers]
    for _ in range(depth):
        for tag in tags:
            if size < 2**7:
                made = bytes((tag, size))
            elif size < 2**21:
                made = bytes((tag, size & 127 | 128, size >> 7 & 127 | 128, size >> 14))
            else:
                made = bytes((tag, size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21))
            heads.append(made)
            size += len(made)
    return b"".join(reversed(heads))


@cache
def sparse(size: int) -> bytes:
    """Bytes that gzip makes about 100 times smaller: not a bomb by its ratio."""
    random = Random(1)
    block = b"".join(random.randbytes(80) + bytes(12_000) for _ in range(100))
    return (block * (size // len(block) + 1))[:size]


@cache
def bomb(size: int) -> bytes:
    """Gzip of so many zeros: the block of one MiB over and over. Its checksum is wrong, which nobody gets to see."""
    compress = zlib.compressobj(9, wbits=-15)
    block = compress.compress(bytes(MIB)) + compress.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + block * (size // MIB) + b"\x03\x00" + bytes(8)


def gzipped(body: bytes) -> bytes:
    return gzip.compress(body, 1)


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer; status 0 when the connection was closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes


NO_ANSWER = Response(0, {}, b"")


def connect(address: str, timeout_seconds: float = 20.0) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_seconds)


def head(path: str, length: int | None, *headers: str, method: str = "POST") -> bytes:
    """Request line and headers; without a length none is told."""
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", *headers]
    if length is not None:
        lines.append(f"content-length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def converse(address: str, pieces: Iterable[bytes], answers: int = 1, *, head_only: bool = False) -> list[Response]:
    """Send pieces over one connection and read answers; a closed connection gives `NO_ANSWER`."""
    with connect(address) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused while we were still talking; the answer may be there
        return read_answers(connection, answers, head_only=head_only)


def read_answers(connection: socket.socket, answers: int = 1, *, head_only: bool = False) -> list[Response]:
    """Read so many answers, or fewer when the connection is closed."""
    found: list[Response] = []
    buffer = b""
    while len(found) < answers:
        parsed = _parsed(buffer, head_only)
        if parsed is not None:
            response, buffer = parsed
            found.append(response)
            continue
        try:
            received = connection.recv(65_536)
        except ConnectionResetError:
            received = b""
        if not received:
            return [*found, NO_ANSWER]
        buffer += received
    return found


def _parsed(buffer: bytes, head_only: bool) -> tuple[Response, bytes] | None:
    """The first answer in a buffer and what is left; None when it is not complete. 100-continue is skipped."""
    start, separator, rest = buffer.partition(b"\r\n\r\n")
    if not separator:
        return None
    line, *lines = start.decode("latin-1").split("\r\n")
    status = int(line.split(" ")[1])
    if status == 100:
        return _parsed(rest, head_only)
    headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
    length = 0 if head_only else int(headers.get("content-length", "0"))
    if len(rest) < length:
        return None
    return Response(status, headers, rest[:length]), rest[length:]


@dataclass(frozen=True, slots=True)
class EndlessAnswers:
    """A destination whose answers begin and never end. `asked` is set when it has read something."""

    url: str
    asked: asyncio.Event


@asynccontextmanager
async def answering_without_end(start: bytes, again: bytes, pause_seconds: float) -> AsyncIterator[EndlessAnswers]:
    """Answer every request over HTTP with `start`, and then `again` for ever, with pauses."""
    asked = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(ConnectionError):
            await reader.read(1)
            asked.set()
            writer.write(start)
            while True:
                writer.write(again)
                await writer.drain()
                await asyncio.sleep(pause_seconds)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield EndlessAnswers(f"http://{host}:{port}", asked)
