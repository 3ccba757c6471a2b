"""TLS of the receivers, from files that may change while the service runs: certificates are renewed."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

from spanledger.config.files import look_at
from spanledger.config.receivers import ReceiverTls
from spanledger.core.errors import ConfigError
from spanledger.core.events import Event
from spanledger.logs import tell

_PLAIN_HTTP = "HTTP_REQUEST"
"""What OpenSSL says of a handshake that begins with a method of HTTP."""


class _Handshake(ssl.SSLObject):
    """One connection's TLS. A sender that speaks plain HTTP hears so, instead of nothing."""

    refuse_plain_http: Callable[[], bytes]
    on_failed: Callable[[], None]
    outgoing: ssl.MemoryBIO
    began_with: ssl.SSLContext  # OpenSSL may ask it again, and does not keep it

    def do_handshake(self) -> None:
        """Go on with the handshake; what it has to send is in `outgoing` afterwards."""
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if error.reason != _PLAIN_HTTP:
                self.on_failed()
                raise
            self.outgoing.write(self.refuse_plain_http())
            # As if more had to come: so the answer is sent. Whatever comes, or the end of time, ends the connection.
            raise ssl.SSLWantReadError from None


class _Listening(ssl.SSLContext):
    """Begins every connection with a context of its own, which takes the certificates at the sender's hello.

    Sessions belong to the context that a connection began with, and OpenSSL asks for no certificate again where one is
    taken up. So none ever is: nobody comes back past a certificate or an authority that has ended since.
    """

    begin: Callable[[], ssl.SSLContext]
    refuse_plain_http: Callable[[], bytes]
    on_failed: Callable[[], None]

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        own = self.begin()
        connection = own.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if isinstance(connection, _Handshake):
            connection.began_with, connection.outgoing = own, outgoing
            connection.refuse_plain_http, connection.on_failed = self.refuse_plain_http, self.on_failed
        return connection


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What the files held when they were read: for HTTP a context, for gRPC their bytes."""

    context: ssl.SSLContext
    grpc: grpc.ServerCertificateConfiguration


class ServerTls:
    """Certificate, key and client CA of both receivers. Each handshake takes what the files hold then.

    Files that have become unusable are told once, and what they held before is used on.
    """

    def __init__(self, settings: ReceiverTls) -> None:
        """Read the files for the first time.

        Raises:
            ConfigError: one cannot be used; names its key and file.
        """
        named = {
            "cert_file": settings.cert_file,
            "key_file": settings.key_file,
            "client_ca_file": settings.client_ca_file,
        }
        self._files = {key: file for key, file in named.items() if file is not None}
        self._seen = look_at(self._files.values())
        self._loaded = self._load()

    def context(self, refuse_plain_http: Callable[[], bytes], on_failed: Callable[[], None]) -> ssl.SSLContext:
        """Context for a listening socket of HTTP.

        What `refuse_plain_http` gives is sent to who speaks HTTP without TLS; `on_failed` hears of other handshakes
        that fail.
        """
        context = _Listening(ssl.PROTOCOL_TLS_SERVER)
        context.begin, context.refuse_plain_http, context.on_failed = self._begin, refuse_plain_http, on_failed
        return context

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Credentials for a gRPC port."""
        return grpc.dynamic_ssl_server_credentials(
            self._loaded.grpc,
            lambda: self._current().grpc,
            require_client_authentication="client_ca_file" in self._files,
        )

    def _begin(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED if "client_ca_file" in self._files else ssl.CERT_NONE
        context.options |= ssl.OP_NO_TICKET  # they would open nothing
        context.num_tickets = 0
        context.sslobject_class = _Handshake
        context.sni_callback = self._swap
        return context

    def _swap(self, connection: ssl.SSLSocket | ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        """Called by OpenSSL when a sender says hello, whether it names a server or not."""
        connection.context = self._current().context

    def _current(self) -> _Loaded:
        state = look_at(self._files.values())
        if state != self._seen:
            self._seen = state
            try:
                self._loaded = self._load()
            except ConfigError as error:
                tell(Event.RECEIVER_CERTIFICATES_REFUSED, problems="; ".join(error.problems))
        return self._loaded

    def _load(self) -> _Loaded:
        problems: list[str] = []
        content = {key: _read(key, file, problems) for key, file in self._files.items()}
        if problems:
            raise ConfigError(problems)
        chain = (content["key_file"], content["cert_file"])
        return _Loaded(
            self._context(), grpc.ssl_server_certificate_configuration([chain], content.get("client_ca_file"))
        )

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cert, key, ca = (self._files.get(name) for name in ("cert_file", "key_file", "client_ca_file"))
        try:
            context.load_cert_chain(str(cert), str(key), lambda: "")  # else OpenSSL asks the terminal for a passphrase
        except (ssl.SSLError, OSError):
            raise ConfigError(
                [f"receiver.tls: {cert} and {key} are not a certificate (PEM) and its unencrypted key"]
            ) from None
        if ca is not None:
            try:
                context.load_verify_locations(cafile=str(ca))
            except (ssl.SSLError, OSError):
                raise ConfigError([f"receiver.tls.client_ca_file: {ca} holds no certificates (PEM)"]) from None
        return context


def _read(key: str, file: Path, problems: list[str]) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        problems.append(f"receiver.tls.{key}: {file} cannot be read: {error.strerror}")
        return b""
