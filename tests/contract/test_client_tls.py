"""Both clients over TLS, with and without a certificate of their own, against real servers."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import pytest
import trustme

from spanledger.config.settings import load_settings
from spanledger.core.errors import ConfigError
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Deferred, Destination, Outcome, Tls
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.exporter.http_client import HttpClient
from spanledger.service.destinations import clients_for

BODY = b"\x0a\x00"
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Certificates:
    authority: trustme.CA
    server: trustme.LeafCert
    ours: Tls
    without_own: Tls


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    client = authority.issue_cert("spanledger@example.test")
    ca_file, cert_file, key_file = (folder / name for name in ("ca.pem", "client.pem", "client.key"))
    authority.cert_pem.write_to_path(ca_file)
    client.cert_chain_pems[0].write_to_path(cert_file)
    client.private_key_pem.write_to_path(key_file)
    return Certificates(authority, authority.issue_cert("localhost"), Tls(ca_file, cert_file, key_file), Tls(ca_file))


@asynccontextmanager
async def grpc_server(certificates: Certificates) -> AsyncIterator[str]:
    async def take(_: bytes, _context: grpc.aio.ServicerContext) -> bytes:
        return b""

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
