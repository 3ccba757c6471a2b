"""The log: one structure for every line, written for people or as JSON, with repeats folded into one line.

It stands on Python's own logging: lines of libraries go the same way, and a program that hosts the plug-in keeps
its own handlers.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

from spanledger.core.events import EVENTS, Event, Level, LogFormat

ROOT = "spanledger"

Field = str | int | float | None

_LEVELS = {
    Level.DEBUG: logging.DEBUG,
    Level.INFO: logging.INFO,
    Level.WARNING: logging.WARNING,
    Level.ERROR: logging.ERROR,
}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_TRACEBACK = logging.Formatter()


def tell(event: Event, error: BaseException | None = None, **fields: Field) -> None:
    """Log an event with its fields; with an `error`, its traceback too."""
    spec = EVENTS[event]
    logger = logging.getLogger(f"{ROOT}.{event.partition('.')[0]}")
    extra = {"event": event, "fields": fields, "told_apart_by": tuple(fields[name] for name in spec.told_apart_by)}
    logger.log(_LEVELS[spec.level], "%s", spec.message.format_map(fields), exc_info=error, extra=extra)


def start_logs(log_format: LogFormat, level: Level, repeat_interval_seconds: float, stream: TextIO) -> FoldingHandler:
    """Write what the service logs from `level` on, and warnings of libraries, to a stream; gives what writes them.

    Lines alike are written once in `repeat_interval_seconds`, and then counted; 0 writes them all.
    """
    handler = FoldingHandler(stream, repeat_interval_seconds)
    handler.setFormatter(_JsonFormatter() if log_format is LogFormat.JSON else _ConsoleFormatter())
    root = logging.getLogger()
    for earlier in [one for one in root.handlers if isinstance(one, FoldingHandler)]:
        root.removeHandler(earlier)
        earlier.close()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(ROOT).setLevel(_LEVELS[level])
    # It warns of what destinations answer, with their whole URL, key and all; what an answer meant we tell ourselves.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    return handler


@dataclass(slots=True)
class _Seen:
    """A line that was written, and what came since that is like it."""

    written_seconds: float
    repeats: int = 0
    last: logging.LogRecord | None = None


class FoldingHandler(logging.StreamHandler[TextIO]):
    """Writes the first of several lines alike at once, and one for all others when the interval ends or at `close`."""

    def __init__(
        self, stream: TextIO, interval_seconds: float, clock_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(stream)
        self._interval_seconds = interval_seconds
        self._clock_seconds = clock_seconds
        self._seen: dict[Hashable, _Seen] = {}
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or count it; under the handler's lock."""
        if self._interval_seconds <= 0:
            super().emit(record)
            return
        self.write_due()
        seen = self._seen.get(key := _likeness(record))
        if seen is None:
            self._seen[key] = _Seen(self._clock_seconds())
            super().emit(record)
            return
        seen.repeats += 1
        seen.last = record
        self._arm()

    def write_due(self) -> None:
        """Write the counts of intervals that have ended, and forget lines that came no more."""
        now = self._clock_seconds()
        for key, seen in list(self._seen.items()):
            if now - seen.written_seconds < self._interval_seconds:
                continue
            if not seen.repeats:
                del self._seen[key]
                continue
            self._write_count(seen)
            self._seen[key] = _Seen(now)

    def close(self) -> None:
        """Write all counts, and no more."""
        self.acquire()
        try:
            if self._timer is not None:
                self._timer.cancel()
            for seen in self._seen.values():
                self._write_count(seen)
            self._seen.clear()
        finally:
            self.release()
        super().close()

    def _write_count(self, seen: _Seen) -> None:
        if seen.last is None:
            return
        seen.last.repeated = seen.repeats
        super().emit(seen.last)

    def _arm(self) -> None:
        """See to it that a count is written although nothing else is logged."""
        if self._timer is None:
            self._timer = threading.Timer(self._interval_seconds, self._on_time)
            self._timer.daemon = True
            self._timer.start()

    def _on_time(self) -> None:
        self.acquire()
        try:
            self._timer = None
            self.write_due()
            if any(seen.repeats for seen in self._seen.values()):
                self._arm()
        finally:
            self.release()


def _likeness(record: logging.LogRecord) -> Hashable:
    """What lines have in common that are repeats of each other; a library's are known by their text without values."""
    event = getattr(record, "event", None)
    return (record.name, record.levelno, record.msg) if event is None else (event, record.__dict__["told_apart_by"])


def _structure(record: logging.LogRecord) -> dict[str, object]:
    """A line: `time`, `level`, `event`, `message`, `fields`, and `repeated` and `exception` where there are any."""
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    line: dict[str, object] = {
        "time": moment.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "event": str(getattr(record, "event", record.name)),
        "message": record.getMessage(),
        "fields": getattr(record, "fields", {}),
    }
    if repeated := getattr(record, "repeated", 0):
        line["repeated"] = repeated
    if record.exc_info:
        line["exception"] = _TRACEBACK.formatException(record.exc_info)
    return line


class _JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_structure(record), default=str)


class _ConsoleFormatter(logging.Formatter):
    """One line for people; what has more lines is set in, so that no text can pass for a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        line = _structure(record)
        text = f"{line['time']} {line['level']} {line['event']}: {line['message']}"
        if "repeated" in line:
            text = f"{text} (repeated {line['repeated']} times)"
        if "exception" in line:
            text = f"{text}\n{line['exception']}"
        return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text).replace("\n", "\n    ")
