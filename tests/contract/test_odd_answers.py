"""Destinations that answer what no OTLP receiver does: the client says so in words, and forwarding goes on."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Deferred, Destination, Outcome, Refused
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.exporter.http_client import HttpClient

QUIET = "urllib3"
BODY = b"\x0a\x00"
END = b"\r\n\r\n"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """As the service's log has it: the library would tell of odd headers, and the test's log keep the socket open."""
    logger = logging.getLogger(QUIET)
    before = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(before)


@dataclass(slots=True)
class Answering:
    """A server that answers every request with the same bytes, whatever they are, and closes."""

    url: str
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def answering(answer: bytes) -> Iterator[Answering]:
    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return  # the listening socket was shut down
            with connection, suppress(ConnectionError):  # a client that has read enough goes away
                request = b""
                while END not in request and (more := connection.recv(2**16)):
                    request += more
                seen.requests.append(request)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(2**16):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        seen = Answering(f"http://127.0.0.1:{listening.getsockname()[1]}")
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield seen
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def outcome_of(answer: bytes, **more: object) -> tuple[Outcome, Answering]:
    async def run(url: str) -> Outcome:
        client = HttpClient(Destination(url, timeout_seconds=30, **more))
        outcome = await client.export(Signal.LOGS, BODY)
        await client.close()
        return outcome

    with answering(answer) as destination:
        return asyncio.run(run(destination.url)), destination


def http(status: int, headers: Sequence[bytes] = (), content: bytes = b"") -> bytes:
    lines = [b"HTTP/1.1 %d Odd" % status, b"content-length: %d" % len(content), *headers]
    return b"\r\n".join(lines) + END + content


@pytest.mark.parametrize(
    "location", [b"http://[bad", b"http://x/\xff", b"//", b"/elsewhere", b"ftp://x", b"http://u:p@\xe4", b"\x00"]
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_nowhere_and_told(status: int, location: bytes) -> None:
    outcome, destination = outcome_of(http(status, [b"location: " + location]))
    assert isinstance(outcome, Deferred)
    assert f"HTTP {status}" in outcome.reason
    assert not outcome.in_doubt, "who sends elsewhere has taken nothing"
    assert len(destination.requests) == 1


def test_of_a_redirects_body_no_more_is_read_than_of_any() -> None:
    bomb = gzip.compress(bytes(64 * 2**20)) * 40  # 2.5 MiB that would be 2.5 GiB
    headers = [b"location: /x", b"content-encoding: gzip"]
    outcome, _ = outcome_of(http(302, headers, bomb))
    assert isinstance(outcome, Deferred)
    assert "longer than 1048576 bytes" in outcome.reason


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"7", 7.0),
        (b" 7 ", 7.0),
        (b"\xb2", None),
        (b"-1", None),
        (b"1e3", None),
        (b"", None),
        (b"Mon, 99 Foo 2026 00:00:00 GMT", None),
        (b"Fri, 31 Dec 9999 23:59:60 GMT", None),
        (b"Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        (b"9" * 400, float("inf")),
    ],
)
def test_an_odd_delay_is_heard_or_not_and_never_fails(value: bytes, seconds: float | None) -> None:
    outcome, _ = outcome_of(http(503, [b"retry-after: " + value]))
    assert isinstance(outcome, Deferred)
    assert outcome.retry_after_seconds == seconds


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    status=st.integers(100, 999),
    name=st.sampled_from([b"location", b"retry-after", b"content-encoding", b"content-type", b"content-length", b"x"]),
    value=st.binary(max_size=40),
    content=st.binary(max_size=200),
    cut=st.integers(0, 400),
)
def test_whatever_an_http_server_answers_has_an_outcome(
    status: int, name: bytes, value: bytes, content: bytes, cut: int
) -> None:
    answer = http(status, [name + b": " + value], content)
    outcome, _ = outcome_of(answer[: len(answer) - cut])
    assert isinstance(outcome, Accepted | Deferred | Refused)
    assert "report it" not in getattr(outcome, "reason", "")


@settings(max_examples=60, deadline=None)
@given(
    details=st.binary(max_size=60), code=st.sampled_from([c for c in grpc.StatusCode if c is not grpc.StatusCode.OK])
)
def test_whatever_details_a_grpc_server_adds_have_an_outcome(details: bytes, code: grpc.StatusCode) -> None:
    async def run() -> Outcome:
        async def export(_: bytes, context: grpc.aio.ServicerContext) -> bytes:
            await context.abort(code, "odd", (("grpc-status-details-bin", details),))
            raise AssertionError("abort raises")

        server = grpc.aio.server()
        handlers = {"Export": grpc.unary_unary_rpc_method_handler(export)}
        service = "opentelemetry.proto.collector.logs.v1.LogsService"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        client = GrpcClient(Destination(f"http://127.0.0.1:{port}"))
        outcome = await client.export(Signal.LOGS, BODY)
        await client.close()
        await server.stop(None)
        return outcome

    outcome = asyncio.run(run())
    assert isinstance(outcome, Deferred | Refused)
    assert code.name in outcome.reason


def test_the_users_netrc_takes_no_headers_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password theirs\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    outcome, destination = outcome_of(http(200), headers={"authorization": "Bearer ours"})
    assert outcome == Accepted()
    (head,) = destination.requests
    assert b"authorization: Bearer ours\r\n" in head
    assert b"Basic" not in head
