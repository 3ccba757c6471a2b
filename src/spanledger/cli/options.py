"""What all verbs share: exit codes, options, and how mistakes are told."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import IntEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from spanledger.core.errors import ConfigError
from spanledger.ledger.faults import UnreadableError

P = ParamSpec("P")


class ExitCode(IntEnum):
    """Exit codes of every verb."""

    FINE = 0
    FINDING = 1
    BAD_INPUT = 2


ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="F", help="Configuration file (YAML); see docs/reference.")
]
LedgerOption = Annotated[Path | None, typer.Option("--ledger", metavar="F", help="Ledger file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


def offline_environment() -> dict[str, str]:
    """The environment without the variables of OTLP exporters, for verbs that send nothing.

    On a developer's machine these are set for the client; they must not keep a replay from running.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("OTEL_EXPORTER_OTLP_")}


def exits_on_bad_input(verb: Callable[P, None]) -> Callable[P, None]:
    """Tell a `ConfigError` on standard error, a problem a line, or that the ledger is damaged, and exit with 2."""

    @wraps(verb)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            verb(*args, **kwargs)
        except ConfigError as error:
            for problem in error.problems:
                typer.echo(f"error: {problem}", err=True)
            raise typer.Exit(ExitCode.BAD_INPUT) from None
        except UnreadableError as error:
            typer.echo(f"error: the ledger cannot be read: {error}; `spanledger doctor` looks at the file", err=True)
            raise typer.Exit(ExitCode.BAD_INPUT) from None

    return told
