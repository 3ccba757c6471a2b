"""Watch over the ledger's disk: what state it is in, told once at each change and not at each failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from spanledger.core.events import Event
from spanledger.ledger.faults import Fault, fault_of
from spanledger.logs import tell
from spanledger.telemetry import Counter, Counters


class LedgerWatch:
    """State of the disk under the ledger. `failed` and `succeeded` may come from any thread."""

    def __init__(self, counters: Counters, on_damage: Callable[[], None]) -> None:
        self.fault: Fault | None = None
        self.is_proven = False
        """Whether something was written since the start, and since the last fault."""
        self.damaged = asyncio.Event()
        """Set when the file is damaged: the service must stop, and another one begin with a new file."""
        self._counters = counters
        self._on_damage = on_damage
        self._loop = asyncio.get_running_loop()

    def failed(self, error: Exception) -> None:
        """Note that something could not be written."""
        self._counters.add(Counter.COMMITS_FAILED)
        self.is_proven = False
        fault = fault_of(error)
        if fault is None:
            tell(Event.LEDGER_COMMIT_FAILED, error)
            return
        if fault is self.fault:
            return
        self.fault = fault
        tell(Event.LEDGER_FAULT, fault=fault, advice=fault.advice, detail=str(error))
        if fault is Fault.CORRUPT:
            self._on_damage()
            self._loop.call_soon_threadsafe(self.damaged.set)

    def succeeded(self) -> None:
        """Note that something was written."""
        self.is_proven = True
        if self.fault is not None and self.fault is not Fault.CORRUPT:
            tell(Event.LEDGER_RECOVERED)
            self.fault = None
