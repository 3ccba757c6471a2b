"""All boards and their rules: text by file name."""

from __future__ import annotations

from collections.abc import Callable

from spanledger.dashboards.anatomy import anatomy
from spanledger.dashboards.board import Board, write
from spanledger.dashboards.chargeback import chargeback
from spanledger.dashboards.component import component
from spanledger.dashboards.overview import overview
from spanledger.dashboards.quality import quality
from spanledger.dashboards.recording import FILE_NAME, recording_rules
from spanledger.dashboards.settings import BoardSettings

BUILDERS: tuple[Callable[[BoardSettings], Board], ...] = (overview, chargeback, anatomy, quality, component)
"""A builder for each board, in the order in which they are read."""


def build(settings: BoardSettings) -> dict[str, str]:
    """Every board, and the rules that they read, by the name of its file."""
    made = (builder(settings) for builder in BUILDERS)
    return {f"{board.key}.json": write(board, settings) for board in made} | {FILE_NAME: recording_rules(settings)}
