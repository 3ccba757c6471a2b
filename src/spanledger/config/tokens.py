"""The file of bearer tokens: tenants, the tokens that stand for them, and the attributes that are theirs.

Messages name a line and never what stands there: whoever mistypes the file may have put a token anywhere in it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from spanledger.config.documents import Document, read_document
from spanledger.config.fields import Section
from spanledger.core.errors import ConfigError
from spanledger.core.semconv import In
from spanledger.core.tenant import Tenant

TOKEN_CHARACTERS_MIN = 16

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOKEN = re.compile(r"[!-~]+")
_DIGEST = re.compile(r"sha256:(?P<digest>[0-9a-fA-F]{64})")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a tenant's name has letters, digits, dots, dashes and underscores, at most 64")
    return value


def _token(value: object) -> bytes:
    """SHA-256 of a token: the file may hold it instead of the token."""
    if not isinstance(value, str):
        raise ValueError("a token is a text")  # noqa: TRY004 - pydantic collects ValueErrors
    if value.startswith("sha256:"):
        match = _DIGEST.fullmatch(value)
        if match is None:
            raise ValueError("expected 64 hexadecimal digits after `sha256:`")
        return bytes.fromhex(match["digest"])
    if len(value) < TOKEN_CHARACTERS_MIN or not _TOKEN.fullmatch(value):
        raise ValueError(f"a token has at least {TOKEN_CHARACTERS_MIN} printable ASCII characters and no blank")
    return hashlib.sha256(value.encode()).digest()


def _key(value: str) -> str:
    if not value or value == In.TENANT:
        raise ValueError(f"an attribute has a name, and {In.TENANT} is the tenant's name itself")
    return value


class TenantEntry(Section):
    """What stands under the name of a tenant."""

    tokens: list[Annotated[bytes, BeforeValidator(_token)]] = Field(min_length=1)
    attributes: dict[Annotated[str, AfterValidator(_key)], str] = Field(default={})


class TokensFile(Section):
    """The whole file."""

    tenants: dict[Annotated[str, AfterValidator(_name)], TenantEntry] = Field(min_length=1)


def load_tokens(file: Path) -> dict[bytes, Tenant]:
    """Read a file of tokens: tenants by the SHA-256 of each of their tokens.

    Raises:
        ConfigError: every mistake with its line.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file}: file of tokens cannot be read: {type(error).__name__}"]) from None
    problems: list[str] = []
    document = read_document(str(file), text, problems)
    if document is None:
        raise ConfigError([_without_text(problem, file) for problem in problems])
    try:
        content = TokensFile.model_validate(document.content)
    except ValidationError as error:
        raise ConfigError([_told(document, dict(item)) for item in error.errors()]) from None
    return _by_token(document, content)


def _by_token(document: Document, content: TokensFile) -> dict[bytes, Tenant]:
    tenants: dict[bytes, Tenant] = {}
    problems: list[str] = []
    for name, entry in content.tenants.items():
        tenant = Tenant(name, tuple(sorted((str(key), str(value)) for key, value in entry.attributes.items())))
        for place, digest in enumerate(entry.tokens):
            if digest in tenants:
                line = document.line_of(("tenants", name, "tokens", place))
                problems.append(f"{document.name}:{line}: this token is given twice; a token stands for one tenant")
            tenants[digest] = tenant
    if problems:
        raise ConfigError(problems)
    return tenants


def _told(document: Document, item: Mapping[str, object]) -> str:
    location = item["loc"]
    line = document.line_of(location if isinstance(location, tuple) else ())
    match item["type"]:
        case "extra_forbidden":
            message = "no such key; expected `tenants`, and under each tenant `tokens` and `attributes`"
        case "missing":
            message = "a tenant needs `tokens`, and the file `tenants`"
        case _:
            message = str(item["msg"]).removeprefix("Value error, ")
    return f"{document.name}:{line}: {message}"


def _without_text(problem: str, file: Path) -> str:
    """Keep file and line of a problem of the YAML itself, not the words that quote it."""
    line = problem.removeprefix(f"{file}:").partition(":")[0]
    place = f"{file}:{line}" if line.isdigit() else str(file)
    return f"{place}: is not YAML of keys and values, each key once"
