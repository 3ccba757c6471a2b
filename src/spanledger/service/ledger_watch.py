"""Watch over the ledger's disk: what state it is in, told once at each change and not at each failure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from spanledger.core.events import Event
from spanledger.ledger.faults import Fault, fault_of
from spanledger.logs import tell
from spanledger.telemetry import Counter, Counters

PROOF_HOLDS_SECONDS = 300.0
"""How long a write proves that the ledger takes more. Proving it costs two commits of 64 KiB at most, and only where
nobody sends."""


class LedgerWatch:
    """State of the disk under the ledger. `failed` and `succeeded` may come from any thread."""

    def __init__(
        self, counters: Counters, on_damage: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.fault: Fault | None = None
        self.written_at_seconds: float | None = None
        """When something was last written, by the clock; None since the start or the last fault of the disk."""
        self._clock = clock
        self.damaged = asyncio.Event()
        """Set when the file is damaged: the service must stop, and another one begin with a new file."""
        self._counters = counters
        self._on_damage = on_damage
        self._loop = asyncio.get_running_loop()

    @property
    def is_proven(self) -> bool:
        """Whether the ledger took something not long ago, and has had no fault since."""
        return self.written_at_seconds is not None and self._clock() - self.written_at_seconds < PROOF_HOLDS_SECONDS

    def failed(self, error: Exception) -> None:
        """Note that something could not be written."""
        self._counters.add(Counter.COMMITS_FAILED)
        fault = fault_of(error)
        if fault is None:
            tell(Event.LEDGER_COMMIT_FAILED, error)
            return
        self.written_at_seconds = None
        if fault is self.fault:
            return
        self.fault = fault
        tell(Event.LEDGER_FAULT, fault=fault, advice=fault.advice, detail=str(error))
        if fault is Fault.CORRUPT:
            self._on_damage()
            self._loop.call_soon_threadsafe(self.damaged.set)

    def succeeded(self) -> None:
        """Note that something was written."""
        self.written_at_seconds = self._clock()
        if self.fault is not None and self.fault is not Fault.CORRUPT:
            tell(Event.LEDGER_RECOVERED)
            self.fault = None
