"""Price files of a running service: what changes in them is loaded, and what cannot be used leaves the old prices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from spanledger.config.files import Look, look_at
from spanledger.core.errors import ConfigError
from spanledger.core.events import Event
from spanledger.core.settling import Prices
from spanledger.logs import tell
from spanledger.telemetry import Counter, Counters

_ATTEMPTS_MAX = 3
"""How often files are read again that change while they are read."""


class PriceFiles:
    """Keeps a service on the prices of its files, which it was started with as they were `seen`.

    A change is loaded once two looks in a row saw the same, so that no file is taken half written. `refused` counts the
    loads that failed since the last good one: it is 0 when the prices in use are those of the files.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        seen: Look,
        load: Callable[[], Prices],
        use: Callable[[Prices], Awaitable[None]],
        counters: Counters,
        *,
        interval_seconds: float,
    ) -> None:
        self.refused = 0
        self._paths = tuple(paths)
        self._tried = self._seen = seen
        self._load = load
        self._use = use
        self._counters = counters
        self._interval_seconds = interval_seconds if self._paths else 0.0
        self._woken = asyncio.Event()
        self._is_asked = False
        self._is_stopping = False

    async def run(self) -> None:
        """Look at the files every interval, and load them when asked, until `stop`."""
        while not self._is_stopping:
            try:
                await asyncio.wait_for(self._woken.wait(), self._interval_seconds or None)
            except TimeoutError:
                await self.look()
                continue
            self._woken.clear()
            if self._is_asked:
                self._is_asked = False
                await self.load()

    def ask(self) -> None:
        """Have the files loaded now, whether they changed or not."""
        self._is_asked = True
        self._woken.set()

    def stop(self) -> None:
        """End `run`."""
        self._is_stopping = True
        self._woken.set()

    async def look(self) -> None:
        """Look once, and load what has changed and come to rest."""
        seen = await asyncio.to_thread(look_at, self._paths)
        at_rest, self._seen = seen == self._seen, seen
        if at_rest and seen != self._tried:
            await self.load()

    async def load(self) -> bool:
        """Load the files; False when they are refused, which is told with every mistake.

        Raises:
            Exception: the prices are good and could not be taken over; the next look tries again.
        """
        for _ in range(_ATTEMPTS_MAX):
            before = await asyncio.to_thread(look_at, self._paths)
            try:
                prices = await asyncio.to_thread(self._load)
            except ConfigError as error:
                return self._refuse(before, error.problems)
            if await asyncio.to_thread(look_at, self._paths) == before:  # not two states of the files mixed
                await self._use(prices)
                self._tried, self.refused = before, 0
                tell(Event.PRICES_IN_USE, price_book=prices.book.id)
                return True
        return self._refuse(before, [f"{', '.join(map(str, self._paths))}: changing while they are read"])

    def _refuse(self, tried: Look, problems: Sequence[str]) -> bool:
        self._tried = tried
        self.refused += 1
        self._counters.add(Counter.PRICE_LOADS_REFUSED)
        tell(Event.PRICES_REFUSED, problems="\n".join(problems))
        return False
