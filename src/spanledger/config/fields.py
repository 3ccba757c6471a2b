"""Kinds of fields that the sections of the settings share."""

from __future__ import annotations

import difflib
import re
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_PORT_MAX = 65_535
_HEADER_NAME = re.compile(r"[a-z0-9_.-]+", re.IGNORECASE)
_HEADER_VALUE = re.compile(r"[ -~]*")
_HEADERS_OF_THE_TRANSPORT = frozenset(
    {
        *("connection", "content-encoding", "content-length", "content-type"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)


class Section(BaseModel):
    """A section: unknown keys are mistakes, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _endpoint(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > _PORT_MAX:
        raise ValueError(f"{value!r} is not HOST:PORT, as in localhost:4317 or [::1]:4317")
    return value


def host_and_port(endpoint: str) -> tuple[str, int]:
    """The two halves of a checked `HOST:PORT`, the host without the brackets of an IPv6 address."""
    host, _, port = endpoint.rpartition(":")
    return host.strip("[]"), int(port)


def _url(value: str) -> str:
    """A URL. Credentials in it are refused, and not repeated: URLs are shown in logs and messages."""
    if "@" in value.partition("?")[0]:
        raise ValueError(
            "a URL must not hold credentials, for it is shown in logs: put them in headers or headers_file"
        )
    parts = urlsplit(value if "://" in value else f"http://{value}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{value!r} is not a URL, as in http://localhost:4317")
    return value if "://" in value else f"http://{value}"


def read_zone(name: str) -> ZoneInfo:
    """Find a time zone by its name in the IANA database.

    Raises:
        ValueError: there is none; names the nearest.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        nearest = difflib.get_close_matches(name, available_timezones(), n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else "give one as in UTC or Europe/Berlin"
        raise ValueError(f"{name!r} is no time zone; {hint}") from None


def _zone(value: str) -> str:
    return read_zone(value).key


def header_name(name: str) -> str:
    """A header's name, if it can be sent over HTTP and gRPC alike, and is not one that belongs to the transport.

    Raises:
        ValueError: it cannot.
    """
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r}: a header's name has letters, digits, `-`, `_` and `.` alone")
    if name.lower() in _HEADERS_OF_THE_TRANSPORT or name.lower().startswith("grpc-"):
        raise ValueError(f"{name!r}: this header is the transport's own")
    if name.lower().endswith("-bin"):
        raise ValueError(f"{name!r}: gRPC takes bytes under names that end in -bin, and headers here are texts")
    return name


def header_value(value: str) -> str:
    """A header's value, if it can be sent over HTTP and gRPC alike.

    Raises:
        ValueError: it cannot; the value, which may be a secret, is not repeated.
    """
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError("a header's value has printable ASCII characters alone")
    return value


Endpoint = Annotated[str, AfterValidator(_endpoint)]
TimeZone = Annotated[str, AfterValidator(_zone)]
Url = Annotated[str, AfterValidator(_url)]
HeaderValues = dict[Annotated[str, AfterValidator(header_name)], Annotated[str, AfterValidator(header_value)]]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
