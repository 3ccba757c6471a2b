"""What the doctor sees of files of certificates, keys, tokens, headers and salt. It shows no secret."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

from spanledger.config.destinations import Exporter, Tls
from spanledger.config.privacy import Privacy, load_redaction
from spanledger.config.receivers import ReceiverTls
from spanledger.config.sections import Settings
from spanledger.config.tokens import load_tokens
from spanledger.core.errors import ConfigError
from spanledger.core.times import NANO_PER_DAY, NANO_PER_SECOND
from spanledger.core.usage import Signal
from spanledger.exporter.headers import Headers
from spanledger.receiver.tls import ServerTls
from spanledger.service.findings import Finding, Level

_ENDS_SOON_DAYS = 30
_NO_CHECK_OF_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python has no name for."""

_ROUNDS_MAX = 8
"""More than any handshake takes."""

_READ_AGAIN = "the service reads a changed file by itself"
_MEND_OUTGOING = f"mend or replace the files; {_READ_AGAIN}. Look as the user that runs it"
_MEND_SALT = (
    "put back the file that was used before, for with another salt everybody is somebody new; the first time: "
    "`head -c 32 /dev/urandom | base64 > FILE`, readable by the service alone"
)
_MEND = "mend or replace the file; a running service keeps what it read before. Look as the user that runs the service"


def examine_files(settings: Settings, now_unix_nano: int) -> Iterator[Finding]:
    """Look at every file of certificates and secrets that settings name."""
    receiver = settings.receiver
    if receiver.tls.cert_file is not None:
        yield from _receiver_tls(receiver.tls, now_unix_nano)
    if receiver.auth.tokens_file is not None:
        yield from _tokens(receiver.auth.tokens_file)
    if settings.exporter.forwarded:
        yield from _destination("exporter", settings.exporter, now_unix_nano)
    for name, more in settings.destinations.items():
        yield from _destination(f"destinations.{name}", more, now_unix_nano)
    if settings.privacy.salt_file is not None:
        yield from _salt(settings.privacy, settings.privacy.salt_file)


def _receiver_tls(tls: ReceiverTls, now_unix_nano: int) -> Iterator[Finding]:
    try:
        ServerTls(tls)
    except ConfigError as error:
        for problem in error.problems:
            key, _, what = problem.partition(": ")
            yield Finding(key, Level.PROBLEM, what, _MEND)
    else:
        yield from _certificates(tls, now_unix_nano)
    if tls.key_file is not None:
        yield from _secrecy("receiver.tls.key_file", tls.key_file)


def _certificates(tls: ReceiverTls, now_unix_nano: int) -> Iterator[Finding]:
    """When the certificates of files that can be used end."""
    if tls.cert_file is not None and tls.key_file is not None:
        ends = _end_of_server(tls.cert_file, tls.key_file)
        if ends is None:
            what = f"{tls.cert_file}: clients cannot verify it as a server's certificate"
            yield Finding("receiver.tls.cert_file", Level.PROBLEM, what, "have it issued for a server")
        else:
            yield _validity("receiver.tls.cert_file", tls.cert_file, ends, now_unix_nano)
    if tls.client_ca_file is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(cafile=str(tls.client_ca_file))
        ends_of_all = [_seconds(dict(one)["notAfter"]) for one in context.get_ca_certs()]
        for ends in sorted(ends_of_all)[:1]:
            yield _validity("receiver.tls.client_ca_file", tls.client_ca_file, ends, now_unix_nano)


def _validity(subject: str, file: Path, ends_unix_seconds: int, now_unix_nano: int) -> Finding:
    days = (ends_unix_seconds * NANO_PER_SECOND - now_unix_nano) / NANO_PER_DAY
    if days < 0:
        advice = f"renew it: the other side refuses it, or is refused by it; {_READ_AGAIN}"
        return Finding(subject, Level.PROBLEM, f"{file} ended {-days:.0f} days ago", advice)
    if days < _ENDS_SOON_DAYS:
        return Finding(subject, Level.PROBLEM, f"{file} ends in {days:.0f} days", f"renew it before; {_READ_AGAIN}")
    return Finding(subject, Level.OK, f"{file} ends in {days:.0f} days")


def _end_of_server(certificate: Path, key: Path) -> int | None:
    """When a server's certificate ends, in Unix seconds, as a client sees it; None when a client refuses it."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(str(certificate), str(key), _without_passphrase)
    client_side = _verifying(ssl.PROTOCOL_TLS_CLIENT, certificate)
    return _end_of_peer(client_side, server_side, seen_by_client=True)


def _end_of_client(certificate: Path, key: Path) -> int | None:
    """The same of a client's certificate, as a server sees it."""
    client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_side.load_cert_chain(str(certificate), str(key), _without_passphrase)
    client_side.check_hostname = False
    client_side.verify_mode = ssl.CERT_NONE
    server_side = _verifying(ssl.PROTOCOL_TLS_SERVER, certificate)
    server_side.load_cert_chain(str(certificate), str(key), _without_passphrase)
    return _end_of_peer(client_side, server_side, seen_by_client=False)


