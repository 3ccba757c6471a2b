"""Both clients over TLS, with and without a certificate of their own, against real servers."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import astuple, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest
import trustme

from spanledger.config.settings import load_settings
from spanledger.core.errors import ConfigError
from spanledger.core.events import Event
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Deferred, Destination, Outcome, Tls
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.exporter.http_client import HttpClient
from spanledger.service.destinations import clients_for
from support.collectors import until
from support.logged import messages_of

BODY = b"\x0a\x00"
TIMEOUT_SECONDS = 10.0
Take = Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Certificates:
    authority: trustme.CA
    server: trustme.LeafCert
    ours: Tls
    without_own: Tls


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls") / "files")


def make_certificates(folder: Path) -> Certificates:
    folder.mkdir()
    authority = trustme.CA()
    client = authority.issue_cert("spanledger@example.test")
    ca_file, cert_file, key_file = (folder / name for name in ("ca.pem", "client.pem", "client.key"))
    authority.cert_pem.write_to_path(ca_file)
    client.cert_chain_pems[0].write_to_path(cert_file)
    client.private_key_pem.write_to_path(key_file)
    return Certificates(authority, authority.issue_cert("localhost"), Tls(ca_file, cert_file, key_file), Tls(ca_file))


async def take(_: bytes, _context: grpc.aio.ServicerContext) -> bytes:
    return b""


@asynccontextmanager
async def grpc_server(certificates: Certificates, take: Take = take) -> AsyncIterator[str]:

    server = grpc.aio.server()
    service = "opentelemetry.proto.collector.logs.v1.LogsService"
    handler = grpc.unary_unary_rpc_method_handler(take)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"Export": handler})])
    credentials = grpc.ssl_server_credentials(
        [(certificates.server.private_key_pem.bytes(), certificates.server.cert_chain_pems[0].bytes())],
        certificates.authority.cert_pem.bytes(),
        require_client_auth=True,
    )
    port = server.add_secure_port("localhost:0", credentials)
    await server.start()
    try:
        yield f"https://localhost:{port}"
    finally:
        await server.stop(0)


class _Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A refused handshake is what is tested."""


@contextmanager
def https_server(certificates: Certificates) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificates.server.configure_cert(context)
    certificates.authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = _Quiet(("localhost", 0), _Taking)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def over_grpc(certificates: Certificates, tls: Tls) -> Outcome:
    async def run() -> Outcome:
        async with grpc_server(certificates) as endpoint:
            client = GrpcClient(Destination(endpoint, timeout_seconds=TIMEOUT_SECONDS, tls=tls))
            try:
                return await client.export(Signal.LOGS, BODY)
            finally:
                await client.close()

    return asyncio.run(run())


def over_http(certificates: Certificates, tls: Tls) -> Outcome:
    async def run(endpoint: str) -> Outcome:
        client = HttpClient(Destination(endpoint, timeout_seconds=TIMEOUT_SECONDS, tls=tls))
        try:
            return await client.export(Signal.LOGS, BODY)
        finally:
            await client.close()

    with https_server(certificates) as endpoint:
        return asyncio.run(run(endpoint))


@pytest.mark.parametrize("send", [over_grpc, over_http])
def test_a_client_shows_its_certificate(send, certificates: Certificates) -> None:
    assert send(certificates, certificates.ours) == Accepted()


@pytest.mark.parametrize("send", [over_grpc, over_http])
def test_without_its_certificate_or_the_right_authority_nothing_is_lost_and_nothing_sent(
    send, certificates: Certificates
) -> None:
    assert isinstance(send(certificates, certificates.without_own), Deferred)
    assert isinstance(send(certificates, Tls()), Deferred)


