"""Findings of verbs that look whether all is well."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is: `problem` makes the command end with 1."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do; `advice` is empty when there is nothing to do."""

    subject: str
    level: Level
    what: str
    advice: str = ""
