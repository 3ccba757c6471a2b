"""The doctor: each seeded mistake is found, and the advice says what to do; a sound set-up has no problem."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from spanledger.config.settings import load_settings
from spanledger.core.times import NANO_PER_DAY, NANO_PER_SECOND
from spanledger.core.usage import Signal
from spanledger.ledger.database import Database
from spanledger.ledger.failures import ExportFailure
from spanledger.ledger.ledger import Ledger
from spanledger.service.doctor import examine
from spanledger.service.findings import Finding, Level
from spanledger.service.sink import OtlpSink
from support.booking import open_books
from support.replaying import feed, open_parts, read_folder, replay_folders
from support.serving import running
from support.telling import NOW as CALLED
from support.telling import Client, Usage
from support.truth import CAPTURES

SOUND = CAPTURES / "s03_subagent"
NOW = max(body.received_unix_nano or 0 for body in read_folder(SOUND)) + 60 * NANO_PER_SECOND


def findings(ledger_path: Path, now_unix_nano: int = NOW, **more: Any) -> list[Finding]:
    flags = {
        "receiver.grpc.endpoint": "127.0.0.1:0",
        "receiver.http.endpoint": "127.0.0.1:0",
        "admin.endpoint": "127.0.0.1:0",
        "ledger.path": str(ledger_path),
        **{key.replace("__", "."): value for key, value in more.items()},
    }
    settings = load_settings(None, {}, flags)

    async def run() -> list[Finding]:
        return [finding async for finding in examine(settings, now_unix_nano)]

    return asyncio.run(run())


def problems(found: Sequence[Finding], subject: str = "") -> list[Finding]:
    return [one for one in found if one.level is Level.PROBLEM and one.subject.startswith(subject)]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    replay_folders([SOUND], tmp_path / "ledger.db")
    return tmp_path / "ledger.db"


def test_a_sound_set_up_has_no_problem(sound: Path) -> None:
    async def run() -> list[Finding]:
        sink = OtlpSink()
        await sink.start()
        settings = load_settings(None, {}, {"ledger.path": str(sound), "exporter.endpoint": sink.grpc_endpoint})
        found = [finding async for finding in examine(settings, NOW)]
        await sink.stop()
        return found

    found = asyncio.run(run())
    assert problems(found) == []
    said = {(one.subject, one.level) for one in found}
    assert said >= {(f"destination default, {signal}", Level.OK) for signal in Signal}
    assert ("clients 2.1.330", Level.OK) in said
    assert all(one.advice for one in found if one.level is not Level.OK)


KEYS = ("receiver.grpc.endpoint", "receiver.http.endpoint", "admin.endpoint")


def of(found: Sequence[Finding], subject: str) -> Finding:
    (one,) = [finding for finding in found if finding.subject == subject]
    return one


@contextmanager
def taken() -> Iterator[str]:
    """An address that something listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("key", KEYS)
def test_a_port_that_is_taken_while_no_service_runs_is_a_problem(key: str, sound: Path) -> None:
    with taken() as endpoint:
        one = of(findings(sound, **{key: endpoint}), key)
    assert one.level is Level.PROBLEM
    assert one.what == f"{endpoint} cannot be listened on: Address already in use"
    assert f"no service runs on {sound}" in one.advice


def test_ports_of_the_service_that_runs_are_no_problem(tmp_path: Path) -> None:
    async def run() -> list[Finding]:
        async with running(tmp_path / "ledger.db") as up:
            addresses = dict(zip(KEYS, (up.addresses.grpc, up.addresses.http, up.addresses.admin), strict=True))
            return await asyncio.to_thread(findings, tmp_path / "ledger.db", **addresses)

    found = asyncio.run(run())
    assert [of(found, key).level for key in KEYS] == [Level.NOTE] * 3
    assert all("nothing, when that is the service" in of(found, key).advice for key in KEYS)


def test_a_port_of_another_program_and_a_free_one_beside_a_service(tmp_path: Path) -> None:
    async def run() -> list[Finding]:
        async with running(tmp_path / "ledger.db"):
            with taken() as endpoint:
                return await asyncio.to_thread(findings, tmp_path / "ledger.db", admin__endpoint=endpoint)

    found = asyncio.run(run())
    assert of(found, "admin.endpoint").level is Level.PROBLEM
    assert "does not answer as the service does" in of(found, "admin.endpoint").advice
    assert "started with another address" in of(found, "receiver.grpc.endpoint").advice


