"""Every setting, counter, gauge, reason to refuse and line of the log that has a row in docs/reference has a test.

This is a net alone: it finds what no test names. That a test crosses what it names is for its reader to see.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

import pytest

from spanledger.core.events import Event
from spanledger.core.gauges import GAUGES, Gauge
from spanledger.core.prometheus_names import prometheus_name
from spanledger.core.reasons import Reason
from spanledger.ledger.faults import Fault
from spanledger.telemetry import COUNTERS, Counter

TESTS = Path(__file__).parent.parent.parent
VARIES = "*"
"""What stands for a part of an f-string."""


@dataclass(slots=True)
class Named:
    """What tests name: attributes as `Class.name`, arguments as `Class(name)` and `(name)`, and all texts."""

    words: set[str] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)

    def has_text(self, name: str) -> bool:
        """Whether a text holds a name, and not only one that begins or ends like it."""
        return any(re.search(rf"(?<![\w.]){re.escape(name)}(?!\w|\.\w)", text) for text in self.texts if name in text)


@cache
def named() -> Named:
    found = Named()
    for file in sorted(TESTS.rglob("*.py")):
        if file != Path(__file__):
            for node in ast.walk(ast.parse(file.read_text())):
                _note(node, found)
    return found


def _note(node: ast.AST, found: Named) -> None:
    match node:
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            found.words.add(f"{owner}.{name}")
        case ast.Call(func=ast.Name(id=owner), keywords=keywords):
            found.words |= {f"{owner}({keyword.arg})" for keyword in keywords}
            found.words |= {f"({keyword.arg})" for keyword in keywords}
        case ast.Call(keywords=keywords):
            found.words |= {f"({keyword.arg})" for keyword in keywords}
        case ast.Constant(value=str(text)):
            found.texts.append(text)
            found.words.add(f"({text})")
        case ast.JoinedStr(values=parts):
            found.texts.append("".join(str(p.value) if isinstance(p, ast.Constant) else VARIES for p in parts))


def names_of(member: StrEnum) -> Iterator[str]:
    """Texts that stand for a counter, a gauge or a line of the log in what users see."""
    match member:
        case Counter():
            spec = COUNTERS[member]
            yield spec.name
            yield prometheus_name(spec.name, spec.unit, is_counter=True)
        case Gauge():
            yield member.value
            yield prometheus_name(member, GAUGES[member].unit, is_counter=False)
        case Event():
            yield member.value


@pytest.mark.parametrize("kind", [Counter, Reason, Gauge, Event, Fault])
def test_every_one_is_named_by_a_test(kind: type[StrEnum]) -> None:
    unnamed = [
        member.name
        for member in kind
        if f"{kind.__name__}.{member.name}" not in named().words and not any(map(named().has_text, names_of(member)))
    ]
    assert unnamed == []
