"""Certificates of a destination over gRPC, from files that may change while the service runs: they are renewed."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc

from spanledger.config.files import look_at
from spanledger.core.errors import ConfigError
from spanledger.core.events import Event
from spanledger.exporter.client import Tls
from spanledger.logs import tell


class Certificates:
    """The authority's certificates, and the client's own with its key.

    Files that have become unusable are told once, and what they held before is used on.
    """

    def __init__(self, files: Tls) -> None:
        """Read the files for the first time.

        Raises:
            ConfigError: one cannot be read; names it.
        """
        self._files = files
        self._named = [file for file in (files.ca_file, files.cert_file, files.key_file) if file is not None]
        self._seen = look_at(self._named)
        self.credentials = _credentials(files)

    def renewed(self) -> bool:
        """Read the files again where they changed; whether `credentials` are others than before."""
        state = look_at(self._named)
        if state == self._seen:
            return False
        self._seen = state
        try:
            _require_usable(self._files)
            self.credentials = _credentials(self._files)
        except ConfigError as error:
            tell(Event.DESTINATION_CERTIFICATES_REFUSED, problems="; ".join(error.problems))
            return False
        return True


def _credentials(files: Tls) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=_content(files.ca_file),
        private_key=_content(files.key_file),
        certificate_chain=_content(files.cert_file),
    )


def _content(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError([f"{file}: certificate or key cannot be read: {error.strerror}"]) from None


def _require_usable(files: Tls) -> None:
    """Hold the files against OpenSSL: gRPC tells nothing of them until it connects."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if files.ca_file is not None:
        try:
            context.load_verify_locations(cafile=str(files.ca_file))
        except OSError as error:  # of OpenSSL too
            raise ConfigError([f"{files.ca_file} holds no certificates (PEM): {error.strerror}"]) from None
    if files.cert_file is None or files.key_file is None:
        return
    try:
        context.load_cert_chain(str(files.cert_file), str(files.key_file), lambda: "")  # else it asks the terminal
    except OSError as error:
        what = f"{files.cert_file} and {files.key_file} are not a certificate (PEM) and its unencrypted key"
        raise ConfigError([f"{what}: {error.strerror}"]) from None
