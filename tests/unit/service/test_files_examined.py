"""What the doctor sees of files of certificates and secrets: each seeded mistake, and no secret in what it says."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from spanledger.config.settings import load_settings
from spanledger.core.times import NANO_PER_SECOND
from spanledger.service.files_examined import examine_files
from spanledger.service.findings import Finding, Level

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
NOW_UNIX_NANO = int(NOW.timestamp()) * NANO_PER_SECOND
TOKEN = "s3cr3t-0123456789"
TENANTS = f"tenants:\n  platform:\n    tokens: [{TOKEN}]\n  visitors:\n    tokens: [{TOKEN}-2, {TOKEN}-3]\n"
HEADERS = f"Authorization: Bearer {TOKEN}\n"

Mistake = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sound files, certificates of 90 days among them, that the user and the group alone can read."""
    write_certificates(tmp_path, days=90)
    (tmp_path / "tokens.yaml").write_text(TENANTS)
    (tmp_path / "headers").write_text(HEADERS)
    (tmp_path / "salt").write_bytes(os.urandom(32))
    for file in tmp_path.iterdir():
        file.chmod(0o640)
    return tmp_path


def write_certificates(folder: Path, days: int) -> None:
    write_server_certificate(folder, days)
    write_client_certificate(folder, days)


def write_server_certificate(folder: Path, days: int) -> None:
    authority = trustme.CA()
    server = authority.issue_cert("localhost", not_after=NOW + timedelta(days=days, hours=1))
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server.cert_chain_pems[0].write_to_path(folder / "server.pem")
    server.private_key_pem.write_to_path(folder / "server.key")


def write_client_certificate(
    folder: Path, days: int, usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH, name: str = "client"
) -> None:
    """One that is of use for one thing alone."""
    key, nobody = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    ends = NOW + timedelta(days=days, hours=1)
    made = x509.CertificateBuilder(nobody, nobody, key.public_key(), 1, NOW - timedelta(days=100), ends)
    signed = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False).sign(key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(signed.public_bytes(Encoding.PEM))
    (folder / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def found(folder: Path, now_unix_nano: int = NOW_UNIX_NANO) -> list[Finding]:
    flags: dict[str, Any] = {
        "receiver.tls.cert_file": folder / "server.pem",
        "receiver.tls.key_file": folder / "server.key",
        "receiver.tls.client_ca_file": folder / "ca.pem",
        "receiver.auth.tokens_file": folder / "tokens.yaml",
        "exporter.endpoint": "http://localhost:4317",
        "exporter.headers_file": folder / "headers",
        "exporter.tls.cert_file": folder / "client.pem",
        "exporter.tls.key_file": folder / "client.key",
        "privacy.salt_file": folder / "salt",
    }
    settings = load_settings(None, {}, {key: str(value) for key, value in flags.items()})
    return list(examine_files(settings, now_unix_nano))


def test_sound_files_have_no_problem(folder: Path) -> None:
    said = [(one.subject, one.level, one.what) for one in found(folder)]
    assert said[0] == ("receiver.tls.cert_file", Level.OK, f"{folder}/server.pem ends in 90 days")
    assert said[1][:2] == ("receiver.tls.client_ca_file", Level.OK)
    assert said[2:] == [
        ("receiver.auth.tokens_file", Level.OK, "3 tokens, of platform, visitors"),
        ("exporter.tls.cert_file", Level.OK, f"{folder}/client.pem ends in 90 days"),
        ("exporter.headers_file", Level.OK, f"{folder}/headers holds 1 header(s)"),
    ]


def replace_key(folder: Path) -> None:
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(folder / "server.key")


def encrypt_key(folder: Path) -> None:
    key = load_pem_private_key((folder / "server.key").read_bytes(), None)
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))
    (folder / "server.key").write_bytes(sealed)