def _without_passphrase() -> str:
    """Nobody is asked for one, as nobody is by the service."""
    return ""


def _verifying(protocol: int, certificate: Path) -> ssl.SSLContext:
    """A side that trusts one certificate, and looks at what it may be used for, but not at the time."""
    side = ssl.SSLContext(protocol)
    side.check_hostname = False
    side.verify_mode = ssl.CERT_REQUIRED
    side.load_verify_locations(cafile=str(certificate))
    side.verify_flags = ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_OF_TIME)
    return side


def _end_of_peer(client_side: ssl.SSLContext, server_side: ssl.SSLContext, *, seen_by_client: bool) -> int | None:
    """When the certificate that one side shows the other ends; None when it is refused.

    Python reads no certificate but that of a peer, so a server and a client shake hands in memory.
    """
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = client_side.wrap_bio(down, up), server_side.wrap_bio(up, down, server_side=True)
    try:
        for _ in range(_ROUNDS_MAX):
            if _shaken(client) & _shaken(server):
                break
    except ssl.SSLError:
        return None
    seen = (client if seen_by_client else server).getpeercert()
    return _seconds((seen or {})["notAfter"])


def _shaken(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _seconds(written: object) -> int:
    return ssl.cert_time_to_seconds(str(written))


def _tokens(file: Path) -> Iterator[Finding]:
    subject = "receiver.auth.tokens_file"
    try:
        tenants = load_tokens(file)
    except ConfigError as error:
        for problem in error.problems:
            yield Finding(subject, Level.PROBLEM, problem, _MEND)
    else:
        names = ", ".join(sorted({tenant.name for tenant in tenants.values()}))
        yield Finding(subject, Level.OK, f"{len(tenants)} tokens, of {names}")
    yield from _secrecy(subject, file)


def _salt(privacy: Privacy, file: Path) -> Iterator[Finding]:
    subject = "privacy.salt_file"
    try:
        load_redaction(privacy)
    except ConfigError as error:
        for problem in error.problems:
            yield Finding(subject, Level.PROBLEM, problem.removeprefix(f"{subject}: "), _MEND_SALT)
    yield from _secrecy(subject, file)


def _destination(section: str, exporter: Exporter, now_unix_nano: int) -> Iterator[Finding]:
    yield from _client_certificate(f"{section}.tls.cert_file", exporter.tls, now_unix_nano)
    for signal in Signal:
        subject = f"{section}.{signal.value}.tls.cert_file"
        yield from _client_certificate(subject, exporter.of_signal(signal).tls, now_unix_nano)
    keyed = {f"{section}.headers_file": exporter.headers_file, f"{section}.tls.key_file": exporter.tls.key_file}
    for signal in Signal:
        own = exporter.of_signal(signal)
        keyed[f"{section}.{signal.value}.headers_file"] = own.headers_file
        keyed[f"{section}.{signal.value}.tls.key_file"] = own.tls.key_file
    for subject, file in keyed.items():
        if file is None:
            continue
        if subject.endswith("headers_file"):
            yield from _headers(subject, file)
        yield from _secrecy(subject, file)


def _client_certificate(subject: str, tls: Tls, now_unix_nano: int) -> Iterator[Finding]:
    """The certificate that is shown to a destination."""
    if tls.cert_file is None or tls.key_file is None:
        return
    try:
        ends = _end_of_client(tls.cert_file, tls.key_file)
    except OSError as error:  # of OpenSSL too
        what = (
            f"{tls.cert_file} and {tls.key_file} are not a certificate (PEM) and its unencrypted key: {error.strerror}"
        )
        yield Finding(subject, Level.PROBLEM, what, _MEND_OUTGOING)
        return
    if ends is None:
        what = f"{tls.cert_file}: servers cannot verify it as a client's certificate"
        yield Finding(subject, Level.PROBLEM, what, "have it issued for a client")
    else:
        yield _validity(subject, tls.cert_file, ends, now_unix_nano)


def _headers(subject: str, file: Path) -> Iterator[Finding]:
    try:
        count = len(Headers({}, file).current())
    except ConfigError as error:
        for problem in error.problems:
            yield Finding(subject, Level.PROBLEM, problem, _MEND)
    else:
        yield Finding(subject, Level.OK, f"{file} holds {count} header(s)")


def _secrecy(subject: str, file: Path) -> Iterator[Finding]:
    """A file of secrets that everybody on the machine can read."""
    try:
        mode = file.stat().st_mode
    except OSError:
        return  # whoever reads it says so
    if os.name == "posix" and mode & stat.S_IROTH:
        advice = f"chmod o-r {file}, and give it to the service's user or group (in Kubernetes: defaultMode: 0440)"
        yield Finding(subject, Level.PROBLEM, f"everybody on this machine can read {file}", advice)
