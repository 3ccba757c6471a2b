"""Both receivers behind one gate, and the word of warning when strangers can reach them."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

from spanledger.config.fields import host_and_port
from spanledger.config.receivers import Receiver
from spanledger.core.delivery import Consumer, Undecided
from spanledger.core.events import Event
from spanledger.logs import tell
from spanledger.receiver.auth import Tokens
from spanledger.receiver.gate import Gate
from spanledger.receiver.grpc_server import GrpcReceiver
from spanledger.receiver.http_server import HttpReceiver
from spanledger.receiver.tls import ServerTls
from spanledger.telemetry import Counters

_STOP_GRACE_SECONDS = 5.0


class Receivers:
    """The gRPC and the HTTP receiver of a service."""

    def __init__(
        self,
        settings: Receiver,
        consumer: Consumer,
        counters: Counters,
        undecided: Callable[[], Undecided] = Undecided,
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._counters = counters
        self._undecided = undecided
        self._stops: list[Callable[[float], Awaitable[None]]] = []

    async def start(self) -> tuple[str, str]:
        """Listen on both addresses and give them as `host:port`, gRPC first.

        Raises:
            ConfigError: an address cannot be listened on, or a file of tokens or certificates cannot be used.
        """
        settings = self._settings
        tokens = None if settings.auth.tokens_file is None else Tokens(settings.auth.tokens_file)
        tls = None if settings.tls.cert_file is None else ServerTls(settings.tls)
        gate = Gate(settings, self._counters, tokens, self._undecided)
        grpc = GrpcReceiver(self._consumer, gate, None if tls is None else tls.grpc_credentials())
        http = HttpReceiver(self._consumer, gate, tls)
        grpc_address = await grpc.start()
        self._stops.append(grpc.stop)
        http_address = await http.start()
        self._stops.append(http.stop)
        self._warn_of_open_doors()
        return grpc_address, http_address

    async def stop(self) -> None:
        """Take no more requests and finish those under way."""
        await asyncio.gather(*(stop(_STOP_GRACE_SECONDS) for stop in self._stops))

    def _warn_of_open_doors(self) -> None:
        """Say it once when others than this machine can send, and nothing asks who they are."""
        if wide := open_endpoints(self._settings):
            tell(Event.RECEIVER_OPEN, endpoints=" and ".join(wide))


def open_endpoints(settings: Receiver) -> list[str]:
    """Addresses that others than this machine can send to, where nothing asks who they are."""
    if settings.auth.tokens_file is not None or settings.tls.client_ca_file is not None:
        return []
    return [endpoint for endpoint in (settings.grpc.endpoint, settings.http.endpoint) if not _is_local(endpoint)]


def _is_local(endpoint: str) -> bool:
    """Whether an address is one of this machine alone; a name that cannot be looked up is taken for one that is not."""
    host, _ = host_and_port(endpoint)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(str(address[4][0]).partition("%")[0]).is_loopback for address in found)