class Way:
    """A way to a server that may change; what goes it can be cut."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.open: set[asyncio.StreamWriter] = set()
        self.came = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[tuple[Way, str]]:
        server = await asyncio.start_server(self._hand_on, "localhost", 0)
        try:
            yield self, f"https://localhost:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            await self.cut()
            await server.wait_closed()

    async def cut(self) -> None:
        for writer in self.open:
            writer.close()
        await until(lambda: not self.open, TIMEOUT_SECONDS, "all connections are closed")

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(self.endpoint)
        far_reader, far_writer = await asyncio.open_connection(parts.hostname, parts.port)
        self.open.add(writer)
        self.came += 1
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        self.open.remove(writer)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while some := await reader.read(2**16):
            writer.write(some)
    writer.close()


@asynccontextmanager
async def servers(client: type, *certificates: Certificates) -> AsyncIterator[list[str]]:
    async with AsyncExitStack() as stack:
        if client is GrpcClient:
            yield [await stack.enter_async_context(grpc_server(one)) for one in certificates]
        else:
            yield [stack.enter_context(https_server(one)) for one in certificates]


@pytest.mark.parametrize(
    ("client", "connected"), [(GrpcClient, True), (GrpcClient, False), (HttpClient, False)], ids=str
)
def test_renewed_files_are_read_again(tmp_path: Path, client: type, *, connected: bool) -> None:
    old, new = make_certificates(tmp_path / "old"), make_certificates(tmp_path / "new")
    files = Tls(tmp_path / "ca.pem", tmp_path / "client.pem", tmp_path / "client.key")

    async def run() -> None:
        put(old.ours, files)
        async with servers(client, old, new) as (before, after), Way(before).listening() as (way, endpoint):
            sender = client(Destination(endpoint, timeout_seconds=TIMEOUT_SECONDS, tls=files))
            assert await sender.export(Signal.LOGS, BODY) == Accepted()
            way.endpoint = after
            if not connected:
                await way.cut()
                assert isinstance(await sender.export(Signal.LOGS, BODY), Deferred)
            put(new.ours, files)
            assert await sender.export(Signal.LOGS, BODY) == Accepted()
            await until(lambda: len(way.open) <= 1, TIMEOUT_SECONDS, "the connection by the old files is closed")
            # gRPC may tell of the cut before it has tried another connection by the old files.
            assert way.came in ((2,) if connected else (2, 3))
            await sender.close()

    asyncio.run(run())


def test_files_that_break_are_told_once_and_over_grpc_what_they_held_is_used_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = make_certificates(tmp_path / "made")
    files = Tls(tmp_path / "ca.pem", tmp_path / "client.pem", tmp_path / "client.key")

    async def run() -> None:
        put(made.ours, files)
        async with servers(GrpcClient, made) as (there,), Way(there).listening() as (way, endpoint):
            sender = GrpcClient(Destination(endpoint, timeout_seconds=TIMEOUT_SECONDS, tls=files))
            (tmp_path / "client.pem").write_text("half written")
            for _ in range(2):
                assert await sender.export(Signal.LOGS, BODY) == Accepted()
            (tmp_path / "ca.pem").write_text("half written")
            assert await sender.export(Signal.LOGS, BODY) == Accepted()
            (tmp_path / "ca.pem").unlink()
            assert await sender.export(Signal.LOGS, BODY) == Accepted()
            assert way.came == 1
            await sender.close()

    asyncio.run(run())
    chain, authority, gone = messages_of(caplog, Event.DESTINATION_CERTIFICATES_REFUSED)
    assert f"{files.cert_file} and {files.key_file} are not a certificate (PEM) and its unencrypted key" in chain
    assert f"{files.ca_file} holds no certificates (PEM)" in authority
    assert f"{files.ca_file} holds no certificates (PEM): No such file or directory" in gone


def test_over_http_files_that_break_are_a_destination_that_is_away(tmp_path: Path, certificates: Certificates) -> None:
    files = Tls(tmp_path / "ca.pem", tmp_path / "client.pem", tmp_path / "client.key")

    async def run(endpoint: str) -> list[Outcome]:
        put(certificates.ours, files)
        sender = HttpClient(Destination(endpoint, timeout_seconds=TIMEOUT_SECONDS, tls=files))
        outcomes = []
        for name in ("client.pem", "ca.pem"):
            (tmp_path / name).write_text("half written")
            outcomes.append(await sender.export(Signal.LOGS, BODY))
            (tmp_path / name).unlink()
            outcomes.append(await sender.export(Signal.LOGS, BODY))
        put(certificates.ours, files)
        outcomes.append(await sender.export(Signal.LOGS, BODY))
        await sender.close()
        return outcomes

    with https_server(certificates) as endpoint:
        *broken, mended = asyncio.run(run(endpoint))
    assert [type(outcome) for outcome in broken] == [Deferred] * 4
    assert mended == Accepted()


def test_what_is_under_way_when_files_change_is_answered(tmp_path: Path, certificates: Certificates) -> None:
    files = Tls(tmp_path / "ca.pem", tmp_path / "client.pem", tmp_path / "client.key")

    async def run() -> list[Outcome]:
        came, go = asyncio.Event(), asyncio.Event()

        async def take_late(body: bytes, _: grpc.aio.ServicerContext) -> bytes:
            if body == BODY:
                came.set()
                await go.wait()
            return b""

        put(certificates.ours, files)
        async with grpc_server(certificates, take_late) as endpoint:
            sender = GrpcClient(Destination(endpoint, timeout_seconds=TIMEOUT_SECONDS, tls=files))
            under_way = asyncio.create_task(sender.export(Signal.LOGS, BODY))
            await came.wait()
            put(certificates.ours, files)
            next_one = await sender.export(Signal.LOGS, b"")
            go.set()
            outcomes = [await under_way, next_one]
            await sender.close()
            return outcomes

    assert asyncio.run(run()) == [Accepted(), Accepted()]


def put(from_files: Tls, to_files: Tls) -> None:
    """Take other files, as a renewal does: each new one takes an old one's place."""
    for source, target in zip(astuple(from_files), astuple(to_files), strict=True):
        shutil.copy(source, target.with_suffix(".new")).rename(target)


@pytest.mark.parametrize(
    ("ca_file", "cert_file", "key_file"),
    [
        ("exporter.tls.ca_file", "exporter.tls.cert_file", "exporter.tls.key_file"),
        ("exporter.logs.tls.ca_file", "exporter.logs.tls.cert_file", "exporter.logs.tls.key_file"),
    ],
    ids=["common", "of the signal"],
)
def test_certificates_come_from_the_settings(
    ca_file: str, cert_file: str, key_file: str, certificates: Certificates
) -> None:
    ours = certificates.ours

    async def run(endpoint: str, files: dict[str, Path | None]) -> Outcome:
        given = {"exporter.endpoint": endpoint, "exporter.protocol": "http/protobuf"}
        settings = load_settings(None, {}, given | {key: str(file) for key, file in files.items()})
        (destination,) = clients_for(settings)
        try:
            return await destination.client.export(Signal.LOGS, BODY)
        finally:
            await destination.client.close()

    with https_server(certificates) as endpoint:
        everything = {ca_file: ours.ca_file, cert_file: ours.cert_file, key_file: ours.key_file}
        assert asyncio.run(run(endpoint, everything)) == Accepted()
        assert isinstance(asyncio.run(run(endpoint, {ca_file: ours.ca_file})), Deferred)
    with pytest.raises(ConfigError, match="cert_file and key_file go together"):
        asyncio.run(run(endpoint, {ca_file: ours.ca_file, cert_file: ours.cert_file}))
