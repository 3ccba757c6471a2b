"""A uvicorn server on a socket of its own, that leaves the process's signals alone."""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, Protocol, cast

import uvicorn

from spanledger.config.fields import host_and_port
from spanledger.core.errors import ConfigError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_BACKLOG = 2_048
_LAST_SECONDS = 1.0
"""How long after the end of its connection a request is waited for."""


class Endable(Protocol):
    """A connection that can be ended at once."""

    def end(self) -> None:
        """Close it, whatever it is about."""
        ...


class Listener:
    """Runs an ASGI application on one address. Port 0 takes a free one.

    `protocol` makes the objects that speak HTTP on a connection, each an `Endable`.
    """

    def __init__(
        self,
        application: Application,
        *,
        idle_timeout_seconds: float,
        protocol: Callable[..., asyncio.Protocol],
        headers: Sequence[tuple[str, str]] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        config = uvicorn.Config(
            _cancellable(application),
            interface="asgi3",
            http=cast(type[asyncio.Protocol], protocol),
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
        try:
            self._socket = _listen(*host_and_port(endpoint))
        except OSError as error:
            raise address_error(setting, endpoint, error, advice) from None
        # The server's own `serve` would take over the process's signal handlers; the service has its own.
        config = self._server.config
        config.load()
        config.ssl = self._tls
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[self._socket])
        self._serving = asyncio.create_task(self._server.main_loop())
        return f"{endpoint.rpartition(':')[0]}:{self._socket.getsockname()[1]}"

    async def stop(self, grace_seconds: float) -> None:
        """Take no more requests, finish those under way, and end what is not finished in time."""
        if self._serving is None or self._socket is None:
            return
        self._server.should_exit = True
        await self._serving
        # The server's own end of grace would cancel what is under way with an answer and a traceback for each.
        ending = asyncio.create_task(self._server.shutdown(sockets=[self._socket]))
        state = self._server.server_state
        if not (await asyncio.wait([ending], timeout=grace_seconds))[0]:
            for connection in list(cast(set[Endable], state.connections)):
                connection.end()
        if not (await asyncio.wait([ending], timeout=_LAST_SECONDS))[0]:
            for task in list(state.tasks):
                task.cancel()
        await ending


def _cancellable(application: Application) -> Application:
    """An application that `Listener.stop` may cancel, when nobody waits for its answer any more."""

    async def run(scope: Message, receive: Receive, send: Send) -> None:
        with suppress(asyncio.CancelledError):
            await application(scope, receive, send)

    return run


def address_error(setting: str, endpoint: str, error: Exception, advice: str) -> ConfigError:
    """An address that cannot be listened on: where it was set, why not, and what to do."""
    return ConfigError([f"{setting} {endpoint}: cannot be listened on ({error}); choose another{advice}"])


def require_free(endpoint: str, *, first_alone: bool = False) -> None:
    """See whether an address can be listened on, for who is not told in words why not.

    `first_alone`: of the addresses that its host stands for, the first has to be; else any of them.

    Raises:
        OSError: it cannot be.
    """
    refusals = []
    for found in _addresses(*host_and_port(endpoint))[: 1 if first_alone else None]:
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
    try:
        return list(socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE))
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is not a name of a host") from None


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
