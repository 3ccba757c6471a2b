"""Asking a ledger, also while the service writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import typer

from spanledger.cli.options import ExitCode
from spanledger.ledger.ledger import Ledger

T = TypeVar("T")


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


def not_found(message: str) -> NoReturn:
    """Tell on standard error that the ledger has no such thing, and exit with 1."""
    typer.echo(message, err=True)
    raise typer.Exit(ExitCode.FINDING)
