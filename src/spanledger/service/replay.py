"""Replay: capture folders through the pipeline without sockets, on the clock of the capture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spanledger.config.destinations import DEFAULT_DESTINATION
from spanledger.core.errors import PermanentError
from spanledger.core.metering import Meter
from spanledger.core.redaction import Redaction
from spanledger.core.usage import Signal
from spanledger.ledger.ledger import Ledger
from spanledger.service.audit import Figures, audit
from spanledger.service.captures import CapturedBody, CaptureFolder, read_body
from spanledger.service.pipeline import Pipeline, Prepared, prepare

_DEPARTURE_BYTES = 4 * 2**20


@dataclass(slots=True)
class Replay:
    """Feeds captures to a pipeline. The clock is the highest receive time so far; time only moves on.

    `duplicates` and `problems` are of this run.
    """

    ledger: Ledger
    pipeline: Pipeline
    meter: Meter
    out: Path | None = None
    redaction: Redaction | None = None
    duplicates: int = 0
    problems: list[str] = field(default_factory=list)
    _now_unix_nano: int = 0
    _written: int = 0

    def run(self, folders: Sequence[CaptureFolder], on_body: Callable[[CapturedBody], None]) -> Figures:
        """Replay folders in order, each settled before the next; then let everything come to rest.

        A body that is not OTLP is a problem of the run, told with its file; the others are booked all the same.

        Raises:
            ConfigError: a file cannot be read; names it.
        """
        for folder in folders:
            for path in folder.files:
                body = read_body(path)
                self._feed(body)
                on_body(body)
            self._settle()
        return self._close_books()

    def _feed(self, body: CapturedBody) -> None:
        try:
            prepared = prepare(body.delivery, self.meter, self.redaction)
        except PermanentError as error:
            self.problems.append(f"{body.path}: {error}")
            return
        self._now_unix_nano = max(self._now_unix_nano, body.received_unix_nano or _latest_record(prepared))
        self._settle_until(self._now_unix_nano)
        accepted = self.pipeline.accept([prepared], self._now_unix_nano)
        self.duplicates += accepted.duplicates
        self.problems.extend(
            f"{body.path}: {receipt.rejected} record(s) refused: {receipt.message}"
            for receipt in accepted.receipts
            if receipt.rejected
        )
        self._depart()

    def _settle_until(self, unix_nano: int) -> None:
        """Do what falls due up to a time, each at its own time."""
        while (due := self.pipeline.next_advance_unix_nano()) is not None and due <= unix_nano:
            self.pipeline.advance(due)

    def _settle(self) -> None:
        """Let time pass until nothing waits."""
        while (due := self.pipeline.next_advance_unix_nano()) is not None:
            self._now_unix_nano = max(self._now_unix_nano, due)
            self.pipeline.advance(self._now_unix_nano)
        self._depart()

    def _close_books(self) -> Figures:
        """Fold what came into the series, then compare."""
        self.pipeline.fold(self._now_unix_nano)
        figures = audit(self.ledger)
        self.problems.extend(figures.disagreements)
        return figures

    def _depart(self) -> None:
        """Empty the outbox, into files if asked."""
        for signal in Signal:
            while batch := self.ledger.outbox.departures(DEFAULT_DESTINATION, signal, _DEPARTURE_BYTES):
                for payload in batch:
                    self._write(signal, payload.body)
                with self.ledger.transaction():
                    self.ledger.outbox.remove(DEFAULT_DESTINATION, batch)

    def _write(self, signal: Signal, body: bytes) -> None:
        if self.out is None:
            return
        self._written += 1
        (self.out / f"{self._written:04d}-{signal.value}.pb").write_bytes(body)


def _latest_record(prepared: Prepared) -> int:
    """Time of the latest record of a body: the best clock there is when the capture has none."""
    times = [record.time_unix_nano for record in prepared.usage if record is not None]
    times.extend(point.time_unix_nano for point in prepared.points)
    return max(times, default=0)
