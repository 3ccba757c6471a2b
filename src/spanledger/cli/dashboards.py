"""`spanledger dashboards`: write the Grafana boards, or check that a folder has them."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from spanledger.cli.options import ExitCode, JsonOption, exits_on_bad_input
from spanledger.core.errors import ConfigError
from spanledger.dashboards.settings import BACKENDS, BoardSettings

app = typer.Typer(no_args_is_help=True, help="Write the Grafana boards.")

_FolderArgument = Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Folder of the boards (dashboards).")]
_BackendOption = Annotated[
    str, typer.Option("--backend", help=f"Whose names and functions the queries use: {', '.join(BACKENDS)}.")
]


@app.callback()
def dashboards() -> None:
    """Write the Grafana boards."""


@app.command()
@exits_on_bad_input
def build(
    folder: _FolderArgument = Path("dashboards"), backend: _BackendOption = "prometheus", as_json: JsonOption = False
) -> None:
    """Write every board into a folder."""
    boards = _boards(_settings(backend))
    for name, text in boards.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    _say([str(folder / name) for name in boards], "written", as_json=as_json)


@app.command()
@exits_on_bad_input
def check(
    folder: _FolderArgument = Path("dashboards"), backend: _BackendOption = "prometheus", as_json: JsonOption = False
) -> None:
    """Check that a folder has every board as it would be written now; exit code 1 when not."""
    boards = _boards(_settings(backend))
    stale = [str(folder / name) for name, text in boards.items() if _read(folder / name) != text]
    _say(stale, "stale", as_json=as_json)
    if stale:
        raise typer.Exit(ExitCode.FINDING)


def _settings(backend: str) -> BoardSettings:
    if backend not in BACKENDS:
        raise ConfigError([f"--backend {backend}: there is {', '.join(BACKENDS)}"])
    return BACKENDS[backend]


def _boards(settings: BoardSettings) -> dict[str, str]:
    """Build the boards, if what builds them is installed: it is for those who change them, not for those who serve."""
    if find_spec("grafana_foundation_sdk") is None:
        raise ConfigError(["the boards are built with Grafana's SDK: pip install 'spanledger[dashboards]'"])
    from spanledger.dashboards.boards import build as build_boards

    return build_boards(settings)


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _say(paths: list[str], what: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({what: paths}, indent=2))
        return
    for path in paths:
        typer.echo(f"{what}: {path}")
    if not paths:
        typer.echo(f"nothing is {what}")
