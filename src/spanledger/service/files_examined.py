"""What the doctor sees of files of certificates, keys, tokens, headers and salt. It shows no secret."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

from spanledger.config.destinations import Exporter
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

_MEND = "mend or replace the file; a running service keeps what it read before. Look as the user that runs the service"


def examine_files(settings: Settings, now_unix_nano: int) -> Iterator[Finding]:
    """Look at every file of certificates and secrets that settings name."""
    receiver = settings.receiver
    if receiver.tls.cert_file is not None:
        yield from _receiver_tls(receiver.tls, now_unix_nano)
    if receiver.auth.tokens_file is not None:
        yield from _tokens(receiver.auth.tokens_file)
    if settings.exporter.forwarded:
        yield from _destination("exporter", settings.exporter)
    for name, more in settings.destinations.items():
        yield from _destination(f"destinations.{name}", more)
    if settings.privacy.salt_file is not None:
        yield from _secrecy("privacy.salt_file", settings.privacy.salt_file)


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
        advice = "renew it: senders refuse it, or are refused by it; the service reads a changed file by itself"
        return Finding(subject, Level.PROBLEM, f"{file} ended {-days:.0f} days ago", advice)
    if days < _ENDS_SOON_DAYS:
        advice = "renew it before; the service reads a changed file by itself"
        return Finding(subject, Level.PROBLEM, f"{file} ends in {days:.0f} days", advice)
    return Finding(subject, Level.OK, f"{file} ends in {days:.0f} days")


def _end_of_server(certificate: Path, key: Path) -> int | None:
    """When a server's certificate ends, in Unix seconds, as a client sees it; None when a client refuses it.

    Python reads no certificate but that of a peer, so a server and a client shake hands in memory.
    """
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(str(certificate), str(key))
    client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_side.check_hostname = False
    client_side.load_verify_locations(cafile=str(certificate))
    client_side.verify_flags = ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_OF_TIME)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = client_side.wrap_bio(down, up), server_side.wrap_bio(up, down, server_side=True)
    try:
        for _ in range(_ROUNDS_MAX):
            if _shaken(client) & _shaken(server):
                break
    except ssl.SSLError:
        return None
    return _seconds((client.getpeercert() or {})["notAfter"])


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


def _destination(section: str, exporter: Exporter) -> Iterator[Finding]:
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
