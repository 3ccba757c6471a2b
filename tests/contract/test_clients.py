"""Both clients against real servers: what a destination answers is accepted, refused or deferred as OTLP says."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import pytest
import requests
import trustme

from spanledger.config.settings import load_settings
from spanledger.core.delivery import Delivery, Encoding, Receipt
from spanledger.core.errors import ConfigError, PermanentError, RetryableError
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Deferred, Destination, OtlpClient, Outcome, Refused, Tls
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.exporter.http_client import HttpClient
from spanledger.exporter.said import went_wrong
from spanledger.receiver.grpc_server import GrpcReceiver
from spanledger.receiver.http_server import HttpReceiver
from spanledger.service.destinations import clients_for
from support.consumers import ScriptedConsumer, receiving
from support.hostile import answering_without_end

PAIRS = [(GrpcClient, GrpcReceiver), (HttpClient, HttpReceiver)]
BODY = b"\x0a\x00" * 4
HTTP2_SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
both = pytest.mark.parametrize(("client", "receiver"), PAIRS, ids=["grpc", "http"])


async def export(client: OtlpClient, signal: Signal = Signal.LOGS) -> Outcome:
    try:
        return await client.export(signal, BODY)
    finally:
        await client.close()


def outcome_at(client: type[GrpcClient | HttpClient], destination: Destination) -> Outcome:
    async def run() -> Outcome:
        return await export(client(destination))

    return asyncio.run(run())


def outcome_of(client: type[GrpcClient | HttpClient], receiver: type, consumer: ScriptedConsumer, **more) -> Outcome:
    async def run() -> Outcome:
        async with receiving(consumer, receiver) as address:
            return await export(client(Destination(f"http://{address}", **more)))

    return asyncio.run(run())


@both
@pytest.mark.parametrize("compressed", [False, True])
def test_a_body_arrives_as_it_is(client: type, receiver: type, compressed: bool) -> None:
    consumer = ScriptedConsumer()
    assert outcome_of(client, receiver, consumer, gzip=compressed) == Accepted()
    assert consumer.deliveries == [Delivery(Signal.LOGS, Encoding.PROTOBUF, BODY)]


@both
def test_partial_success_is_accepted_with_what_was_refused(client: type, receiver: type) -> None:
    assert outcome_of(client, receiver, ScriptedConsumer([Receipt(3, "too old")])) == Accepted(3, "too old")


@both
def test_a_refusal_for_good_is_told(client: type, receiver: type) -> None:
    outcome = outcome_of(client, receiver, ScriptedConsumer([PermanentError("field 9 is cut off")]))
    assert isinstance(outcome, Refused)
    assert "field 9 is cut off" in outcome.reason


@both
def test_a_delay_that_the_destination_asks_for_is_heard(client: type, receiver: type) -> None:
    consumer = ScriptedConsumer([RetryableError("disk full", retry_after_seconds=7)])
    outcome = outcome_of(client, receiver, consumer)
    assert isinstance(outcome, Deferred)
    assert outcome.retry_after_seconds == 7
    assert not outcome.in_doubt
    assert "disk full" in outcome.reason


@both
def test_a_destination_that_is_not_there_defers(client: type, receiver: type) -> None:
    async def run() -> Outcome:
        async with receiving(ScriptedConsumer(), receiver) as address:
            pass
        return await export(client(Destination(f"http://{address}")))

    outcome = asyncio.run(run())
    assert isinstance(outcome, Deferred)
    assert not outcome.in_doubt, "nothing was sent"


@both
def test_a_request_whose_answer_is_cut_off_is_in_doubt(client: type, receiver: type) -> None:
    async def take_and_leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if receiver is GrpcReceiver:
            writer.write(HTTP2_SETTINGS)
        await reader.readuntil(BODY)
        writer.close()

    async def run() -> Outcome:
        server = await asyncio.start_server(take_and_leave, "127.0.0.1", 0)
        async with server:
            host, port = server.sockets[0].getsockname()
            return await export(client(Destination(f"http://{host}:{port}", timeout_seconds=10)))

    outcome = asyncio.run(run())
    assert isinstance(outcome, Deferred)
    assert outcome.in_doubt


HEAD = b"HTTP/1.1 200 OK\r\nx: "
ENDLESS = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def against(start: bytes, again: bytes, pause_seconds: float, timeout_seconds: float) -> Outcome:
    async with answering_without_end(start, again, pause_seconds) as destination:
        return await export(HttpClient(Destination(destination.url, timeout_seconds=timeout_seconds)))


@pytest.mark.parametrize(
    ("start", "again"),
    [(b"", b"H"), (HEAD, b"x"), (ENDLESS, b"\x00"), (CHUNKED, b"1\r\nx\r\n"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
    ids=["status", "header", "body", "chunks", "continue"],
)
def test_an_answer_that_trickles_is_waited_for_no_longer_than_the_setting_says(start: bytes, again: bytes) -> None:
    """Every byte comes well within the time; the answer as a whole does not."""
    began = time.monotonic()
    outcome = asyncio.run(asyncio.wait_for(against(start, again, 0.05, timeout_seconds=0.5), 10))
    assert isinstance(outcome, Deferred)
    assert outcome.in_doubt
    assert "timed out" in outcome.reason
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("start", [ENDLESS, CHUNKED], ids=["body", "chunks"])
def test_an_answer_without_end_is_not_read_to_its_end(start: bytes) -> None:
    again = bytes(2**16) if start is ENDLESS else b"10000\r\n" + bytes(2**16) + b"\r\n"
    outcome = asyncio.run(asyncio.wait_for(against(start, again, 0, timeout_seconds=30), 10))
    assert isinstance(outcome, Deferred)
    assert outcome.in_doubt
    assert "the answer is longer than 1048576 bytes: see whether OTLP is received there" in outcome.reason


def test_an_answer_that_is_cut_off_in_its_middle_is_in_doubt() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(BODY)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nten bytes.")
        writer.close()

    async def run() -> Outcome:
        async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            return await export(HttpClient(Destination(f"http://{host}:{port}")))

    outcome = asyncio.run(run())
    assert isinstance(outcome, Deferred)
    assert outcome.in_doubt


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, Deferred),
        (grpc.StatusCode.ABORTED, Deferred),
        (grpc.StatusCode.DATA_LOSS, Deferred),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Refused),  # without RetryInfo the specification calls it final
        (grpc.StatusCode.INVALID_ARGUMENT, Refused),
        (grpc.StatusCode.INTERNAL, Refused),
        (grpc.StatusCode.UNAUTHENTICATED, Deferred),  # a person will mend it; nothing is lost until then
        (grpc.StatusCode.UNIMPLEMENTED, Deferred),
    ],
)
def test_every_grpc_status_has_its_outcome(code: grpc.StatusCode, kind: type) -> None:
    seen: list[tuple[str, object]] = []

    async def refuse(_: bytes, context: grpc.aio.ServicerContext) -> bytes:
        seen.extend(context.invocation_metadata())
        await context.abort(code, "as scripted")
        raise AssertionError

    async def run() -> Outcome:
        server = grpc.aio.server()
        service = "opentelemetry.proto.collector.logs.v1.LogsService"
        handler = grpc.unary_unary_rpc_method_handler(refuse)
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"Export": handler})])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            headers = {"Authorization": "Bearer t"}
            return await export(GrpcClient(Destination(f"http://127.0.0.1:{port}", headers=headers)))
        finally:
            await server.stop(0)

    outcome = asyncio.run(run())
    assert isinstance(outcome, kind)
    assert "as scripted" in outcome.reason
    assert ("authorization", "Bearer t") in seen


class _Answering(BaseHTTPRequestHandler):
    """Gives the server's scripted answer and keeps what came."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append((self.path, dict(self.headers.items()), body))
        status, headers, content = self.server.answer
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def answering(status: int, headers: dict[str, str], content: bytes = b"") -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
    server.answer, server.seen = (status, headers, content), []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "headers", "kind", "delay_seconds"),
    [
        (429, {"Retry-After": "3"}, Deferred, 3.0),
        (503, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, Deferred, 0.0),
        (502, {"Retry-After": "soon"}, Deferred, None),
        (504, {}, Deferred, None),
        (401, {}, Deferred, None),
        (404, {}, Deferred, None),
        (302, {"Location": "http://127.0.0.1:1/"}, Deferred, None),
        (400, {}, Refused, None),
        (413, {}, Refused, None),
        (500, {}, Refused, None),
    ],
)
def test_every_http_status_has_its_outcome(
    status: int, headers: dict[str, str], kind: type, delay_seconds: float | None
) -> None:
    with answering(status, headers) as server:
        outcome = asyncio.run(export(HttpClient(Destination(f"http://127.0.0.1:{server.server_port}"))))
    assert isinstance(outcome, kind)
    assert f"HTTP {status}" in outcome.reason
    assert getattr(outcome, "retry_after_seconds", None) == delay_seconds
    assert outcome.in_doubt == (status in (500, 502, 504)), "only these do not say that nothing was taken"


