"""Every setting, counter, gauge, reason to refuse and line of the log that has a row in docs/reference has a test.

This is a net alone: it finds what no test names. That a test crosses what it names is for its reader to see.
"""

from __future__ import annotations

import ast
import re
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel

from spanledger.config.sections import Settings
from spanledger.config.settings import setting_keys, variable_of
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
    """What tests name: attributes as `Class.name`, arguments as `Class(name)`; and all texts and names of arguments."""

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
            found.texts += [str(keyword.arg) for keyword in keywords]
        case ast.Call(keywords=keywords):
            found.texts += [str(keyword.arg) for keyword in keywords]
        case ast.Dict(keys=keys, values=values):
            found.texts += list(_dotted(keys, values))
        case ast.Constant(value=str(text)):
            found.texts.append(text)
        case ast.JoinedStr(values=parts):
            found.texts.append("".join(str(p.value) if isinstance(p, ast.Constant) else VARIES for p in parts))


def _dotted(keys: Sequence[ast.expr | None], values: Sequence[ast.expr]) -> Iterator[str]:
    """`a.b` of `{"a": {"b": ...}}`."""
    for key, value in zip(keys, values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(value, ast.Dict):
            yield from (f"{key.value}.{inner.value}" for inner in value.keys if isinstance(inner, ast.Constant))


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


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[type[BaseModel], str, str]]:
    """Every setting: the section that declares it, its name there and its key."""
    for name, declared in model.model_fields.items():
        kind = declared.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from fields(kind, f"{prefix}{name}.")
        else:
            yield model, name, f"{prefix}{name}"


def test_every_setting_is_named_by_a_test() -> None:
    """By key, by variable, as an argument of its section, or by name alone where no other section has it."""
    declared = list(fields(Settings))
    assert [key for _, _, key in declared] == list(setting_keys())
    sections = Tally(name for _, name in {(section, name) for section, name, _ in declared})
    keys: dict[tuple[type[BaseModel], str], list[str]] = {}
    for section, name, key in declared:
        keys.setdefault((section, name), []).append(key)
    unnamed = [
        of_field
        for (section, name), of_field in keys.items()
        if f"{section.__name__}({name})" not in named().words
        and not (sections[name] == 1 and named().has_text(name))
        and not any(named().has_text(form) for key in of_field for form in _forms(key))
    ]
    assert unnamed == []


def _forms(key: str) -> Iterator[str]:
    """A key as tests write it, also with one part that varies."""
    parts = key.split(".")
    for place in range(len(parts)):
        varied = [VARIES if here == place > 0 and here < len(parts) - 1 else part for here, part in enumerate(parts)]
        yield ".".join(varied)
        yield "__".join(varied)
        yield variable_of(".".join(varied))
