"""TLS and mTLS of both receivers, with renewal while they run, against real clients."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from google.rpc.status_pb2 import Status

from contract.conversations import TLS_HELLO
from spanledger.config.receivers import Grpc, Http, Receiver, ReceiverTls
from spanledger.core.errors import ConfigError
from spanledger.core.events import Event
from spanledger.core.reasons import Reason
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Deferred, Destination, Outcome, Tls
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.exporter.http_client import HttpClient
from spanledger.receiver import tls
from spanledger.receiver.tls import ServerTls
from spanledger.service.receivers import Receivers
from spanledger.telemetry import Counter, Counters
from support.consumers import ScriptedConsumer
from support.hostile import MIB, NO_ANSWER, connect, converse, head
from support.logged import messages_of

BODY = b"\x0a\x00"
HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04" + bytes(5)
"""The preface of a client, and a frame of settings without one."""

CLIENTS = pytest.mark.parametrize("client", [GrpcClient, HttpClient])


@dataclass(frozen=True, slots=True)
class Files:
    """Certificates of an authority: the server's and a client's, and where they are written."""

    folder: Path
    authority: trustme.CA

    @classmethod
    def make(cls, folder: Path) -> Files:
        files = cls(folder, trustme.CA())
        files.authority.cert_pem.write_to_path(folder / "ca.pem")
        files.issue(files.authority)
        client = files.authority.issue_cert("developer@example.test")
        client.cert_chain_pems[0].write_to_path(folder / "client.pem")
        client.private_key_pem.write_to_path(folder / "client.key")
        return files

    def issue(self, authority: trustme.CA) -> None:
        """Write a new certificate of the server, as a renewal does: the new file takes the old one's place."""
        server = authority.issue_cert("localhost")
        for name, content in (("server.pem", server.cert_chain_pems[0]), ("server.key", server.private_key_pem)):
            content.write_to_path(self.folder / "new")
            (self.folder / "new").rename(self.folder / name)

    def server(self, *, mutual: bool = False) -> ReceiverTls:
        ca_file = self.folder / "ca.pem" if mutual else None
        return ReceiverTls(
            cert_file=self.folder / "server.pem", key_file=self.folder / "server.key", client_ca_file=ca_file
        )

    def client(self, *, own: bool = False, ca: str = "ca.pem") -> Tls:
        if not own:
            return Tls(self.folder / ca)
        return Tls(self.folder / ca, self.folder / "client.pem", self.folder / "client.key")

    def sender(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        """A sender of its own, with the client's certificate and one version of TLS."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.minimum_version = context.maximum_version = version
        context.load_cert_chain(self.folder / "client.pem", self.folder / "client.key")
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files.make(tmp_path_factory.mktemp("tls"))


@asynccontextmanager
async def listening(tls: ReceiverTls, counters: Counters | None = None) -> AsyncIterator[dict[type, str]]:
    """Both receivers over TLS; gives the address of each by its client."""
    here = {"endpoint": "localhost:0"}
    settings = Receiver(grpc=Grpc(**here), http=Http(**here), tls=tls)
    receivers = Receivers(settings, ScriptedConsumer(), counters or Counters())
    grpc_address, http_address = await receivers.start()
    try:
        yield {GrpcClient: grpc_address, HttpClient: http_address}
    finally:
        await receivers.stop()


async def export(client: type, addresses: dict[type, str], tls: Tls) -> Outcome:
    sender = client(Destination(f"https://{addresses[client]}", timeout_seconds=5, tls=tls))
    try:
        return await sender.export(Signal.TRACES, BODY)
    finally:
        await sender.close()


@CLIENTS
def test_a_client_that_trusts_the_authority_gets_through(files: Files, client: type) -> None:
    async def run() -> Outcome:
        async with listening(files.server()) as addresses:
            return await export(client, addresses, files.client())

    assert asyncio.run(run()) == Accepted()


@CLIENTS
def test_with_a_client_ca_only_those_with_a_certificate_get_through(files: Files, client: type) -> None:
    async def run() -> list[Outcome]:
        async with listening(files.server(mutual=True)) as addresses:
            return [await export(client, addresses, files.client(own=own)) for own in (True, False)]

    with_own, without = asyncio.run(run())
    assert with_own == Accepted()
    assert isinstance(without, Deferred)


@CLIENTS
def test_a_renewed_certificate_is_used_at_the_next_connection(tmp_path: Path, client: type) -> None:
    files, newer = Files.make(tmp_path), trustme.CA()
    newer.cert_pem.write_to_path(tmp_path / "newer-ca.pem")

    async def run() -> list[Outcome]:
        async with listening(files.server()) as addresses:
            before = await export(client, addresses, files.client())
            files.issue(newer)
            trusts_new = await export(client, addresses, files.client(ca="newer-ca.pem"))
            trusts_old = await export(client, addresses, files.client())
            return [before, trusts_new, trusts_old]

    before, trusts_new, trusts_old = asyncio.run(run())
    assert (before, trusts_new) == (Accepted(), Accepted())
    assert isinstance(trusts_old, Deferred)


@CLIENTS
def test_a_broken_renewal_is_told_and_the_old_certificate_stays(
    tmp_path: Path, client: type, caplog: pytest.LogCaptureFixture
) -> None:
    files = Files.make(tmp_path)

    async def run() -> list[Outcome]:
        async with listening(files.server()) as addresses:
            (tmp_path / "server.pem").write_text("half written")
            return [await export(client, addresses, files.client()) for _ in range(2)]

    assert asyncio.run(run()) == [Accepted(), Accepted()]
    (message,) = messages_of(caplog, Event.RECEIVER_CERTIFICATES_REFUSED)
    assert "server.pem" in message


VERSIONS = pytest.mark.parametrize(
    ("version", "no_tickets"),
    [
        (ssl.TLSVersion.TLSv1_3, ssl.Options(0)),
        (ssl.TLSVersion.TLSv1_2, ssl.Options(0)),
        (ssl.TLSVersion.TLSv1_2, ssl.OP_NO_TICKET),
    ],
    ids=["TLS 1.3", "TLS 1.2 by ticket", "TLS 1.2 by session id"],
)


@CLIENTS
@VERSIONS
def test_nobody_comes_back_by_a_session_that_its_authority_no_longer_lets_in(
    tmp_path: Path, client: type, version: ssl.TLSVersion, no_tickets: ssl.Options
) -> None:
    files = Files.make(tmp_path)
    sender = files.sender(version)
    sender.options |= no_tickets

    async def run() -> None:
        async with listening(files.server(mutual=True)) as addresses:
            address = addresses[client]
            first = await asyncio.to_thread(resumed, sender, address, None)
            again = await asyncio.to_thread(resumed, sender, address, first.session)
            # Shown again each time, so that a certificate that ends lets nobody in either.
            assert (first.answered, again.answered, again.resumed) == (True, True, False)
            trustme.CA().cert_pem.write_to_path(tmp_path / "new")
            (tmp_path / "new").rename(tmp_path / "ca.pem")
            kept = again.session or first.session
            assert not (await asyncio.to_thread(resumed, sender, address, kept)).answered

    asyncio.run(run())


@dataclass(frozen=True, slots=True)
class Meeting:
    """One connection: whether it got an answer, and whether by a session that was kept."""

    answered: bool
    resumed: bool = False
    session: ssl.SSLSession | None = None


def resumed(sender: ssl.SSLContext, address: str, session: ssl.SSLSession | None) -> Meeting:
    """Connect with a session that was kept, and begin with what each of the two protocols answers."""
    with connect(address) as plain:
        try:
            with sender.wrap_socket(plain, server_hostname="localhost", session=session) as connection:
                over_grpc = connection.selected_alpn_protocol() == "h2"
                connection.sendall(HTTP2_HELLO if over_grpc else head("/v1/traces", 0))
                answered = bool(connection.recv(1_000))
                return Meeting(answered, bool(connection.session_reused), connection.session)
        except (ssl.SSLError, ConnectionError):
            return Meeting(answered=False)


def test_handshakes_that_fail_over_http_are_counted(files: Files) -> None:
    async def run() -> dict[str, float]:
        counters = Counters()
        async with listening(files.server(mutual=True), counters) as addresses:
            assert await export(HttpClient, addresses, files.client(own=True)) == Accepted()
            for tls_of_stranger in (files.client(), Tls()):  # without a certificate; and one that does not trust ours
                assert isinstance(await export(HttpClient, addresses, tls_of_stranger), Deferred)
            connect(addresses[HttpClient]).close()  # as a probe of a load balancer does
            assert await export(HttpClient, addresses, files.client(own=True)) == Accepted()
        return counters.by_label(Counter.CONNECTIONS_CLOSED)

    assert asyncio.run(run()) == {Reason.FAILED_HANDSHAKE: 2}


def test_old_tls_is_refused(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def lax(protocol: int) -> ssl.SSLContext:
        """A context of a Python that leaves the oldest version to the system, and of a system that takes any."""
        context = ssl.SSLContext(protocol)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        return context

    def talk(address: str) -> None:
        old = lax(ssl.PROTOCOL_TLS_CLIENT)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.load_verify_locations(files.folder / "ca.pem")
        with connect(address) as connection, pytest.raises((ssl.SSLError, ConnectionResetError)):
            old.wrap_socket(connection, server_hostname="localhost")

    async def run() -> None:
        async with listening(files.server()) as addresses:
            for address in addresses.values():
                await asyncio.to_thread(talk, address)

    monkeypatch.setattr(tls, "ssl", SimpleNamespace(**vars(ssl) | {"SSLContext": lax}))
    asyncio.run(run())


@pytest.mark.parametrize("mutual", [False, True])
def test_plain_http_on_a_tls_port_is_told_so_and_counted(files: Files, mutual: bool) -> None:
    request = head("/v1/traces", len(BODY), "content-type: application/x-protobuf") + BODY

    def talk(address: str) -> None:
        (answer,) = converse(address, [request])
        assert answer.status == 400
        assert answer.headers["connection"] == "close"
        assert Status.FromString(answer.body).message == "this port speaks TLS: send to https://, not http://"
        (large,) = converse(address, [head("/v1/traces", 20 * MIB), bytes(20 * MIB)])
        assert large.status in (400, NO_ANSWER.status)  # closed while it still sends

    async def run() -> None:
        counters = Counters()
        async with listening(files.server(mutual=mutual), counters) as addresses:
            await asyncio.to_thread(talk, addresses[HttpClient])
            assert counters.by_label(Counter.REFUSED) == {Reason.WRONG_SCHEME: 2}
            assert await export(HttpClient, addresses, files.client(own=mutual)) == Accepted()

    asyncio.run(run())


def test_tls_on_a_plain_http_port_is_told_so_and_counted() -> None:
    async def run() -> None:
        counters = Counters()
        async with listening(ReceiverTls(), counters) as addresses:
            (answer,) = await asyncio.to_thread(converse, addresses[HttpClient], [TLS_HELLO])
        assert answer.status == 400
        assert Status.FromString(answer.body).message == "this port is plain HTTP: send to http://, not https://"
        assert counters.by_label(Counter.REFUSED) == {Reason.WRONG_SCHEME: 1}

    asyncio.run(run())


def test_plain_text_on_the_grpc_port_is_closed(files: Files) -> None:
    def talk(address: str) -> None:
        with connect(address) as connection:
            connection.sendall(b"POST /v1/traces HTTP/1.1\r\n\r\n")
            assert not connection.recv(1_000).startswith(b"HTTP/")

    async def run() -> None:
        async with listening(files.server()) as addresses:
            await asyncio.to_thread(talk, addresses[GrpcClient])

    asyncio.run(run())


def test_files_that_cannot_be_used_are_told_at_the_start(files: Files, tmp_path: Path) -> None:
    good, missing, other = files.server(), tmp_path / "none.pem", tmp_path / "other.key"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(other)
    with pytest.raises(ConfigError, match=r"receiver\.tls\.cert_file: .*none\.pem cannot be read"):
        ServerTls(good.model_copy(update={"cert_file": missing}))
    with pytest.raises(ConfigError, match=r"receiver\.tls: .*other\.key are not a certificate .* its unencrypted key"):
        ServerTls(good.model_copy(update={"key_file": other}))
    with pytest.raises(ConfigError, match=r"receiver\.tls\.client_ca_file: .*other\.key holds no certificates"):
        ServerTls(good.model_copy(update={"client_ca_file": other}))
