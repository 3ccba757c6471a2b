"""What the doctor sees of the addresses that settings have the service listen on."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from spanledger.config.sections import Settings
from spanledger.service.findings import Finding, Level


def examine_addresses(settings: Settings) -> Iterator[Finding]:
    """Try every address."""
    receiver = settings.receiver
    for key, endpoint in (("grpc", receiver.grpc.endpoint), ("http", receiver.http.endpoint)):
        subject, name = f"receiver.{key}.endpoint", f"{endpoint}"
        host, _, port = endpoint.rpartition(":")
        try:
            socket.create_server((host.strip("[]"), int(port)), reuse_port=False).close()
        except OSError as error:
            advice = "fine when that is the running service; else end what listens there, or choose another port"
            yield Finding(subject, Level.NOTE, f"{name} cannot be listened on: {error.strerror}", advice)
        else:
            yield Finding(
                subject, Level.NOTE, f"{name} is free: no service runs here", "start it with `spanledger serve`"
            )