TOKEN = "t0ken-0123456789"
PROMETHEUS_SAYS = b'invalid temporality and type combination for metric "spanledger.cost"\n'
NGINX_SAYS = b"<html><title>400</title>\r\n<body>The plain HTTP request was sent to HTTPS port</body></html>"


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("text/plain; charset=utf-8", PROMETHEUS_SAYS, PROMETHEUS_SAYS.decode().strip()),
        ("text/html", NGINX_SAYS, "400 The plain HTTP request was sent to HTTPS port"),
        ("application/json", b'{"code": 3, "message": "no such tenant"}', "no such tenant"),
        ("application/json", b'{"error": "too many series"}', "too many series"),
        ("application/json", b'["strange"]', '["strange"]'),
        ("application/x-protobuf", b"\x12\x08no tenant", "Bad Request"),
        ("application/x-protobuf", b"\x12\x09no tenant", "no tenant"),
        ("application/octet-stream", b"\x00\x01", "Bad Request"),
        ("text/plain", b"", "Bad Request"),
        ("text/plain", b"one\x1b[31m\ntwo", "one\\x1b[31m two"),
        ("text/plain", f"you sent Bearer {TOKEN}".encode(), "you sent [hidden]"),
        ("text/plain", f"bad token: {TOKEN}".encode(), "bad token: [hidden]"),
        ("text/plain", b"x" * 10**6, f"{'x' * 300}… (1000000 characters)"),
    ],
)
def test_what_a_destination_says_is_in_the_reason(kind: str, content: bytes, said: str) -> None:
    with answering(400, {"content-type": kind}, content) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        outcome = asyncio.run(export(HttpClient(Destination(url, {"authorization": f"Bearer {TOKEN}"}))))
    assert outcome == Refused(f"{url}/v1/logs: HTTP 400: {said}")


