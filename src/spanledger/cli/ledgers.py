"""Asking a ledger, also while the service writes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from typing import Protocol, TypeVar

import typer

from spanledger.cli.options import ExitCode
from spanledger.ledger.ledger import Ledger

T = TypeVar("T")


class Told(Protocol):
    """What a ledger says of something that a person asks for."""

    def as_json(self, zone: tzinfo) -> dict[str, object]:
        """One object, its instants in a zone."""
        ...


Answer = TypeVar("Answer", bound=Told)


def ask(path: Path, question: Callable[[Ledger], T]) -> T:
    """Open a ledger for reading, ask it, close it.

    Raises:
        ConfigError: see `Ledger.read`.
    """
    ledger = Ledger.read(path)
    try:
        return question(ledger)
    finally:
        ledger.close()


def tell(
    found: Answer | None, absence: str, zone: tzinfo, show: Callable[[Answer, tzinfo], None], *, as_json: bool
) -> None:
    """Print what a ledger says, as JSON or as `show` does; without it say the absence on standard error, and exit 1."""
    if found is None:
        typer.echo(absence, err=True)
        raise typer.Exit(ExitCode.FINDING)
    if as_json:
        typer.echo(json.dumps(found.as_json(zone), indent=2))
    else:
        show(found, zone)
