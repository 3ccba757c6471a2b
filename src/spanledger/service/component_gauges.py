"""Gauges of the component itself: how far behind it is, how many series it keeps, whether its ledger can be written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from spanledger.core.gauges import Gauge, Reading, reading
from spanledger.ledger.faults import Fault
from spanledger.ledger.ledger import Ledger

_STATM = Path("/proc/self/statm")
"""Sizes of this process in pages, on Linux: all of it, then what is resident."""


def component_readings(ledger: Ledger, fault: Fault | None, now_unix_nano: int) -> Iterator[Reading]:
    """Read the component; on the ledger's thread."""
    yield reading(Gauge.LEDGER_WRITABLE, int(fault is None))
    yield reading(Gauge.LEDGER_BYTES, ledger.database.size_bytes())
    memory = _resident_bytes()
    if memory is not None:
        yield reading(Gauge.PROCESS_MEMORY, memory)
    stages = {"join": ledger.evidence.next_due_unix_nano(), "residual": ledger.residuals.next_due_unix_nano()}
    for stage, due in stages.items():
        yield reading(Gauge.SETTLE_LAG, 0 if due is None else max(0, now_unix_nano - due), stage=stage)
    for metric, count in sorted(Counter(state.key.metric for state in ledger.series.states()).items()):
        yield reading(Gauge.SERIES, count, metric=metric)


def _resident_bytes() -> int | None:
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