def test_a_reason_over_grpc_is_bounded_printable_and_without_our_headers() -> None:
    said = f"\x1b[31m {TOKEN} " + "x" * 1_000

    async def run() -> Outcome:
        async with receiving(ScriptedConsumer([PermanentError(said)]), GrpcReceiver) as address:
            return await export(GrpcClient(Destination(f"http://{address}", {"authorization": f"Bearer {TOKEN}"})))

    outcome = asyncio.run(run())
    assert isinstance(outcome, Refused)
    assert outcome.reason.startswith("INVALID_ARGUMENT: \\x1b[31m [hidden] xxx")
    assert len(outcome.reason) < 400


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    return folder


@contextmanager
def shaking_hands(certificates: Path, *, client_certificate: bool) -> Iterator[int]:
    """Port of a server that speaks TLS and takes everything."""
    with answering(200, {}) as server:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificates / "server.pem")
        tls.maximum_version = ssl.TLSVersion.TLSv1_2  # its alerts come within the handshake, before a request is sent
        if client_certificate:
            tls.verify_mode = ssl.CERT_REQUIRED
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None
        yield server.server_port


@pytest.mark.parametrize("client", [HttpClient, GrpcClient])
def test_tls_to_a_port_without_it_is_told_in_words(client: type, certificates: Path) -> None:
    with answering(200, {}) as server:
        url = f"https://localhost:{server.server_port}"
        outcome = outcome_at(client, Destination(url, tls=Tls(ca_file=certificates / "ca.pem")))
    assert isinstance(outcome, Deferred)
    assert outcome.reason.endswith(": it does not speak TLS there: use http://, or the port that does")


