"""YAML with places: what a file says, and on which line it says it.

Numbers and times stay the text that was written: 2.50 is "2.50", and no float comes in between.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

Location = tuple[int | str, ...]

_KEPT_AS_TEXT = frozenset({"tag:yaml.org,2002:float", "tag:yaml.org,2002:int", "tag:yaml.org,2002:timestamp"})
_VALUES_MAX = 200_000
"""More values than this are no file of a person, but anchors that multiply."""

_CONSTRUCTED = frozenset({"tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"})


class Unquoted(str):
    """A number or a time that stands in the file without quotes, as it was written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file: its content, and the line of each key and element of it."""

    name: str
    content: Any
    lines: Mapping[Location, int]

    def fault(self, location: Location, message: str) -> str:
        """Tell a mistake with file, line and key: `prices.yaml:12: models.claude-x.prices.row 1.from: …`."""
        return f"{self.name}:{self.line_of(location)}: {self._named(location)}: {message}"

    def line_of(self, location: Location) -> int:
        """Line of a place, or of the nearest around it."""
        return next(self.lines[location[:n]] for n in range(len(location), -1, -1) if location[:n] in self.lines)

    def _named(self, location: Location) -> str:
        """Name a place by the ids of what it is in, instead of by numbers alone."""
        parts: list[str] = []
        node = self.content
        for step in location:
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                node = None
            name = node.get("id") or node.get("name") if isinstance(node, dict) and isinstance(step, int) else None
            parts.append(str(name) if name else f"row {step + 1}" if isinstance(step, int) else step)
        return ".".join(parts) or "file"


def read_document(name: str, text: str, problems: list[str]) -> Document | None:
    """Read a YAML text whose top is a mapping; None when it is none, told in `problems`. So is a key given twice."""
    reader = _Reader()
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            problems.append(f"{name}:1: file: expected keys and values, as in `schema: 1`")
            return None
        document = Document(name, reader.value(node, ()), reader.lines)
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        problems.append(f"{name}:{line}: is not YAML: {error.problem}")
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a character beyond Unicode
        problems.append(f"{name}: is not YAML: {error}")
    except RecursionError:
        problems.append(f"{name}: is nested too deeply, or has more than {_VALUES_MAX} values")
    else:
        problems.extend(document.fault(*fault) for fault in reader.faults)
        return None if reader.faults else document
    return None


def faults_of(document: Document, model: type[BaseModel], error: ValidationError) -> list[str]:
    """Every mistake that a model found in a document, with its place and what was expected."""
    return [document.fault(item["loc"], _expected(model, dict(item))) for item in error.errors()]


class _Reader:
    """Turns YAML nodes into values and notes their lines."""

    def __init__(self) -> None:
        self.lines: dict[Location, int] = {}
        self.faults: list[tuple[Location, str]] = []

    def value(self, node: yaml.Node, location: Location) -> Any:  # noqa: ANN401 - YAML
        self.lines.setdefault(location, node.start_mark.line + 1)
        if len(self.lines) > _VALUES_MAX:
            raise RecursionError
        match node:
            case yaml.MappingNode():
                return self._mapping(node, location)
            case yaml.SequenceNode():
                return [self.value(inner, (*location, place)) for place, inner in enumerate(node.value)]
            case _ if node.tag in _KEPT_AS_TEXT:
                return Unquoted(node.value)
            case _ if node.tag in _CONSTRUCTED:
                return yaml.safe_load(node.value)
            case _:
                return str(node.value)

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.faults.append((location, "a key here is no single text; expected `key: value`"))
                continue
            key = key_node.value
            self.lines[(*location, key)] = key_node.start_mark.line + 1
            if key in found:
                self.faults.append(((*location, key), "is given twice; expected once"))
                continue
            found[key] = self.value(value_node, (*location, key))
        return found


def _expected(model: type[BaseModel], item: dict[str, Any]) -> str:
    """Say what is wrong and what was expected, in words."""
    *above, last = item["loc"] or ("",)
    match item["type"]:
        case "missing":
            return f"is missing; required are {_listed(_keys(model, above, required=True))}"
        case "extra_forbidden":
            known = _keys(model, above)
            near = difflib.get_close_matches(str(last), known, n=1)
            return f"no such key; did you mean {near[0]}?" if near else f"no such key; expected {_listed(known)}"
        case "model_type" | "dict_type":
            return f"expected keys and values: {_listed(_keys(model, item['loc']))}"
        case "literal_error" | "enum":
            return f"{item['input']!r}: {str(item['msg']).replace('Input should be', 'expected one of')}"
        case "value_error":
            return str(item["msg"]).removeprefix("Value error, ")
        case _:
            return f"{item['input']!r}: {str(item['msg']).replace('Input should be', 'expected')}"


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(keys)


def _keys(model: type[BaseModel], location: Sequence[int | str], *, required: bool = False) -> list[str]:
    """Keys that a model has at a place: all, or those that must be there."""
    here: type[BaseModel] | None = model
    for step in location:
        if here is None:
            return []
        if isinstance(step, int):
            continue
        field = next((f for name, f in here.model_fields.items() if step in (name, f.alias)), None)
        here = None if field is None else _model_in(field.annotation)
    fields = {} if here is None else here.model_fields
    return [field.alias or name for name, field in fields.items() if field.is_required() or not required]


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type annotation
    """The model in a type such as `list[Model]` or `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (list, Union, UnionType):
        return next((found for one in get_args(annotation) if (found := _model_in(one)) is not None), None)
    return None
