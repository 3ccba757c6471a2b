"""Failed exports: of each destination, when it last did not take all of our metrics, and why."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from spanledger.ledger.database import Database

_KEY = "export_failure "


@dataclass(frozen=True, slots=True)
class ExportFailure:
    """Exports that a destination did not take whole, one after the other: the first, the last, and why that.

    `is_over`: one was taken since. That may have held nothing of what the destination does not take.
    """

    first_unix_nano: int
    last_unix_nano: int
    reason: str
    is_over: bool = False


class FailureStore:
    """What is known of exports beside the service that makes them. Writing belongs inside a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, destination: str) -> ExportFailure | None:
        """The last failure; None when there was none."""
        text = self._database.meta(f"{_KEY}{destination}")
        return None if text is None else ExportFailure(**json.loads(text))

    def after(self, destination: str, reason: str | None, now_unix_nano: int) -> ExportFailure | None:
        """The last failure after one more export, not taken for a reason or taken (None); None when that is no news."""
        known = self.of(destination)
        if reason is None:
            return None if known is None or known.is_over else replace(known, is_over=True)
        goes_on = known is not None and not known.is_over
        return ExportFailure(known.first_unix_nano if known and goes_on else now_unix_nano, now_unix_nano, reason)

    def note(self, destination: str, failure: ExportFailure) -> None:
        """Keep a destination's last failure."""
        self._database.set_meta(f"{_KEY}{destination}", json.dumps(asdict(failure)))
