"""A destination that comes and goes: a way to it that is cut and opened again, whatever is under way on it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random

_DOWN_SECONDS, _UP_SECONDS = (0.01, 0.1), (0.01, 0.3)


class FlappingWay:
    """Listens on a free port and hands on to an address, but every moment all connections are cut, for a while."""

    def __init__(self, target: str, random: Random) -> None:
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._random = random
        self._open: set[asyncio.StreamWriter] = set()
        self._is_up = True
        self.cuts = 0

    async def start(self) -> str:
        """Begin; gives the URL to send to."""
        self._server = await asyncio.start_server(self._hand_on, "127.0.0.1", 0)
        self._flapping = asyncio.create_task(self._flap())
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def calm(self) -> None:
        """Stay up from now on."""
        self._flapping.cancel()
        with suppress(asyncio.CancelledError):
            await self._flapping
        self._is_up = True

    async def stop(self) -> None:
        """Cut everything and listen no more."""
        await self.calm()
        self._server.close()
        self._cut()
        await self._server.wait_closed()

    async def _flap(self) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(*_UP_SECONDS))
            self._is_up = False
            self._cut()
            await asyncio.sleep(self._random.uniform(*_DOWN_SECONDS))
            self._is_up = True

    def _cut(self) -> None:
        """Reset every connection: bytes may have arrived whose answer never comes back."""
        self.cuts += len(self._open) > 0
        for writer in list(self._open):
            writer.transport.abort()

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._is_up:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(self._host, self._port)
        self._open |= {writer, back}
        await asyncio.gather(_copy(reader, back), _copy(there, writer))
        self._open -= {writer, back}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()