@pytest.mark.parametrize(
    ("key", "endpoint", "same_as"),
    [
        ("receiver.http.endpoint", "127.0.0.1:{port}", "receiver.grpc.endpoint"),
        ("receiver.http.endpoint", "localhost:{port}", "receiver.grpc.endpoint"),
        ("admin.endpoint", "0.0.0.0:{port}", "receiver.grpc.endpoint"),
    ],
)
def test_two_listeners_on_one_port(key: str, endpoint: str, same_as: str, sound: Path) -> None:
    with taken() as free:
        pass
    more = {"receiver__grpc__endpoint": free, key: endpoint.format(port=free.rpartition(":")[2])}
    one = of(findings(sound, **more), key)
    assert (one.level, one.what.partition(" is ")[2]) == (Level.PROBLEM, f"the address of {same_as} too")
    assert "a port of its own" in one.advice


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("host", "advice"),
    [("192.0.2.7", "no address of this machine"), ("strange..name", "name this machine")],
)
def test_an_address_that_is_not_this_machines(key: str, host: str, advice: str, sound: Path) -> None:
    one = of(findings(sound, **{key: f"{host}:4317"}), key)
    assert one.level is Level.PROBLEM
    assert advice in one.advice


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_doors_that_are_open_to_everybody(host: str, sound: Path, tmp_path: Path) -> None:
    (one,) = problems(findings(sound, receiver__http__endpoint=f"{host}:0"), "receiver")
    assert (one.subject, one.what) == ("receiver", f"anybody who reaches {host}:0 can send")
    assert "receiver.auth.tokens_file" in one.advice
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text("tenants: {all: {tokens: [0123456789abcdef]}}\n")
    tokens.chmod(0o640)
    guarded = findings(sound, receiver__http__endpoint=f"{host}:0", receiver__auth__tokens_file=str(tokens))
    assert problems(guarded, "receiver") == []


def test_limits_that_do_not_fit_together(sound: Path) -> None:
    one = of(findings(sound, receiver__max_inflated_bytes="1000000"), "receiver.max_inflated_bytes")
    assert (one.level, "receiver.max_request_bytes, 20971520" in one.what) == (Level.PROBLEM, True)
    assert problems(findings(sound, receiver__max_inflated_bytes=str(20 * 2**20)), "receiver") == []


def test_requests_that_grpc_servers_do_not_take_are_a_note(sound: Path) -> None:
    keys = ("forward.max_batch_bytes", "metrics.max_request_bytes")

    def told(size: int, **more: Any) -> list[tuple[str, Level]]:
        more |= {"exporter__endpoint": "http://127.0.0.1:9"}
        found = findings(sound, **dict.fromkeys(keys, str(size)), **more)
        return [(one.subject, one.level) for one in found if one.subject in keys]

    assert told(4 * 2**20 + 1) == [(key, Level.NOTE) for key in keys]
    assert told(4 * 2**20) == []
    assert told(2**30, exporter__protocol="http/protobuf") == []


def test_a_ledger_that_cannot_be_where_it_shall(sound: Path, tmp_path: Path) -> None:
    another = "choose another ledger.path"
    text = tmp_path / "notes.txt"
    text.write_text("somebody's notes\n")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    said = {
        tmp_path: f"ledger {tmp_path}: cannot be used: it is a folder",
        text: f"ledger {text}: cannot be used: it is not a ledger",
        other: f"ledger {other}: is a database of something else",
        text / "ledger.db": f"{text} cannot be written: Not a directory",
    }
    for path, what in said.items():
        (one,) = problems(findings(path), "ledger")
        assert (one.what, one.advice[: len(another)]) == (what, another)
    assert sorted(tmp_path.iterdir()) == sorted({text, other, *tmp_path.glob("ledger.db*")}), "nothing is left"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a folder that nobody can write in, root neither")
def test_a_folder_that_cannot_be_written() -> None:
    (one,) = problems(findings(Path("/proc/self/none/ledger.db")), "ledger")
    assert "cannot be written" in one.what


def test_prices_that_are_old_or_broken(sound: Path, tmp_path: Path) -> None:
    (old,) = problems(findings(sound, NOW + 100 * NANO_PER_DAY), "prices")
    assert "days ago" in old.what
    assert "prices.updates" in old.advice
    broken = tmp_path / "broken.yaml"
    broken.write_text("models: [\n")
    assert any(str(broken) in one.what for one in problems(findings(sound, prices__files=[str(broken)]), "prices"))


