"""The log: one structure, two ways to write it, repeats folded."""

from __future__ import annotations

import json
import logging
import re
import string
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import pytest

from spanledger.core.events import EVENTS, Event, Level, LogFormat
from spanledger.logs import FoldingHandler, start_logs, tell

INTERVAL_SECONDS = 60.0


@dataclass
class Log:
    """A log in memory, with a clock of its own."""

    stream: StringIO = field(default_factory=StringIO)
    seconds: float = 0.0

    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines()]


Start = Callable[..., tuple[Log, FoldingHandler]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Begin a log; what the tests' own process had is there again afterwards."""
    started: list[FoldingHandler] = []
    root, own = logging.getLogger(), logging.getLogger("spanledger")
    levels = (root.level, own.level)

    def begin(
        log_format: LogFormat = LogFormat.JSON, level: Level = Level.INFO, interval_seconds: float = INTERVAL_SECONDS
    ) -> tuple[Log, FoldingHandler]:
        log = Log()
        started.append(start_logs(log_format, level, interval_seconds, log.stream))
        started[-1]._clock_seconds = lambda: log.seconds
        return log, started[-1]

    yield begin
    for handler in started:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(levels[0])
    own.setLevel(levels[1])


def refuse(destination: str, payloads: int = 1) -> None:
    tell(Event.DESTINATION_REFUSED, destination=destination, payloads=payloads, why="too old")


def test_a_line_has_time_level_event_message_and_fields(start: Start) -> None:
    log, _ = start()
    refuse("default", 2)
    (line,) = log.objects()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "error",
        "event": "destination.refused",
        "message": "destination default refused 2 payload(s) for good; kept in the ledger: too old",
        "fields": {"destination": "default", "payloads": 2, "why": "too old"},
    }


def test_people_read_the_same_on_one_line(start: Start) -> None:
    log, _ = start(LogFormat.CONSOLE)
    refuse("default", 2)
    (line,) = log.lines()
    assert line.partition(" ")[2] == (
        "error destination.refused: destination default refused 2 payload(s) for good; kept in the ledger: too old"
    )


def test_a_librarys_line_has_the_same_structure(start: Start) -> None:
    log, _ = start()
    logging.getLogger("grpc").warning("cannot bind %s", "an address")
    logging.getLogger("grpc").info("of no interest")
    (line,) = log.objects()
    assert (line["level"], line["event"], line["message"], line["fields"]) == (
        "warning",
        "grpc",
        "cannot bind an address",
        {},
    )


def test_a_traceback_belongs_to_its_line(start: Start) -> None:
    log, _ = start()
    tell(Event.LEDGER_COMMIT_FAILED, ValueError("a fault of ours"))
    (line,) = log.objects()
    assert line["exception"].endswith("ValueError: a fault of ours")


def test_no_text_passes_for_another_line(start: Start) -> None:
    log, _ = start(LogFormat.CONSOLE)
    tell(Event.RECEIVER_TOKENS_REFUSED, problems="x\n2026-01-01 info service.ready: forged\r\x1b[2J\u2028")
    first, second = log.stream.getvalue().removesuffix("\n").split("\n")
    assert first.endswith("warning receiver.tokens_refused: x")
    assert second.startswith("    2026")
    assert second.endswith("forged\\x0d\\x1b[2J\\x2028; the tokens that it held before stay valid")


def test_a_text_that_is_no_unicode_can_be_written(start: Start) -> None:
    log, handler = start()
    handler.handle(logging.LogRecord("uvicorn", logging.WARNING, "", 0, "a file named \udcff", None, None))
    assert log.objects()[0]["message"] == "a file named \udcff"


@pytest.mark.parametrize(("level", "written"), [(Level.INFO, 2), (Level.WARNING, 1), (Level.ERROR, 0)])
def test_what_matters_less_than_the_level_is_left_out(level: Level, written: int, start: Start) -> None:
    log, _ = start(level=level)
    tell(Event.PRICES_IN_USE, price_book="a book")
    tell(Event.LEDGER_RECOVERED)
    assert len(log.lines()) == written


def test_repeats_of_an_interval_are_one_line_with_their_count(start: Start) -> None:
    log, handler = start()
    for payloads in range(1, 6):
        refuse("default", payloads)
    assert [line.get("repeated") for line in log.objects()] == [None]
    log.seconds = INTERVAL_SECONDS
    handler.write_due()
    refuse("default", 6)
    assert [(line["fields"]["payloads"], line.get("repeated")) for line in log.objects()] == [(1, None), (5, 4)]
    log.seconds = 2 * INTERVAL_SECONDS
    handler.write_due()  # the one that came in the second interval
    log.seconds = 3 * INTERVAL_SECONDS
    refuse("default", 7)  # nothing came in the third: this one is the first again
    assert [(line["fields"]["payloads"], line.get("repeated")) for line in log.objects()[2:]] == [(6, 1), (7, None)]


def test_what_tells_lines_apart_is_not_folded(start: Start) -> None:
    log, handler = start(LogFormat.CONSOLE)
    for destination in ("one", "two", "one"):
        refuse(destination)
    logging.getLogger("asyncio").warning("a library of %s", "ours")
    logging.getLogger("asyncio").warning("a library of %s", "theirs")
    assert [line.split("; kept")[0].rpartition(": ")[2] for line in log.lines()] == [
        "destination one refused 1 payload(s) for good",
        "destination two refused 1 payload(s) for good",
        "a library of ours",
    ]
    handler.close()
    assert [line.rpartition(" (")[2] for line in log.lines()[3:]] == ["repeated 1 times)", "repeated 1 times)"]


def test_a_count_is_written_although_nothing_else_is_logged(start: Start) -> None:
    written = threading.Event()
    log, _ = start(interval_seconds=0.05)
    write = log.stream.write
    log.stream.write = lambda text: (written.set() if "repeated" in text else None, write(text))[1]  # type: ignore
    refuse("default")
    refuse("default")
    log.seconds = INTERVAL_SECONDS
    assert written.wait(10)
    assert [line.get("repeated") for line in log.objects()] == [None, 1]


def test_nothing_is_folded_with_an_interval_of_0(start: Start) -> None:
    log, _ = start(interval_seconds=0)
    for _ in range(3):
        refuse("default")
    assert len(log.lines()) == 3


@pytest.mark.parametrize("event", Event)
def test_every_event_is_in_the_table_and_known_by_fields_of_its_message(event: Event) -> None:
    spec = EVENTS[event]
    named = {name for _, name, _, _ in string.Formatter().parse(spec.message) if name is not None}
    assert event.partition(".")[2]
    assert spec.remedy
    # A fault's name is a field of its own; the message has it in words.
    assert set(spec.told_apart_by) <= named | {"fault"}


def test_what_a_library_warns_of_with_a_whole_url_is_not_repeated(start: Start) -> None:
    """Some backends take their key in the query."""
    log, _ = start()
    logging.getLogger("urllib3.connection").warning("Failed to parse headers (url=%s)", "http://x/v1/logs?key=s3cr3t")
    logging.getLogger("urllib3.connection").error("something that is wrong with us")
    assert [line["message"] for line in log.objects()] == ["something that is wrong with us"]