WRONG = "its certificate is not trusted: unable to get local issuer certificate; see tls.ca_file"


@pytest.mark.parametrize(
    ("client", "scheme", "authority", "said"),
    [
        (HttpClient, "http", "ca.pem", "https://"),
        (GrpcClient, "http", "ca.pem", " there"),  # closed, or no gRPC: as much as came before the end is read
        (HttpClient, "https", "other.pem", WRONG),
        (GrpcClient, "https", "other.pem", WRONG),
        (GrpcClient, "https", "ca.pem", "it does not speak gRPC there: use its gRPC port, or protocol http/protobuf"),
    ],
)
def test_a_port_with_tls_that_does_not_suit_is_told_in_words(
    client: type, scheme: str, authority: str, said: str, certificates: Path
) -> None:
    with shaking_hands(certificates, client_certificate=False) as port:
        destination = Destination(f"{scheme}://localhost:{port}", tls=Tls(ca_file=certificates / authority))
        outcome = outcome_at(client, destination)
    assert isinstance(outcome, Deferred)
    assert said in outcome.reason.partition(f"localhost:{port}/v1/logs: ")[2 if client is HttpClient else 0]


def test_a_destination_that_wants_a_client_certificate_is_told_in_words(certificates: Path) -> None:
    with shaking_hands(certificates, client_certificate=True) as port:
        destination = Destination(f"https://localhost:{port}", tls=Tls(ca_file=certificates / "ca.pem"))
        outcome = asyncio.run(export(HttpClient(destination)))
    assert isinstance(outcome, Deferred)
    assert outcome.reason.endswith("does it want a client certificate (tls.cert_file)?")


def test_a_destination_that_is_not_there_is_told_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    over_grpc = outcome_at(GrpcClient, Destination(url))
    assert over_grpc == Deferred("UNAVAILABLE: cannot be connected to: Connection refused")
    outcome = outcome_at(HttpClient, Destination(url))
    assert outcome == Deferred(f"{url}/v1/logs: cannot be connected to: Connection refused")
    unknown = requests.ConnectionError(socket.gaierror(-2, "Name or service not known"))
    assert went_wrong(unknown, 1) == "its name cannot be looked up: Name or service not known"


def test_a_query_of_an_address_is_not_repeated() -> None:
    """Some backends take their key there."""
    with answering(400, {}) as server:
        base = f"http://127.0.0.1:{server.server_port}"
        destination = Destination(base, endpoints={Signal.LOGS: f"{base}/logs?key={TOKEN}"})
        assert asyncio.run(export(HttpClient(destination))) == Refused(f"{base}/logs: HTTP 400: Bad Request")


def test_paths_headers_and_compression_over_http() -> None:
    with answering(200, {}) as server:
        base = f"http://127.0.0.1:{server.server_port}"
        destination = Destination(
            f"{base}/otlp/", {"Authorization": "Bearer t"}, gzip=True, endpoints={Signal.METRICS: f"{base}/m?x=1"}
        )
        for signal in Signal:
            assert asyncio.run(export(HttpClient(destination), signal)) == Accepted()
    assert [path for path, _, _ in server.seen] == [
        "/m?x=1" if signal is Signal.METRICS else f"/otlp/v1/{signal}" for signal in Signal
    ]
    for _, headers, body in server.seen:
        sent = {key.lower(): value for key, value in headers.items()}
        assert sent["authorization"] == "Bearer t"
        assert sent["content-type"] == "application/x-protobuf"
        assert sent["content-encoding"] == "gzip"
        assert gzip.decompress(body) == BODY