def test_files_of_secrets_are_looked_at(sound: Path, tmp_path: Path) -> None:
    """Every mistake in them: test_files_examined.py."""
    (one,) = problems(findings(sound, receiver__auth__tokens_file=str(tmp_path / "none")), "receiver.auth")
    assert "none: file of tokens cannot be read" in one.what


def test_destinations_that_are_away_or_misconfigured(sound: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    away = findings(sound, exporter__endpoint=f"http://127.0.0.1:{port}", exporter__timeout_seconds="2")
    assert [one.subject for one in problems(away)] == [f"destination default, {signal}" for signal in sorted(Signal)]
    missing = {"endpoint": "https://localhost:1", "tls": {"ca_file": str(tmp_path / "none.pem")}}
    (one,) = problems(findings(sound, destinations={"far": missing}), "destinations")
    assert "none.pem" in one.what


def test_a_destination_that_is_the_service_itself(tmp_path: Path) -> None:
    """It takes what it is sent, so that trying it shows nothing."""

    async def run() -> list[Finding]:
        async with running(tmp_path / "ledger.db") as up:
            more = {"receiver.grpc.endpoint": up.addresses.grpc, "exporter.endpoint": f"http://{up.addresses.grpc}"}
            return await asyncio.to_thread(findings, tmp_path / "ledger.db", **more)

    one = of(asyncio.run(run()), "exporter.endpoint")
    assert (one.level, "is this service's own receiver" in one.what) == (Level.PROBLEM, True)


def test_signals_without_an_endpoint_are_told_and_the_others_are_tried(sound: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    nowhere = {"metrics": {"endpoint": f"http://127.0.0.1:{port}"}, "timeout_seconds": 2}
    meant = {**nowhere, "signals": ["metrics"]}
    found = findings(sound, exporter=nowhere, destinations={"meant": meant})
    told = [(one.subject, one.level) for one in found if one.subject.startswith("destination")]
    assert told == [
        ("destination default", Level.NOTE),
        ("destination default, metrics", Level.PROBLEM),
        ("destination meant, metrics", Level.PROBLEM),
    ]
    assert any("no endpoint for logs, traces" in one.what for one in found)


def test_a_ledger_whose_pages_are_overwritten(sound: Path) -> None:
    content = bytearray(sound.read_bytes())
    content[8192:48192] = bytes(40_000)
    sound.write_bytes(content)
    problems = [one for one in findings(sound) if one.subject == "ledger" and one.level is Level.PROBLEM]
    assert problems
    assert all("sets a damaged file aside" in problem.advice for problem in problems)


def test_a_ledger_that_is_damaged_or_was(sound: Path) -> None:
    database = Database.open(sound)
    database.mark_damaged()
    database.close()
    aside = sound.with_name(f"{sound.name}.damaged-20261101T000000000000Z")
    aside.touch()
    marked, set_aside = problems(findings(sound), "ledger")
    assert "marked as damaged" in marked.what
    assert str(aside) in set_aside.what
    assert f"spanledger recover {aside} " in set_aside.advice
    size = sound.stat().st_size
    with sound.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\x55" * (size // 4))
    assert len(problems(findings(sound), "ledger")) > 2


def test_an_outbox_that_fills_and_payloads_that_were_refused(sound: Path) -> None:
    ledger = Ledger.open(sound, max_series=10)
    with ledger.transaction():
        came = NOW - 3_600 * NANO_PER_SECOND
        for _ in range(2):
            ledger.outbox.add(
                Signal.METRICS, b"x", ("prom",), received_unix_nano=came, ready_unix_nano=came, sealed=True
            )
        payloads = ledger.outbox.departures("prom", Signal.METRICS, 1)
        ledger.outbox.set_aside("prom", payloads, "HTTP 400: invalid temporality and type combination", max_bytes=2**20)
    ledger.close()
    waiting, refused = problems(findings(sound), "outbox of prom")
    assert "1 payloads wait" in waiting.what
    assert "delta_to_cumulative" in refused.advice


NO_DELTAS, TOO_MANY = "HTTP 500: invalid temporality and type combination", "HTTP 429: too many series"
AGAIN = "exports are taken again"


@pytest.mark.parametrize(
    ("temporality", "reason", "is_over", "level", "advice"),
    [
        ("delta", NO_DELTAS, False, Level.PROBLEM, "set metrics.temporality to cumulative"),
        ("delta", NO_DELTAS, True, Level.PROBLEM, "set metrics.temporality to cumulative"),
        ("cumulative", NO_DELTAS, True, Level.NOTE, AGAIN),
        ("cumulative", TOO_MANY, False, Level.PROBLEM, "mend what it complains of"),
        ("delta", TOO_MANY, True, Level.NOTE, AGAIN),
    ],
)
def test_an_export_that_a_destination_did_not_take_is_told(
    temporality: str, reason: str, is_over: bool, level: Level, advice: str, sound: Path
) -> None:
    ledger = Ledger.open(sound, max_series=10)
    minute = 60 * NANO_PER_SECOND
    with ledger.transaction():
        for name in ("default", "logs", "not-configured"):
            ledger.failures.note(name, ExportFailure(NOW - 3 * minute, NOW - minute, reason, is_over))
    ledger.close()
    away = "http://127.0.0.1:9"
    logs = {"endpoint": away, "signals": ["logs"], "cost_metrics": False}
    more = {"exporter__endpoint": away, "destinations": {"logs": logs}, "metrics__temporality": temporality}
    (one,) = [one for one in findings(sound, **more) if one.subject.endswith("cost metrics")]
    assert (one.subject, one.level) == ("destination default, cost metrics", level)
    assert one.what.startswith(f"an export was not taken whole 60 s ago: {reason}")
    assert advice in one.advice


@pytest.mark.parametrize(
    ("folder", "subject", "level", "said"),
    [
        ("s20_plain_defaults", "clients 2.1.330", Level.NOTE, "1 of 1 sessions sent no spans"),
        ("s07_models", "unpriced", Level.PROBLEM, "1 calls of acme-model-9"),
    ],
)
def test_what_clients_do_not_send(folder: str, subject: str, level: Level, said: str, tmp_path: Path) -> None:
    path = CAPTURES / folder
    replay_folders([path], tmp_path / "ledger.db")
    now = max(body.received_unix_nano or 0 for body in read_folder(path)) + 60 * NANO_PER_SECOND
    found = findings(tmp_path / "ledger.db", now)
    assert any(one.subject == subject and one.level is level and said in one.what for one in found), found


def test_of_many_models_and_versions_some_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    """Senders write both."""
    with open_books(tmp_path / "ledger.db") as books:
        for number in range(23):
            client = Client(f"session-{number}", f"1.0.{number:02}")
            books.take(client.log(f"req_{number}", f"acme-{number:02}", Usage(1)))
    found = findings(tmp_path / "ledger.db", CALLED)
    unpriced = [one.what for one in found if one.subject == "unpriced"]
    assert len(unpriced) == 20 + 1
    assert unpriced[-1] == "calls of 3 more models"
    assert len({one.subject for one in found if one.subject.startswith("clients ")}) == 20
    assert of(found, "clients").what == "3 more versions"


def test_cost_that_nobody_owns(tmp_path: Path) -> None:
    bodies = read_folder(SOUND)
    settings = load_settings(None, {}, {"metrics.resource_labels": {"squad.id": "squad", "team.id": "team"}})
    parts = open_parts(tmp_path / "ledger.db", settings=settings)
    feed(parts, [[body.delivery for body in bodies]], [NOW])
    parts.ledger.close()
    (one,) = problems(findings(tmp_path / "ledger.db"), "attribution")
    assert one.what == "100% of the last day's cost names no squad"
    assert "OTEL_RESOURCE_ATTRIBUTES" in one.advice


def test_a_clock_that_is_off(sound: Path) -> None:
    ledger = Ledger.open(sound, max_series=10)
    ledger.database.connection.execute("UPDATE evidence SET received_unix_nano = received_unix_nano + 600000000000")
    ledger.close()
    (one,) = problems(findings(sound, NOW + 600 * NANO_PER_SECOND), "clock")
    assert one.what.startswith("records come 60")


def test_no_ledger_and_silence_are_notes_with_a_way_on(sound: Path, tmp_path: Path) -> None:
    (none,) = [one for one in findings(tmp_path / "other.db") if one.subject == "ledger"]
    assert (none.level, "spanledger serve" in none.advice) == (Level.NOTE, True)
    (silent,) = [one for one in findings(sound, NOW + 2 * NANO_PER_DAY) if one.subject == "clients"]
    assert "nothing came in the last hour" in silent.what
