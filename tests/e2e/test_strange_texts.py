"""What senders write, as verbs show it to people: short, without markup, and nothing in it that a terminal obeys."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from spanledger.cli.main import app
from spanledger.core.usage import Signal
from support.booking import open_books
from support.telling import Client, Usage

STRANGE = "\x1b[31m\r[red]x[/b]" + "m" * 10**6
SEEN = r"\x1b[31m\r[red]x[/b]mmm"
MAX_SHOWN_BYTES = 30_000


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One call of a client whose every word is a megabyte of that, and refused payloads of a destination like it."""
    path = tmp_path_factory.mktemp("strange") / "ledger.db"
    now = time.time_ns()
    names = ("team.id", "cost_center", "department")
    client = Client(
        f"session{STRANGE}", f"9{STRANGE}", f"user{STRANGE}", resource={name: f"{name}{STRANGE}" for name in names}
    )
    words = {name: f"{name}{STRANGE}" for name in ("query_source", "agent.name", "skill.name", "speed")}
    with open_books(path) as books:
        books.take(client.log(f"req{STRANGE}", f"model{STRANGE}", Usage(1_000), at=now, **words), at=now).rest()
        with books.ledger.transaction():
            when = {"received_unix_nano": now, "ready_unix_nano": now}
            books.ledger.outbox.add(Signal.LOGS, b"x", ("default",), **when, sealed=True)
            waiting = books.ledger.outbox.departures("default", Signal.LOGS, 1)
            books.ledger.outbox.set_aside("default", waiting, STRANGE, max_bytes=2**20)
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)


@pytest.mark.parametrize(
    "verb",
    [
        ("session", f"session{STRANGE}"),
        ("explain", f"req{STRANGE}"),
        ("report", "--by", "user,team,cost_center,model"),
        ("report", "--by", "query_source,agent"),
        ("doctor",),
        ("quickstart", "--check", "--wait-seconds", "0"),
    ],
    ids=lambda verb: verb[0],
)
def test_what_senders_write_does_no_harm_to_who_reads(verb: tuple[str, ...], ledger: Path) -> None:
    text = run(*verb, "--ledger", ledger).stdout
    assert len(text) < MAX_SHOWN_BYTES
    assert "\x1b" not in text
    assert "\r" not in text
    assert SEEN in "".join(text.split())


@pytest.mark.parametrize("verb", [("session", f"session{STRANGE}"), ("explain", f"req{STRANGE}")])
def test_programs_are_told_all_of_it(verb: tuple[str, ...], ledger: Path) -> None:
    assert len(run(*verb, "--ledger", ledger, "--json").stdout) > len(STRANGE)