MISTAKES: dict[str, tuple[Mistake, str, str, str]] = {
    "no certificate": (
        lambda folder: (folder / "server.pem").unlink(),
        *("receiver.tls.cert_file", "server.pem cannot be read: No such file", "mend or replace"),
    ),
    "key of another certificate": (
        replace_key,
        *("receiver.tls", "are not a certificate (PEM) and its unencrypted key", "mend or replace"),
    ),
    "key with a passphrase, which nobody is asked for": (
        encrypt_key,
        *("receiver.tls", "are not a certificate (PEM) and its unencrypted key", "mend or replace"),
    ),
    "certificate of a client": (
        lambda folder: write_client_certificate(folder, 90, name="server"),
        *("receiver.tls.cert_file", "clients cannot verify it as a server's", "have it issued for a server"),
    ),
    "certificate that ends soon": (
        lambda folder: write_server_certificate(folder, 29),
        *("receiver.tls.cert_file", "server.pem ends in 29 days", "renew it before"),
    ),
    "certificate that has ended": (
        lambda folder: write_server_certificate(folder, -3),
        *("receiver.tls.cert_file", "server.pem ended 3 days ago", "renew it"),
    ),
    "client CA that is none": (
        lambda folder: (folder / "ca.pem").write_text("none"),
        *("receiver.tls.client_ca_file", "holds no certificates", "mend or replace"),
    ),
    "key for everybody": (
        lambda folder: (folder / "server.key").chmod(0o644),
        *("receiver.tls.key_file", "everybody on this machine can read", "chmod o-r"),
    ),
    "no tokens": (
        lambda folder: (folder / "tokens.yaml").unlink(),
        *("receiver.auth.tokens_file", "cannot be read: FileNotFoundError", "mend or replace"),
    ),
    "tokens with a typo": (
        lambda folder: (folder / "tokens.yaml").write_text(TENANTS.replace("tokens:", "token:", 1)),
        *("receiver.auth.tokens_file", "tokens.yaml:2: a tenant needs `tokens`", "mend or replace"),
    ),
    "tokens for everybody": (
        lambda folder: (folder / "tokens.yaml").chmod(0o604),
        *("receiver.auth.tokens_file", "everybody on this machine can read", "chmod o-r"),
    ),
    "no headers": (
        lambda folder: (folder / "headers").unlink(),
        *("exporter.headers_file", "cannot be read", "mend or replace"),
    ),
    "headers without a colon": (
        lambda folder: (folder / "headers").write_text(HEADERS.replace(":", "")),
        *("exporter.headers_file", "headers:1: a header is `name: value`", "mend or replace"),
    ),
    "headers for everybody": (
        lambda folder: (folder / "headers").chmod(0o644),
        *("exporter.headers_file", "everybody on this machine can read", "chmod o-r"),
    ),
    "client certificate that ends soon": (
        lambda folder: write_client_certificate(folder, 29),
        *(
            "exporter.tls.cert_file",
            "client.pem ends in 29 days",
            "renew it before; the service reads a changed file by itself",
        ),
    ),
    "client certificate that has ended": (
        lambda folder: write_client_certificate(folder, -3),
        *("exporter.tls.cert_file", "client.pem ended 3 days ago", "renew it: the other side refuses it"),
    ),
    "client certificate of a server": (
        lambda folder: write_client_certificate(folder, 90, ExtendedKeyUsageOID.SERVER_AUTH),
        *("exporter.tls.cert_file", "servers cannot verify it as a client's", "have it issued for a client"),
    ),
    "no client certificate": (
        lambda folder: (folder / "client.pem").unlink(),
        *(
            "exporter.tls.cert_file",
            "unencrypted key: No such file or directory",
            "the service reads a changed file by itself",
        ),
    ),
    "no salt": (
        lambda folder: (folder / "salt").unlink(),
        *("privacy.salt_file", "salt cannot be read", "put back the file that was used before"),
    ),
    "short salt": (
        lambda folder: (folder / "salt").write_bytes(b"short"),
        *("privacy.salt_file", "salt has 5 bytes, at least 16 are needed", "put back the file"),
    ),
    "salt for everybody": (
        lambda folder: (folder / "salt").chmod(0o644),
        *("privacy.salt_file", "everybody on this machine can read", "chmod o-r"),
    ),
}


@pytest.mark.parametrize(("mistake", "subject", "what", "advice"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_found(mistake: Mistake, subject: str, what: str, advice: str, folder: Path) -> None:
    mistake(folder)
    everything = found(folder)
    problems = [one for one in everything if one.level is Level.PROBLEM]
    assert any(one.subject == subject and what in one.what and advice in one.advice for one in problems), problems
    assert {one.subject for one in problems} == {subject}
    assert all(TOKEN not in f"{one.what} {one.advice}" for one in everything)