@pytest.mark.parametrize("client", [GrpcClient, HttpClient])
def test_a_certificate_file_that_is_not_there_is_a_clear_error(client: type, tmp_path: Path) -> None:
    async def make() -> None:
        client(Destination("https://localhost:4317", tls=Tls(ca_file=tmp_path / "none.pem")))

    with pytest.raises(ConfigError, match=r"none\.pem: certificate or key cannot be read"):
        asyncio.run(make())


def exported(settings: Mapping[str, object], signals: Iterable[Signal] = Signal) -> list[Outcome]:
    """What becomes of a request of each signal to the destination that settings describe."""

    async def run() -> list[Outcome]:
        (destination,) = clients_for(load_settings(None, {}, settings))
        try:
            return [await destination.client.export(signal, BODY) for signal in signals]
        finally:
            await destination.client.close()

    return asyncio.run(run())


def heard(server: ThreadingHTTPServer) -> list[tuple[str, str | None, str | None, bool]]:
    """Path, two headers, and whether it was compressed, of each request."""
    told = [(path, {key.lower(): value for key, value in headers.items()}) for path, headers, _ in server.seen]
    return [(path, one.get("x-set"), one.get("x-file"), "content-encoding" in one) for path, one in told]


@pytest.mark.parametrize("signal", list(Signal))
def test_what_is_set_for_a_signal_wins_over_what_is_common(signal: Signal, tmp_path: Path) -> None:
    (tmp_path / "common").write_text("x-file: common\n")
    (tmp_path / "own").write_text("x-file: own\n")
    with answering(200, {}) as common, answering(200, {}) as own:
        settings = {
            "exporter.endpoint": f"http://127.0.0.1:{common.server_port}",
            "exporter.protocol": "http/protobuf",
            "exporter.headers": {"x-set": "common"},
            "exporter.headers_file": str(tmp_path / "common"),
            "exporter.compression": "gzip",
            f"exporter.{signal}.endpoint": f"http://127.0.0.1:{own.server_port}/only",
            f"exporter.{signal}.headers": {"x-set": "own"},
            f"exporter.{signal}.headers_file": str(tmp_path / "own"),
            f"exporter.{signal}.compression": "none",
        }
        assert exported(settings) == [Accepted()] * 3
        assert heard(own) == [("/only", "own", "own", False)]
        others = [(f"/v1/{other}", "common", "common", True) for other in Signal if other is not signal]
        assert heard(common) == others


@pytest.mark.parametrize("signal", list(Signal))
def test_a_signal_may_have_a_protocol_of_its_own(signal: Signal) -> None:
    over_grpc, over_http = ScriptedConsumer(), ScriptedConsumer()

    async def run() -> list[Outcome]:
        async with receiving(over_grpc, GrpcReceiver) as grpc_at, receiving(over_http, HttpReceiver) as http_at:
            settings = {
                "exporter.endpoint": f"http://{http_at}",
                "exporter.protocol": "http/protobuf",
                f"exporter.{signal}.endpoint": f"http://{grpc_at}",
                f"exporter.{signal}.protocol": "grpc",
            }
            return await asyncio.to_thread(exported, settings)

    assert asyncio.run(run()) == [Accepted()] * 3
    assert [delivery.signal for delivery in over_grpc.deliveries] == [signal]
    assert [delivery.signal for delivery in over_http.deliveries] == [one for one in Signal if one is not signal]


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_an_answer_is_waited_for_as_long_as_is_set(protocol: str) -> None:
    """Ten minutes in common, but no time at all for logs."""
    with socket.create_server(("127.0.0.1", 0)) as listening:  # the kernel connects, and nobody reads
        settings = {
            "exporter.endpoint": f"http://127.0.0.1:{listening.getsockname()[1]}",
            "exporter.protocol": protocol,
            "exporter.timeout_seconds": 600,
            "exporter.logs.timeout_seconds": 0.05,
        }
        began = time.monotonic()
        (outcome,) = exported(settings, [Signal.LOGS])
    assert isinstance(outcome, Deferred)
    assert time.monotonic() - began < 60
