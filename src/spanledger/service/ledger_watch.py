"""Watch over the ledger's disk: what state it is in, told once at each change and not at each failure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from spanledger.ledger.faults import Fault, fault_of
from spanledger.telemetry import Counter, Counters

LOGGER = logging.getLogger("spanledger.ledger")


class LedgerWatch:
    """State of the disk under the ledger. `failed` and `succeeded` may come from any thread."""

    def __init__(self, counters: Counters, on_damage: Callable[[], None]) -> None:
        self.fault: Fault | None = None
        self.damaged = asyncio.Event()
        """Set when the file is damaged: the service must stop, and another one begin with a new file."""
        self._counters = counters
        self._on_damage = on_damage
        self._loop = asyncio.get_running_loop()

    def failed(self, error: Exception) -> None:
        """Note that something could not be written."""
        self._counters.add(Counter.COMMITS_FAILED)
        fault = fault_of(error)
        if fault is None:
            LOGGER.error("the ledger could not be written, and nothing was acknowledged", exc_info=error)
            return
        if fault is self.fault:
            return
        self.fault = fault
        LOGGER.error("%s (%s); until then nothing is acknowledged", fault.advice, error)
        if fault is Fault.CORRUPT:
            self._on_damage()
            self._loop.call_soon_threadsafe(self.damaged.set)

    def succeeded(self) -> None:
        """Note that something was written."""
        if self.fault is not None and self.fault is not Fault.CORRUPT:
            LOGGER.warning("the ledger is written again")
            self.fault = None
