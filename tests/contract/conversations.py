"""What is said to a socket byte by byte: requests in pieces, halves of requests, silence, and things that are no HTTP.

`hears` are the statuses of the answers, 0 for a connection that is closed without one; `after_seconds` is how long the
service at least lets the sender wait (request timeout 1 s, idle timeout 1.5 s in the tests). `counts` are reasons that
the service must have counted.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from contract.rows import GOOD, GOOD_TOKEN, LIMITS
from spanledger.core.reasons import Reason
from support.hostile import MIB, NO_ANSWER, connect, converse, head, read_answers

PROTOBUF = ("content-type: application/x-protobuf", f"authorization: Bearer {GOOD_TOKEN}")
CHUNKED = (*PROTOBUF, "transfer-encoding: chunked")
CLOSED = NO_ANSWER.status
WHOLE = head("/v1/traces", len(GOOD), *PROTOBUF) + GOOD
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(200)
HALF_OPEN = 500
HEALTH = head("/healthz", None, method="GET")


@dataclass(frozen=True, slots=True)
class Conversation:
    name: str
    hears: list[int]
    talk: Callable[[str], list[int]]
    after_seconds: float = 0.0
    grpc: bool = False
    admin: bool = False
    growth_mib: int = 64
    counts: tuple[Reason, ...] = ()


def _said(*pieces: bytes, answers: int = 1) -> Callable[[str], list[int]]:
    return lambda address: [answer.status for answer in converse(address, pieces, answers)]


def _dripping(*pieces: bytes, seconds: float = 0.2) -> Callable[[str], list[int]]:
    """Send pieces, then a byte every so often, until the service has had enough."""

    def talk(address: str) -> list[int]:
        with connect(address) as connection:
            connection.settimeout(seconds)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for piece in _endless(pieces):
                    connection.sendall(piece)
                    if _is_closed(connection):
                        break
            return [CLOSED]

    return talk


def _endless(pieces: tuple[bytes, ...]) -> Iterator[bytes]:
    yield from pieces[:-1]
    for _ in range(150):
        yield pieces[-1]
    raise AssertionError("the service listens for ever")


def _is_closed(connection: socket.socket) -> bool:
    """Wait a moment for an end; an answer is none."""
    try:
        received = connection.recv(65_536)
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True
    if received.startswith(b"HTTP/1.1"):
        raise AssertionError(received)
    return not received


def _silent(*pieces: bytes, answers: int = 0) -> Callable[[str], list[int]]:
    """Send pieces, read answers, and say nothing more until the connection is closed."""

    def talk(address: str) -> list[int]:
        with connect(address) as connection:
            for piece in pieces:
                connection.sendall(piece)
            heard = [answer.status for answer in read_answers(connection, answers)]
            while connection.recv(65_536):  # what a gRPC server says by itself
                pass
            return [*heard, CLOSED]

    return talk


def _half_closed(address: str) -> list[int]:
    """Send half a request and no more, but go on listening."""
    with connect(address) as connection:
        connection.sendall(WHOLE[:-3])
        connection.shutdown(socket.SHUT_WR)
        return [answer.status for answer in read_answers(connection)]


def _gone(address: str) -> list[int]:
    """Leave in the middle, a hundred times."""
    for _ in range(100):
        with connect(address) as connection:
            connection.sendall(WHOLE[:-3])
    return []


def _many_half_open(address: str) -> list[int]:
    """Good requests among hundreds of connections that stand at half a request."""
    with contextlib.ExitStack() as stack:
        for _ in range(HALF_OPEN):
            connection = stack.enter_context(connect(address))
            connection.sendall(WHOLE[:60])
        began = time.monotonic()
        heard = [answer.status for answer in converse(address, [WHOLE])]
        assert time.monotonic() - began < 5
        return heard


def _bombs_at_once(address: str) -> list[int]:
    from contract.rows import bomb

    body = bomb(1024 * MIB)
    start = head("/v1/traces", len(body), *PROTOBUF, "content-encoding: gzip")
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(address)) for _ in range(20)]
        for connection in connections:
            connection.sendall(start + body[: len(body) // 2])
        for connection in connections:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(body[len(body) // 2 :])
        return sorted({answer.status for connection in connections for answer in read_answers(connection)})


def _chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


TOO_MUCH = bytes(MIB)

CONVERSATIONS = (
    Conversation(
        "kept alive: three requests one after the other", [200, 200, 200], _said(WHOLE, WHOLE, WHOLE, answers=3)
    ),
    Conversation("pipelined: three requests at once", [200, 200, 200], _said(WHOLE * 3, answers=3)),
    Conversation(
        "pipelined: a bad one between good ones",
        [200, 404, 200],
        _said(WHOLE + head("/nowhere", 0, *PROTOBUF) + WHOLE, answers=3),
    ),
    Conversation("byte by byte, but in time", [200], _said(*(WHOLE[n : n + 1] for n in range(len(WHOLE))))),
    Conversation("chunked", [200], _said(head("/v1/traces", None, *CHUNKED), _chunked(GOOD[:5], GOOD[5:]))),
    Conversation("chunked and empty", [200], _said(head("/v1/traces", None, *CHUNKED), _chunked())),
    Conversation(
        "chunked over the limit",
        [413],
        _said(
            head("/v1/traces", None, *CHUNKED),
            *[b"%x\r\n%s\r\n" % (MIB, TOO_MUCH)] * (LIMITS.max_request_bytes // MIB + 1),
            b"0\r\n\r\n",
        ),
        growth_mib=96,
    ),
    Conversation(
        "a length over the limit is refused before the body", [413], _said(head("/v1/traces", 10**12, *PROTOBUF))
    ),
    Conversation(
        "after a refusal the connection is still good",
        [413, 200],
        _said(
            head("/v1/traces", LIMITS.max_request_bytes + 1, *PROTOBUF),
            bytes(LIMITS.max_request_bytes + 1),
            WHOLE,
            answers=2,
        ),
    ),
    Conversation(
        "expects 100-continue", [200], _said(head("/v1/traces", len(GOOD), *PROTOBUF, "expect: 100-continue"), GOOD)
    ),
    Conversation("HTTP/1.0", [200], _said(WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"))),
    Conversation("no HTTP at all", [400], _said(b"hello, receiver\r\n\r\n"), counts=(Reason.BAD_HTTP,)),
    Conversation("HTTP/2 on the port of HTTP/1.1", [400], _said(HTTP2_PREFACE)),
    Conversation("TLS on a plain port", [400], _said(TLS_HELLO), counts=(Reason.WRONG_SCHEME,)),
    Conversation("length and chunked together", [400], _said(head("/v1/traces", 5, *CHUNKED), _chunked(GOOD))),
    Conversation("two lengths", [400], _said(head("/v1/traces", len(GOOD), *PROTOBUF, "content-length: 3"), GOOD)),
    Conversation("negative length", [400], _said(head("/v1/traces", -1, *PROTOBUF))),
    Conversation("length in words", [400], _said(head("/v1/traces", None, *PROTOBUF, "content-length: many"))),
    Conversation("chunk size that is no number", [400], _said(head("/v1/traces", None, *CHUNKED), b"zz\r\n")),
    Conversation(
        "upgrade that nobody asked for",
        [200],
        _said(head("/v1/traces", 0, *PROTOBUF, "connection: upgrade", "upgrade: h2c")),
    ),
    Conversation(
        "headers that do not end",
        [431],
        _said(head("/v1/traces", None, *PROTOBUF)[:-2], *[b"x-more: " + b"x" * 8_000 + b"\r\n"] * 300),
    ),
    Conversation("half a request, then the end of the stream", [CLOSED], _half_closed),
    Conversation("gone in the middle, a hundred times", [], _gone),
    Conversation("good among 500 half-open ones", [200], _many_half_open, growth_mib=96),
    Conversation("20 gzip bombs at once", [413], _bombs_at_once, growth_mib=160),
    Conversation("never says a word", [CLOSED], _silent(), after_seconds=1.4, counts=(Reason.IDLE_CONNECTION,)),
    Conversation("nothing more after an answer", [200, CLOSED], _silent(WHOLE, answers=1), after_seconds=1.4),
    Conversation("only line ends", [CLOSED], _dripping(b"\r\n"), after_seconds=1.4),
    Conversation(
        "request line that drips",
        [CLOSED],
        _dripping(b"POST /v1/traces", b"x"),
        after_seconds=0.9,
        counts=(Reason.SLOW_REQUEST,),
    ),
    Conversation(
        "headers that drip", [CLOSED], _dripping(head("/v1/traces", 9, *PROTOBUF)[:-2], b"x: y\r\n"), after_seconds=0.9
    ),
    Conversation(
        "body that drips", [CLOSED], _dripping(head("/v1/traces", 1000, *PROTOBUF), b"\x0a"), after_seconds=0.9
    ),
    Conversation(
        "chunked body that drips",
        [CLOSED],
        _dripping(head("/v1/traces", None, *CHUNKED), b"1\r\nx\r\n"),
        after_seconds=0.9,
    ),
    Conversation("half a body and silence", [CLOSED], _silent(WHOLE[:-3]), after_seconds=0.9),
    Conversation(
        "refused, but goes on sending for ever",
        [413, CLOSED],
        _silent(head("/v1/traces", 10**9, *PROTOBUF), answers=1),
        after_seconds=0.9,
    ),
    Conversation("silence on the gRPC port", [CLOSED], _silent(), after_seconds=0.9, grpc=True),
    Conversation(
        "half a preface on the gRPC port", [CLOSED], _silent(HTTP2_PREFACE[:10]), after_seconds=0.9, grpc=True
    ),
    Conversation("a gRPC connection without a request", [CLOSED], _silent(HTTP2_PREFACE), after_seconds=0.9, grpc=True),
    Conversation("HTTP/1.1 on the gRPC port", [CLOSED], _silent(WHOLE), grpc=True),
    Conversation("admin: two questions", [200, 200], _said(HEALTH, HEALTH, answers=2), admin=True),
    Conversation(
        "admin: never says a word",
        [CLOSED],
        _silent(),
        after_seconds=1.4,
        admin=True,
        counts=(Reason.IDLE_CONNECTION,),
    ),
    Conversation("admin: nothing more after an answer", [200, CLOSED], _silent(HEALTH, answers=1), 1.4, admin=True),
    Conversation(
        "admin: headers that drip",
        [CLOSED],
        _dripping(HEALTH[:-2], b"x: y\r\n"),
        after_seconds=0.9,
        admin=True,
        counts=(Reason.SLOW_REQUEST,),
    ),
    Conversation("admin: half a request and silence", [CLOSED], _silent(HEALTH[:-2]), 0.9, admin=True),
    Conversation(
        "admin: a body that nobody asked for and that does not end",
        [200, CLOSED],
        _silent(head("/healthz", 10**9, method="GET"), answers=1),
        after_seconds=0.9,
        admin=True,
    ),
    Conversation(
        "admin: headers of a MiB",
        [431],
        _said(HEALTH[:-2], *[b"x-more: " + b"x" * 8_000 + b"\r\n"] * 130),
        admin=True,
        counts=(Reason.HEADERS_TOO_LARGE,),
    ),
    Conversation(
        "admin: headers over the limit at once",
        [431],
        _said(head("/healthz", None, f"x-more: {'x' * LIMITS.max_header_bytes}", method="GET")),
        admin=True,
        counts=(Reason.HEADERS_TOO_LARGE,),
    ),
    Conversation("admin: no HTTP at all", [400], _said(b"hello\r\n\r\n"), admin=True, counts=(Reason.BAD_HTTP,)),
    Conversation("admin: TLS", [400], _said(TLS_HELLO), admin=True, counts=(Reason.WRONG_SCHEME,)),
)
