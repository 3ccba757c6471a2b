"""A uvicorn server on a socket of its own, that leaves the process's signals alone."""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, cast

import uvicorn

from spanledger.core.errors import ConfigError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_BACKLOG = 2_048


class Listener:
    """Runs an ASGI application on one address. Port 0 takes a free one.

    `protocol` is the class, or what makes the objects, that speak HTTP on a connection; by default uvicorn's own.
    """

    def __init__(
        self,
        application: Application,
        *,
        idle_timeout_seconds: float,
        protocol: Callable[..., asyncio.Protocol] | None = None,
        headers: Sequence[tuple[str, str]] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        config = uvicorn.Config(
            application,
            interface="asgi3",
            http="httptools" if protocol is None else cast(type[asyncio.Protocol], protocol),
            ws="none",
            proxy_headers=False,
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            headers=list(headers),
            backlog=_BACKLOG,
            timeout_keep_alive=math.ceil(idle_timeout_seconds),
        )
        self._server = uvicorn.Server(config)
        self._tls = tls
        self._socket: socket.socket | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self, endpoint: str, *, setting: str, advice: str) -> str:
        """Listen, and give the address as `host:port`. `setting` is where the endpoint was set.

        Raises:
            ConfigError: see `address_error`.
        """
        host, _, port = endpoint.rpartition(":")
        try:
            self._socket = _listen(host.strip("[]"), int(port))
        except OSError as error:
            raise address_error(setting, endpoint, error, advice) from None
        # The server's own `serve` would take over the process's signal handlers; the service has its own.
        config = self._server.config
        config.load()
        config.ssl = self._tls
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[self._socket])
        self._serving = asyncio.create_task(self._server.main_loop())
        return f"{host}:{self._socket.getsockname()[1]}"

    async def stop(self, grace_seconds: float) -> None:
        """Take no more requests and finish those under way."""
        if self._serving is None or self._socket is None:
            return
        self._server.should_exit = True
        await self._serving
        self._server.config.timeout_graceful_shutdown = math.ceil(grace_seconds)
        await self._server.shutdown(sockets=[self._socket])


def address_error(setting: str, endpoint: str, error: Exception, advice: str) -> ConfigError:
    """An address that cannot be listened on: where it was set, why not, and what to do."""
    return ConfigError([f"{setting} {endpoint}: cannot be listened on ({error}); choose another{advice}"])


def require_free(endpoint: str) -> None:
    """See whether an address can be listened on, for servers that don't say in words why not.

    Raises:
        OSError: none of the addresses that its host stands for can be.
    """
    host, _, port = endpoint.rpartition(":")
    refusals = []
    for found in _addresses(host.strip("[]"), int(port)):
        try:
            _bound(found).close()
        except OSError as error:
            refusals.append(error)
            continue
        return
    raise refusals[0]


def _listen(host: str, port: int) -> socket.socket:
    """Bind the first address of a host, without sharing the port."""
    listening = _bound(_addresses(host, port)[0])
    listening.setblocking(False)
    return listening


_Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


def _addresses(host: str, port: int) -> list[_Address]:
    return list(socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE))


def _bound(found: _Address) -> socket.socket:
    family, kind, protocol, _, address = found
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
