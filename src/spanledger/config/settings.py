"""Settings: one YAML file, environment variables over it, command-line flags over both; all mistakes at once.

Every key can be set by the environment variable `SPANLEDGER_` + the key in capitals with `__` for `.`
(`SPANLEDGER_LEDGER__PATH`). The exporter also understands the standard `OTEL_EXPORTER_OTLP_*` variables.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ValidationError

from spanledger.config.budgets import unknown_scopes
from spanledger.config.destinations import Exporter
from spanledger.config.otel_environment import exporter_variables
from spanledger.config.sections import Settings
from spanledger.core.errors import ConfigError
from spanledger.core.usage import Signal

ENVIRONMENT_PREFIX = "SPANLEDGER_"
FLAGS = {
    "receiver.grpc.endpoint": "--grpc",
    "receiver.http.endpoint": "--http",
    "ledger.path": "--ledger",
    "exporter.endpoint": "--otlp-endpoint",
    "exporter.protocol": "--otlp-protocol",
}
"""Settings that `spanledger serve` also takes as flags."""

_ENVIRONMENT_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
_MISSPELT_CUTOFF = 0.85
_TEXT_TAG = "tag:yaml.org,2002:str"
_TEXT_TAGS = frozenset({_TEXT_TAG, "tag:yaml.org,2002:merge"})
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 - recognised, not bound


def setting_keys() -> dict[str, tuple[str, Any, str]]:
    """Every key with its type, default and meaning, in order: what documentation is generated from."""
    return dict(_keys(Settings, ""))


def load_settings(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Read settings: `flags` (by key) over `environ` over `file`.

    Raises:
        ConfigError: every mistake, each with file and line, variable or flag.
    """
    problems: list[str] = []
    tree, origins = _read_file(file, environ, problems)
    given = {**exporter_variables(environ, problems), **_own_variables(environ, problems)}
    for key, (value, origin) in given.items():
        _put(tree, key, value)
        origins[key] = origin
    for key, value in flags.items():
        _put(tree, key, value)
        origins[key] = FLAGS.get(key, "given")
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        problems.extend(_problem(dict(item), origins) for item in error.errors())
        raise ConfigError(problems) from None
    strangers = unknown_scopes(settings.budgets, settings.metrics.resource_labels)
    problems.extend(f"{_place(key, origins)}: {problem}" for key, problem in strangers.items())
    if problems:
        raise ConfigError(problems)
    return settings


def require_no_loop(settings: Settings) -> None:
    """Refuse a destination that is one of the service's own receivers: telemetry would run in a circle.

    The usual cause is `OTEL_EXPORTER_OTLP_ENDPOINT`, set for the client on the machine that the service runs on too.

    Raises:
        ConfigError: names each such key.
    """
    receiver = settings.receiver
    own = {_host_and_port(f"//{endpoint}") for endpoint in (receiver.grpc.endpoint, receiver.http.endpoint)}
    problems = [
        f"{key}: {url} is this service's own receiver; set --otlp-endpoint, or unset the variable"
        for key, url in _destination_urls(settings)
        if _host_and_port(url) in own
    ]
    if problems:
        raise ConfigError(problems)


def _destination_urls(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every URL that something is sent to, with its key."""
    exporters: dict[str, Exporter] = {"exporter": settings.exporter}
    exporters |= {f"destinations.{name}": exporter for name, exporter in settings.destinations.items()}
    for section, exporter in exporters.items():
        urls = {"endpoint": exporter.endpoint}
        urls |= {f"{signal.value}.endpoint": exporter.of_signal(signal).endpoint for signal in Signal}
        yield from ((f"{section}.{key}", url) for key, url in urls.items() if url is not None)


def _keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, tuple[str, Any, str]]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _keys(kind, f"{prefix}{name}.")
            continue
        default = "the user's data folder" if name == "path" else field.default
        yield f"{prefix}{name}", (_kind_name(kind), default, field.description or "")


def _kind_name(kind: Any) -> str:  # noqa: ANN401 - a type annotation
    text = str(kind)
    for word, shown in (("dict", "mapping"), ("list", "list"), ("Path", "path"), ("str", "text"), ("float", "number")):
        if word in text:
            return shown
    return {"<class 'int'>": "whole number", "<class 'bool'>": "true or false"}.get(text, "text")


def _read_file(
    file: Path | None, environ: Mapping[str, str], problems: list[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The file as a tree, and where each key stands."""
    if file is None:
        return {}, {}
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file}: configuration cannot be read: {error}"]) from None
    except yaml.YAMLError as error:
        raise ConfigError([_not_yaml(file, error)]) from None
    if node is None:
        return {}, {}
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError([f"{file}:1: settings are keys and values, as in `ledger: {{path: ledger.db}}`"])
    origins = {key: f"{file}:{line}" for key, line in _lines(node, "")}
    try:
        tree = _constructed(node, f"{file}:", problems)
    except yaml.YAMLError as error:
        raise ConfigError([_not_yaml(file, error)]) from None
    return _expanded(tree, environ, str(file), problems), origins


def _constructed(node: yaml.Node, where: str, problems: list[str]) -> Any:  # noqa: ANN401 - YAML
    problems.extend(f"{where}{problem}" for problem in _mistaken_keys(node, ""))
    return yaml.SafeLoader("").construct_document(node)


def _mistaken_keys(node: yaml.Node, prefix: str) -> Iterator[str]:
    """Keys that YAML takes for something else than the text that stands there; from here on they are that text."""
    if isinstance(node, yaml.SequenceNode):
        for place, inner in enumerate(node.value):
            yield from _mistaken_keys(inner, f"{prefix}{place}.")
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag not in _TEXT_TAGS:
            read = yaml.SafeLoader("").construct_document(key)
            key.tag = _TEXT_TAG
            if str(read) != key.value:
                line, name = key.start_mark.line + 1, f"{prefix}{key.value}"
                yield f'{line}: {name}: YAML takes {key.value} for {read}; write it in quotes: "{key.value}"'
        yield from _mistaken_keys(value, f"{prefix}{getattr(key, 'value', '')}.")


def _lines(node: yaml.Node, prefix: str) -> Iterator[tuple[str, int]]:
    """Every key, and every place of a list, with its line."""
    children: list[tuple[str, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        children = [(key.value, key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(str(place), value, value) for place, value in enumerate(node.value)]
    for name, where, value in children:
        yield f"{prefix}{name}", where.start_mark.line + 1
        yield from _lines(value, f"{prefix}{name}.")


def _expanded(value: Any, environ: Mapping[str, str], file: str, problems: list[str]) -> Any:  # noqa: ANN401 - YAML
    """Replace `${env:NAME}` in texts, as a Collector does."""
    match value:
        case dict():
            return {str(key): _expanded(inner, environ, file, problems) for key, inner in value.items()}
        case list():
            return [_expanded(inner, environ, file, problems) for inner in value]
        case str():
            missing = [name for name in _ENVIRONMENT_REFERENCE.findall(value) if name not in environ]
            problems.extend(f"{file}: ${{env:{name}}}: no such environment variable" for name in missing)
            return _ENVIRONMENT_REFERENCE.sub(lambda match: environ.get(match[1], ""), value)
        case _:
            return value


def _own_variables(environ: Mapping[str, str], problems: list[str]) -> dict[str, tuple[Any, str]]:
    keys = setting_keys()
    by_variable = {variable_of(key): key for key in keys}
    given: dict[str, tuple[Any, str]] = {}
    for name, value in environ.items():
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        key = by_variable.get(name)
        if key is None:
            nearest = difflib.get_close_matches(name, by_variable, n=1, cutoff=_MISSPELT_CUTOFF)
            if not nearest and "__" not in name:
                continue  # Kubernetes gives every pod variables of a service named spanledger, SPANLEDGER_SERVICE_HOST
            problems.append(f"{name}: no such setting" + (f"; did you mean {nearest[0]}?" if nearest else ""))
            continue
        kind = keys[key][0]
        given[key] = (_parsed(value, f"{name}:", problems) if kind in ("mapping", "list") else value, name)
    return given


def variable_of(key: str) -> str:
    """Environment variable of a setting."""
    return ENVIRONMENT_PREFIX + key.upper().replace(".", "__")


def _parsed(value: str, where: str, problems: list[str]) -> Any:  # noqa: ANN401 - YAML
    try:
        node = yaml.compose(value, Loader=yaml.SafeLoader)
        return None if node is None else _constructed(node, where, problems)
    except yaml.YAMLError:
        return value


def _put(tree: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401 - a setting's value
    *parents, last = key.split(".")
    for name in parents:
        inner = tree.get(name)
        if not isinstance(inner, dict):
            inner = tree[name] = {}
        tree = inner
    tree[last] = value


def _problem(item: dict[str, Any], origins: Mapping[str, str]) -> str:
    key = ".".join(str(step) for step in item["loc"])
    place = _place(key, origins)
    if item["type"] == "extra_forbidden":
        return f"{place}: no such setting{_nearest(item['loc'])}"
    return f"{place}: {str(item['msg']).removeprefix('Value error, ')}"


def _not_yaml(file: Path, error: yaml.YAMLError) -> str:
    """What is wrong and on which line, without the line itself: it may hold a secret."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"{file}: is not YAML"
    return f"{file}:{error.problem_mark.line + 1}: is not YAML: {error.problem}"


def _place(key: str, origins: Mapping[str, str]) -> str:
    """A key and where it was given, as near as that is known."""
    around = [known for known in origins if f"{key}.".startswith(f"{known}.")]
    return f"{origins[max(around, key=len)]}: {key}" if around else key


def _host_and_port(url: str) -> tuple[str, int | None]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return ("localhost" if host in _LOCAL_HOSTS else host, parts.port)


def _nearest(location: tuple[str | int, ...]) -> str:
    """Suggest a key: of the section that a strange one stands in, else of all."""
    *parents, last = map(str, location)
    section = _section_at(location[:-1])
    found = [".".join([*parents, name]) for name in difflib.get_close_matches(last, section.model_fields, n=1)]
    if not found:
        known = list(setting_keys())
        sections = {name.rsplit(".", 1)[0] for name in known}
        found = difflib.get_close_matches(".".join([*parents, last]), [*known, *sections], n=1)
    return f"; did you mean {found[0]}?" if found else ""


def _section_at(location: tuple[str | int, ...]) -> type[BaseModel]:
    """The section that a key is in, whatever lists and names lie between."""
    section: type[BaseModel] = Settings
    for step in location:
        field = section.model_fields.get(str(step))
        if field is not None:
            section = _section_in(field.annotation) or section
    return section


def _section_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _section_in(inner)) is not None), None)
